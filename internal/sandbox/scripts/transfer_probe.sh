# Reports what is at the far end (directory, empty for one with nothing in it, file, other, none)
# and which of the programs that help are there. Removes what earlier transfers left behind.
. ./transfer.sh

: "${keep:?}" # minutes after which temporary files are taken for left behind

begin
if [ -d "$remote" ]; then kind=empty
elif [ -f "$remote" ]; then kind='file'
elif [ -e "$remote" ] || [ -L "$remote" ]; then kind=other
else kind=none; fi
if [ $kind = empty ]; then
  for f in "$remote"/* "$remote"/.[!.]* "$remote"/..?*; do
    if [ -e "$f" ] || [ -L "$f" ]; then kind=directory; break; fi
  done
fi
there=
for program in base64 openssl sha256sum shasum tar gzip dd find; do
  ! has $program || there="$there $program"
done
report $kind "$there"
finish
has find || exit 0
old() { find "$1" -mindepth 1 -maxdepth 1 -type d -name "$2" -mmin "+$keep" -exec rm -rf {} +; }
at /workspace
old "$path" '.openclaw-mcp-????????????????'
old /tmp 'openclaw-mcp-transfer-*'
exit 0

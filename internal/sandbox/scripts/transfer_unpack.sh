# Unpacks an archive and puts what is in it in place. May run again after it has run: the same
# files then take their own place. Reports "garbled" for an archive that is not as it was sent, or
# "ok" and what could not be done: F and a name, or E and the name of what exists, each ended by NUL.
. ./transfer.sh

: "${name:?}" "${text?}" "${sum:?}"    # name of temporary files; the archive, empty where it is one of them; its SHA-256
: "${keep:?}" "${zip:?}" "${script:?}" # 1: replace nothing; 1: it is packed by gzip; without tar, the length of the script it begins with
: "${place:?}"                         # the script transfer_place.sh; transfer_make.sh without tar

begin
umask 077
archive=$stage/$name.t work=$stage/$name.d
rm -rf "$work"
mkdir -p "$work" || fail "write to $stage"
if [ -n "$text" ]; then printf '%s\n' "$text"; else cat "$stage/$name"; fi | decode >"$archive" || say garbled
hash "$archive"
[ "$hash" = "$sum" ] || say garbled
umask 022
[ -d "$folder" ] || mkdir -p "$folder" || fail "make the folder $folder"
cd "$work" || fail "use $work"
unzip() { if [ "$zip" = 1 ]; then gzip -dc; else cat; fi; }
if [ "$script" = 0 ]; then
  unzip <"$archive" | tar -xpof - || fail "unpack: is there room?"
  report ok
  find . -type d -exec sh -c "$place" sh "$folder" "$keep" {} + | part
else
  unzip <"$archive" >"$archive.c"
  head -c "$script" "$archive.c" >"$archive.s"
  report ok
  sh -c "$place" sh "$folder" "$keep" "$archive" "$script" "$work/x" | part
fi
finish
cd / && rm -rf "$work" "${stage:?}/$name"*

# Changes the modes and the times of files and folders. Reports as a part the names of those
# where that can't be done, each ended by NUL. The name of a folder ends in a slash.
. ./transfer.sh

: "${names:?}" # packed: mode ("-" leaves it), time and name of each

begin
eval "$(unpack "$names")"
cd "$folder" || say gone
report ok
while [ $# -gt 0 ]; do
  f=${3%/}
  if [ ! -L "$f" ] && { [ "$f" = "$3" ] || [ -d "$f" ]; } && { [ "$1" = - ] || chmod "$1" "$f"; }; then stamp "$2" "$f"
  else printf '%s\0' "$f"; fi
  shift 3
done | part
finish

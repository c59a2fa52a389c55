# Checks a file that was put together, and renames it into its place. Reports "ok", "again" for
# one that is not as it was sent, and "exists".
. ./transfer.sh

: "${names:?}" "${key:?}" "${sum:?}" # folder and name, packed; name of the temporary file; SHA-256
: "${mode:?}" "${time:?}"            # its mode and its time
: "${keep:?}"                        # 1: replace nothing

begin
eval "$(unpack "$names")"
[ "$1" = . ] || folder=$folder/$1
place=$folder/$2 temp=$stage/$key
if [ ! -e "$temp.new" ] && [ -f "$place" ]; then # an answer that got lost
  hash "$place"
  [ "$hash" != "$sum" ] || say ok
fi
hash "$temp.new"
[ "$hash" = "$sum" ] || { rm -f "$temp".*; say again; }
umask 022
[ -d "$folder" ] || mkdir -p "$folder" || fail "make its folder"
if [ "$keep" = 1 ] && { [ -e "$place" ] || [ -L "$place" ]; }; then
  rm -f "$temp".*
  say exists
fi
if [ -L "$place" ]; then rm -f "$place"; fi
[ ! -d "$place" ] || fail "put it in place: a folder is there"
chmod "$mode" "$temp.new" && stamp "$time" "$temp.new" && mv -f "$temp.new" "$place" || fail "put it in place"
rm -f "$temp".*
say ok

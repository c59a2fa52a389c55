# Reports a file's size, where the wanted part begins, the number of lines (-1 when not needed or
# too expensive), whether the parts follow, and its hash; the parts are the file's first bytes and
# what is wanted. Without them, files/read is to be used.
. ./file.sh

: "${dir:?}" "${name:?}"
: "${by_line:?}" "${start:?}"     # line from 1 or byte from 0; negative: from the end
: "${window:?}" "${sniff:?}"      # bytes wanted, and bytes of the beginning
: "${hashed:?}" "${read_below:?}" # whether to give the hash; the largest size for files/read

begin
need wc tail head base64
enter_root; enter "$dir"; follow
kind "./$name"; [ "$kind" = file ] || say notfile "$kind"
within || say outside
[ -r "./$name" ] || say denied
size=$(size "./$name") lines=-1 offset=0
if [ "$by_line" = 0 ]; then
  offset=$start
  [ "$offset" -ge 0 ] || offset=$((size + start))
  [ "$offset" -ge 0 ] || offset=0
elif [ "$start" -gt 1 ]; then
  offset=$(($(head -n $((start - 1)) "./$name" | wc -c)))
elif [ "$start" -lt 0 ]; then
  offset=$((size - $(tail -n $((-start)) "./$name" | wc -c)))
  [ "$offset" -ge 0 ] || offset=0
fi
count=
if [ "$by_line" = 0 ]; then :
elif [ "$start" -lt 0 ]; then [ "$size" -gt 64000000 ] || count=yes
elif [ "$offset" -ge "$size" ]; then count=yes; fi
if [ -n "$count" ]; then
  lines=$(($(wc -l <"./$name")))
  [ "$size" = 0 ] || [ "$(tail -c 1 "./$name" | wc -l)" -gt 0 ] || lines=$((lines + 1))
fi
hash=none
[ "$hashed" = 0 ] || hash "./$name"
parts=1
[ "$offset" -gt 0 ] || [ "$start" -lt 0 ] || [ "$size" -gt "$read_below" ] || parts=0
report file "$size" "$offset" "$lines" $parts "$hash"
slice() { tail -c +$(($1 + 1)) "./$name" | head -c "$2" | part; }
if [ $parts = 1 ]; then
  slice 0 "$sniff"
  slice "$offset" "$window"
fi
finish

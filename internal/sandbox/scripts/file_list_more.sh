# The next chunk of what file_list.sh wrote.
. ./report.sh

: "${list:?}" "${from:?}" "${chunk:?}" "${size:?}"

begin
file=${TMPDIR:-/tmp}/$list
report list "$size"
tail -c "+$((from + 1))" "$file" | head -c "$chunk" | part
finish
[ $((from + chunk)) -lt "$size" ] || rm -f "$file"

# Puts some parts where they belong in a file. dd takes its input as it comes and writes whole
# parts.
. ./transfer.sh

: "${stem:?}" "${to:?}"             # the parts' names begin so; the file's name
: "${first:?}" "${end:?}" "${size:?}" # parts from first, below end; bytes of each

begin
umask 077
cd "$stage" || fail "use $stage"
i=$first
while [ "$i" -lt "$end" ]; do
  [ -s "$stem.$i" ] && decode <"$stem.$i" | dd ibs=65536 obs="$size" seek="$i" conv=notrunc of="$to" ||
    fail "write: is there room?"
  i=$((i + 1))
done
say ok

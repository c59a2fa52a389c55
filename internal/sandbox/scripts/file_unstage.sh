# Removes the temporary files of a change that was not made.
. ./file.sh

: "${dir:?}" "${stage:?}" "${parts:?}"

begin
enter_root; enter "$dir"
within || say outside
i=0
while [ $i -lt "$parts" ]; do rm -f "./$stage-$i"; i=$((i + 1)); done
rm -f "./$stage"
say ok

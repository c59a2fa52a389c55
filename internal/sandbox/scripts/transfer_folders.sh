# Reports the modes and times of folders.
. ./transfer.sh

: "${names:?}" # packed
: "${odd:?}"   # 1: names that can't be printed on a line

begin
cd "$folder" || say gone
eval "$(unpack "$names")"
report seen
if [ "$odd" = 1 ]; then for f do printf '%s\n' "$(stats '' "$f")"; done | part
else stats ' %n' "$@" | part; fi
finish

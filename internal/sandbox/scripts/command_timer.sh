# Ends a command at its time limit. Arguments: the command's folder, and the limit in seconds.
#
# The program timeout would not do: its exit codes differ (busybox says 143, coreutils 124, as may
# the command itself), and it leaves children behind.
. ./command_end.sh

run=$1 id=${1##*/}
exec 2>/dev/null
sleep "$2"
until [ -s "$run/pid" ]; do nap; done
trap '' TERM
: >"$run/timedout"
read -r leader since <"$run/pid"
end_command 25
[ "$left" = none ] || echo "$left" >"$run/left"

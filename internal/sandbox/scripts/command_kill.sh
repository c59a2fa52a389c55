# Ends a command, and reports "killed" once nothing of it runs, or "alive"; then what command_end.sh
# says is left. Where the request that starts the command may be under way, it keeps the command
# from being started.
. ./report.sh
. ./command.sh
. ./command_state.sh
. ./command_end.sh

: "${starting:?}" # 1: the request that starts it may still come

begin
if [ "$starting" = 1 ] && prevent; then say prevented; fi
if ! find_run; then
  [ -n "$proc" ] || say gone unchecked
  find_leader || say gone "${apart:+apart}${apart:-none}"
  if end_command 10; then say killed "$left"; fi
  say alive "$left"
fi
i=0
while [ ! -s "$run/pid" ] && [ ! -e "$run/code" ] && [ $i -lt 10 ]; do nap; i=$((i + 1)); done
state
[ "$state" = running ] || say over
: >"$run/cancelled"
# Without a process yet, that keeps the command from being started.
[ -s "$run/pid" ] || say prevented
read -r leader since <"$run/pid"
if ! end_command 10; then
  rm -f "$run/cancelled"
  say alive "$left"
fi
[ "$left" = none ] || echo "$left" >"$run/left"
say killed "$left"

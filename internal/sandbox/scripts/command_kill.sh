# Ends a command, and reports "killed" once nothing of it runs, or "alive"; then what command_end.sh
# says is left. Where the request that starts the command may be under way, it keeps the command
# from being started.
. ./report.sh
. ./command.sh
. ./command_state.sh
. ./command_end.sh

: "${starting:?}" # 1: the request that starts it may still come

# find_leader sets $leader and $since of a command whose folder is gone.
find_leader() {
  since=0
  find_apart
  for process in $processes; do
    IFS=:
    # shellcheck disable=SC2086 # fields
    set -- $process
    unset IFS
    case $apart, in *",$1,"*) ;; *) continue ;; esac
    case $apart, in *",$2,"*) continue ;; esac
    # Its parent is the supervisor. A daemon's is the first process.
    if [ "$1" = "$4" ] && [ "$2" -gt 1 ]; then leader=$1 since=$5; return; fi
  done
  return 1
}

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

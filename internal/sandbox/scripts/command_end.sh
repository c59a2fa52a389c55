# The end of a command, with all that it started: shells with job control, and the program timeout,
# start groups of their own, setsid a session. "kill -TERM -PGID" is the one form that dash, bash,
# busybox and zsh all take; dash refuses "--" behind it. A command is known by $id, the name of its
# folder, and by the process that leads its session and when that was started: $leader and $since.
# shellcheck disable=SC2034 # variables for the scripts that include this
. ./processes.sh
: "${id=}" "${leader=}" "${since=}"

# find_own sets $own to the command's processes that run, and $groups to the groups that they are in.
# The command's is what is in its session, what descends from that, and what is in a descendant's
# session. What was found stays the command's ($ours) when its parent has ended. Without /proc, it
# is the group of $leader alone.
find_own() {
  own='' groups='' parents=''
  if [ -z "$proc" ]; then
    groups=$leader
    ! kill -0 "-$leader" 2>/dev/null || own=$leader
    return
  fi
  list_processes
  before=none
  while [ "$own" != "$before" ]; do
    before=$own rest=
    for process in $processes; do
      IFS=:
      # shellcheck disable=SC2086 # fields
      set -- $process
      unset IFS
      case $ours$parents in
        *" session=$4 "* | *" parent=$2 "* | *" process=$1:$5 "*) ;;
        *) rest="$rest $process"; continue ;;
      esac
      own="$own $1" parents="$parents parent=$1 "
      case $ours in *" process=$1:$5 "*) ;; *) ours="$ours session=$4 process=$1:$5 " ;; esac
      case " $groups " in *" $3 "*) ;; *) groups="$groups $3" ;; esac
    done
    processes=$rest
  done
}

signal_own() { for group in $groups; do [ "$group" -le 1 ] || kill "-$1" "-$group" 2>/dev/null; done; }

# find_apart sets $apart to what the environment shows to be of the command. Once find_own finds
# nothing, that is what the command let go: it is in a session of its own, and whoever started that
# has ended, as daemons do it.
find_apart() {
  apart=
  list_processes
  for process in $processes; do
    [ "${process##*:}" -ge "$since" ] || continue
    pid=${process%%:*}
    while read -r line || [ -n "$line" ]; do
      case $line in *"RUN_OF_OPENCLAW_MCP=$id"*) apart=$apart,$pid; break ;; esac
    done <"/proc/$pid/environ"
  done 2>/dev/null
}

# end_command asks the command to end and, after $1 naps, kills it. It succeeds once nothing of it
# runs any more. It sets $left to what can't be called ended: "none"; "unchecked", without /proc;
# "alive" or "apart", with the numbers of the processes.
end_command() {
  ours=" session=$leader "
  left=none
  find_own
  signal_own TERM
  signal_own CONT
  i=0
  while find_own; [ -n "$own" ] && [ $i -lt "$1" ]; do nap; i=$((i + 1)); done
  i=0
  while [ -n "$own" ]; do
    if [ $i -ge 25 ]; then
      # shellcheck disable=SC2086 # words
      left=alive$(printf ,%s $own)
      return 1
    fi
    signal_own KILL
    nap
    i=$((i + 1))
    find_own
  done
  if [ -z "$proc" ]; then left=unchecked; return; fi
  i=0 # busybox has a watcher of its own for the program timeout, which ends within a second
  while find_apart; [ -n "$apart" ] && [ $i -lt 6 ]; do nap; i=$((i + 1)); done
  [ -z "$apart" ] || left=apart$apart
}

# Process groups: whether they live, and their end. "kill -TERM -PGID" is the one form that
# dash, bash, busybox and zsh all take; dash refuses "--" behind it.

# /proc is of use only where it shows the processes of this shell's own namespace.
proc=
{ read -r self _ </proc/self/stat && [ "$self" = "$$" ] && proc=yes; } 2>/dev/null

nap() { sleep 0.2 2>/dev/null || sleep 1; }

# group_alive tells whether a process of the group still runs. One that has ended and only
# waits for its parent to collect it does not.
group_alive() {
  kill -0 "-$1" 2>/dev/null || return 1
  [ -n "$proc" ] || return 0
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    line=${line##*) } # the name before may hold anything; state, parent and group follow
    case $line in Z* | X*) continue ;; esac
    line=${line#* }; line=${line#* }
    [ "${line%% *}" != "$1" ] || return 0
  done
  return 1
}

# end_group asks the group to end and, after $2 naps, kills it. It succeeds once nothing of the
# group runs any more.
end_group() {
  kill -TERM "-$1" 2>/dev/null
  kill -CONT "-$1" 2>/dev/null
  i=0
  while group_alive "$1" && [ $i -lt "$2" ]; do nap; i=$((i + 1)); done
  kill -KILL "-$1" 2>/dev/null
  i=0
  while group_alive "$1"; do
    [ $i -lt 25 ] || return 1
    nap; i=$((i + 1))
  done
}

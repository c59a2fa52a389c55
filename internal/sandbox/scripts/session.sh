# Sessions of processes, and their end. A shell with job control has its commands in groups of
# their own, which its session holds together.
. ./processes.sh

# signal_session sends a signal to each process of the session, and fails if there is none.
# Without /proc, it is to the leader and its group.
signal_session() {
  if [ -z "$proc" ]; then
    kill "-$2" "-$1" 2>/dev/null || kill "-$2" "$1" 2>/dev/null
    return
  fi
  found=1
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    pid=${line%% *}
    line=${line##*) }
    case $line in Z* | X*) continue ;; esac
    line=${line#* }; line=${line#* }; line=${line#* } # state, parent and group
    [ "${line%% *}" = "$1" ] || continue
    found=0
    kill "-$2" "$pid" 2>/dev/null
  done
  return $found
}

# end_session hangs up on the session, as the end of a connection would, and after $2 naps kills
# it. It succeeds once nothing of it runs any more.
end_session() {
  signal_session "$1" HUP
  signal_session "$1" CONT
  i=0
  while signal_session "$1" 0 && [ $i -lt "$2" ]; do nap; i=$((i + 1)); done
  i=0
  while signal_session "$1" KILL; do
    [ $i -lt 25 ] || return 1
    nap; i=$((i + 1))
  done
}

# Processes, as /proc shows them.

# shellcheck disable=SC2034 # variables for the scripts that include this

# /proc is of use only where it shows the processes of this shell's own namespace.
proc=
{ read -r self _ </proc/self/stat && [ "$self" = "$$" ] && proc=yes; } 2>/dev/null

nap() { sleep 0.2 2>/dev/null || sleep 1; }

# list_processes sets $processes to all that run, each as PID:PARENT:GROUP:SESSION:START. One that
# has ended and only waits for its parent to collect it does not run.
list_processes() {
  processes=
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    pid=${line%% *}
    # The name may hold anything. Behind it come state, parent, group and session.
    # shellcheck disable=SC2086 # fields
    set -- ${line##*) }
    case $1 in Z | X) ;; *) processes="$processes $pid:$2:$3:$4:${20}" ;; esac
  done
}

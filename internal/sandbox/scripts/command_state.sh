# How a command stands.
# shellcheck disable=SC2034 # variables for the scripts that include this

. ./processes.sh
: "${run=}"

# process_alive tells whether the process that a file names is there. Numbers are used again: it
# counts only if it was started when the file says.
process_alive() {
  [ -s "$1" ] || return 1
  read -r pid started <"$1"
  kill -0 "$pid" 2>/dev/null || return 1
  if [ -n "$proc" ] && [ "$started" != 0 ] && [ -r "/proc/$pid/stat" ]; then
    read -r line <"/proc/$pid/stat"
    line=${line##*) }
    case $line in Z* | X*) return 1 ;; esac
    # shellcheck disable=SC2086 # fields
    set -- $line
    [ "${20}" = "$started" ] || return 1
  fi
}

# alive tells whether the command is there, or its supervisor, which may take a while to end what
# is left of the command and to write the exit code. Before either is: whether they may come yet.
alive() {
  process_alive "$run/pid" || process_alive "$run/supervisor" ||
    { [ ! -s "$run/pid" ] && [ -z "$(find "$run/cmd" -mmin +1 2>/dev/null)" ]; }
}

# ended sets $state if the command has an exit code.
ended() {
  [ -e "$run/code" ] || return 1
  state=exited
  [ ! -e "$run/cancelled" ] || state=cancelled
  [ ! -s "$run/nodir" ] || read -r state <"$run/nodir"
}

# state sets $state. The exit code is looked for before the processes, and once more after those
# were found dead, since it may have come in between.
state() {
  if ended; then return; fi
  if alive; then state=running; return; fi
  if ended; then return; fi
  if [ -e "$run/cancelled" ]; then state=cancelled
  elif echo >"$run/try"; then state=lost
  else state=full; fi
}

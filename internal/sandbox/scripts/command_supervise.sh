# Runs a command to its end or its time limit, and writes down its exit code. Arguments: the
# command's folder, the limit in seconds (0: none), the umask, the shell and the name for it
# that error messages begin with, the script command_lead.sh, the file for what the command
# writes to stderr ("out" keeps it in order with the rest), and where there is a limit, the script
# command_timer.sh.
. ./process.sh

run=$1 limit=$2 mask=$3 shell=$4 name=$5 lead=$6 err=$7 timer=$8
umask 077
exec 2>/dev/null
note_process "$run/supervisor"
echo started

if [ "$limit" -gt 0 ]; then
  sh -c "$timer" sh "$run" "$limit" </dev/null >/dev/null &
  timer=$!
fi
# In a subshell, so that what this shell says of a signal ("Killed") does not get into err.
(exec setsid sh -c "$lead" sh "$run" "$mask" "$shell" "$name" </dev/null >>"$run/out" 2>>"$run/$err")
code=$?
if [ "$limit" -gt 0 ]; then
  # The whole group, which is this script's alone: the timer may have a sleep under way. A timer
  # that has started to end the command ignores the signal.
  trap : TERM
  kill -TERM 0
  while kill -0 "$timer"; do wait "$timer"; done
  kill -TERM 0 # dash begins a program with signals blocked: the first may have come too early for the sleep
fi
[ ! -e "$run/timedout" ] || code=124
echo "$code" >"$run/code.new" && mv "$run/code.new" "$run/code"

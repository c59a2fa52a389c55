# Leads the session of a terminal that outlives its connection: notes who it is, runs the shell,
# and writes down its exit code. Arguments: the folder, the variables TERM and SHELL, and the
# shell with its arguments.
# Nothing tells the shell that somebody keeps it.
. ./process.sh

run=$1
case $STY in '') TERM=$2; export TERM ;; esac # screen understands less than others
SHELL=$3
if [ -n "$SHELL" ]; then export SHELL; else unset SHELL; fi
shift 3
unset TMUX TMUX_PANE TERM_PROGRAM TERM_PROGRAM_VERSION STY WINDOW SCREENDIR TERMCAP ABDUCO_SESSION ABDUCO_SOCKET DTACH_SOCKET
note_process "$run/pid"
# Caught, not ignored, since the shell would then ignore them, too.
trap : HUP INT QUIT TERM
"$@"
code=$?
echo "$code" >"$run/ended"
exit "$code"

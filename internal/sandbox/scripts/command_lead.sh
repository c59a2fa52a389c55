# Becomes the command, after noting which process that is. Arguments: the command's folder, the
# umask, the shell, and the name that the shell's error messages begin with.
. ./process.sh

note_process "$1/pid"
[ ! -e "$1/cancelled" ] || exit 143
RUN_OF_OPENCLAW_MCP=${1##*/} # by which command_end.sh knows what it started
export RUN_OF_OPENCLAW_MCP
command=$(cat "$1/cmd" && echo .)
case $command in -*) command=" $command" ;; esac # not an option of the shell
umask "$2"
# The command goes as an argument, as in the service's own way to run it, so that the shell's
# messages name no file.
if [ "$3" = "$4" ]; then exec "$3" -c "${command%.}"; fi # busybox words its messages by this
exec "$3" -c "${command%.}" "$4"

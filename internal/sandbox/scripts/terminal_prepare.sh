# Finds or makes the folder of a terminal that outlives its connection. Reports "ready", which
# program keeps it, its folder and its size; "gone" and perhaps its exit code where it has ended;
# or "plain" and why where nothing here can keep a shell. Besides the files of terminal_start.sh,
# which begins it, the folder has
#
#	keeper           the program that keeps it
#	size             columns, rows, and when it was made
#	start, lead, watch   the scripts
. ./report.sh
. ./command.sh
. ./command_state.sh

: "${new:?}"                                   # 1: make it; 0: it must be there
: "${cols:?}" "${rows:?}" "${keep:?}"          # its size, and seconds without a connection before it ends
: "${start?}" "${lead?}" "${watch?}"           # the scripts

begin
if find_run; then
  # The exit code is the last thing that the session's leader writes.
  if [ ! -s "$run/ended" ] && process_alive "$run/pid"; then
    read -r cols rows made <"$run/size"
    say ready "$(cat "$run/keeper")" "$run" "$cols" "$rows" $(($(date +%s) - made))
  fi
  say gone "$(cat "$run/ended")"
fi
[ "$new" = 1 ] || say gone

keeper=
if has tmux; then
  # What is older has no way to type bytes.
  case $(tmux -V) in tmux\ [12].* | '') ;; *) keeper=tmux ;; esac
fi
for program in abduco dtach screen; do
  if [ -z "$keeper" ] && has "$program"; then keeper=$program; fi
done
[ -n "$keeper" ] || say plain no keeper
for program in setsid stty mkdir chmod cat sleep tr; do
  has "$program" || say plain no "$program"
done
umask 077
make_base || say plain no folder
# What was made and never begun, or ended with the machine that it was on.
for old in "$base"/t-*; do
  if own "$old" && ! process_alive "$old/pid" && [ -n "$(find "$old" -prune -mmin +60)" ]; then rm -rf -- "$old"; fi
done
run=$base/$id
{ mkdir "$run" && echo "$keeper" >"$run/keeper" && echo "$cols $rows $(date +%s)" >"$run/size" && echo "$keep" >"$run/keep" &&
  printf %s "$start" >"$run/start" && printf %s "$lead" >"$run/lead" && printf %s "$watch" >"$run/watch"; } ||
  { rm -rf -- "$run"; say plain no room; }
say ready "$keeper" "$run" "$cols" "$rows" 0

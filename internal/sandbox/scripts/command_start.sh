# Starts a command that runs on its own: a supervisor in a session of its own runs it as the
# leader of another, so that a kill of the command's group leaves the supervisor to write the
# exit code.
#
# The script waits for the end for so many seconds. If the command ends in that time and wrote
# no more than fits, the answer is the command's own: its output and its exit code. Nothing then
# tells the two apart, so a service whose commands are not a shell's is understood, too. In
# every other case the answer is a report: "started", the command's folder, and what stands in
# the way of that folder's usual name.
#
# A command whose directory can't be entered is not started: the answer is why, and so it
# stays, however often this request comes.
#
# Whoever makes the command's folder decides: a request that is delivered twice does not start
# a second command, and one that a cancel overtook starts none.
. ./report.sh
. ./command.sh

: "${command?}" "${dir?}" "${limit:?}"            # what to run, where, and for how many seconds at most
: "${patience:?}" "${inline:?}"                   # seconds to wait for the end (0.3, too), and bytes to answer with
: "${sweep:?}" "${keep:?}" "${keep_sent:?}"       # whether to remove old files, and minutes to keep them
: "${supervise:?}" "${lead:?}" "${timer?}"        # the scripts command_supervise.sh, command_lead.sh and, with a limit, command_timer.sh
: "${err:?}"                                      # the file for what goes to stderr: err, or out

exec 3>&2 2>/dev/null
need setsid mkdir chmod cat wc tail head base64 mv sleep

unwritable() {
  [ -n "$why" ] || why="no room in $base"
  report unwritable
  printf %s "$why" | head -c 600 | part
  finish; exit 0
}

if find_run; then say started "$run"; fi
mask=$(umask)
umask 077
make_base || unwritable
run=$base/$id
if ! why=$(mkdir "$run" 2>&1); then
  if own "$run"; then say started "$run" "$in_way"; fi
  unwritable
fi
why=$( { printf %s "$command" >"$run/cmd"; } 2>&1 ) || { rm -rf -- "$run"; unwritable; }
: >"$run/out"; : >"$run/err"
case $dir in /*) to=$dir ;; *) to=./$dir ;; esac # "-" is where the shell was before, and there may be a CDPATH
if [ -n "$dir" ] && ! cd -- "$to" >/dev/null; then
  if [ -d "$to" ]; then verb=dirClosed
  elif [ -e "$to" ]; then verb=dirIsFile
  else verb=dirMissing; fi
  printf %s "$dir" >"$run/err"
  echo "$verb" >"$run/nodir"
  echo 1 >"$run/code"
  say "$verb"
fi

# The command is for the shell that the service itself uses.
shell=${BASH-}
if [ -z "$shell" ]; then
  shell='sh'
  case $0 in *sh) if has "$0"; then shell=$0; fi ;; esac
fi

# launch starts the supervisor, which prints a line and holds standard output open until it
# ends. It is not started with "&": a shell has what it starts so ignore SIGINT and SIGQUIT,
# and the command could not undo that. Instead the shell that waits for it is killed.
launch() {
  # shellcheck disable=SC2016 # for the inner shell
  sh -c '(kill -KILL "$$"; exec setsid sh -c "$@"); exit' sh \
    "$supervise" sh "$run" "$limit" "$mask" "$shell" "$0" "$lead" "$err" "$timer" </dev/null 3>&-
}

# await reads until the supervisor ends, or until there is no more patience.
await() {
  read -r _ || return 1
  [ "$patience" != 0 ] || return 0
  exec 4<&0
  cat <&4 >/dev/null 3>&- &
  reader=$!
  { sleep "$patience" || sleep 1; kill "$reader"; } </dev/null >/dev/null 3>&- 4<&- &
  clock=$!
  wait "$reader"
  kill "$clock"
  return 0
}

if ! launch | await; then
  rm -rf -- "$run"
  why="no process of its own could be started"
  unwritable
fi

if [ "$sweep" = 1 ] && has find; then
  set -- "$base"
  if own /tmp/openclaw-mcp; then set -- "$@" /tmp/openclaw-mcp; fi
  # shellcheck disable=SC2016 # for the inner shell
  find "$@" -mindepth 2 -maxdepth 2 '(' -name code -mmin "+$keep" -o -name sent -mmin "+$keep_sent" ')' \
    -exec sh -c 'rm -rf -- "${1%/*}"' sh {} ';' </dev/null >/dev/null 3>&- &
fi

if [ "$patience" != 0 ] && [ -s "$run/code" ] && [ ! -e "$run/timedout" ] && [ ! -e "$run/cancelled" ]; then
  size=0
  if [ -s "$run/out" ] || [ -s "$run/err" ]; then size=$(cat "$run/out" "$run/err" | wc -c); fi
  if [ "$size" -le "$inline" ]; then
    : >"$run/sent"
    [ ! -s "$run/out" ] || cat "$run/out"
    [ ! -s "$run/err" ] || cat "$run/err" >&3
    read -r code <"$run/code"
    exit "$code"
  fi
fi
say started "$run" "$in_way"

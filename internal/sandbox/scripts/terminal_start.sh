# Becomes a terminal that outlives its connection: is typed into the shell that the service has
# just started, and puts another one like it under the care of the folder's keeper, or connects
# with the one that is there. Arguments: "new" or "again". The folder has
#
#	pid              the leader of the shell's session, see terminal_lead.sh
#	ended            its exit code
#	connected.PID    this process
#	watcher          terminal_watch.sh, which leads a session of its own
#	s, conf          the keeper's socket and configuration
#
# What it says begins with the terminal's id: "ready" before the keeper speaks; then "over" and
# the exit code, "let" where the keeper let go of this connection, or "failed".
. ./processes.sh
. ./process.sh

run=${0%/*}
id=${run##*/}
tell() { printf '\r\nopenclaw-mcp:%s:%s\r\n' "$id" "$*"; }
fail() { tell failed "$*"; exit 1; }

read -r keeper <"$run/keeper"
read -r cols rows _ <"$run/size"
sock=$run/s conf=$run/conf

# like_parent starts the keeper with a shell like the one that this was typed into.
like_parent() {
  if [ -r "/proc/$PPID/cmdline" ]; then words=$(tr '\0' '\n' <"/proc/$PPID/cmdline")
  else words=$(ps -o args= -p "$PPID" | tr ' ' '\n'); fi
  set -f
  IFS='
'
  # shellcheck disable=SC2086 # words
  set -- $words
  unset IFS
  set +f
  case ${1-} in
    '') set -- "${SHELL:-sh}" -i ;;
    -*) shell=${1#-}; shift; set -- "$shell" -l "$@" ;; # a login shell
  esac
  keep sh "$run/lead" "$run" "${TERM:-xterm}" "$(env | sed -n 's/^SHELL=//p')" "$@"
}

# keep starts the keeper with a command.
keep() {
  case $keeper in
    tmux)
      printf 'set -gq %s\n' 'status off' 'prefix None' 'prefix2 None' 'mouse off' 'history-limit 2000' 'escape-time 0' \
        'set-clipboard off' 'allow-rename off' 'automatic-rename off' 'exit-empty on' 'remain-on-exit off' \
        'default-terminal screen' >"$conf"
      tmux -u -f "$conf" -S "$sock" new-session -d -x "$cols" -y "$rows" "$@"
      ;;
    abduco) abduco -n "$sock" "$@" ;;
    dtach) dtach -n "$sock" -E -z "$@" ;;
    screen)
      printf '%s\n' 'startup_message off' 'vbell off' 'defutf8 on' 'altscreen on' 'defscrollback 2000' 'msgwait 0' \
        'autodetach on' 'hardstatus off' 'escape \377\377' 'termcapinfo * ti@:te@' >"$conf"
      screen -c "$conf" -S t -d -m "$@"
      ;;
  esac
}

connect() {
  case $keeper in
    tmux) tmux -u -S "$sock" -C attach-session -d ;; # whoever else is connected may be dead
    abduco)
      # Programs draw anew when their size changes.
      exec 3<&0
      [ "$1" = new ] || { nap; stty rows $((rows - 1)); nap; stty rows "$rows"; } <&3 >/dev/null 2>&1 &
      abduco -e "$(printf '\377')" -a "$sock"
      ;;
    dtach) dtach -a "$sock" -E -z -r winch ;;
    screen) screen -c "$conf" -S t -d -r ;;
  esac
}

if [ "$keeper" = screen ]; then
  SCREENDIR=$run/screen
  export SCREENDIR
  mkdir -m 700 "$SCREENDIR" 2>/dev/null
fi
stty cols "$cols" rows "$rows" 2>/dev/null
if [ "$1" = new ]; then
  mkdir "$run/begun" 2>/dev/null || fail it was begun before
  why=$(like_parent 2>&1) || fail "$keeper: $why"
  (setsid sh "$run/watch" "$run" </dev/null >/dev/null 2>&1 &)
fi
note_process "$run/connected.$$"
stty raw -echo || fail this is no terminal
i=0
until [ -s "$run/pid" ] || [ $i -ge 50 ]; do nap; i=$((i + 1)); done
tell ready "$keeper"
connect "$1"
rm -f "$run/connected.$$"
if [ -s "$run/ended" ]; then
  read -r code <"$run/ended"
  tell over "$code"
  exit "$code"
fi
tell let
exit 1

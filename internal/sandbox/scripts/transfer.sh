# What the scripts of uploads and downloads share.
# shellcheck disable=SC2034 # variables for the scripts that include this
. ./report.sh

: "${stage:?}"  # the folder of temporary files
: "${remote:?}" # the far end of the transfer

# An embedded service that can't give its commands a /workspace tells them where that is.
emulated=${OPENCLAW_EMULATOR_WORKSPACE-}

# at sets $path to where a path of the instance is for commands.
at() {
  path=$1
  [ -z "$emulated" ] || case $1 in /workspace | /workspace/*) path=$emulated${1#/workspace} ;; esac
}
at "$stage"; stage=$path
at "$remote"; remote=$path

# stamp gives a file the time that it was changed at (UTC, as touch takes it; "-" leaves it),
# where that can be done.
stamp() { [ "$1" = - ] || TZ=UTC0 touch -t "$1" "$2" || :; } 2>/dev/null

# stats prints the modes and times of files, where there is a stat that can. The first
# argument is what follows them: nothing, or " %n" for the names.
stats() {
  more=$1
  shift
  if stat -c %a / >/dev/null; then stat -c "%a %Y$more" "$@"
  else
    [ -z "$more" ] || more=' %N'
    stat -f "%Lp %m$more" "$@"
  fi || :
} 2>/dev/null

# A transfer of a single file works in the folder that holds it: $single is 1 then.
: "${single:=0}"
folder=$remote
[ "$single" = 0 ] || folder=${remote%/*}/

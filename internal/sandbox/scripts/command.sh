# Where commands that run on their own keep their files. Each has a folder, named by its id:
#
#	cmd              its text
#	out, err         what it wrote; all of it is in out where the two are to be in order
#	pid              its process group, and when that was started in the kernel's clock ticks
#	supervisor       the process that waits for its end, in the same form
#	nodir            it was not started: why its directory, whose name is in err, can't be entered
#	timedout         it was ended at its time limit
#	cancelled        somebody cancelled it
#	left             what was left when it was ended, see command_end.sh
#	code             its exit code, once it has ended
#	sent             the request that started it has answered with all of its output
#
# The folders are in one that is private to the user. Everybody may put something under its
# name into /tmp; then another name is used. /tmp/openclaw-mcp is where earlier versions had it.
# shellcheck disable=SC2034 # variables for the scripts that include this

: "${id:?}"

user=$(id -u 2>/dev/null) || user=user
places="/tmp/openclaw-mcp-$user /tmp/openclaw-mcp-$user.1 /tmp/openclaw-mcp-$user.2 /tmp/openclaw-mcp-$user.3"
in_way=
why=

# own tells whether this is a folder of this user, and no link to one.
own() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }

# make_base sets $base to the folder of all commands. On the way it sets $in_way to what
# stands in the place of the first; if there is no folder to be had, $why says why.
make_base() {
  for base in $places; do
    own "$base" || why=$(mkdir -m 700 "$base" 2>&1)
    if own "$base" && chmod 700 "$base" 2>/dev/null; then return; fi
    [ -e "$base" ] || [ -L "$base" ] || return 1
    [ -n "$in_way" ] || in_way=$base
  done
  why="$in_way is in the way, and so is what has the names next to it"
  return 1
}

# prevent keeps the command from being started, unless it has a folder already: it makes that,
# with nothing in it but a cancelled command. No request that starts the command gets past it.
prevent() {
  ! find_run && make_base || return 1
  umask 077
  run=$base/$id
  mkdir "$run" 2>/dev/null || return 1
  : >"$run/out"; : >"$run/err"; : >"$run/cancelled"
  echo 143 >"$run/code"
}

# find_run sets $run to the command's folder.
find_run() {
  for base in $places /tmp/openclaw-mcp; do
    run=$base/$id
    if own "$run"; then return; fi
  done
  return 1
}

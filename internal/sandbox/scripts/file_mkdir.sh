# Makes a folder, with those above it.
. ./file.sh

: "${dir:?}" "${name:?}"

begin
need mkdir
enter_root
case $dir in /*) to=$dir/$name ;; *) to=./$dir/$name ;; esac
why=$(mkdir -p -- "$to" 2>&1) || fail "$why"
say ok

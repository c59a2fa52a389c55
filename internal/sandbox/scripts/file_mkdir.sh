# Makes a folder, with those above it.
. ./file.sh

: "${dir:?}" "${name:?}"

begin
need mkdir
enter_root
nearest "$dir/$name"
why=$(mkdir -p -- "$root/$dir/$name" 2>&1) || { unmake "$dir/$name"; fail "$why"; }
say ok

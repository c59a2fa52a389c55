# Moves, copies or deletes. A copy is made beside its destination and renamed, so that it is there
# as a whole or not at all; so is what moves to another file system. Reports "ok", what it was, how
# many entries that are, and whether something was replaced. A delete may be asked for the same
# without doing it.
. ./file.sh

: "${action:?}" "${dir:?}" "${name:?}"
: "${to_dir?}" "${to_name?}" "${stage:?}" # the destination, and a name for the copy in the making
: "${recursive:?}" "${overwrite:?}" "${check:?}" # check: 1 to delete nothing
: "${whole:?}" # 0: a directory may not go with what is in it

begin
need find mv cp rm rmdir mkdir wc
enter_root; enter "$dir"; within || say outside

# itself sets $kind to what is under a name, which may be a link.
itself() { if [ -L "$1" ]; then kind=symlink; else kind "$1"; fi; }

count() { echo $(($(find "$1" -exec sh -c 'for i do echo; done' sh {} + | wc -l))); }

itself "./$name"
[ "$kind" != none ] || say missing
from=$PWD was=$kind entries=1
[ "$was" != directory ] || entries=$(count "./$name")
if [ "$whole" = 0 ] && [ "$was" = directory ]; then
  [ "$action" = delete ] && [ "$recursive" = 0 ] || say whole
fi
# deleted reports why not all was deleted.
deleted() {
  left=$(count "./$name")
  [ "$left" != "$entries" ] || fail "$1"
  fail "$1" "partly deleted $left $entries"
}
if [ "$action" = delete ]; then
  [ -w . ] || say denied
  if [ "$was" = directory ] && [ "$recursive" = 0 ] && [ "$entries" -gt 1 ]; then say full $((entries - 1)); fi
  [ "$check" = 0 ] || say ok "$was" "$entries" 0
  if [ "$was" != directory ]; then e=$(rm -f -- "./$name" 2>&1) || fail "$e"
  elif [ "$recursive" = 1 ]; then e=$(rm -rf -- "./$name" 2>&1) || deleted "$e"
  else e=$(rmdir -- "./$name" 2>&1) || fail "$e"; fi
  say ok "$was" "$entries" 0
fi
if [ "$action" = copy ]; then
  case $was in
    file | symlink) ;;
    directory) [ "$recursive" = 1 ] || [ "$entries" = 1 ] || say full $((entries - 1)) ;;
    *) say notfile "$was" ;;
  esac
fi
[ "$action" = copy ] || [ -w . ] || say denied
nearest "$to_dir"
enter "$above"; within || say outside
case $PWD/ in "$from/$name"/*) [ "$was" != directory ] || say into ;; esac
aside=
# shellcheck disable=SC2317 # the trap calls it
clean() {
  rm -f "$from/$stage"
  rm -rf "./$stage" || { find "./$stage" -type d -exec chmod u+rwx {} \; && rm -rf "./$stage"; }
  itself "./$to_name"
  if [ -n "$aside" ] && [ "$kind" = none ]; then mv -f "./$stage-old" "./$to_name"; else rm -f "./$stage-old"; fi
  unmake "$to_dir"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM
e=$(mkdir -p -- "$root/$to_dir" 2>&1) || fail "$e"
enter "$to_dir"; within || say outside
[ "$PWD/$to_name" != "$from/$name" ] || say same # by another way

check_destination() {
  itself "./$to_name"
  replaced=0
  [ "$kind" != none ] || return
  if [ "$kind" = directory ] || [ "$overwrite" = 0 ]; then say exists "$kind"; fi
  replaced=1
}
check_destination

# renames tells whether mv does no more than rename between the two folders: where hard links can be
# made, it does. Where it copies, what is written into a file that is open is not in the copy.
renames() {
  [ "$from" != "$PWD" ] || return 0
  probe=$from/$stage
  # shellcheck disable=SC2094 # it is the same file on purpose
  {
    ln "$probe" "./$stage-old" || { mv -f "$probe" "./$stage-old" && echo >&3 && [ -s "./$stage-old" ]; }
  } 3>"$probe"
}
source=$from/$name crosses='' keep=-pPR
# mv would write over the destination, and leave a part of it there where it fails.
if [ "$action" = move ] && ! renames; then crosses=yes keep=-a; fi
if [ "$action" = copy ] || [ -n "$crosses" ]; then
  e=$(cp "$keep" -- "$source" "./$stage" 2>&1) || fail "$e"
  source=./$stage
  check_destination
fi
# mv would move into the directory that a link leads to, and leaves both names of one file as they
# are. So these go out of the way, and come back where it fails.
same=
# shellcheck disable=SC3013 # the shells that there are have -ef
if [ "$kind" = 'file' ] && [ "$source" -ef "./$to_name" ]; then same=yes; fi
if [ -n "$same" ] && [ "$was" = symlink ]; then say leads; fi # it would lead to itself
if [ "$kind" = symlink ] || [ -n "$same" ]; then
  e=$(mv -f "./$to_name" "./$stage-old" 2>&1) || fail "$e"
  aside=yes
fi
if [ "$overwrite" = 1 ] || [ "$was" = directory ]; then
  e=$(mv -f -- "$source" "./$to_name" 2>&1) || {
    itself "./$to_name" # there are folders that can't be renamed: mv copies them
    [ "$was" != directory ] || [ "$kind" = none ] || fail "$e" "partly moved"
    fail "$e"
  }
else
  e=$(mv -n -- "$source" "./$to_name" 2>&1) || fail "$e"
  itself "$source"
  [ "$kind" = none ] || { check_destination; fail "it can't be moved"; }
fi
if [ -n "$crosses" ]; then e=$(rm -rf -- "${from:?}/$name" 2>&1) || fail "$e" "partly copied"; fi
say ok "$was" "$entries" "$replaced"

# Lists a tree into a temporary file: five lists (folders, programs, other files, links, what is
# something else), each of names that end in NUL, with an empty name behind the last. A link's
# name is followed by its target and a line break.
. ./transfer.sh

: "${git:?}" # 1: also what is in .git

begin
cd "$remote" || fail "read $remote"
skip=.git
[ "$git" = 0 ] || skip=.openclaw-mcp-

# entries prints the names that find finds under conditions, and the empty name.
entries() {
  find . \( -name '.openclaw-mcp-*' -o -name "$skip" \) -prune -o ! -name . "$@"
  printf '\0'
}
umask 077
# shellcheck disable=SC2016 # for the inner shell
{
  entries -type d -print0
  entries -type f -perm -100 -print0
  entries -type f ! -perm -100 -print0
  entries -type l -exec sh -c 'for f; do printf "%s\0" "$f"; readlink "$f"; printf "\0"; done' sh {} +
  entries ! -type d ! -type f ! -type l -print0
} >"$stage/list" || fail "write to $stage"
say list $(($(wc -c <"$stage/list")))

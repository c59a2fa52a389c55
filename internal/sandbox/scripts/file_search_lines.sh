# Gives the lines of files that fit a pattern, a part for each file, as grep -n prints them:
# number, colon and line; context with a dash for the colon; "--" between stretches.
. ./file.sh

: "${dir:?}" "${name:?}"     # the folder that the names count from, or the only file
: "${names?}"                # packed; empty for the only file
: "${pattern:?}"             # as in file_search.sh
: "${context:?}" "${most:?}" # lines around a match, and matches for a file
: "${from:?}" "${room:?}"    # the first line to look at, and bytes for a file

begin
need head tail base64
has grep || need rg
enter_root; enter "$dir"; follow
if [ -n "$names" ]; then
  cd -P -- "./$name" || say missing
  eval "$(unpack "$names")"
fi
within || say outside
lines() {
  if has grep; then grep -a -n -C "$context" -m "$most" -E -e "$pattern"
  else rg --no-config --no-unicode --encoding none --color never --no-heading -a -n -C "$context" -m "$most" -e "$pattern" -; fi
}
[ -n "$names" ] || set -- "./$name"
report lines
for f do
  if [ -f "$f" ] && [ ! -L "$f" ]; then tail -n "+$from" "$f" | lines | head -c "$room"; fi | part
done
finish

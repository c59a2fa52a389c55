# Names the files below a folder that have a line which fits a pattern, found by rg where there
# is one, else by grep. Binary files and what is in .git are passed over. Reports "file" where
# there is a file in place of a folder, else "names" and what ends each of them (nul or line),
# and as parts the names and how many errors there were on the way.
. ./file.sh

: "${dir:?}" "${name:?}"
: "${pattern:?}"           # an extended regular expression, of ASCII or UTF-8
: "${named:?}" "${room:?}" # how the files' names look, as find has it; bytes of names to report

begin
need head wc base64
has rg || need find grep
enter_root; enter "$dir"; follow
kind "./$name"
case $kind in
  file) within || say outside; [ -r "./$name" ] || say denied; say file ;;
  directory) cd -P -- "./$name" || say denied; within || say outside ;;
  none) say missing ;;
  *) say notfile "$kind" ;;
esac
end='nul'
if has rg; then
  search() {
    rg --no-config --no-unicode --no-ignore --hidden --encoding none --color never -l --null -g "$named" -g '!**/.git/**' -e "$pattern" .
  }
else
  options=-IlZ
  [ "$(echo x | grep -IlZ x | tr -d '\0')" ] || { options=-l end='line'; } # busybox
  search() {
    # shellcheck disable=SC2086 # several options
    find . -name .git -prune -o -type f -name "$named" -exec grep $options -E -e "$pattern" -- {} +
  }
fi
report names $end
exec 4>&1
errors=$( { search | head -c "$room" | part >&4; } 2>&1 | wc -l)
echo $((errors)) | part
finish

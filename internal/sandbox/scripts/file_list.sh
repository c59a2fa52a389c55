# Lists a folder with find, in batches: the number of names, a line from stat for each, a line
# "#", and the names, each ended by NUL. Where a file is gone before stat comes to it, or there
# is no stat that is understood, the lines do not match the names: then they are only types.
#
# The listing goes into a temporary file and may be packed. It is reported in chunks:
# file_list_more.sh has the others. Where no file can be made, the first is all, and the size is 0. Said with the first is how many errors there were on the way.
. ./file.sh

: "${dir:?}" "${name:?}" "${depth:?}"
: "${list:?}" "${chunk:?}" # name of the temporary file, and bytes to report
: "${batch:?}"             # the script file_list_batch.sh

begin
need find head tail base64 wc
enter_root; enter "$dir"; follow
kind "./$name"
case $kind in directory) ;; none | dangling) say missing ;; *) say notfolder "$kind" ;; esac
cd -P -- "./$name" || say denied
within || say outside
find . -maxdepth 0 >/dev/null || say missingTools "find with -maxdepth"
if stat -c %f . >/dev/null; then stat='stat -c %f_%s_%Y'
elif stat -f %Xp . >/dev/null; then stat='stat -f %Xp_%z_%m'
else stat=false; fi
if has gzip; then pack=gzip; else pack='cat'; fi
umask 077
file=${TMPDIR:-/tmp}/$list
list() { find . -maxdepth "$depth" -exec sh -c "$batch" sh "$stat" {} +; }
list 2>"$file-e" | head -c 33554432 | $pack >"$file" || {
  rm -f "$file" "$file-e"
  report list 0 $pack 0 # there is no room for it, and it has to fit in here
  list | $pack | head -c "$chunk" | part
  finish; exit 0
}
size=$(size "$file")
report list "$size" $pack $(($(wc -l <"$file-e")))
rm -f "$file-e"
head -c "$chunk" "$file" | part
finish
[ "$chunk" -lt "$size" ] || rm -f "$file"
find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'openclaw-mcp-list-*' -mmin +60 -exec rm -f {} +

# Gives the contents of files, one behind the other, perhaps packed.
. ./transfer.sh

: "${names:?}" "${zip:?}" # names are packed; zip: 1 for gzip

begin
eval "$(unpack "$names")"
cd "$folder" || say gone
report data
if [ "$zip" = 1 ]; then cat "$@" | gzip -1; else cat "$@"; fi | part
finish

# Gives the k-th part of a file: one of the tree, or the list of it.
. ./transfer.sh

: "${names?}" # one name, packed; empty for the list that transfer_tree.sh made
: "${k:?}" "${size:?}" "${dd:?}"

begin
if [ -z "$names" ]; then
  set -- "$stage/list"
else
  eval "$(unpack "$names")"
  cd "$folder" || say gone
fi
report data
if [ "$dd" = 1 ]; then dd if="$1" bs="$size" skip="$k" count=1
else tail -c "+$((k * size + 1))" "$1" | head -c "$size"; fi | part
finish

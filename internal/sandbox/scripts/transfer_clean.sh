# Removes the temporary files.
. ./transfer.sh

begin
rm -rf "$stage"
[ ! -e "$stage" ] || fail "remove it"
say ok

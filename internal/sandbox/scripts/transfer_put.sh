# Makes a temporary file of text, whole or not at all.
. ./transfer.sh

: "${name:?}" "${text?}"

begin
printf %s "$text" >"$stage/$name.new" && mv -f "$stage/$name.new" "$stage/$name" || fail "write to $stage"
say ok

# Makes the folder of temporary files.
. ./transfer.sh

begin
umask 077
mkdir -p "$stage" || fail "make the folder for temporary files in $stage"
say ok

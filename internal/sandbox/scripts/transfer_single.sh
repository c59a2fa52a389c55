# Reports on the one file of a transfer, also where it is a link: f or x as in transfer_seen.sh,
# its size and hash, and its mode and time where they can be told.
. ./transfer.sh

begin
kind=f
[ ! -x "$remote" ] || kind=x
hash "$remote"
# shellcheck disable=SC2046 # two words, or none
say file $kind "$(($(wc -c <"$remote")))" "$hash" $(stats '' -L "$remote")

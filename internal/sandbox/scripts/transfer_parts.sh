# Gives the sizes of the parts of a file that have arrived, as wc prints them.
. ./transfer.sh

: "${stem:?}" # how the names of the parts begin

begin
report parts
cd "$stage" && wc -c "$stem".* | part
finish

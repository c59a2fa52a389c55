# Reports a file's size, and its content if that is no larger than $most bytes.
. ./file.sh

: "${dir:?}" "${name:?}" "${most:?}"

begin
need wc base64
enter_root; enter "$dir"; follow
kind "./$name"
case $kind in file) ;; none) say missing ;; *) say notfile "$kind" ;; esac
within || say outside
[ -r "./$name" ] || say denied
size=$(size "./$name")
report file "$size"
[ "$size" -gt "$most" ] || head -c "$most" "./$name" | part
finish

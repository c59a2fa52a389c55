# note_process writes the number of this process and when it was started, in the kernel's clock
# ticks (0: unknown), into a file. The start is the 22nd field of the line in /proc, the 20th
# behind the name.
note_process() {
  field=0 n=
  if [ -r "/proc/$$/stat" ]; then
    read -r stat <"/proc/$$/stat"
    for field in ${stat##*) }; do
      n=${n}x
      [ "$n" != xxxxxxxxxxxxxxxxxxxx ] || break
    done
  fi
  echo "$$ $field" >"$1"
}

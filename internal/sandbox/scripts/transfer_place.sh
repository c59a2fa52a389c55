# Puts what was unpacked into folders of the target, with one mv for each folder, which renames.
# Arguments: the target, 1 where nothing may be replaced, and folders.
target=$1 keep=$2
shift 2
for folder do
  to=$target
  [ "$folder" = . ] || to=$target/${folder#./}
  [ -d "$to" ] || mkdir -p "$to" || { printf 'F%s\0' "$folder"; continue; }
  set --
  for f in "$folder"/* "$folder"/.[!.]* "$folder"/..?*; do
    if [ -L "$f" ] || [ -f "$f" ]; then
      place=$to/${f##*/}
      if [ "$keep" = 1 ] && { [ -e "$place" ] || [ -L "$place" ]; }; then printf 'E%s\0' "$f"; else set -- "$@" "$f"; fi
    fi
  done
  [ $# = 0 ] || mv -f "$@" "$to/" || for f do
    if [ -L "$f" ] || [ -e "$f" ]; then printf 'F%s\0' "$f"; fi
  done
done

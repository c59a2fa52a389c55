# Makes files, folders and links where there is no tar. An archive is then a script of the words
# folder, link and file, and behind it the contents of the files. Arguments: the target, 1 where
# nothing may be replaced, the names of both begin with, the script's length, and a temporary name.
target=$1 keep=$2 archive=$3 script=$4 temp=$5

bad() { printf 'F./%s\0' "$1"; }

# take gets the place of $2 in the folder $1 ready.
take() {
  to=$target name=$2
  [ "$1" = . ] || { to=$target/$1; name=$1/$2; }
  [ -d "$to" ] || mkdir -p "$to" || { bad "$name"; return 1; }
  place=$to/$2
  if [ "$keep" = 1 ] && { [ -e "$place" ] || [ -L "$place" ]; }; then printf 'E./%s\0' "$name"; return 1; fi
  rm -f "$temp"
}

# settle renames. A mv onto a folder, or onto a link to one, would go into it.
settle() {
  if [ -L "$place" ]; then rm -f "$place"; fi
  if [ -d "$place" ]; then bad "$name"; else mv -f "$temp" "$place" || bad "$name"; fi
}

folder() { [ -d "$target/$1" ] || mkdir -p "$target/$1" || bad "$1"; }

# link FOLDER NAME TARGET
link() {
  take "$1" "$2" || return
  if ln -s -- "$3" "$temp"; then settle; else bad "$name"; fi
}

# file FOLDER NAME OFFSET SIZE MODE TIME
file() {
  take "$1" "$2" || return
  if [ "$4" = 0 ]; then : >"$temp"; else tail -c "+$((script + $3 + 1))" "$archive.c" | head -c "$4" >"$temp"; fi
  if [ "$(($(wc -c <"$temp")))" = "$4" ] && chmod "$5" "$temp" && { [ "$6" = - ] || TZ=UTC0 touch -t "$6" "$temp" || :; } 2>/dev/null; then settle; else bad "$name"; fi
}

# shellcheck disable=SC1090 # it was sent with the archive
. "$archive.s"

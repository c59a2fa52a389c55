# Reports what is under names of a folder, links not followed: a letter for each (f, x for a
# program, d, l for a link, o for something else, n for nothing), and as a part the sizes,
# hashes, modes and times of the files.
. ./transfer.sh

: "${names:?}" # packed
: "${odd:?}"   # 1: programs that print several names print these changed

begin
cd "$folder" || say gone
eval "$(unpack "$names")"
kinds=
for f; do
  if [ -L "$f" ]; then k=l
  elif [ -d "$f" ]; then k=d
  elif [ -f "$f" ]; then if [ -x "$f" ]; then k=x; else k=f; fi
  elif [ -e "$f" ]; then k=o
  else k=n; fi
  kinds=$kinds$k
done
for f do
  shift
  if [ -f "$f" ] && [ ! -L "$f" ]; then set -- "$@" "$f"; fi
done
report seen "$kinds"
if [ "$odd" = 1 ]; then
  for f do hash "$f"; echo $(($(wc -c <"$f"))) "$hash" "$(stats '' "$f")"; done | part
elif [ $# = 0 ]; then
  echo .
else
  { wc -c "$@"; echo; sha256 "$@"; echo; stats ' %n' "$@"; } | part
fi
finish

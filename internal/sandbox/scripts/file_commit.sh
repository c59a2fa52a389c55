# Changes a file as a whole or not at all. The new content is put into a hidden file beside it
# and checked; under a lock that all such scripts share, the old content is compared with what it
# should be, and the new file renamed into its place. A file with more than one name (hard links),
# or an owner or group that a new file can't be given, is written in place instead: so it keeps them.
. ./file.sh

: "${dir:?}" "${name:?}" "${mode:?}"     # mode: overwrite, create, append
: "${match?}"                            # SHA-256 that the file must have, "none" for no file, empty for any
: "${stage?}"                            # name of the hidden file; empty: only check whether the change can be made
: "${content?}" "${parts:?}" "${sum:?}"  # the content in base64, or in so many files; and its SHA-256
: "${executable:?}"                      # 1: make the file a program, for those who may read it

begin
need base64 cat mv rm wc mkdir sha256sum
enter_root
nearest "$dir"
enter "$above"; within || say outside
if [ "$above" != "$dir" ]; then
  [ -z "$match" ] || say mismatch none
  [ -n "$stage" ] || say ok
  trap 'unmake "$dir"' EXIT
  e=$(mkdir -p -- "$root/$dir" 2>&1) || fail "$e"
fi
enter "$dir"; within || say outside
staged=$PWD
follow; within || say outside

check() {
  kind "./$name"
  case $kind in file | none | dangling) ;; *) say notfile "$kind" ;; esac
  if [ -n "$match" ]; then
    hash=none
    [ "$kind" = none ] || hash "./$name"
    [ "$hash" = "$match" ] || say mismatch "$hash"
  fi
  [ "$mode" != create ] || [ "$kind" = none ] || say exists
  [ "$kind" = none ] || [ -w "./$name" ] || say denied
}
check
[ -w . ] || say denied
[ -n "$stage" ] || say ok

lock='' kept=
# shellcheck disable=SC2317 # the trap calls it
clean() {
  rm -f "./$stage"
  [ -n "$kept" ] || rm -f "./$stage-old"
  [ -z "$lock" ] || rm -rf "$lock"
  i=0
  while [ "$i" -lt "$parts" ]; do rm -f "$staged/$stage-$i"; i=$((i + 1)); done
  unmake "$dir"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

encoded() {
  if [ "$parts" = 0 ]; then printf '%s\n' "$content"; return; fi
  i=0
  while [ $i -lt "$parts" ]; do cat "$staged/$stage-$i"; i=$((i + 1)); done
}
i=0
while [ $i -lt "$parts" ]; do
  [ -f "$staged/$stage-$i" ] || say unstaged
  i=$((i + 1))
done
e=$( { encoded | decode >"./$stage"; } 2>&1 ) || fail "$e"
hash "./$stage"
[ "$hash" = "$sum" ] || { [ -z "$e" ] || fail "$e"; say garbled; }

# take_lock waits for the lock of the file: with flock where there is one, else by making a
# folder, which is taken over from a process that died.
take_lock() {
  locks=${TMPDIR:-/tmp}/openclaw-mcp-locks
  mkdir -p "$locks"; chmod 1777 "$locks"
  [ -w "$locks" ] || locks=$PWD
  file=$(printf %s "$PWD/$name" | sha256)
  file=$locks/.openclaw-mcp-lock-${file%% *}
  # What flock locks has to stay, so it is not for the user's folder.
  if [ "$locks" != "$PWD" ] && has flock && (: >>"$file"); then
    exec 9>>"$file"
    flock -w 10 9 || say busy
    return
  fi
  i=0 old=
  until mkdir "$file.d"; do
    owner=$(cat "$file.d/pid")
    [ "$owner" = "$old" ] || { old=$owner; i=0; }
    if { [ -n "$owner" ] && ! kill -0 "$owner"; } || [ $i -ge 300 ]; then
      if mv "$file.d" "$file.$$"; then
        [ "$(cat "$file.$$/pid")" = "$owner" ] || mv "$file.$$" "$file.d"
        rm -rf "$file.$$"
      fi
      i=0
      continue
    fi
    [ $i -lt 150 ] || [ -z "$owner" ] || say busy
    i=$((i + 1))
    sleep 0.1 || sleep 1
  done
  lock=$file.d
  echo $$ >"$lock/pid"
}
take_lock
check

# executable makes a file a program; the second argument is for fail.
executable() {
  [ "$executable" = 1 ] || return 0
  e=$(chmod +x "$1" 2>&1) || fail "$e" "${2-}"
}

if [ "$mode" = append ]; then
  size=0
  [ "$kind" = none ] || size=$(size "./$name")
  e=$( { cat "./$stage" >>"./$name"; } 2>&1 ) || {
    [ ! -e "./$name" ] || truncate -s "$size" "./$name"
    [ "$kind" != none ] || [ -s "./$name" ] || rm -f "./$name"
    [ ! -e "./$name" ] || [ "$(size "./$name")" = "$size" ] || fail "$e" "partly written"
    fail "$e"
  }
  executable "./$name" "partly written"
  hash "./$name"
  say ok "$(size "./$name")" "$hash"
fi

# in_place writes the new content into the old file, and the old one back if that fails.
in_place() {
  e=$( { cat "./$name" >"./$stage-old"; } 2>&1 ) || fail "$e"
  e=$( { cat "./$stage" >"./$name"; } 2>&1 ) || {
    cat "./$stage-old" >"./$name" || { kept=yes; fail "$e" "partly kept $stage-old"; }
    fail "$e"
  }
  executable "./$name" "partly written"
}

if [ "$kind" = none ]; then
  executable "./$stage"
  if [ "$mode" != create ]; then
    e=$(mv -f "./$stage" "./$name" 2>&1) || fail "$e"
  elif ! ln "./$stage" "./$name"; then # no hard links here
    check
    (set -C; : >"./$name") || { check; fail "it can't be made"; }
    e=$(mv -f "./$stage" "./$name" 2>&1) || { [ -s "./$name" ] || rm -f "./$name"; fail "$e"; }
  fi
else
  owner() { stat -c %u:%g "$1" || stat -f %u:%g "$1"; }
  owner=$(owner "./$name")
  perm=$(stat -c %a "./$name" || stat -f %Lp "./$name")
  names=$(stat -c %h "./$name" || stat -f %l "./$name")
  if [ -n "$perm" ] && [ "$names" = 1 ] && { [ "$owner" = "$(owner "./$stage")" ] || chown "$owner" "./$stage"; }; then
    chmod "$perm" "./$stage"
    executable "./$stage"
    e=$(mv -f "./$stage" "./$name" 2>&1) || fail "$e"
  else
    in_place # or there is no way to copy its permissions
  fi
fi
report ok "$(size "./$name")" "$sum"
finish
find . -maxdepth 1 -name '.openclaw-mcp-*' -mmin +1440 -exec rm -f {} +
exit 0

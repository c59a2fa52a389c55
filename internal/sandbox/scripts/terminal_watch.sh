# Ends a terminal that nobody has been connected with for as long as its folder says, and removes
# the folder that long after the end. Argument: the folder.
. ./command_state.sh
. ./process.sh
. ./session.sh

run=$1
note_process "$run/watcher"
read -r keep <"$run/keep"
beat=30
[ "$keep" -ge 60 ] || beat=1
left=$keep
while sleep "$beat" && process_alive "$run/pid"; do
  left=$((left - beat))
  for file in "$run"/connected.*; do
    if process_alive "$file"; then left=$keep; else rm -f "$file"; fi
  done
  if [ "$left" -le 0 ]; then
    read -r leader _ <"$run/pid"
    end_session "$leader" 10
    break
  fi
done
[ ! -d "$run" ] || sleep "$keep" # closed meanwhile, it has nothing to say any more
rm -rf -- "$run"

# Keeps a command from being started: "prevented", or "there" if it has its folder already.
. ./report.sh
. ./command.sh

begin
if prevent; then say prevented; fi
find_run || fail "its folder can't be made: $why"
say there

# Ends a terminal that outlives its connection, and reports "over" once nothing of it runs.
. ./report.sh
. ./command.sh
. ./command_state.sh
. ./session.sh

begin
find_run || say gone
if process_alive "$run/pid"; then
  read -r leader _ <"$run/pid"
  end_session "$leader" 10 || say alive
  found=over
else
  found=gone
fi
rm -rf -- "$run"
say "$found"

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
  how=over
else
  how=gone
fi
if process_alive "$run/watcher"; then # it would wait for long before it sees that it is over
  read -r watcher _ <"$run/watcher"
  end_session "$watcher" 0
fi
# Who is just connecting may put a file there meanwhile.
i=0
until rm -rf -- "$run" 2>/dev/null || [ $i -ge 10 ]; do nap; i=$((i + 1)); done
say "$how"

# Reports how a command stands and what it wrote: the state, exit code, sizes of both outputs,
# whether it timed out, seconds since the last output (-1: unknown) and folder; then four
# parts: stdout and stderr from where the reader is, and the ends of both.
#
# The state is taken before the sizes and the sizes before the bytes, so that the output of a
# command that has ended is all of it.
. ./report.sh
. ./command.sh
. ./command_state.sh

: "${out_from:?}" "${err_from:?}"  # bytes that were read before
: "${room:?}" "${tail:?}"          # bytes to give of both together, and of the end of each
: "${naps:?}"                      # how often to wait 0.2 s for news

begin
find_run || say gone
i=0
while :; do
  state
  out=$(($(wc -c <"$run/out"))) err=$(($(wc -c <"$run/err")))
  if [ "$state" != running ] || [ $i -ge "$naps" ]; then break; fi
  if [ "$room" -gt 0 ] && { [ $out -gt "$out_from" ] || [ $err -gt "$err_from" ]; }; then break; fi
  nap; i=$((i + 1))
done
code=0
[ ! -s "$run/code" ] || read -r code <"$run/code"
timedout=0
[ ! -e "$run/timedout" ] || timedout=1
silent=-1
if has stat; then
  silent=$({ stat -c %Y "$run/out" "$run/err" || stat -f %m "$run/out" "$run/err"; } | {
    last=-1
    while read -r time; do [ "$time" -le "$last" ] || last=$time; done
    if [ "$last" -ge 0 ]; then echo $(($(date +%s) - last)); else echo -1; fi
  })
fi

# Of what is new, stderr may take a third of the room, and more where stdout leaves it.
more_out=$((out - out_from)) more_err=$((err - err_from))
[ $more_out -ge 0 ] || more_out=0
[ $more_err -ge 0 ] || more_err=0
n_err=$more_err
[ $n_err -le $((room / 3)) ] || n_err=$((room / 3))
n_out=$((room - n_err))
[ $n_out -le $more_out ] || n_out=$more_out
n_err=$((room - n_out))
[ $n_err -le $more_err ] || n_err=$more_err

# slice gives $3 bytes of the file $1 from $2 on.
slice() { if [ "$3" -gt 0 ]; then tail -c "+$(($2 + 1))" "$1" | head -c "$3" | part; else echo .; fi; }

report "$state" "$code" "$out" "$err" "$timedout" "$silent" "$run"
slice "$run/out" "$out_from" "$n_out"
slice "$run/err" "$err_from" "$n_err"
more_out=$((more_out - n_out)) more_err=$((more_err - n_err))
[ $more_out -le "$tail" ] || more_out=$tail
[ $more_err -le "$tail" ] || more_err=$tail
slice "$run/out" $((out - more_out)) "$more_out"
slice "$run/err" $((err - more_err)) "$more_err"
finish

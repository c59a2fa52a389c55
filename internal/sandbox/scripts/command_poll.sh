# Reports how a command stands and what it wrote: the state, exit code, sizes of both outputs,
# whether it timed out, seconds since the last output (-1: unknown), folder, and what was left when
# it was ended; then five parts: stdout and stderr from where the reader is, the ends of both, and
# the beginning of the command.
#
# The state is taken before the sizes and the sizes before the bytes, so that the output of a
# command that has ended is all of it.
. ./report.sh
. ./command.sh
. ./command_state.sh

: "${out_from:?}" "${err_from:?}"  # bytes that were read before
: "${room:?}" "${tail:?}"          # bytes to give of both together, and of the end of each
: "${about:?}"                     # bytes to give of the command
: "${naps:?}" "${brief:?}"         # how often to wait for news, and how often of these 0.05 s alone
: "${pause:?}"                     # seconds to wait each time after that
: "${least:?}"                     # how often of these also when there are some

begin
find_run || say gone
i=0
while :; do
  state
  # shellcheck disable=SC2046 # a size, a name, a size, a name: the names have no spaces
  set -- $(wc -c "$run/out" "$run/err")
  out=$1 err=$3
  if [ "$state" != running ] || [ $i -ge "$naps" ]; then break; fi
  if [ "$room" -gt 0 ] && [ $i -ge "$least" ] && { [ "$out" -gt "$out_from" ] || [ "$err" -gt "$err_from" ]; }; then break; fi
  nap=$pause
  [ $i -ge "$brief" ] || nap=0.05
  sleep "$nap" || { sleep 1; i=$((i + 4)); } # it takes whole seconds alone
  i=$((i + 1))
done
code=0
[ ! -s "$run/code" ] || read -r code <"$run/code"
left=none
[ ! -s "$run/left" ] || read -r left <"$run/left"
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

report "$state" "$code" "$out" "$err" "$timedout" "$silent" "$run" "$left"
slice "$run/out" "$out_from" "$n_out"
slice "$run/err" "$err_from" "$n_err"
more_out=$((more_out - n_out)) more_err=$((more_err - n_err))
[ $more_out -le "$tail" ] || more_out=$tail
[ $more_err -le "$tail" ] || more_err=$tail
slice "$run/out" $((out - more_out)) "$more_out"
slice "$run/err" $((err - more_err)) "$more_err"
slice "$run/cmd" 0 "$about"
finish

package runs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
)

// A detached command keeps its files in a directory of its own, outside of the
// workspace: cmd (its text), out, err, pid (of its process group's leader, and
// when that was started) and, at its end, code. All of it is read and written
// with POSIX shell scripts through terminal/exec, the one door there is.
const (
	runsDir       = "/tmp/openclaw-mcp"
	scriptMark    = "openclaw-mcp:" // before what a script has to say, behind what a profile may print
	scriptTimeout = 30 * time.Second
	longPoll      = 3 * time.Second // how long a poll waits in the sandbox for news
	keepFiles     = 24 * 60         // minutes an ended command's files are kept
	keepSent      = 15              // minutes they are kept when the start already answered with all of them
	minRead       = 64              // less room than this for output is none: a part of it must hold a character
)

func runDir(id string) string { return runsDir + "/" + id }

// startScript starts a command detached: a supervisor in a session of its own
// runs it as the leader of another, so that a kill of the command's group leaves
// the supervisor to write the exit code. The shell is the one that the service
// itself uses.
//
// With a wait, the script waits that long for the end, and answers as the
// command itself would have, where it ended and wrote no more than fits: with
// its output and its exit code. Nothing then tells the two apart, so a service
// whose commands are no shell's still answers. In every other case its answer is
// a line that begins with the mark. A timer interrupts the waiting, since a wait
// with a limit is not among what POSIX shells have.
//
// Whoever makes the directory decides: a request that is delivered twice does
// not start a second command, and one that a cancel overtook starts none.
func startScript(id string, req CommandRequest, wait time.Duration, sweep bool) string {
	seconds := func(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
	return fmt.Sprintf("b=%s d=%s t=%d k=%d g=%d v=%d n=%d z=%t c=%s w=%s\n", runsDir, runDir(id), seconds(req.Timeout), keepFiles, keepSent,
		seconds(wait), req.Inline, sweep, quote(req.Command), quote(req.Dir)) + `
for x in setsid mkdir cat wc tail head base64 mv sleep; do command -v $x >/dev/null 2>&1 || m="${m-} $x"; done
[ -z "${m-}" ] || { echo "` + scriptMark + id + ` lacks$m"; exit 0; }
umask 077
mkdir -p "$b" 2>/dev/null
if ! mkdir "$d" 2>/dev/null && [ -d "$d" ]; then
  echo "` + scriptMark + id + ` started"; exit 0
fi
printf '%s\n' "$c" >"$d/cmd" 2>/dev/null || { rm -rf -- "$d"; echo "` + scriptMark + id + ` lacks room to write in $b"; exit 0; }
if [ -n "$w" ] && ! cd -- "$w" 2>/dev/null; then
  printf 'cd: %s: no such directory, or no permission\n' "$w" >"$d/err"; : >"$d/out"; echo 1 >"$d/code"
  echo "` + scriptMark + id + ` started"; exit 0
fi
: >"$d/out"; : >"$d/err"
command -v timeout >/dev/null 2>&1 || t=0
setsid sh -c '
d=$1 t=$2 s=$3
(exec sh -c '"'"'
d=$1 t=$2 s=$3 f=0
if [ -r /proc/$$/stat ]; then read -r l </proc/$$/stat; set -- ${l##*) }; f=${20}; fi
echo "$$ $f" >"$d/pid"
if [ "$t" != 0 ]; then exec setsid timeout -k 5 "$t" "$s" "$d/cmd"; fi
exec setsid "$s" "$d/cmd"
'"'"' sh "$d" "$t" "$s" </dev/null >>"$d/out" 2>>"$d/err")
r=$?
[ "$t" = 0 ] || case $r in 124|137) : >"$d/timedout";; esac
echo $r >"$d/code.new" && mv "$d/code.new" "$d/code"
' sh "$d" "$t" "${BASH:-sh}" </dev/null >/dev/null 2>&1 &
p=$!
if $z && command -v find >/dev/null 2>&1; then
  find "$b" -mindepth 2 -maxdepth 2 '(' -name code -mmin "+$k" -o -name sent -mmin "+$g" ')' -exec sh -c 'rm -rf -- "${1%/*}"' sh {} ';' </dev/null >/dev/null 2>&1 &
fi
if [ $v -gt 0 ]; then
  trap : USR1
  (trap 'kill $s; exit 0' TERM; sleep $v & s=$!; wait $s; i=0
  while [ $i -lt 5 ] && kill -USR1 $$; do i=$((i+1)); sleep 1; done) </dev/null >/dev/null 2>&1 &
  q=$!
  wait $p
  { kill $q; wait $q; } 2>/dev/null
  if [ -s "$d/code" ] && [ ! -e "$d/timedout" ] && [ ! -e "$d/cancelled" ]; then
    a=0
    if [ -s "$d/out" ] || [ -s "$d/err" ]; then set -- $(wc -c "$d/out" "$d/err"); a=$(($1+$3)); fi
    if [ $a -le $n ]; then
      : >"$d/sent"
      [ ! -s "$d/out" ] || cat "$d/out"
      [ ! -s "$d/err" ] || cat "$d/err" >&2
      read -r r <"$d/code"
      exit $r
    fi
  fi
fi
echo "` + scriptMark + id + ` started"
`
}

// stateFunctions tell how a command stands. The exit code is looked for before
// the process, and once more after it was found dead, because the supervisor
// writes the code a moment after the end. A process counts only if it is the
// one that was started: numbers are used again.
const stateFunctions = `
alive() {
  if [ ! -s "$d/pid" ]; then # not yet, or its supervisor died before
    [ -z "$(find "$d/cmd" -mmin +1 2>/dev/null)" ]; return
  fi
  read -r p f <"$d/pid"
  kill -0 "$p" 2>/dev/null || return 1
  if [ "$f" != 0 ] && [ -r "/proc/$p/stat" ]; then
    read -r l <"/proc/$p/stat"; l=${l##*) }
    case $l in Z*) return 1;; esac
    set -- $l; [ "${20}" = "$f" ] || return 1
  fi
}
state() {
  if [ -e "$d/cancelled" ]; then s=cancelled
  elif [ -e "$d/code" ]; then s=exited
  elif alive; then s=running
  else sleep 1; if [ -e "$d/code" ]; then s=exited; else s=lost; fi; fi
}
`

// pollOptions tune a poll.
type pollOptions struct {
	limit int           // bytes of output to read from the cursor
	tail  int           // bytes of the end of each output to read besides
	wait  time.Duration // how long to wait in the sandbox while there is no news
}

// pollScript reports how a command stands and what it wrote since the cursor.
// The state is taken before the sizes and the sizes before the bytes, so that
// the output of an ended command is all of it.
func pollScript(h handleState, o pollOptions) string {
	return fmt.Sprintf("d=%s o=%d e=%d n=%d k=%d w=%d\n", runDir(h.ID), h.Read, h.ReadErr, max(o.limit, 0), o.tail, max(o.wait/(200*time.Millisecond), 0)) + stateFunctions + `
[ -d "$d" ] || { echo "` + scriptMark + `gone 0 0 0 0 0"; exit 0; }
i=0
while :; do
  state
  a=$(wc -c <"$d/out"); b=$(wc -c <"$d/err")
  [ "$s" = running ] && [ $i -lt $w ] || break
  [ $n -gt 0 ] && { [ $a -gt $o ] || [ $b -gt $e ]; } && break
  sleep 0.2 2>/dev/null || sleep 1
  i=$((i+1))
done
c=0; [ ! -s "$d/code" ] || read -r c <"$d/code"
x=0; [ ! -e "$d/timedout" ] || x=1
g=-1; command -v stat >/dev/null 2>&1 && g=$(stat -c %Y "$d/out" "$d/err" 2>/dev/null | { m=-1; while read -r v; do [ $v -gt $m ] && m=$v; done; [ $m -ge 0 ] && m=$(($(date +%s)-m)); echo $m; })
oa=$((a-o)); ea=$((b-e)); [ $oa -ge 0 ] || oa=0; [ $ea -ge 0 ] || ea=0
ne=$ea; [ $ne -le $((n/3)) ] || ne=$((n/3))
no=$((n-ne)); [ $no -le $oa ] || no=$oa
ne=$((n-no)); [ $ne -le $ea ] || ne=$ea
echo "` + scriptMark + `$s $c $((a)) $((b)) $x $g"
part() { [ "$3" -le 0 ] || tail -c "+$(($2+1))" "$1" | head -c "$3" | base64; echo .; }
part "$d/out" $o $no
part "$d/err" $e $ne
oa=$((oa-no)); [ $oa -le $k ] || oa=$k
ea=$((ea-ne)); [ $ea -le $k ] || ea=$k
part "$d/out" $((a-oa)) $oa
part "$d/err" $((b-ea)) $ea
`
}

// killScript ends a command's process group: politely, then not. Where the
// request that starts the command is still under way, it keeps a command from
// being started that is not there yet.
func killScript(id string, starting bool) string {
	return fmt.Sprintf("b=%s d=%s y=%t\n", runsDir, runDir(id), starting) + stateFunctions + `
if $y; then
  umask 077
  mkdir -p "$b" 2>/dev/null
  if mkdir "$d" 2>/dev/null; then
    : >"$d/out"; : >"$d/err"; : >"$d/cancelled"; echo 143 >"$d/code"
    echo "` + scriptMark + `prevented"; exit 0
  fi
fi
[ -d "$d" ] || { echo "` + scriptMark + `gone"; exit 0; }
i=0; while [ ! -s "$d/pid" ] && [ ! -e "$d/code" ] && [ $i -lt 10 ]; do sleep 0.2 2>/dev/null || sleep 1; i=$((i+1)); done
state
[ "$s" = running ] || { echo "` + scriptMark + `over"; exit 0; }
read -r p f <"$d/pid"
: >"$d/cancelled"
kill -TERM -- "-$p" 2>/dev/null
i=0; while kill -0 -- "-$p" 2>/dev/null && [ $i -lt 10 ]; do sleep 0.2 2>/dev/null || sleep 1; i=$((i+1)); done
kill -KILL -- "-$p" 2>/dev/null
echo "` + scriptMark + `killed"
`
}

// How a detached command stands, in the scripts' words.
const (
	stateRunning   = "running"
	stateExited    = "exited"
	stateCancelled = "cancelled"
	stateLost      = "lost"
	stateGone      = "gone"
)

// pollState is a poll's answer.
type pollState struct {
	state            string
	code             int
	timedOut         bool
	outSize, errSize int64
	changed          time.Time // last output, zero when unknown
	out, err         []byte    // from the cursor on, no character split
	outTail, errTail []byte
}

func (s pollState) over() bool { return s.state != stateRunning && s.state != "" }

// poll asks the sandbox how a detached command stands.
func (m *Manager) poll(ctx context.Context, h handleState, o pollOptions) (pollState, error) {
	res, err := m.c.Terminal.Exec(ctx, h.Instance, client.ExecRequest{Command: pollScript(h, o), Timeout: scriptTimeout + o.wait})
	if err != nil {
		return pollState{}, err
	}
	s, err := parsePoll(res.Stdout.Head)
	s.out = wholeRunes(s.out, !s.over() || h.Read+int64(len(s.out)) < s.outSize)
	s.err = wholeRunes(s.err, !s.over() || h.ReadErr+int64(len(s.err)) < s.errSize)
	if err != nil || res.Stdout.Omitted > 0 {
		return pollState{}, &client.Error{
			Op:      "POST /instances/{id}/terminal/exec",
			Message: "the sandbox's report on the command can't be read: " + clip(res.Stdout.Head+" "+res.Stderr.Head),
			Err:     err,
		}
	}
	return s, nil
}

func parsePoll(text string) (s pollState, err error) {
	_, text, ok := strings.Cut(text, scriptMark)
	if !ok {
		return s, errors.New("no report")
	}
	head, body, _ := strings.Cut(text, "\n")
	words := strings.Fields(head)
	if len(words) != 6 {
		return s, errors.New("the report's first line is cut")
	}
	var n [5]int64
	for i, w := range words[1:] {
		if n[i], err = strconv.ParseInt(w, 10, 64); err != nil {
			return s, err
		}
	}
	s = pollState{state: words[0], code: int(n[0]), outSize: n[1], errSize: n[2], timedOut: n[3] == 1}
	if n[4] >= 0 {
		s.changed = time.Now().Add(-time.Duration(n[4]) * time.Second)
	}
	if s.state == stateGone {
		return s, nil
	}
	for i, part := range []*[]byte{&s.out, &s.err, &s.outTail, &s.errTail} {
		encoded, rest, ok := strings.Cut("\n"+body, "\n.")
		if !ok {
			return s, fmt.Errorf("part %d of the report is cut", i+1)
		}
		body = strings.TrimPrefix(rest, "\n")
		*part, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
		if err != nil {
			return s, err
		}
	}
	s.outTail, s.errTail = fromRune(s.outTail), fromRune(s.errTail)
	return s, nil
}

// wholeRunes cuts a character off that is not whole at the end of b, where more
// is to come.
func wholeRunes(b []byte, more bool) []byte {
	for i := 1; more && i <= min(utf8.UTFMax-1, len(b)); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// fromRune drops the rest of a character at the start of b.
func fromRune(b []byte) []byte {
	for i := range min(4, len(b)) {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return bytes.Clone(b)
}

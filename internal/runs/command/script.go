package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

// A detached command keeps its files in a folder of its own in the sandbox: see command.sh in
// the package sandbox.
const (
	scriptTimeout = 30 * time.Second
	longPoll      = 3 * time.Second // how long a poll waits in the sandbox for news
	keepFiles     = 24 * 60         // minutes an ended command's files are kept
	keepSent      = 15              // minutes they are kept when the start already answered with all of them
	aboutBytes    = 400             // of a command's beginning, from which lists take what they show
	maxKey        = 8 << 10         // bytes of an API key that is looked for where an output is cut
	minRead       = 64              // less room than this for output is none: a part of it must hold a character
)

// startScript starts a command detached. With a wait, its answer may be the command's own.
func startScript(id string, req Request, wait time.Duration, sweep bool) sandbox.Script {
	seconds := func(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
	patience := fmt.Sprint(seconds(wait))
	if wait > 0 && wait < time.Second {
		patience = fmt.Sprint(wait.Seconds())
	}
	sent := keepSent
	if req.IdempotencyKey != "" {
		sent = keepFiles // who repeats the call is told the same
	}
	errFile := "err"
	if req.Together {
		errFile = "out"
	}
	timer := ""
	if req.Timeout > 0 {
		timer = sandbox.Text("command_timer")
	}
	return sandbox.New("command_start", sandbox.Params{
		"id": id, "command": req.Command, "dir": req.Dir, "limit": seconds(req.Timeout),
		"patience": patience, "inline": req.Inline, "sweep": sweep, "keep": keepFiles, "keep_sent": sent,
		"supervise": sandbox.Text("command_supervise"), "lead": sandbox.Text("command_lead"), "timer": timer, "err": errFile,
	})
}

// pollOptions tune a poll.
type pollOptions struct {
	limit int           // bytes of output to read from the cursor
	tail  int           // bytes of the end of each output to read besides
	wait  time.Duration // how long to wait in the sandbox while there is no news
	least time.Duration // how much of that to wait for more than the first news
	first bool          // somebody watches, and has seen nothing yet
	about bool          // ask for the command's text, too
}

// A poll naps between two looks in the sandbox: briefly at first, and not for long before the
// first words of a command, which are to be seen soon.
const (
	briefNap  = 50 * time.Millisecond
	briefNaps = 10
	firstNap  = 100 * time.Millisecond
	longNap   = 200 * time.Millisecond
)

// naps is how often a poll naps to wait that long, if each nap after the brief ones takes so
// long.
func naps(d, long time.Duration) int {
	if brief := briefNaps * briefNap; d > brief {
		return briefNaps + int((d-brief)/long)
	}
	return int(max(d, 0) / briefNap)
}

// pollScript reports how a command stands and what it wrote since the cursor.
func pollScript(h runs.State, o pollOptions) sandbox.Script {
	about, nap := 0, longNap
	if o.about {
		about = aboutBytes
	}
	if o.first {
		nap = firstNap
	}
	return sandbox.New("command_poll", sandbox.Params{
		"id": h.ID, "out_from": h.Read, "err_from": h.ReadErr, "room": max(o.limit, 0), "tail": o.tail, "about": about,
		"naps": naps(o.wait, nap), "brief": briefNaps, "pause": fmt.Sprint(nap.Seconds()), "least": naps(o.least, nap),
	})
}

// preventScript keeps a command from starting, where it is not there yet.
func preventScript(id string) sandbox.Script {
	return sandbox.New("command_prevent", sandbox.Params{"id": id})
}

// killScript ends a command and what it started: politely, then not. Where the request that starts
// the command is still under way, it keeps the command from being started.
func killScript(id string, starting bool) sandbox.Script {
	return sandbox.New("command_kill", sandbox.Params{"id": id, "starting": starting})
}

// How a detached command stands, in the scripts' words.
const (
	stateRunning   = "running"
	stateExited    = "exited"
	stateCancelled = "cancelled"
	stateLost      = "lost" // no process and no exit code
	stateFull      = "full" // the same, and nothing can be written to its folder
	stateGone      = "gone" // no folder

	stateStarting = "starting" // gone, as the scripts see it, but it may not have started yet
)

// pollState is a poll's answer.
type pollState struct {
	state            string
	code             int
	timedOut         bool
	outSize, errSize int64
	changed          time.Time // last output, zero when unknown
	dir              string    // its folder in the sandbox
	left             string    // what was not ended with it: see leftNote
	noDir            error     // it was not started, since its working directory can't be entered
	out, err         []byte    // from the cursor on, no character split
	outTail, errTail []byte
	about            string // the beginning of the command, where it was asked for
}

func (s pollState) over() bool {
	return s.state != stateRunning && s.state != stateStarting && s.state != ""
}

// lookKey tells looks at commands apart.
type lookKey struct {
	id           string
	out, err     int64 // where the reader is
	limit, tails int
	about        bool
}

// look is a poll that goes on when its caller leaves, so that the next call finds what a slow
// service answers to it.
type look struct {
	began time.Time
	over  chan struct{}
	ended time.Time
	state pollState
	err   error
}

const (
	keepLooks  = 5 * time.Minute  // how long an answer that nobody read is kept
	freshLooks = 10 * time.Second // how long it tells how a command stands that may go on
)

func (l *look) isStale() bool {
	return l.isOver() && !l.state.over() && time.Since(l.ended) > freshLooks
}

func (l *look) isOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// poll asks the sandbox how a detached command stands, or reads the answer to a call before
// this one that asked the same and left.
func (svc *Service) poll(ctx context.Context, h runs.State, o pollOptions) (pollState, error) {
	key := lookKey{h.ID, h.Read, h.ReadErr, o.limit, o.tail, o.about}
	svc.mu.Lock()
	l := svc.looks[key]
	if l == nil || l.isStale() {
		l = &look{began: time.Now(), over: make(chan struct{})}
		base := svc.m.Outlive(ctx)
		if err := svc.m.Go(func() {
			defer close(l.over)
			l.state, l.err = svc.ask(base, h, o)
			l.ended = time.Now()
		}); err != nil {
			svc.mu.Unlock()
			return pollState{}, err
		}
		svc.looks[key] = l
	}
	svc.mu.Unlock()
	select {
	case <-l.over:
	case <-ctx.Done():
		return pollState{}, &client.Error{Op: sandbox.Op, Message: "the sandbox has not answered yet", Err: ctx.Err()}
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if svc.looks[key] == l {
		delete(svc.looks, key)
	}
	return l.state, l.err
}

// ask is poll without regard to others.
func (svc *Service) ask(ctx context.Context, h runs.State, o pollOptions) (pollState, error) {
	asked := svc.fitting(h.Instance, o)
	report, err := pollScript(h, asked).Run(ctx, svc.c.Terminal, h.Instance, scriptTimeout+o.wait)
	if err != nil && svc.shrink(h.Instance, asked, err) {
		return svc.ask(ctx, h, o)
	}
	var no *sandbox.NoReport
	if errors.As(err, &no) {
		return pollState{}, unreadable(err)
	}
	if err != nil {
		return pollState{}, err
	}
	s, err := readPoll(report)
	if err != nil {
		return pollState{}, unreadable(err)
	}
	if s.noDir = dirError(string(s.err), s.state); s.noDir != nil {
		s.err, s.errSize = nil, 0 // which was the directory's name
	}
	s.outTail, s.errTail = svc.behindKey(s.outTail), svc.behindKey(s.errTail)
	s.out = svc.whole(s.out, !s.over() || h.Read+int64(len(s.out)) < s.outSize)
	s.err = svc.whole(s.err, !s.over() || h.ReadErr+int64(len(s.err)) < s.errSize)
	return s, nil
}

func unreadable(err error) error {
	return &client.Error{Op: sandbox.Op, Message: "the sandbox's report on the command can't be read: " + err.Error(), Err: err}
}

func readPoll(r sandbox.Report) (pollState, error) {
	s := pollState{state: r.Verb}
	switch s.state {
	case stateGone:
		return s, nil
	case stateRunning, stateExited, stateCancelled, stateLost, stateFull:
	default:
		if whyNot[s.state] == "" {
			return s, fmt.Errorf("it says %q", runs.Clip(r.Verb))
		}
	}
	if len(r.Words) != 7 || len(r.Parts) != 5 {
		return s, fmt.Errorf("it has %d words and %d parts, not 7 and 5", len(r.Words), len(r.Parts))
	}
	s.code, s.outSize, s.errSize, s.timedOut, s.dir = int(r.Number(0)), r.Number(1), r.Number(2), r.Word(3) == "1", r.Word(5)
	s.left = r.Word(6)
	if silent := r.Number(4); silent >= 0 {
		s.changed = time.Now().Add(-time.Duration(silent) * time.Second)
	}
	s.out, s.err, s.outTail, s.errTail = r.Parts[0], r.Parts[1], fromRune(r.Parts[2]), fromRune(r.Parts[3])
	s.about = string(wholeRunes(r.Parts[4], true))
	return s, nil
}

// whole cuts off what is not whole at the end of b, where more is to come: a character, and
// the API key, which is masked once it is known to be that.
func (svc *Service) whole(b []byte, more bool) []byte {
	b = wholeRunes(b, more)
	begun := svc.c.Secret().Begun(string(b[max(0, len(b)-maxKey):]))
	if !more || begun == len(b) && begun >= minRead { // else nothing might come ever
		return b
	}
	return b[:len(b)-begun]
}

// behindKey drops the rest of the API key at the start of b.
func (svc *Service) behindKey(b []byte) []byte {
	return b[svc.c.Secret().Ended(string(b[:min(len(b), maxKey)])):]
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

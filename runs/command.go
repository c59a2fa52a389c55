package runs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// CommandRequest is a command for an instance's sandbox.
type CommandRequest struct {
	Instance string
	Command  string
	Dir      string        // working directory; "" leaves it to the service
	Timeout  time.Duration // the command is ended after this long; 0 is the service's own limit, or none when detached
	Detach   bool          // run it on its own in the sandbox, so that it outlives every connection

	// Wait is how long the caller is going to wait for a detached command. One
	// that ends soon enough and wrote no more than Inline bytes is then answered
	// by the request that started it.
	Wait   time.Duration
	Inline int
}

// plainLimit is the time-out of a plain command that has none of its own.
const plainLimit = 30 * time.Minute

// StartCommand runs a command. Attached, it is one POST terminal/exec, followed
// by this process; detached, it is started in the sandbox and followed through
// its files there. A sandbox that can't run it detached runs it attached, with a
// note that says so.
func (m *Manager) StartCommand(ctx context.Context, req CommandRequest) (*Run, error) {
	if !req.Detach || len(req.Command) > maxDetached {
		return m.startAttached(ctx, req)
	}
	run, err := m.startDetached(ctx, req)
	if err != nil || req.Wait > 0 {
		return run, err
	}
	// Who does not wait for the command still wants to know that it started. A
	// caller that leaves meanwhile leaves the start to go on.
	b := run.begun
	select {
	case <-b.settled:
		switch {
		case b.plain != nil:
			return b.plain, nil
		case b.err == nil:
			return &Run{m: m, state: run.state}, nil
		default:
			return nil, b.err
		}
	case <-b.stopped:
	case <-ctx.Done():
	case <-m.base.Done():
	}
	return run, nil
}

func (m *Manager) startAttached(ctx context.Context, req CommandRequest) (*Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	l := m.newLive(handleState{
		Kind: KindCommand, ID: newID(), Instance: req.Instance, Started: time.Now().Truncate(time.Second),
	})
	m.start(l.carried(ctx), func(ctx context.Context) { l.command(ctx, req) })
	return l.reader(), nil
}

// command is the whole life of an attached command.
func (l *live) command(ctx context.Context, req CommandRequest) {
	timeout := req.Timeout
	if timeout == 0 {
		timeout = plainLimit
	}
	res, err := l.m.c.Terminal.Exec(ctx, req.Instance, client.ExecRequest{Command: inDir(req.Dir, req.Command), Timeout: timeout})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		l.end(StatusFailed, err)
	case res.NotReady:
		l.end(StatusFailed, notReady(res))
	default:
		l.change(func() { l.exec = &res })
		l.end(StatusCompleted, nil)
	}
}

// inDir makes a command run in a directory.
func inDir(dir, command string) string {
	if dir == "" {
		return command
	}
	return "cd -- " + quote(dir) + " || exit 1\n" + command
}

// quote makes s one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// execOf renders an attached command's result.
func execOf(res *client.ExecResult) *Exec {
	if res == nil {
		return &Exec{StdoutSize: -1, StderrSize: -1}
	}
	size := func(o client.Output) int64 { return int64(len(o.Head)) + o.Omitted + int64(len(o.Tail)) }
	return &Exec{
		Stdout: res.Stdout, Stderr: res.Stderr, ExitCode: res.ExitCode, TimedOut: res.TimedOut,
		StdoutSize: size(res.Stdout), StderrSize: size(res.Stderr), Duration: res.Duration,
	}
}

// waitDetached implements Run.Wait for a detached command. What it reads stays
// in the sandbox's files, so nothing is read twice and nothing is skipped.
func (m *Manager) waitDetached(ctx context.Context, state handleState, until Until, limit int, p Progress) (*Update, error) {
	if limit <= 0 {
		limit = 1 << 20
	}
	headLimit, tailLimit := max(limit*2/3, minRead), limit/3
	read := state
	var out, errOut []byte
	last := pollState{outSize: -1, errSize: -1}
	var failed error
	stalled := false
	lastNews := time.Now()
	for looks, failures := 0, 0; ; looks++ {
		left := headLimit - len(out) - len(errOut)
		if left < minRead {
			left = 0
		}
		var s pollState
		wait := min(longPoll, time.Until(deadline(ctx))-500*time.Millisecond)
		if looks == 0 {
			s, failed = m.firstLook(ctx, read, left)
		} else {
			s, failed = m.poll(ctx, read, pollOptions{limit: left, wait: wait})
		}
		if failed != nil {
			failures++
			if permanent(failed) {
				return nil, failed
			}
			if !pause(ctx, min(time.Duration(failures)*500*time.Millisecond, longPoll)) {
				break
			}
			continue
		}
		failures = 0
		if len(s.out)+len(s.err) > 0 {
			lastNews = time.Now()
			p.Text(string(s.out))
			p.Text(string(s.err))
		}
		out, errOut = append(out, s.out...), append(errOut, s.err...)
		read.Read, read.ReadErr = read.Read+int64(len(s.out)), read.ReadErr+int64(len(s.err))
		last = s
		stalled = time.Since(lastNews) > m.cfg.StallAfter
		if s.over() || stalled || ctx.Err() != nil || (until == UntilNews && len(out)+len(errOut) > 0) {
			break
		}
		if (left == 0 || wait <= 0) && looks > 0 && !pause(ctx, 500*time.Millisecond) {
			break
		}
	}
	u := m.detachedUpdate(state, read, last, out, errOut)
	if stalled && u.Status == StatusRunning {
		u.Status = StatusStalled
	}
	if failed != nil && last.state == "" {
		u.Notes = append(u.Notes, "the sandbox could not be asked how the command stands: "+failed.Error())
	}
	m.seen(state, *u)
	if last.over() && u.More {
		// Of an ended command that wrote much, the end is worth showing, too.
		s, _ := m.poll(ctx, read, pollOptions{tail: tailLimit})
		addTail(&u.Exec.Stdout, s.outTail, last.outSize-read.Read)
		addTail(&u.Exec.Stderr, s.errTail, last.errSize-read.ReadErr)
	}
	return u, nil
}

// leastLook is how long a look at a command may take, however short the wait.
const leastLook = 5 * time.Second

// firstLook sees how a command stands without waiting for news, even where the
// caller's time is up already: who gives a run no time still wants to know.
func (m *Manager) firstLook(ctx context.Context, h handleState, limit int) (pollState, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline(ctx)), leastLook))
	defer cancel()
	stop := context.AfterFunc(m.base, cancel)
	defer stop()
	return m.poll(ctx, h, pollOptions{limit: limit})
}

func addTail(o *client.Output, tail []byte, unread int64) {
	o.Tail = string(tail)
	o.Omitted = unread - int64(len(tail))
}

func (m *Manager) detachedUpdate(from, read handleState, s pollState, out, errOut []byte) *Update {
	u := &Update{
		Handle: m.seal.seal(read), Kind: KindCommand, Status: StatusRunning,
		Instance: from.Instance, Started: from.Started, LastActivity: s.changed,
		Exec: &Exec{
			Stdout: client.Output{Head: string(out)}, Stderr: client.Output{Head: string(errOut)},
			StdoutSize: s.outSize, StderrSize: s.errSize, Dir: runDir(from.ID),
		},
		More: s.outSize > read.Read || s.errSize > read.ReadErr,
	}
	switch s.state {
	case stateExited:
		u.Status = StatusCompleted
		u.Exec.ExitCode = &s.code
		u.Exec.TimedOut = s.timedOut
	case stateCancelled:
		u.Status = StatusCancelled
	case stateGone:
		u.Status = StatusFailed
		u.Err = errors.New("the command's files are gone from the sandbox: it was rebuilt, or they were cleaned up after a day")
	case stateLost:
		u.Status = StatusFailed
		u.Err = errors.New("the command is no longer there and left no exit code: the sandbox was restarted, or it was killed from outside; its output so far is kept")
	default:
		if !s.changed.IsZero() && time.Since(s.changed) > m.cfg.StallAfter {
			u.Status = StatusStalled
		}
	}
	return u
}

const (
	killGone      = "the command's files are gone from the sandbox, so there is nothing to stop"
	killPrevented = "the command had not started, and will not"
)

// killDetached implements Run.Cancel for a detached command.
func (m *Manager) killDetached(ctx context.Context, state handleState, starting bool) (string, error) {
	res, err := m.c.Terminal.Exec(ctx, state.Instance, client.ExecRequest{Command: killScript(state.ID, starting), Timeout: scriptTimeout})
	if err != nil {
		return "", err
	}
	_, answer, ok := strings.Cut(res.Stdout.Head, scriptMark)
	answer, _, _ = strings.Cut(answer, "\n")
	switch strings.TrimSpace(answer) {
	case "killed":
		return "the command and what it started were killed", nil
	case "over":
		return "the command had ended before", nil
	case "prevented":
		return killPrevented, nil
	case "gone":
		return killGone, nil
	}
	if !ok {
		answer = res.Stdout.Head + res.Stderr.Head
	}
	return "", fmt.Errorf("the sandbox did not confirm the kill: %s", clip(answer))
}

// permanent reports errors that asking again does not mend.
func permanent(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && e.Status != 408 && e.Status != 409 && e.Status != 429
}

// pause sleeps, and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return time.Now().Add(time.Hour)
}

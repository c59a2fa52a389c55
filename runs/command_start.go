package runs

import (
	"context"
	"errors"
	"strings"
	"time"

	"openclaw-mcp/client"
)

const (
	// beginWait is how long the request that starts a detached command waits for
	// its end: most commands end within it, and cost one request.
	beginWait = 2 * time.Second
	// maxDetached is the longest command that is detached: it travels quoted,
	// within a script, as one argument of a program.
	maxDetached = 60 << 10
	// sweepFiles is how often the files of ended commands are looked through.
	sweepFiles = 5 * time.Minute
	// startOp names the endpoint that starts commands.
	startOp = "POST /instances/{id}/terminal/exec"
	// lacksFor is how long a sandbox that can't detach commands is not asked to.
	lacksFor = 10 * time.Minute
)

// beginning is the start of a detached command by this process, while the
// request for it is under way and behind that.
type beginning struct {
	stopped chan struct{} // closed when the command was cancelled before it settled
	settled chan struct{} // closed when what follows is known

	whole *client.ExecResult // it ended at once; nil: it is followed through its files
	plain *Run               // the sandbox can't detach, so it runs attached
	err   error              // it did not start, or whether it did is unknown

	killed   chan struct{} // closed when a cancel before it settled is carried out
	killNote string        // what that did
	killErr  error         // why it could not be done
}

// startDetached starts a detached command on the manager's own time: a caller
// that goes away does not end the request that starts it.
func (m *Manager) startDetached(ctx context.Context, req CommandRequest) (*Run, error) {
	if err := ctx.Err(); err != nil {
		return nil, &client.Error{Op: startOp, Message: "the request ended before the command was sent", Outcome: client.OutcomeNotSent, Err: err}
	}
	state := handleState{
		Kind: KindCommand, ID: newID(), Instance: req.Instance, Started: time.Now().Truncate(time.Second), Detached: true,
	}
	base := m.base
	if m.cfg.Carry != nil {
		base = m.cfg.Carry(ctx, base)
	}
	b := &beginning{stopped: make(chan struct{}), killed: make(chan struct{}), settled: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	m.begun[state.ID] = b
	m.note(state, Update{Status: StatusRunning})
	m.wg.Go(func() {
		run, whole, err := m.sendStart(base, state, req, b)
		if m.settle(state, b, run, whole, err) {
			run.live.stop()
		}
	})
	return &Run{m: m, state: state, begun: b}, nil
}

// settle notes how a command began. It reports true for one that runs attached
// though it was cancelled meanwhile.
func (m *Manager) settle(state handleState, b *beginning, run *Run, whole *client.ExecResult, err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	b.whole, b.err = whole, err
	switch {
	case run != nil && !run.state.Detached:
		b.plain = run // handles that were given out meanwhile lead to it
		delete(m.detached, state.ID)
	case b.isStopped():
		m.note(state, Update{Status: StatusCancelled})
	case err != nil && outcomeOf(err) != client.OutcomeUnknown:
		m.note(state, Update{Status: StatusFailed, Err: err})
	}
	if b.plain == nil {
		delete(m.begun, state.ID)
	}
	close(b.settled)
	return b.plain != nil && b.isStopped()
}

// waitBegun waits until it is known how a command began, and reports true with
// the update where that answers the wait.
func (r *Run) waitBegun(ctx context.Context, until Until, limit int, p Progress) (*Update, bool, error) {
	b := r.begun
	settled := b.settles(ctx, r.m.base)
	u := &Update{
		Handle: r.Handle(), Kind: KindCommand, Status: StatusRunning, Instance: r.state.Instance, Started: r.state.Started,
		Exec: &Exec{StdoutSize: -1, StderrSize: -1, Dir: runDir(r.state.ID)},
	}
	switch {
	case !settled && b.isStopped():
		u.Status = StatusCancelled
	case !settled:
		u.Notes = []string{"the service has not confirmed the start yet"}
	case b.plain != nil:
		u, err := b.plain.Wait(ctx, until, limit, p)
		return u, true, err
	case b.err != nil:
		u.Status, u.Err, u.Exec = StatusFailed, b.err, nil
	case b.whole != nil:
		u.Status, u.Exec = StatusCompleted, execOf(b.whole)
		u.Exec.Dir = runDir(r.state.ID)
	default:
		return nil, false, nil
	}
	return u, true, nil
}

func (b *beginning) isStopped() bool {
	select {
	case <-b.stopped:
		return true
	default:
		return false
	}
}

// settles waits for the start as long as ctx allows; who gives it no time still
// wants to know whether it worked.
func (b *beginning) settles(ctx, base context.Context) bool {
	least := time.NewTimer(leastLook)
	defer least.Stop()
	done := ctx.Done()
	for {
		select {
		case <-b.settled:
			return true
		case <-b.stopped:
			return false
		case <-base.Done():
			return false
		case <-done:
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				select {
				case <-b.settled:
					return true
				default:
					return false
				}
			}
			done = nil
		case <-least.C:
			if done == nil || ctx.Err() != nil {
				return false
			}
		}
	}
}

// cancelBegun ends a command that this process began, and reports false where
// the command has only to be killed in the sandbox.
func (r *Run) cancelBegun(ctx context.Context) (note string, done bool, err error) {
	b, m := r.begun, r.m
	m.mu.Lock()
	select {
	case <-b.settled:
		m.mu.Unlock()
		switch {
		case b.plain != nil:
			note, err = b.plain.Cancel(ctx)
			return note, true, err
		case b.whole != nil:
			return "the command had ended before", true, nil
		case b.err != nil && outcomeOf(b.err) != client.OutcomeUnknown:
			return "the command did not start", true, nil
		}
		return "", false, nil
	default:
	}
	if !b.isStopped() && m.base.Err() == nil {
		close(b.stopped)
		m.note(r.state, Update{Status: StatusCancelled})
		m.wg.Go(func() { m.killBegun(r.state, b) })
	}
	m.mu.Unlock()
	least := time.NewTimer(leastLook)
	defer least.Stop()
	select {
	case <-b.killed:
		return b.killNote, true, b.killErr
	case <-least.C:
	case <-ctx.Done():
	}
	return "the service has not confirmed the command's start yet; it is killed as soon as that is possible", true, nil
}

// killBegun kills a command whose start is under way, or keeps it from starting.
func (m *Manager) killBegun(state handleState, b *beginning) {
	defer close(b.killed)
	for settled := false; ; {
		b.killNote, b.killErr = m.killDetached(m.base, state, true)
		if b.killErr == nil || settled || m.base.Err() != nil {
			return
		}
		select {
		case <-b.settled:
			settled = true // from now on it is there, or never will be
		case <-time.After(200 * time.Millisecond):
		case <-m.base.Done():
		}
	}
}

func outcomeOf(err error) client.Outcome {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Outcome
	}
	return ""
}

// sendStart has the sandbox start a command on its own. It gives the run that
// follows it, or what became of a command that ended at once.
func (m *Manager) sendStart(ctx context.Context, state handleState, req CommandRequest, b *beginning) (*Run, *client.ExecResult, error) {
	run := &Run{m: m, state: state}
	if what := m.lacking(req.Instance); what != "" {
		run, err := m.startInstead(ctx, req, what)
		return run, nil, err
	}
	wait := min(req.Wait, beginWait)
	res, err := m.c.Terminal.Exec(ctx, req.Instance, client.ExecRequest{
		Command: startScript(state.ID, req, wait, m.sweepDue(req.Instance)), Timeout: scriptTimeout + wait,
	})
	if err != nil {
		return run, nil, m.checkStarted(ctx, state, err)
	}
	_, answer, ok := strings.Cut(res.Stdout.Head, scriptMark+state.ID+" ")
	answer, _, _ = strings.Cut(answer, "\n")
	switch verb, rest, _ := strings.Cut(strings.TrimSpace(answer), " "); {
	case ok && verb == "started":
		m.seen(state, Update{Status: StatusRunning})
		return run, nil, nil
	case ok && verb == "lacks":
		m.mu.Lock()
		m.lacks[req.Instance] = lack{rest, time.Now()}
		m.mu.Unlock()
		if b.isStopped() {
			return run, nil, nil
		}
		run, err := m.startInstead(ctx, req, rest)
		return run, nil, err
	case wait > 0:
		return m.ended(ctx, run, res)
	case res.NotReady:
		return run, nil, notReady(res)
	}
	return run, nil, m.checkStarted(ctx, state, &client.Error{
		Op:      startOp,
		Message: "the sandbox did not confirm the start: " + clip(res.Stdout.Head+" "+res.Stderr.Head),
		Outcome: client.OutcomeUnknown,
	})
}

// ended takes the answer of a command that ended at once for its result. What
// that leaves open, the command's files tell, where they can be read: a service
// need not say the exit code or return all of the output, and its own time-out
// ends only the request, not the command.
func (m *Manager) ended(ctx context.Context, run *Run, res client.ExecResult) (*Run, *client.ExecResult, error) {
	if res.ExitCode == nil || res.TimedOut || res.Truncated || res.NotReady || res.Stdout.Omitted+res.Stderr.Omitted > 0 {
		if s, err := m.poll(ctx, run.state, pollOptions{}); err == nil && s.state != stateGone {
			m.seen(run.state, Update{Status: StatusRunning})
			return run, nil, nil
		}
		if res.NotReady {
			return run, nil, notReady(res)
		}
	}
	m.seen(run.state, Update{Status: StatusCompleted})
	return run, &res, nil
}

// startInstead runs a command attached in a sandbox that can't detach it.
func (m *Manager) startInstead(ctx context.Context, req CommandRequest, lacks string) (*Run, error) {
	run, err := m.startAttached(ctx, req)
	if err == nil {
		run.live.note("it could not be detached, because the sandbox lacks " + lacks +
			"; it runs through a plain terminal/exec instead, which lasts only as long as this server and the service's own limits")
	}
	return run, err
}

// lack is what a sandbox needs and has not to run commands detached.
type lack struct {
	what string
	at   time.Time
}

// lacking says what an instance was lately found to lack, "" for nothing.
func (m *Manager) lacking(instance string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.lacks[instance]; time.Since(l.at) < lacksFor {
		return l.what
	}
	delete(m.lacks, instance)
	return ""
}

// sweepDue reports whether a start should clear old files away.
func (m *Manager) sweepDue(instance string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	due := time.Since(m.sweptFiles[instance]) >= sweepFiles
	if due {
		m.sweptFiles[instance] = time.Now()
	}
	return due
}

func notReady(res client.ExecResult) error {
	return &client.Error{
		Op: startOp, Code: "agent_not_ready",
		Message: "the sandbox is not ready yet: " + clip(res.Stderr.Head+res.Stdout.Head), Outcome: client.OutcomeRejected,
	}
}

// checkStarted finds out what became of a start whose answer was lost: a
// command that was started left its files.
func (m *Manager) checkStarted(ctx context.Context, state handleState, cause error) error {
	var e *client.Error
	if !errors.As(cause, &e) || e.Outcome != client.OutcomeUnknown {
		return cause
	}
	for try := range 4 {
		if try > 0 && !pause(ctx, time.Duration(try)*500*time.Millisecond) {
			return cause
		}
		s, err := m.poll(ctx, state, pollOptions{})
		if err != nil {
			continue
		}
		if s.state != stateGone {
			m.seen(state, Update{Status: StatusRunning})
			return nil
		}
		// Gone may also mean: not there yet. Two looks, a while apart, decide.
		if try >= 2 {
			c := *e
			c.Outcome = client.OutcomeNotSent
			c.Message = "the command was not started (the sandbox has no trace of it): " + c.Message
			return &c
		}
	}
	m.seen(state, Update{Status: StatusRunning, Err: cause})
	c := *e
	c.Message = strings.TrimPrefix(c.Message+"; whether the command runs could not be found out, list_runs has the run that it would be", "; ")
	return &c
}

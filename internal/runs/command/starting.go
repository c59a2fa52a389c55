package command

import (
	"context"
	"errors"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// starting is the start of a detached command by this process, while the request
// for it is under way and after that.
type starting struct {
	began   time.Time
	claim   *runs.Claim   // nil: there is none
	stopped chan struct{} // closed when the command was cancelled before it settled
	settled chan struct{} // closed when what follows is known

	whole *client.ExecResult // it ended at once, and who waited for that has the answer: see answered
	plain string             // the handle of what runs instead, attached, where the sandbox can't detach
	err   error              // it did not start, or whether it did is unknown
	note  string             // what the user should know of how it started

	killed   chan struct{} // closed when a cancel before it settled is carried out
	killNote string        // what that did
	killErr  error         // why it could not be done
}

// outcome is what a request to start a command came to. All fields are zero
// where the command runs on its own.
type outcome struct {
	whole *client.ExecResult // it ended at once
	plain *attached          // the sandbox can't detach, so it runs attached
	err   error
}

func startName(id string) string { return "start/" + id }

// serveStart has others know that this process is starting a command, until stop is called.
func (svc *Service) serveStart(id string) (stop func()) {
	stop, err := svc.m.Config.Fleet.Serve(startName(id), func(context.Context, []byte, func([]byte) error) ([]byte, error) { return nil, nil })
	if err != nil {
		svc.m.Config.Log.Debug("other processes can't be told that a command is being started", "error", err)
		return func() {}
	}
	return stop
}

// nobodyStarts reports whether it is known that no process is starting a command.
func (svc *Service) nobodyStarts(ctx context.Context, id string) bool {
	var failed error
	for _, err := range svc.m.Config.Fleet.Ask(ctx, startName(id), nil) {
		failed = err
	}
	return errors.Is(failed, fleet.ErrGone)
}

// settle notes how a command started.
func (svc *Service) settle(state runs.State, b *starting, o outcome) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	b.whole, b.err = o.whole, o.err
	switch {
	case o.plain != nil:
		b.plain = o.plain.reader(runs.State{}).Handle() // handles that were given out meanwhile lead to it
		delete(svc.detached, state.ID)
		if b.isStopped() {
			o.plain.Stop()
		}
	case b.isStopped():
		svc.note(state, false, runs.Update{Status: runs.StatusCancelled})
	case o.err != nil && outcomeOf(o.err) != client.OutcomeUnknown:
		svc.note(state, false, runs.Update{Status: runs.StatusFailed, Err: o.err})
	}
	switch {
	case b.whole != nil:
		svc.starting[state.ID] = &starting{began: b.began, claim: b.claim, stopped: b.stopped, killed: b.killed, settled: b.settled}
	case b.plain == "":
		delete(svc.starting, state.ID)
	}
	close(b.settled)
}

// answered is the answer of a command that ended at once, where it is still there; nil: it is
// not, and the command's files tell.
func (d *detached) answered() *client.ExecResult {
	if d.starting != nil && d.starting.whole != nil {
		return d.starting.whole
	}
	if a, ok := d.svc.m.Kept(d.state.ID).(*attached); ok {
		return a.result
	}
	return nil
}

// waitStarting waits until it is known how a command started, and reports true
// with the update where that answers the wait.
func (d *detached) waitStarting(ctx context.Context, until runs.Until, limit int, p runs.Progress) (*runs.Update, bool, error) {
	b := d.starting
	settled := d.svc.settles(ctx, b, d.leastLook())
	u := &runs.Update{
		Handle: d.Handle(), Kind: runs.KindCommand, Status: runs.StatusRunning,
		Instance: d.state.Instance, Started: d.state.Started,
		Result: &Output{StdoutSize: -1, StderrSize: -1, Kept: true},
	}
	switch {
	case !settled && b.isStopped():
		u.Status = runs.StatusCancelled
	case !settled:
		u.Notes = []string{noteUnconfirmed}
	case b.plain != "":
		plain, err := d.svc.m.Open(b.plain)
		if err != nil {
			return nil, true, err
		}
		if d.plain {
			ReadPlain(plain)
		}
		u, err := plain.Wait(ctx, until, limit, p)
		return u, true, err
	case b.err != nil:
		u.Status, u.Err = runs.StatusFailed, b.err
		return u, true, nil
	default:
		return nil, false, nil
	}
	return u, true, nil
}

// waitAnswered is Wait for a command that ended at once.
func (d *detached) waitAnswered(res *client.ExecResult, p runs.Progress) *runs.Update {
	output := outputOf(res)
	output.Kept = true
	at := d.state
	at.Read, at.ReadErr = output.StdoutSize, output.StderrSize
	runs.Upto(p, at, func() { tellOutput(p, output, d.plain) })
	return &runs.Update{
		Handle: d.Handle(), Kind: runs.KindCommand, Status: runs.StatusCompleted,
		Instance: d.state.Instance, Started: d.state.Started, Result: output,
	}
}

func (b *starting) isStopped() bool {
	select {
	case <-b.stopped:
		return true
	default:
		return false
	}
}

func (b *starting) isSettled() bool {
	select {
	case <-b.settled:
		return true
	default:
		return false
	}
}

// settles waits for the start as long as ctx allows, and reports whether it is
// settled; who gives it no time still wants to know whether it worked.
func (svc *Service) settles(ctx context.Context, b *starting, leastLook time.Duration) bool {
	least := time.NewTimer(leastLook - time.Since(b.began))
	defer least.Stop()
	done := ctx.Done()
	for {
		select {
		case <-b.settled:
			return true
		case <-b.stopped:
			return false
		case <-svc.m.Base().Done():
			return false
		case <-done:
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) || time.Since(b.began) >= leastLook {
				return b.isSettled()
			}
			done = nil // not before the least look has passed
		case <-least.C:
			if ctx.Err() != nil {
				return false
			}
		}
	}
}

// cancelStarting ends a command that this process started, and reports false
// where the command has only to be killed in the sandbox.
func (d *detached) cancelStarting(ctx context.Context) (note string, done bool, err error) {
	b, svc := d.starting, d.svc
	if b.isSettled() {
		switch {
		case b.plain != "":
			plain, err := svc.m.Open(b.plain)
			if err != nil {
				return "", true, err
			}
			note, err = plain.Cancel(ctx)
			return note, true, err
		case b.err != nil && outcomeOf(b.err) != client.OutcomeUnknown:
			return "the command did not start", true, nil
		}
		return "", false, nil
	}
	svc.mu.Lock()
	if !b.isStopped() && svc.m.Go(func() { svc.killStarting(d.state, b) }) == nil {
		close(b.stopped)
		svc.note(d.state, false, runs.Update{Status: runs.StatusCancelled})
	}
	svc.mu.Unlock()
	least := time.NewTimer(svc.leastLook)
	defer least.Stop()
	select {
	case <-b.killed:
		return b.killNote, true, b.killErr
	case <-least.C:
	case <-ctx.Done():
	}
	return "the service has not confirmed the command's start yet; it is killed as soon as that is possible", true, nil
}

// killStarting kills a command whose start is under way, or keeps it from
// starting.
func (svc *Service) killStarting(state runs.State, b *starting) {
	defer close(b.killed)
	base := svc.m.Base()
	for settled := false; ; {
		b.killNote, b.killErr = svc.kill(base, state, true)
		if b.killErr == nil || settled || base.Err() != nil {
			return
		}
		select {
		case <-b.settled:
			settled = true // from now on it is there, or never will be
		case <-time.After(200 * time.Millisecond):
		case <-base.Done():
		}
	}
}

func outcomeOf(err error) client.Outcome {
	if errors.As(err, new(*DirError)) {
		return client.OutcomeNotSent
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Outcome
	}
	return ""
}

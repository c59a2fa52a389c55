package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

const (
	// beginWatched is beginWait where somebody watches: most commands end within it, and it is
	// little of the time within which they are to see the first words, which come with the
	// request after it.
	beginWatched = 60 * time.Millisecond
	// maxDetached is the longest command that is detached: quoted, which makes it up
	// to 1.75 times as long, and with the script around it, it must fit in one
	// argument of a program.
	maxDetached = 60 << 10
	// tidyEvery is how often old files of ended commands are cleared away.
	tidyEvery = 5 * time.Minute
	// missingFor is how long a sandbox that can't detach commands is not asked to.
	missingFor = 10 * time.Minute
)

// starting is the start of a detached command by this process, while the request
// for it is under way and after that.
type starting struct {
	began   time.Time
	claim   *runs.Claim   // nil: there is none
	stopped chan struct{} // closed when the command was cancelled before it settled
	settled chan struct{} // closed when what follows is known

	whole *client.ExecResult // it ended at once; nil: it is followed through its files
	plain *attached          // the sandbox can't detach, so it runs attached
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

// startDetached starts a detached command on the manager's own time: a caller
// that goes away does not end the request that starts it.
func (svc *Service) startDetached(ctx context.Context, req Request, state runs.State, claim *runs.Claim) (*detached, error) {
	if err := ctx.Err(); err != nil {
		return nil, &client.Error{Op: sandbox.Op, Message: "the request ended before the command was sent", Outcome: client.OutcomeNotSent, Err: err}
	}
	served := svc.serveStart(state.ID)
	b := &starting{began: time.Now(), claim: claim, stopped: make(chan struct{}), killed: make(chan struct{}), settled: make(chan struct{})}
	base := svc.m.Outlive(ctx)
	run := &detached{svc: svc, state: state, starting: b}
	if req.Begins != nil && svc.lacking(req.Instance) == "" {
		req.Begins(run)
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	err := svc.m.Go(func() {
		o := svc.sendStart(base, state, req, b)
		served()
		svc.settle(state, b, o)
		svc.started(base, claim, state, o, b.isStopped())
	})
	if err != nil {
		served()
		return nil, err
	}
	svc.starting[state.ID] = b
	svc.note(state, false, runs.Update{Status: runs.StatusRunning, About: runs.About(req.Command)})
	return run, nil
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
		b.plain = o.plain // handles that were given out meanwhile lead to it
		delete(svc.detached, state.ID)
		if b.isStopped() {
			o.plain.Stop()
		}
	case b.isStopped():
		svc.note(state, false, runs.Update{Status: runs.StatusCancelled})
	case o.err != nil && outcomeOf(o.err) != client.OutcomeUnknown:
		svc.note(state, false, runs.Update{Status: runs.StatusFailed, Err: o.err})
	}
	if b.plain == nil && b.whole == nil {
		delete(svc.starting, state.ID)
	}
	close(b.settled)
}

// waitStarting waits until it is known how a command started, and reports true
// with the update where that answers the wait.
func (d *detached) waitStarting(ctx context.Context, until runs.Until, limit int, p runs.Progress) (*runs.Update, bool, error) {
	b := d.starting
	settled := d.svc.settles(ctx, b, d.leastLook())
	output := &Output{StdoutSize: -1, StderrSize: -1}
	u := &runs.Update{
		Handle: d.Handle(), Kind: runs.KindCommand, Status: runs.StatusRunning,
		Instance: d.state.Instance, Started: d.state.Started,
	}
	switch {
	case !settled && b.isStopped():
		u.Status = runs.StatusCancelled
	case !settled:
		u.Notes = []string{noteUnconfirmed}
	case b.plain != nil:
		plain := b.plain.reader(runs.State{})
		plain.plain = d.plain
		u, err := plain.Wait(ctx, until, limit, p)
		return u, true, err
	case b.err != nil:
		u.Status, u.Err = runs.StatusFailed, b.err
		return u, true, nil
	case b.whole != nil:
		u.Status, output = runs.StatusCompleted, outputOf(b.whole)
		at := d.state
		at.Read, at.ReadErr = output.StdoutSize, output.StderrSize
		runs.Upto(p, at, func() { tellOutput(p, output, d.plain) })
	default:
		return nil, false, nil
	}
	output.Kept = true
	u.Result = output
	return u, true, nil
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
		case b.plain != nil:
			note, err = b.plain.reader(runs.State{}).Cancel(ctx)
			return note, true, err
		case b.whole != nil:
			return "the command had ended before", true, nil
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

// sendStart has the sandbox start a command on its own.
func (svc *Service) sendStart(ctx context.Context, state runs.State, req Request, b *starting) outcome {
	if what := svc.lacking(req.Instance); what != "" {
		return svc.startInstead(ctx, req, b, "the sandbox lacks "+what)
	}
	wait := min(req.Wait, svc.beginWait)
	if req.Watched {
		wait = min(wait, beginWatched)
	}
	script := startScript(state.ID, req, wait, svc.tidyDue(req.Instance))
	res, err := svc.c.Terminal.Exec(ctx, req.Instance, client.ExecRequest{Command: script.Command, Timeout: scriptTimeout + wait})
	if e, ok := errors.AsType[*client.Error](err); ok && e.TooLong() && !b.isStopped() {
		// What is long may be the script.
		return svc.startInstead(ctx, req, b, "the service takes only shorter commands ("+runs.Clip(e.Message)+")")
	}
	if err != nil {
		return outcome{err: svc.checkStarted(ctx, state, err)}
	}
	report, err := script.Read(res)
	missing := report.MissingTools()
	if report.Verb == "unwritable" {
		missing = "a place to write to (" + runs.Clip(strings.TrimSpace(string(report.Part(0)))) + ")"
	}
	noDir := dirError(req.Dir, report.Verb)
	switch {
	case noDir != nil:
		return outcome{err: noDir}
	case report.Verb == "started":
		if inWay := report.Word(1); inWay != "" {
			b.note = fmt.Sprintf("%s is in the way (it is not a folder of the sandbox's user); the command's files are in %s instead", inWay, report.Word(0))
		}
		svc.seen(state, true, runs.Update{Status: runs.StatusRunning})
		return outcome{}
	case missing != "":
		svc.mu.Lock()
		svc.missing[req.Instance] = missingTools{missing, time.Now()}
		svc.mu.Unlock()
		if b.isStopped() {
			return outcome{}
		}
		return svc.startInstead(ctx, req, b, "the sandbox lacks "+missing)
	case wait > 0 && err != nil:
		return svc.ended(ctx, state, res)
	case res.NotReady:
		return outcome{err: sandbox.NotReady(res)}
	}
	return outcome{err: svc.checkStarted(ctx, state, unconfirmed(res))}
}

// unconfirmed is an answer to a start that does not say whether it worked.
func unconfirmed(res client.ExecResult) error {
	return &client.Error{
		Op:      sandbox.Op,
		Message: "the sandbox did not confirm the start: " + runs.Clip(res.Stdout.Head+" "+res.Stderr.Head),
		Outcome: client.OutcomeUnknown,
	}
}

// ended takes the answer of a command that ended at once for its result. What
// that leaves open, the command's files tell, where they can be read: a service
// need not say the exit code or return all of the output, and its own time-out
// ends only the request, not the command.
func (svc *Service) ended(ctx context.Context, state runs.State, res client.ExecResult) outcome {
	open := res.ExitCode == nil || res.TimedOut || res.Truncated || res.NotReady || res.Stdout.Omitted+res.Stderr.Omitted > 0
	if open || svc.mayBeCut(state.Instance, res) {
		s, err := svc.poll(ctx, state, pollOptions{})
		switch {
		case err == nil && !open && (s.state == stateGone || svc.isWhole(state.Instance, res, s)):
		case err == nil && s.state != stateGone:
			svc.seen(state, true, runs.Update{Status: runs.StatusRunning})
			return outcome{}
		case err == nil: // the sandbox understands scripts, so the start was cut short
			return outcome{err: svc.checkStarted(ctx, state, unconfirmed(res))}
		}
	}
	svc.seen(state, false, runs.Update{Status: runs.StatusCompleted, Result: outputOf(&res)})
	return outcome{whole: &res}
}

// startInstead runs a command attached in a sandbox that can't detach it.
func (svc *Service) startInstead(ctx context.Context, req Request, b *starting, why string) outcome {
	a, err := svc.startAttached(ctx, req, newState(req), b.claim)
	if err != nil {
		return outcome{err: err}
	}
	a.Note("it could not be detached, because " + why +
		"; it runs through a plain terminal/exec instead, which lasts only as long as this server and the service's own limits")
	return outcome{plain: a}
}

// missingTools is what a sandbox needs and has not to run commands detached.
type missingTools struct {
	what string
	at   time.Time
}

// lacking says what an instance was lately found to lack, "" for nothing.
func (svc *Service) lacking(instance string) string {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if l := svc.missing[instance]; time.Since(l.at) < missingFor {
		return l.what
	}
	delete(svc.missing, instance)
	return ""
}

// tidyDue reports whether a start should clear old files away.
func (svc *Service) tidyDue(instance string) bool {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	due := time.Since(svc.tidied[instance]) >= tidyEvery
	if due {
		svc.tidied[instance] = time.Now()
	}
	return due
}

// checkStarted finds out what became of a start whose answer was lost: a command
// that was started left its files. That there are none may only mean that it
// has not started yet, so the command is kept from starting before it is said
// that it did not.
func (svc *Service) checkStarted(ctx context.Context, state runs.State, cause error) error {
	var e *client.Error
	if !errors.As(cause, &e) || e.Outcome != client.OutcomeUnknown {
		return cause
	}
	c := *e
	for try := range 4 {
		if try > 0 && !runs.Pause(ctx, time.Duration(try)*500*time.Millisecond) {
			return cause
		}
		report, err := preventScript(state.ID).Run(ctx, svc.c.Terminal, state.Instance, scriptTimeout)
		if err != nil {
			continue
		}
		switch report.Verb {
		case "there":
			svc.seen(state, true, runs.Update{Status: runs.StatusRunning})
			return nil
		case "prevented":
			c.Outcome = client.OutcomeNotSent
			c.Message = "the command was not started (the sandbox had no trace of it), and will not be: " + c.Message
			return &c
		}
	}
	svc.seen(state, false, runs.Update{Status: runs.StatusRunning, Err: cause})
	c.Message = strings.TrimPrefix(c.Message+"; it could not be found out whether the command runs: if it does, list_runs has its run", "; ")
	return &c
}

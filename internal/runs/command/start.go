package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/client"
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
	svc.seen(state, true, runs.Update{Status: runs.StatusCompleted, Result: outputOf(&res)})
	svc.m.KeepResult(state, func(l *runs.Live) runs.Work { return &attached{Live: l, result: &res} })
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

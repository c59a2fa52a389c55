package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

// plainLimit is the time-out of a plain command that has none of its own.
const plainLimit = 30 * time.Minute

// attached is a command that is one request to the service.
type attached struct {
	*runs.Live
	claim  *runs.Claim        // of its idempotency key; nil: it has none
	sent   int                // bytes of the command, which are there until it has ended
	result *client.ExecResult // nil until it has ended; guarded by the lock of Live
}

// startAttached runs a command as one request. The sandbox can't tell whether it ran
// before, so its claim says that before it is sent.
func (svc *Service) startAttached(ctx context.Context, req Request, state runs.State, claim *runs.Claim) (*attached, error) {
	a := &attached{Live: svc.m.NewLive(state), claim: claim, sent: len(req.Command)}
	a.Describe(req.Command)
	if claim != nil {
		if err := claim.Sending(ctx, state); errors.Is(err, fleet.ErrChanged) {
			return nil, &client.Error{Op: sandbox.Op, Message: "another process of yours runs the command with this idempotency_key; this one did not. The same call made again finds it", Outcome: client.OutcomeNotSent, Err: err}
		} else if err != nil {
			return nil, &client.Error{Op: sandbox.Op, Message: "your other processes could not be told that the command starts: nothing was started", Outcome: client.OutcomeNotSent, Err: err}
		}
	}
	return a, svc.m.Start(ctx, a.Live, a, func(ctx context.Context) {
		a.run(ctx, svc, req)
		if claim != nil && ctx.Err() == nil {
			a.over(ctx, svc)
		}
	})
}

// over notes how the command ended, for who repeats the call.
func (a *attached) over(ctx context.Context, svc *Service) {
	if err := a.Err(); err != nil && (outcomeOf(err) == client.OutcomeNotSent || outcomeOf(err) == client.OutcomeRejected) {
		svc.m.LetGo(ctx, a.claim)
		return
	}
	svc.m.NoteEnd(ctx, a.claim, a.Live)
}

// run is the whole life of an attached command.
func (a *attached) run(ctx context.Context, svc *Service, req Request) {
	timeout := req.Timeout
	if timeout == 0 {
		timeout = plainLimit
	}
	entry := req.entry()
	res, err := svc.c.Terminal.Exec(ctx, req.Instance, client.ExecRequest{Command: req.shell(entry), Timeout: timeout})
	if err == nil {
		err = entry.failed(res.Stdout.Head)
	}
	if err == nil {
		if most := svc.cutAt(ctx, req.Instance, res); most > 0 {
			a.Note(cutNote(most, req.Detach))
		}
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.End(runs.StatusFailed, err)
	default:
		a.Change(func() { a.result = &res })
		a.End(runs.StatusCompleted, nil)
	}
}

// cutNote says that an output may not be whole, and how to get it.
func cutNote(most int, detach bool) string {
	how := "run it without timeout_seconds to get all of it"
	if detach { // which the sandbox can't do
		how = "have it write to a file, and read that"
	}
	return fmt.Sprintf("this service returns about %d bytes of an output, and says nothing where it leaves out the rest: a part of this one may be missing; %s", most, how)
}

// attachedReader is a Run of an attached command.
type attachedReader struct {
	runs.Run
	plain bool // see ReadPlain
}

func (a *attached) reader(at runs.State) *attachedReader { return &attachedReader{Run: a.Reader(at)} }

// Wait tells of the output once the command has ended: the service gives it then.
func (r *attachedReader) Wait(ctx context.Context, until runs.Until, limit int, p runs.Progress) (*runs.Update, error) {
	u, err := r.Run.Wait(ctx, until, limit, p)
	if p == nil || err != nil || !u.Status.Over() {
		return u, err
	}
	if o, ok := u.Result.(*Output); ok {
		tellOutput(p, o, r.plain)
	}
	return u, err
}

// Resume ends the run: only the process that sent the request had its answer, for as long as
// it had room for that, unless it noted it for others.
func (a *attached) Resume(context.Context) {
	if a.claim != nil && a.claim.End(a.Live) {
		return
	}
	a.End(runs.StatusFailed, &client.Error{
		Op:      sandbox.Op,
		Message: "the outcome of this command is not known any more: the server process that ran it is gone, or kept it no longer; it may have ended or may still run; check its effects before repeating it",
		Outcome: client.OutcomeUnknown,
	})
}

// Shared is the answer of the service.
func (a *attached) Shared() any { return &a.result }

// Result gives the *Output.
func (a *attached) Result() any { return outputOf(a.result) }

// CancelNote says what a cancel does to a plain command.
func (a *attached) CancelNote() string {
	return "the command's connection was closed; the service may let the command go on until its time-out"
}

// Size counts the command, and then its output.
func (a *attached) Size() int {
	if a.result == nil {
		return a.sent
	}
	out, errOut := a.result.Stdout, a.result.Stderr
	return len(out.Head) + len(out.Tail) + len(errOut.Head) + len(errOut.Tail)
}

// shell is the command as the service's shell gets it. It begins on the first line, so that
// what the shell says of its lines is right.
func (req Request) shell(e entry) string {
	before := ""
	if req.Together {
		before = "exec 2>&1; "
	}
	return before + e.shell() + req.Command
}

// outputOf renders the service's answer to a command.
func outputOf(res *client.ExecResult) *Output {
	if res == nil {
		return &Output{StdoutSize: -1, StderrSize: -1}
	}
	size := func(o client.Output) int64 { return int64(len(o.Head)) + o.Omitted + int64(len(o.Tail)) }
	return &Output{
		Stdout: res.Stdout, Stderr: res.Stderr, ExitCode: res.ExitCode, TimedOut: res.TimedOut,
		NotReady: res.NotReady && res.Stdout.Head == "", Truncated: res.Truncated,
		StdoutSize: size(res.Stdout), StderrSize: size(res.Stderr), Duration: res.Duration,
	}
}

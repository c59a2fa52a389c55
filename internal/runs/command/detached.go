package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// The flags of a command's handle.
const (
	flagDetached  = 1 << iota
	flagConfirmed // its files were seen in the sandbox
	flagRaw       // see IsRaw
)

func newState(req Request) runs.State {
	state := runs.NewState(runs.KindCommand, req.Instance)
	if req.Raw {
		state.Flags |= flagRaw
	}
	return state
}

// IsRaw reports whether the caller that started a command wanted its output as it is.
func IsRaw(state runs.State) bool { return state.Kind == runs.KindCommand && state.Flags&flagRaw != 0 }

// detached is a Run of a command that runs on its own in the sandbox.
type detached struct {
	svc      *Service
	state    runs.State
	starting *starting // of a command that this process starts; nil when that is over and known
	plain    bool      // see ReadPlain
	inTime   bool      // see EndInTime
	waits    int       // how many waits of this reader are under way; under Service.mu
}

func (d *detached) Kind() runs.Kind  { return runs.KindCommand }
func (d *detached) Instance() string { return d.state.Instance }

func (d *detached) Handle() string {
	if b := d.starting; b != nil && b.isSettled() && b.plain != "" {
		return b.plain // that of the files leads nowhere
	}
	return d.svc.m.Seal(d.state)
}

func (d *detached) OtherWaits() int {
	d.svc.mu.Lock()
	defer d.svc.mu.Unlock()
	return d.svc.waits[d.state.ID] - d.waits
}

// count adds to the waits that are under way.
func (d *detached) count(n int) {
	d.svc.mu.Lock()
	defer d.svc.mu.Unlock()
	d.waits += n
	if d.svc.waits[d.state.ID] += n; d.svc.waits[d.state.ID] == 0 {
		delete(d.svc.waits, d.state.ID)
	}
}

func (d *detached) Wait(ctx context.Context, until runs.Until, limit int, p runs.Progress) (*runs.Update, error) {
	if p == nil {
		p = runs.NoProgress{}
	}
	d.count(1)
	defer d.count(-1)
	if d.starting != nil {
		if u, answered, err := d.waitStarting(ctx, until, limit, p); answered {
			return u, err
		}
	}
	if res := d.answered(); res != nil {
		return d.waitAnswered(res, p), nil
	}
	u, err := d.wait(ctx, until, limit, p)
	if u != nil && d.starting != nil && d.starting.note != "" {
		u.Notes = append(u.Notes, d.starting.note)
	}
	return u, err
}

func (d *detached) Cancel(ctx context.Context) (note string, err error) {
	if d.starting != nil {
		if note, done, err := d.cancelStarting(ctx); done {
			return note, err
		}
	}
	if d.answered() != nil {
		return "the command had ended before", nil
	}
	return d.svc.kill(ctx, d.state, d.svc.mayStillStart(d.state))
}

// ReadPlain has a run, as long as it is not waited for, leave out of a command's
// output what a terminal would not show any more: parts of lines that were written over by
// others. They take no room. What a wait tells of the output then
// comes by whole lines, and joins to what its result has.
func ReadPlain(run runs.Run) {
	switch r := run.(type) {
	case *detached:
		r.plain = true
	case *attachedReader:
		r.plain = true
	}
}

// EndInTime has a wait for a run end with its context, also before anything is known of the
// run: whoever asks again learns that.
func EndInTime(run runs.Run) {
	if d, ok := run.(*detached); ok {
		d.inTime = true
	}
}

// leastLook is how long the command's start, or the first look at it, is waited for, however
// short the wait.
func (d *detached) leastLook() time.Duration {
	if d.inTime {
		return 0
	}
	return d.svc.leastLook
}

const (
	// startGrace is how long after its start a command whose files were never seen
	// may have its start still under way, in another process or on a busy machine.
	startGrace = 5 * time.Minute
	// orphanGrace is startGrace where no process is starting it: the one that was may have
	// sent the request before it was killed.
	orphanGrace = 30 * time.Second
)

// mayStillStart reports whether a command without files in the sandbox may only
// not have started yet.
func (svc *Service) mayStillStart(state runs.State) bool {
	return !svc.knows(state) && time.Since(state.Started) < startGrace
}

// reading is the context of the first look at a command, and of reading more of one that
// has ended: it has some time even if ctx, the wait's, has none. It ends with the manager's.
func (svc *Service) reading(ctx context.Context, least time.Duration) (context.Context, context.CancelFunc) {
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline(ctx)), least))
	stop := context.AfterFunc(svc.m.Base(), cancel)
	return reading, func() { stop(); cancel() }
}

func addTail(o *client.Output, tail []byte, unread int64) {
	o.Tail = string(tail)
	o.Omitted = unread - int64(len(tail))
}

// update renders how a command stands; read is how far it was read by now.
func (svc *Service) update(read runs.State, s pollState, out, errOut []byte) (*runs.Update, *Output) {
	output := &Output{
		Stdout: client.Output{Head: string(out)}, Stderr: client.Output{Head: string(errOut)},
		StdoutSize: s.outSize, StderrSize: s.errSize, Kept: true,
	}
	u := &runs.Update{
		Handle: svc.m.Seal(read), Kind: runs.KindCommand, Status: runs.StatusRunning,
		Instance: read.Instance, Started: read.Started, LastActivity: s.changed,
		Result: output, More: s.outSize > read.Read || s.errSize > read.ReadErr,
	}
	switch s.state {
	case stateExited:
		u.Status = runs.StatusCompleted
		output.ExitCode = new(s.code) // of its own: a pointer into s would keep all that was read with it
		output.TimedOut, output.Ended = s.timedOut, s.timedOut
	case stateCancelled:
		u.Status = runs.StatusCancelled
	case stateStarting:
		u.Notes = []string{noteUnconfirmed}
	case stateGone:
		u.Status = runs.StatusFailed
		u.Err = errors.New("the command's files are gone from the sandbox: it was rebuilt, or they were cleaned up after a day")
		if read.Flags&flagConfirmed == 0 {
			u.Err = errors.New("the sandbox has no files of the command: it never started, it ran only as long as the server process that is gone, the sandbox was rebuilt, or they were cleaned up after a day")
		}
	case stateLost:
		u.Status = runs.StatusFailed
		u.Err = errors.New("the command is no longer there and left no exit code: the sandbox was restarted, or it was killed from outside; its output so far is kept")
	case stateFull:
		u.Status = runs.StatusFailed
		u.Err = fmt.Errorf("the command is no longer there, and its exit code could not be saved: nothing can be written to %s, which may be full; its output so far is kept", s.dir)
	default:
		switch {
		case s.noDir != nil:
			u.Status, u.Err = runs.StatusFailed, s.noDir
		case !s.changed.IsZero() && time.Since(s.changed) > svc.m.Config.StallAfter:
			u.Status = runs.StatusStalled
		}
	}
	if left := leftNote(s.left); left != "" && s.over() {
		u.Notes = append(u.Notes, left)
	}
	return u, output
}

// noteUnconfirmed is the note of a command that may not have started yet.
const noteUnconfirmed = "the service has not confirmed the start yet"

func deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return time.Now().Add(time.Hour)
}

package runs

import (
	"context"
	"time"

	"openclaw-mcp/client"
)

// Status is how a run stands.
type Status string

// The statuses of a run. Stalled is not an end: nothing was heard of the run
// for a while, and it may still go on.
const (
	StatusRunning   Status = "running"
	StatusStalled   Status = "stalled"
	StatusCompleted Status = "completed"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
)

// Over reports whether a run of this status has ended.
func (s Status) Over() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// Until says what ends a wait early.
type Until int

// A wait ends when the run has ended or stalls, or as soon as there is anything
// new to read.
const (
	UntilDone Until = iota
	UntilNews
)

// Progress is told what happens while a call waits: stretches of the reply or
// of a command's output, and lines about everything else.
type Progress interface {
	Text(s string)
	Line(s string)
}

// Update is what a wait found.
type Update struct {
	Handle       string // reads on behind this update
	Kind         Kind
	Status       Status
	Instance     string
	Session      string
	Started      time.Time
	LastActivity time.Time // of the upstream; zero when unknown

	Text    string            // chat: the reply's text since the handle that was waited with
	Revised bool              // chat: Text starts over, since what was read before has changed
	More    bool              // there is more to read at once
	Tools   []client.ToolCall // chat: what the agent last used, where the process saw it; long values are cut
	Exec    *Exec             // command
	Created *client.Instance  // create
	Moved   *Transfer         // upload, download

	Notes []string // what the caller should know besides
	Err   error    // of a failed run
}

// Exec is the state of a command.
type Exec struct {
	Stdout, Stderr client.Output // since the handle that was waited with
	ExitCode       *int          // nil while it runs, or when the service does not say
	TimedOut       bool
	StdoutSize     int64 // bytes written so far, -1 when unknown
	StderrSize     int64
	Duration       time.Duration // 0 when unknown
	Dir            string        // detached: where its files are in the sandbox
}

// Run is a run as somebody has read it so far.
type Run struct {
	m     *Manager
	state handleState
	live  *live      // nil for what is followed from its handle alone
	begun *beginning // a detached command that this process started; nil when that is over and known

	waits int // how many waits of this reader are under way; under live.mu, or else m.mu
}

// Handle gives the handle that reads on from here.
func (r *Run) Handle() string {
	if r.live != nil {
		return r.m.seal.seal(r.live.fill(r.state))
	}
	return r.m.seal.seal(r.state)
}

// Instance is the instance that the run is on, "" while it is not known.
func (r *Run) Instance() string {
	if r.live != nil {
		return r.live.fill(r.state).Instance
	}
	return r.state.Instance
}

// Kind says what the run does.
func (r *Run) Kind() Kind { return r.state.Kind }

// Wait waits until the run has ended or stalls (or, with UntilNews, until there
// is something to read), but no longer than ctx, and gives what is new: at most
// limit bytes of text. The end of ctx is no error. The run itself goes on
// whatever happens to the wait.
func (r *Run) Wait(ctx context.Context, until Until, limit int, p Progress) (*Update, error) {
	if p == nil {
		p = noProgress{}
	}
	if r.live == nil {
		defer r.m.watching(r)()
		if r.begun != nil {
			if u, answered, err := r.waitBegun(ctx, until, limit, p); answered {
				return u, err
			}
		}
		return r.m.waitDetached(ctx, r.state, until, limit, p)
	}
	l := r.live
	l.mu.Lock()
	r.waits++
	l.waiters++
	left := l.left
	l.mu.Unlock()
	if left {
		r.m.revive(l)
	}
	defer func() {
		l.mu.Lock()
		r.waits--
		l.waiters--
		l.mu.Unlock()
	}()
	l.wait(ctx, &r.state, until, p)
	return l.read(r.state, limit), nil
}

// watching counts a wait for a background command, until the returned function
// is called.
func (m *Manager) watching(r *Run) func() {
	count := func(n int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		r.waits += n
		if m.watched[r.state.ID] += n; m.watched[r.state.ID] == 0 {
			delete(m.watched, r.state.ID)
		}
	}
	count(1)
	return func() { count(-1) }
}

// Cancel ends the run as far as the service allows: a detached command's
// process group is killed; a reply and a creation are no longer followed, but
// the service has no way to stop them. It returns what the caller should know
// about that.
func (r *Run) Cancel(ctx context.Context) (note string, err error) {
	if r.live != nil {
		return r.live.stop(), nil
	}
	if r.begun != nil {
		if note, over, err := r.cancelBegun(ctx); over {
			return note, err
		}
	}
	return r.m.killDetached(ctx, r.state, false)
}

// CancelUnlessShared cancels the run for a caller whose request was cancelled,
// unless another call is waiting for the same run.
func (r *Run) CancelUnlessShared(ctx context.Context) {
	if r.others() > 0 {
		return
	}
	if _, err := r.Cancel(ctx); err != nil {
		r.m.log.Warn("a cancelled request's run could not be stopped", "error", err)
	}
}

// others is how many waits for the same run are under way that are not this
// reader's.
func (r *Run) others() int {
	if r.live == nil {
		r.m.mu.Lock()
		defer r.m.mu.Unlock()
		return r.m.watched[r.state.ID] - r.waits
	}
	r.live.mu.Lock()
	defer r.live.mu.Unlock()
	return r.live.waiters - r.waits
}

type noProgress struct{}

func (noProgress) Text(string) {}
func (noProgress) Line(string) {}

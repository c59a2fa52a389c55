package runs

import (
	"context"
	"time"
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
	// Now tells how a line stands that is still being written, for who watches. What it
	// comes to is a Text later.
	Now(line string)
}

// Follower is a Progress that keeps track of how far it was told, so that somebody
// else can go on from there.
type Follower interface {
	Progress
	// Upto has tell report a stretch that ends where the cursor of at is.
	Upto(at State, tell func())
}

// Upto has tell report to p a stretch that ends where the cursor of at is.
func Upto(p Progress, at State, tell func()) {
	if f, ok := p.(Follower); ok {
		f.Upto(at, tell)
		return
	}
	tell()
}

// Run is a run as somebody has read it so far.
type Run interface {
	// Kind says what the run does.
	Kind() Kind
	// Instance is the instance that the run is on, "" while it is not known.
	Instance() string
	// Handle gives the handle that reads on from here.
	Handle() string
	// Wait waits until the run has ended or stalls (or, with UntilNews, until
	// there is something to read), but no longer than ctx, and gives what is
	// new: at most limit bytes of text (0: all of a reply, 1 MiB of an output).
	// The end of ctx is not an error. The run itself goes on whatever happens to
	// the wait. p may be nil.
	Wait(ctx context.Context, until Until, limit int, p Progress) (*Update, error)
	// Cancel ends the run as far as the service allows, and returns what the
	// caller should know about that.
	Cancel(ctx context.Context) (note string, err error)
	// OtherWaits is how many waits for the same run are under way that are not
	// this reader's.
	OtherWaits() int
}

// Update is what a wait found.
type Update struct {
	Handle       string // reads on behind this update
	Kind         Kind
	Status       Status
	Instance     string
	Session      string
	About        string // the beginning of the message or command; "" where this process did not start the run
	Started      time.Time
	LastActivity time.Time // of the upstream; zero when unknown

	Text    string // the reply's text since the handle that was waited with
	Revised bool   // Text starts over, since what was read before has changed
	More    bool   // there is more to read at once
	Result  any    // what the run's kind tells besides: see the kind's package; nil where there is nothing yet

	Notes []string // what the caller should know besides
	Err   error    // of a failed run
}

// Listed is an Update.Result that lists of runs show something of.
type Listed interface {
	// InList gives what that is; nil: nothing.
	InList() any
}

// CancelUnlessShared cancels a run for a caller whose request was cancelled,
// unless another call is waiting for the same run.
func CancelUnlessShared(ctx context.Context, r Run) error {
	if r.OtherWaits() > 0 {
		return nil
	}
	_, err := r.Cancel(ctx)
	return err
}

// NoProgress discards what it is told.
type NoProgress struct{}

// Text discards s.
func (NoProgress) Text(string) {}

// Line discards s.
func (NoProgress) Line(string) {}

// Now discards line.
func (NoProgress) Now(string) {}

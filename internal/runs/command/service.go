// Package command is the runs of shell commands in an instance's sandbox:
// attached ones, which are one request to the service, and detached ones, which
// run on their own there and are followed through their files.
package command

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// Request is a command for an instance's sandbox.
type Request struct {
	Instance string
	Command  string
	Dir      string        // working directory; "" leaves it to the service
	Timeout  time.Duration // the command is ended after this long; 0 is the service's own limit, or none when detached
	Together bool          // what goes to stderr comes in stdout, in the order in which it was written
	Detach   bool          // run it on its own in the sandbox, so that it outlives every connection

	// IdempotencyKey has the command start once, however often the request comes; ""
	// has none.
	IdempotencyKey string

	// Wait is how long the caller is going to wait for a detached command. One
	// that ends soon enough and wrote no more than Inline bytes is then answered
	// by the request that started it.
	Wait    time.Duration
	Inline  int
	Watched bool // the output is to be seen as it comes

	// Begins is called with a detached command before anything is sent, so that its
	// handle can be out before it runs; nil: it is not.
	Begins func(runs.Run)
	Raw    bool // its caller wants the output as it is, whoever reads it in the end: see IsRaw
}

// Output is Update.Result of a command.
type Output struct {
	Stdout, Stderr client.Output // since the handle that was waited with
	ExitCode       *int          // nil while it runs, or when the service does not say
	TimedOut       bool
	Ended          bool  // at its time limit, it was seen to end: the service's word is not enough
	NotReady       bool  // the words may be those of a sandbox that is not ready, and the command did not run
	StdoutSize     int64 // bytes written so far, -1 when unknown
	StderrSize     int64
	Duration       time.Duration // 0 when unknown
	Kept           bool          // detached: all of its output is kept in the sandbox
	Truncated      bool          // the service says that it cut the output
	Unseen         bool          // the sandbox could not be asked how the command stands
	Redrawn        bool          // parts of lines that were written over are left out: see ReadPlain
}

// InList is what lists of runs show of an output: how the command ended.
func (o *Output) InList() any {
	if o.ExitCode == nil {
		return nil
	}
	return &Output{ExitCode: o.ExitCode, TimedOut: o.TimedOut, StdoutSize: -1, StderrSize: -1}
}

// Service runs commands, and takes them up from their handles.
type Service struct {
	m *runs.Manager
	c *client.Client

	// leastLook is how long the start of a command or a look at it may take, however
	// short the wait: who gives a run no time still wants to know how it stands. A
	// call makes one of each at most.
	leastLook time.Duration
	// beginWait is how long the request that starts a detached command waits for
	// its end: most commands end within it, and cost one request.
	beginWait time.Duration

	mu       sync.Mutex              // taken before the manager's lock
	detached map[string]lastSeen     // by id: the detached commands of this process
	noted    int                     // how many there were so far
	waits    map[string]int          // by id: how many waits for a detached command are under way
	starting map[string]*starting    // by id: detached commands whose start is under way, or was lately
	looks    map[lookKey]*look       // under way, or done and not read
	missing  map[string]missingTools // by instance
	limits   map[string]limits       // by instance: how much of an output its service returns
	tidied   map[string]time.Time    // by instance: when its ended commands' files were last cleared away
}

// lastSeen is how a detached command last stood.
type lastSeen struct {
	number    int // in the order in which commands came to be known
	update    runs.Update
	confirmed bool // its files were seen in the sandbox, or its answer came
}

// New makes the service, and registers it with the manager.
func New(m *runs.Manager) *Service {
	svc := &Service{
		m: m, c: m.Config.Client, leastLook: 5 * time.Second, beginWait: 2 * time.Second, looks: make(map[lookKey]*look),
		detached: make(map[string]lastSeen), waits: make(map[string]int), starting: make(map[string]*starting),
		missing: make(map[string]missingTools), limits: make(map[string]limits), tidied: make(map[string]time.Time),
	}
	if longest := m.Config.SoftDeadline; longest > 0 {
		svc.leastLook = min(svc.leastLook, longest*2/5)
	}
	m.Register(runs.Family{Open: svc.open, List: svc.list, Sweep: svc.sweep, Result: func() any { return new(Output) }}, runs.KindCommand)
	return svc
}

// Start runs a command. Attached, it is one POST terminal/exec, followed by this
// process; detached, it is started in the sandbox and followed through its files
// there. A sandbox that can't run it detached runs it attached, with a note that
// says so. A call that repeats an earlier one, by its key or since nobody answered it,
// is given that one's command.
func (svc *Service) Start(ctx context.Context, req Request) (s Started, err error) {
	svc.m.Sweep()
	req.Detach = (req.Detach || req.IdempotencyKey != "") && len(req.Command) <= maxDetached
	state := newState(req)
	if req.Detach {
		state.Flags |= flagDetached
	}
	c, err := svc.claim(ctx, req, state)
	if err != nil {
		return Started{}, err
	}
	s = Started{Run: c.run, Joined: c.joined, answered: c.end}
	if s.Run == nil {
		if s.Run, err = svc.begin(ctx, req, c.state, c.claim); err != nil {
			s.Answered()
			if c.claim != nil && c.joined == "" {
				svc.m.LetGo(ctx, c.claim)
			}
			return Started{}, err
		}
	}
	return s, nil
}

// begin starts a command that is not there yet.
func (svc *Service) begin(ctx context.Context, req Request, state runs.State, claim *runs.Claim) (runs.Run, error) {
	if state.Flags&flagDetached == 0 {
		a, err := svc.startAttached(ctx, req, state, claim)
		if err != nil {
			return nil, err
		}
		return a.reader(runs.State{}), nil
	}
	run, err := svc.startDetached(ctx, req, state, claim)
	if err != nil {
		return nil, err
	}
	if req.Wait > 0 {
		return run, nil
	}
	// Who does not wait for the command still wants to know that it started. A
	// caller that leaves meanwhile, or has waited enough, leaves the start to go on.
	b := run.starting
	least := time.NewTimer(svc.leastLook)
	defer least.Stop()
	select {
	case <-least.C:
	case <-b.settled:
		switch {
		case b.plain != "":
			return svc.m.Open(b.plain)
		case b.err != nil:
			return nil, b.err
		}
	case <-b.stopped:
	case <-ctx.Done():
	case <-svc.m.Base().Done():
	}
	return run, nil
}

func (svc *Service) open(state runs.State) (runs.Run, error) {
	if err := runs.NewDecoder(state.Own).End(); err != nil {
		return nil, err
	}
	if state.Flags&flagDetached != 0 {
		svc.mu.Lock()
		defer svc.mu.Unlock()
		return &detached{svc: svc, state: state, starting: svc.starting[state.ID]}, nil
	}
	l, err := svc.m.TakeUp(state, func(l *runs.Live) runs.Work { return &attached{Live: l} })
	if err != nil {
		return nil, err
	}
	return l.Work().(*attached).reader(state), nil
}

// list gives the detached commands as they were last seen.
func (svc *Service) list() []runs.Update {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	all := slices.SortedFunc(maps.Values(svc.detached), func(a, b lastSeen) int { return cmp.Compare(b.number, a.number) })
	out := make([]runs.Update, len(all))
	for i, seen := range all {
		out[i] = seen.update
	}
	return out
}

// seen remembers a detached command for the list, with a handle that reads it
// from the start.
func (svc *Service) seen(state runs.State, confirmed bool, u runs.Update) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	svc.note(state, confirmed, u)
}

// note is seen for who holds svc.mu.
func (svc *Service) note(state runs.State, confirmed bool, u runs.Update) {
	confirmed = confirmed || svc.isConfirmed(state)
	before, known := svc.detached[state.ID]
	if !known {
		svc.noted++
		before.number = svc.noted
	}
	last := before.update
	u.About = cmp.Or(u.About, last.About)
	o, ok := u.Result.(*Output)
	if ok && o.Unseen && last.Status != "" {
		u.Status, u.Err, u.LastActivity, u.Result = last.Status, last.Err, last.LastActivity, last.Result
		o, ok = u.Result.(*Output)
	}
	if confirmed {
		state.Flags |= flagConfirmed
	}
	state.Read, state.ReadErr = 0, 0
	var result any
	if ok {
		result = o.InList()
	}
	svc.detached[state.ID] = lastSeen{number: before.number, confirmed: confirmed, update: runs.Update{
		Handle: svc.m.Seal(state), Kind: runs.KindCommand, Status: u.Status, Instance: state.Instance,
		About: u.About, Started: state.Started, LastActivity: u.LastActivity, Err: u.Err, Result: result,
	}}
}

// about is the beginning of a command, "" where that is not known.
func (svc *Service) about(state runs.State) string {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	return svc.detached[state.ID].update.About
}

// knows reports whether it is known that a command was started in the sandbox.
func (svc *Service) knows(state runs.State) bool {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	return svc.isConfirmed(state)
}

// hasCompleted reports whether it is known that a command ended by itself.
func (svc *Service) hasCompleted(state runs.State) bool {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	return svc.detached[state.ID].update.Status == runs.StatusCompleted
}

// isConfirmed is knows for who holds svc.mu.
func (svc *Service) isConfirmed(state runs.State) bool {
	return state.Flags&flagConfirmed != 0 || svc.detached[state.ID].confirmed
}

// sweep forgets detached commands whose files are gone by now, and the oldest of
// too many.
func (svc *Service) sweep(now time.Time) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	for id, b := range svc.starting {
		keep := keepSent * time.Minute
		if b.plain != "" {
			keep = 2 * keepFiles * time.Minute
		}
		if b.isSettled() && now.Sub(b.began) > keep {
			delete(svc.starting, id)
		}
	}
	for key, l := range svc.looks {
		if l.isOver() && now.Sub(l.began) > keepLooks {
			delete(svc.looks, key)
		}
	}
	for id, seen := range svc.detached {
		if now.Sub(seen.update.Started) > 2*keepFiles*time.Minute {
			delete(svc.detached, id)
		}
	}
	if over := len(svc.detached) - runs.MaxKept; over > 0 {
		ids := slices.SortedFunc(maps.Keys(svc.detached), func(a, b string) int {
			return svc.detached[a].update.Started.Compare(svc.detached[b].update.Started)
		})
		for _, id := range ids[:over] {
			delete(svc.detached, id)
		}
	}
}

package runs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
)

// Config is what a Manager works with.
type Config struct {
	Client     *client.Client
	APIKey     string        // the handles are sealed with a key derived from it
	Principal  string        // who the runs belong to; bound into the handles
	StallAfter time.Duration // silence after which a run counts as stalled (3 min)
	Limit      int           // runs that may be under way in this process at once; 0: any number
	Texts      *Budget       // of what their messages and replies take; nil: one of its own
	Log        *slog.Logger
	Fleet      fleet.Fleet // what the principal's processes share; nil: this one is alone
	OfKey      fleet.Fleet // what all callers of the key share; nil: nobody else has it

	// TookOver is told of a run of a process that is gone, which this one does instead;
	// nil: nobody is.
	TookOver func(Kind)

	SoftDeadline time.Duration // the longest that a call waits; 0: not known

	// Carry gives to what is to outlive the call that started a run, such as its
	// trace; nil: nothing. It must keep nothing else of from, which is the call's.
	Carry func(from, to context.Context) context.Context
}

// Manager follows the runs of one principal.
type Manager struct {
	Config Config // as given, with defaults; read it only

	seal     *sealer
	base     context.Context
	stop     context.CancelFunc
	wg       sync.WaitGroup
	families []Family
	presence presence
	opens    map[Kind]func(State) (Run, error)
	results  map[Kind]func() any

	mu      sync.Mutex       // taken before a run's own, never after it
	live    map[string]*Live // by id: in flight, and ended ones for a while
	kept    map[string]*Live // by id: see KeepResult
	swept   time.Time
	started int64 // runs so far
}

// Family is what the package of a kind of runs gives the manager. None of its
// functions is called with a lock of the manager held.
type Family struct {
	Open  func(State) (Run, error) // takes up the run of a handle
	List  func() []Update          // runs that no Live follows; nil: there are none
	Sweep func(now time.Time)      // forgets what is old; nil: nothing is kept
	// Result gives what a run's Result is read into that another process lists; nil: lists
	// show nothing of it.
	Result func() any
}

const (
	keepEnded    = time.Hour // how long an ended run is kept in memory
	maxKeptBytes = 64 << 20  // of ended runs' texts and outputs
	sweepEvery   = time.Second

	// MaxKept is how many ended runs are kept at once.
	MaxKept = 1000
)

// ErrClosed is the answer to a run started while the manager closes.
var ErrClosed = errors.New("the server is shutting down: nothing was sent")

// NewManager makes a manager that knows no kinds of runs yet: each kind's
// package registers its own. Close it to stop following its runs.
func NewManager(cfg Config) (*Manager, error) {
	if cfg.StallAfter <= 0 {
		cfg.StallAfter = 3 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Fleet == nil {
		cfg.Fleet = fleet.Alone()
	}
	if cfg.OfKey == nil {
		cfg.OfKey = cfg.Fleet
	}
	if cfg.Texts == nil {
		cfg.Texts = NewBudget(DefaultTexts)
	}
	s, err := newSealer(cfg.APIKey, cfg.Principal)
	if err != nil {
		return nil, err
	}
	m := &Manager{Config: cfg, seal: s, live: make(map[string]*Live), kept: make(map[string]*Live), opens: make(map[Kind]func(State) (Run, error)), results: make(map[Kind]func() any)}
	m.base, m.stop = context.WithCancel(context.Background())
	cfg.Texts.join(m)
	return m, nil
}

// Register adds kinds of runs. It is for the time before the first run.
func (m *Manager) Register(f Family, of ...Kind) {
	m.families = append(m.families, f)
	for _, k := range of {
		m.opens[k], m.results[k] = f.Open, f.Result
	}
}

// Close stops following all runs and waits for that. The runs themselves go on
// upstream, and their handles stay good. Waits that are under way return.
func (m *Manager) Close() {
	m.mu.Lock() // nothing starts between the two
	m.stop()
	m.mu.Unlock()
	m.wg.Wait()
	m.Config.Texts.leave(m)
}

// Base is done when the manager closes.
func (m *Manager) Base() context.Context { return m.base }

// Outlive is Base with what a call hands on to its run.
func (m *Manager) Outlive(call context.Context) context.Context { return m.carry(call, m.base) }

func (m *Manager) carry(call, to context.Context) context.Context {
	if m.Config.Carry == nil {
		return to
	}
	return m.Config.Carry(call, to)
}

// Go runs work in a goroutine that Close waits for, or reports ErrClosed.
func (m *Manager) Go(work func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return ErrClosed
	}
	m.appear()
	m.wg.Go(work)
	return nil
}

// Seal gives the handle of a state.
func (m *Manager) Seal(s State) string { return m.seal.seal(s) }

// Pack is Seal for what stays among the principal's processes, which seal it as they
// go: see [Config].Fleet.
func (m *Manager) Pack(s State) []byte { return s.marshal() }

// Unpack reads what Pack wrote.
func (m *Manager) Unpack(b []byte) (State, error) { return unmarshalHandle(b) }

// Inspect reads a handle and starts nothing. It reports ErrHandle for a handle
// that is not this principal's.
func (m *Manager) Inspect(handle string) (State, error) { return m.seal.open(handle) }

// Open finds the run of a handle, and takes it up where this process does not
// know it. It reports ErrHandle for a handle that is not this principal's.
func (m *Manager) Open(handle string) (Run, error) {
	state, err := m.seal.open(handle)
	if err != nil {
		return nil, err
	}
	open, ok := m.opens[state.Kind]
	if !ok {
		return nil, fmt.Errorf("runs of the kind %q are not available here", state.Kind)
	}
	m.Sweep()
	return open(state)
}

// NewID makes a run's id.
func NewID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// NewState begins the state of a run that starts now.
func NewState(kind Kind, instance string) State {
	return State{Kind: kind, ID: NewID(), Instance: instance, Started: time.Now().Truncate(time.Second)}
}

// Start registers a run and has do follow it, in a goroutine and with a context
// of the run's own.
func (m *Manager) Start(call context.Context, l *Live, w Work, do func(context.Context)) (err error) {
	l.work = w
	l.message = l.size()
	if !m.Config.Texts.reserve(l, textCopies*l.message) {
		return fmt.Errorf("%w: the messages and replies of all runs in this server take as much memory as they may; %s", ErrLimit, nextRun)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		if err != nil {
			m.Config.Texts.setDropped(l, true)
		}
	}()
	if m.base.Err() != nil {
		return ErrClosed
	}
	if err := m.mayStart(l.message); err != nil {
		return err
	}
	m.register(l, w)
	l.ctx = m.carry(call, l.ctx)
	m.offer(l)
	m.appear()
	m.follow(l, do)
	return nil
}

// TakeUp finds the run of a state. Where this process does not follow it, the
// run that begin makes is registered and resumed.
func (m *Manager) TakeUp(state State, begin func(*Live) Work) (*Live, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.live[state.ID]; ok {
		return l, nil
	}
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	if err := m.mayTakeUp(); err != nil {
		return nil, err
	}
	state.Read, state.ReadErr, state.Check = 0, 0, 0
	l := m.NewLive(state)
	l.resumed.Store(true)
	l.takenUp = time.Now()
	w := begin(l)
	m.register(l, w)
	m.follow(l, l.resume)
	return l, nil
}

// register adds a run to those that are kept; m.mu is held.
func (m *Manager) register(l *Live, w Work) {
	m.started++
	l.number, l.work = m.started, w
	l.ctx, l.cancel = context.WithCancel(m.base)
	m.live[l.state.ID] = l
}

// follow runs do on the run's own goroutine and context; m.mu is held.
func (m *Manager) follow(l *Live, do func(context.Context)) {
	ctx, cancel := l.ctx, l.cancel
	m.wg.Go(func() {
		defer cancel()
		do(ctx)
		// A run whose following was stopped, by Close for one, has not ended: it
		// has only lost its follower.
		if ctx.Err() == nil {
			l.End(StatusFailed, errors.New("the run ended without saying how"))
		}
		m.Config.Texts.settle(l)
	})
}

// revive follows a run again that was left.
func (m *Manager) revive(l *Live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.mu.Lock()
	left := l.left && m.base.Err() == nil
	if left {
		l.left = false
		l.ctx, l.cancel = context.WithCancel(m.base)
	}
	l.mu.Unlock()
	if left {
		m.Config.Texts.setDropped(l, false)
		m.live[l.state.ID] = l
		m.follow(l, l.resume)
	}
}

// resume follows a run that was taken up, unless its end is known: from the process that has
// it, and where none does, from what its handle says.
func (l *Live) resume(ctx context.Context) {
	if !l.endKept(ctx) && !l.FollowOwner(ctx) && ctx.Err() == nil {
		l.work.Resume(ctx)
	}
}

// All gives the runs in memory that are followed here, newest first.
func (m *Manager) All() []*Live {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*Live, 0, len(m.live))
	for _, l := range m.live {
		all = append(all, l)
	}
	slices.SortFunc(all, newestFirst)
	return all
}

func newestFirst(a, b *Live) int { return cmp.Compare(b.number, a.number) }

// List gives the runs that this process knows of, newest first.
func (m *Manager) List() []Update {
	var out []Update
	for _, f := range m.families {
		if f.List != nil {
			out = append(out, f.List()...)
		}
	}
	for _, l := range m.All() {
		out = append(out, l.summary())
	}
	newestStarts(out)
	return out
}

// newestStarts sorts runs by their start. Those count whole seconds, so the order in
// which they come decides first.
func newestStarts(all []Update) {
	slices.SortStableFunc(all, func(a, b Update) int { return b.Started.Compare(a.Started) })
}

// Census counts the runs in memory by kind and status.
func (m *Manager) Census() map[Kind]map[Status]int {
	m.Sweep()
	counts := make(map[Kind]map[Status]int)
	for _, u := range m.List() {
		if counts[u.Kind] == nil {
			counts[u.Kind] = make(map[Status]int)
		}
		counts[u.Kind][u.Status]++
	}
	return counts
}

// Knows reports whether this process keeps a run.
func (m *Manager) Knows(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live[id] != nil
}

// Sweep forgets what ended long ago, and the oldest of what takes too much
// room. The kinds' packages call it when they start a run, before they take
// locks of their own.
func (m *Manager) Sweep() {
	if now := time.Now(); m.sweep(now) {
		for _, f := range m.families {
			if f.Sweep != nil {
				f.Sweep(now)
			}
		}
	}
}

func (m *Manager) sweep(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.swept) < sweepEvery {
		return false
	}
	m.swept = now
	var ended []*Live
	for l := range m.all() {
		if at, over := l.endedAt(); over && now.Sub(at) > keepEnded {
			m.drop(l)
		} else if over {
			ended = append(ended, l)
		}
	}
	slices.SortFunc(ended, newestFirst)
	bytes := 0
	for i, l := range ended {
		bytes += l.size()
		if i >= MaxKept || bytes > maxKeptBytes && i > 0 {
			m.drop(l)
		}
	}
	return true
}

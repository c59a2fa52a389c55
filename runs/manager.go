package runs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/client"
)

// Config is what a Manager works with.
type Config struct {
	Client     *client.Client
	APIKey     string        // the handles are sealed with a key derived from it
	Principal  string        // who the runs belong to; bound into the handles
	StallAfter time.Duration // silence after which a run counts as stalled (3 min)
	Log        *slog.Logger

	// TransferRoots are the folders of this machine that transfers may touch;
	// none: there are no transfers, and their handles are not taken up.
	TransferRoots []string
	// AllowPath reports why a transfer may not touch a path of an instance; nil:
	// it may touch all.
	AllowPath func(path string) error

	// Carry gives to what is to outlive the call that started a run, such as its
	// trace; nil: nothing. It must keep nothing else of from, which is the call's.
	Carry func(from, to context.Context) context.Context
}

// Manager starts and follows the runs of one principal.
type Manager struct {
	cfg  Config
	c    *client.Client
	seal *sealer
	log  *slog.Logger

	base context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	timing timing

	mu         sync.Mutex            // taken before a run's own, never after it
	live       map[string]*live      // by id: in flight, and ended ones for a while
	keys       map[string]keyed      // idempotency keys by instance and key
	detached   map[string]Update     // background commands of this process, as last seen
	watched    map[string]int        // by id: how many waits for a background command are under way
	begun      map[string]*beginning // by id: background commands whose start is under way
	lacks      map[string]lack       // by instance: what it needs and has not to detach commands
	sweptFiles map[string]time.Time  // by instance: when its ended commands' files were last cleared away
	busy       map[string][]*live    // chat runs in flight by instance and session, in order
	sessions   map[string]string     // the session that is used when none is named, by instance
	resolve    map[string]*turns     // serialises finding or making that session
	swept      time.Time
	started    int64 // runs so far
}

// keyed is the run that an idempotency key started.
type keyed struct {
	what  uint64      // hash of the message and the session it was for
	run   *live       // nil once the run is no longer in memory
	state handleState // what takes it up again then
	ended time.Time   // when it went from memory
}

const (
	keepEnded    = time.Hour      // how long an ended run is kept in memory
	keepKeys     = 24 * time.Hour // how long an idempotency key is remembered
	maxKept      = 1000           // ended runs kept at once
	maxKeptBytes = 64 << 20       // of their texts and outputs
	sweepEvery   = time.Second
)

// timing is the pauses and patience of a manager, which tests shorten.
type timing struct {
	pollMin, pollMax time.Duration // bounds of the pause between two looks upstream

	// settle is how long a reply must stand unchanged in the history to count
	// as complete when no end marker said so: the service may store a reply in
	// several messages.
	settle time.Duration
	// appear is how long a message of unknown fate may take to show up in the
	// history of a service that answers.
	appear time.Duration
	// lag is how long a history may be behind a stream that has ended.
	lag time.Duration
	// unclear is how long to look at a history in which the reply can't be told
	// from that to another message.
	unclear time.Duration
	// patience is how long the history may have nothing new after a stream that
	// ended without an end marker.
	patience time.Duration
	// giveUp ends the following of what never comes.
	giveUp time.Duration
	// idle ends the following of a run that was taken up and then left.
	idle time.Duration
}

var defaultTiming = timing{
	pollMin: 100 * time.Millisecond, pollMax: 3 * time.Second,
	settle: 500 * time.Millisecond, appear: 10 * time.Second, lag: 5 * time.Second, unclear: time.Minute,
	patience: 30 * time.Minute, giveUp: 2 * time.Hour, idle: 5 * time.Minute,
}

// NewManager makes a manager. Close it to stop following its runs.
func NewManager(cfg Config) (*Manager, error) {
	if cfg.StallAfter <= 0 {
		cfg.StallAfter = 3 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := newSealer(cfg.APIKey, cfg.Principal)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: cfg, c: cfg.Client, seal: s, log: cfg.Log,
		timing: defaultTiming,
		live:   make(map[string]*live), keys: make(map[string]keyed), busy: make(map[string][]*live),
		detached: make(map[string]Update), watched: make(map[string]int), begun: make(map[string]*beginning),
		lacks: make(map[string]lack), sweptFiles: make(map[string]time.Time),
		sessions: make(map[string]string), resolve: make(map[string]*turns),
	}
	m.base, m.stop = context.WithCancel(context.Background())
	return m, nil
}

// Close stops following all runs and waits for that. The runs themselves go on
// upstream, and their handles stay good. Waits that are under way return.
func (m *Manager) Close() {
	m.mu.Lock() // nothing starts between the two
	m.stop()
	m.mu.Unlock()
	m.wg.Wait()
}

// ErrClosed is the answer to a run started while the manager closes.
var ErrClosed = errors.New("the server is shutting down: nothing was sent")

// Open finds the run of a handle, and takes it up where this process does not
// know it. It reports ErrHandle for a handle that is not this principal's.
func (m *Manager) Open(handle string) (*Run, error) {
	state, err := m.seal.open(handle)
	if err != nil {
		return nil, err
	}
	r := &Run{m: m, state: state}
	m.mu.Lock()
	defer m.mu.Unlock()
	if state.Kind == KindCommand && state.Detached {
		r.begun = m.begun[state.ID]
		return r, nil
	}
	if r.live, err = m.takeUp(state); err != nil {
		return nil, err
	}
	return r, nil
}

// takeUp gives the live run of a state, and begins to follow it where this
// process does not; m.mu is held.
func (m *Manager) takeUp(state handleState) (*live, error) {
	if l, ok := m.live[state.ID]; ok {
		return l, nil
	}
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	if err := m.mayTransfer(state); err != nil {
		return nil, err
	}
	read, check := state.Read, state.Check
	state.Read, state.ReadErr, state.Check = 0, 0, 0
	l := m.newLive(state)
	l.resumed, l.hintRead, l.hintCheck = true, read, check
	switch state.Kind {
	case KindChat:
		m.claim(state.Instance+"\x00"+state.Session, l)
		m.start(l, l.resumeChat)
	case KindCreate:
		m.start(l, l.resumeCreate)
	case KindUpload, KindDownload:
		m.start(l, l.moveFiles)
	case KindCommand:
		l.end(StatusFailed, &client.Error{
			Op:      "POST /instances/{id}/terminal/exec",
			Message: "this command was run by a server process that is gone, and its outcome with it: it may have ended or may still run; check its effects before repeating it",
			Outcome: client.OutcomeUnknown,
		})
	}
	return l, nil
}

// claim notes that a chat run is in flight, and gives those that were before it
// in the same place; m.mu is held.
func (m *Manager) claim(place string, l *live) (before []*live) {
	before = m.inFlight(place)
	m.busy[place] = append(slices.Clip(before), l)
	return before
}

// inFlight gives the chat runs of a place that have not ended; m.mu is held.
func (m *Manager) inFlight(place string) []*live {
	var list []*live
	for _, l := range m.busy[place] {
		if _, over := l.endedAt(); !over {
			list = append(list, l)
		}
	}
	if list == nil {
		delete(m.busy, place)
	} else {
		m.busy[place] = list
	}
	return list
}

// List gives the runs that this process knows of, newest first.
func (m *Manager) List() []Update {
	m.mu.Lock()
	all := make([]*live, 0, len(m.live))
	for _, l := range m.live {
		all = append(all, l)
	}
	out := make([]Update, 0, len(all)+len(m.detached))
	for _, u := range m.detached {
		out = append(out, u)
	}
	m.mu.Unlock()
	// Starts count whole seconds, so the order of starting decides first.
	slices.SortFunc(all, func(a, b *live) int { return cmp.Compare(b.number, a.number) })
	for _, l := range all {
		out = append(out, l.summary())
	}
	slices.SortStableFunc(out, func(a, b Update) int { return b.Started.Compare(a.Started) })
	return out
}

// seen remembers a background command for List, with a handle that reads it
// from the start.
func (m *Manager) seen(state handleState, u Update) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(state, u)
}

// note is seen for who holds m.mu.
func (m *Manager) note(state handleState, u Update) {
	state.Read, state.ReadErr = 0, 0
	m.sweep(time.Now())
	m.detached[state.ID] = Update{
		Handle: m.seal.seal(state), Kind: KindCommand, Status: u.Status, Instance: state.Instance,
		Started: state.Started, LastActivity: u.LastActivity, Err: u.Err,
		Notes: []string{"as last seen; wait_run looks again"},
	}
}

// newID makes a run's id.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// newLive registers a run; m.mu is held.
func (m *Manager) newLive(state handleState) *live {
	now := time.Now()
	m.started++
	l := &live{m: m, number: m.started, state: state, status: StatusRunning, lastActivity: now, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(m.base)
	m.sweep(now)
	m.live[state.ID] = l
	return l
}

// start runs work on the run's own goroutine and context; m.mu is held.
func (m *Manager) start(l *live, work func(context.Context)) {
	ctx, cancel := l.ctx, l.cancel
	m.wg.Go(func() {
		defer cancel()
		work(ctx)
		// A run whose following was stopped, by Close for one, has not ended: it
		// has only lost its follower.
		if ctx.Err() == nil {
			l.end(StatusFailed, errors.New("the run ended without saying how"))
		}
	})
}

// leave lets go of a run that nobody waits for. A wait revives it, or its
// handle takes it up again.
func (m *Manager) leave(l *live) (left bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters > 0 {
		return false
	}
	l.left = true
	l.cancel()
	delete(m.live, l.state.ID)
	return true
}

// revive follows a run again that was left.
func (m *Manager) revive(l *live) {
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
		m.live[l.state.ID] = l
		m.start(l, l.resumeChat)
	}
}

// sweep forgets what ended long ago, and the oldest of what takes too much
// room; m.mu is held.
func (m *Manager) sweep(now time.Time) {
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	var ended []*live
	for id, l := range m.live {
		if at, over := l.endedAt(); over && now.Sub(at) > keepEnded {
			delete(m.live, id)
		} else if over {
			ended = append(ended, l)
		}
	}
	slices.SortFunc(ended, func(a, b *live) int { return cmp.Compare(b.number, a.number) })
	bytes := 0
	for i, l := range ended {
		bytes += l.size()
		if i >= maxKept || bytes > maxKeptBytes && i > 0 {
			delete(m.live, l.state.ID)
		}
	}
	m.sweepDetached(now)
	for k, e := range m.keys {
		switch {
		case e.run == nil:
			if now.Sub(e.ended) > keepKeys {
				delete(m.keys, k)
			}
		case m.live[e.state.ID] != e.run && e.run.neverSent():
			delete(m.keys, k)
		case m.live[e.state.ID] != e.run:
			e.state = e.run.fill(handleState{})
			e.run, e.ended = nil, now
			m.keys[k] = e
		}
	}
	for place := range m.busy {
		m.inFlight(place)
	}
}

// sweepDetached forgets background commands whose files are gone by now, and
// the oldest of too many; m.mu is held.
func (m *Manager) sweepDetached(now time.Time) {
	for id, u := range m.detached {
		if now.Sub(u.Started) > 2*keepFiles*time.Minute {
			delete(m.detached, id)
		}
	}
	if over := len(m.detached) - maxKept; over > 0 {
		ids := slices.SortedFunc(maps.Keys(m.detached), func(a, b string) int {
			return m.detached[a].Started.Compare(m.detached[b].Started)
		})
		for _, id := range ids[:over] {
			delete(m.detached, id)
		}
	}
}

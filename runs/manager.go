package runs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
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

	mu       sync.Mutex
	live     map[string]*live       // by id: in flight, and ended ones for a while
	keys     map[string]keyed       // idempotency keys by instance and key
	detached map[string]Update      // background commands of this process, as last seen
	last     map[string]*live       // the newest chat run by instance and session
	sessions map[string]string      // the session that is used when none is named, by instance
	resolve  map[string]*sync.Mutex // serialises finding or making that session
}

// keyed is the run that an idempotency key started.
type keyed struct {
	run  *live
	what uint64 // hash of the message and the session it was for
}

const (
	keepEnded = time.Hour      // how long an ended run is kept in memory
	keepKeys  = 24 * time.Hour // how long an idempotency key is remembered
	maxKept   = 1000           // ended runs kept at once
)

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
		live: make(map[string]*live), keys: make(map[string]keyed), last: make(map[string]*live),
		detached: make(map[string]Update),
		sessions: make(map[string]string), resolve: make(map[string]*sync.Mutex),
	}
	m.base, m.stop = context.WithCancel(context.Background())
	return m, nil
}

// Close stops following all runs and waits for that. The runs themselves go on
// upstream, and their handles stay good.
func (m *Manager) Close() {
	m.stop()
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
	if state.Kind == KindCommand && state.Detached {
		return r, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.live[state.ID]; ok {
		r.live = l
		return r, nil
	}
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	l := m.newLive(state)
	l.resumed = true
	switch state.Kind {
	case KindChat:
		m.start(l, l.resumeChat)
	case KindCreate:
		m.start(l, l.resumeCreate)
	case KindCommand:
		l.end(StatusFailed, &client.Error{
			Op:      "POST /instances/{id}/terminal/exec",
			Message: "this command was run by a server process that is gone, and its outcome with it: it may have ended or may still run; check its effects before repeating it",
			Outcome: client.OutcomeUnknown,
		})
	}
	r.live = l
	return r, nil
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
	for _, l := range all {
		out = append(out, l.summary())
	}
	slices.SortFunc(out, func(a, b Update) int { return b.Started.Compare(a.Started) })
	return out
}

// seen remembers a background command for List, with a handle that reads it
// from the start.
func (m *Manager) seen(state handleState, u Update) {
	state.Read, state.ReadErr = 0, 0
	m.mu.Lock()
	defer m.mu.Unlock()
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
	l := &live{m: m, state: state, status: StatusRunning, lastActivity: now, changed: make(chan struct{}), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(m.base)
	m.sweep(now)
	m.live[state.ID] = l
	return l
}

// start runs work on the run's own goroutine and context.
func (m *Manager) start(l *live, work func(context.Context)) {
	m.wg.Go(func() {
		defer l.cancel()
		work(l.ctx)
		// A run whose following was stopped by Close has not ended: it has only
		// lost its follower.
		if m.base.Err() == nil {
			l.end(StatusFailed, errors.New("the run ended without saying how"))
		}
	})
}

// sweep forgets what ended long ago; m.mu is held.
func (m *Manager) sweep(now time.Time) {
	var ended []*live
	for id, l := range m.live {
		if at, ok := l.endedAt(); ok {
			if now.Sub(at) > keepEnded {
				delete(m.live, id)
			} else {
				ended = append(ended, l)
			}
		}
	}
	if len(ended) > maxKept {
		slices.SortFunc(ended, func(a, b *live) int { return a.state.Started.Compare(b.state.Started) })
		for _, l := range ended[:len(ended)-maxKept] {
			delete(m.live, l.state.ID)
		}
	}
	for id, u := range m.detached {
		if now.Sub(u.Started) > keepFiles*time.Minute || len(m.detached) > maxKept {
			delete(m.detached, id)
		}
	}
	for k, e := range m.keys {
		if at, ok := e.run.endedAt(); ok && now.Sub(at) > keepKeys {
			delete(m.keys, k)
		}
	}
	for k, l := range m.last {
		if _, ok := l.endedAt(); ok {
			delete(m.last, k)
		}
	}
}

package terminals

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
)

// Defaults of [Config].
const (
	DefaultLimit = 8
	DefaultIdle  = 30 * time.Minute
)

// firstWord is how long Open waits for the service to say anything.
const firstWord = 3 * time.Second

// Config is what a Manager needs.
type Config struct {
	Client    *client.Client
	APIKey    string // seals the handles
	Principal string // whose terminals they are
	Family    client.TerminalFamily
	Limit     int           // open terminals at most; 0: DefaultLimit
	Idle      time.Duration // a terminal is closed after so long without a call; 0: DefaultIdle
	Directory Directory     // nil: in memory
	Budget    *Budget       // of what the terminals take, shared by the process; nil: one of its own
	Fleet     fleet.Fleet   // processes that can use each other's terminals; nil: this one is alone
	Log       *slog.Logger
}

// Manager holds the terminals of one principal. It is safe for concurrent use.
type Manager struct {
	cfg    Config
	owner  string // this process
	sealer *sealer

	mu     sync.Mutex
	closed bool
	open   map[string]*terminal // of this process, also those that are being opened (nil)
	ended  []string             // ids that can still be read, oldest first
	all    map[string]*terminal
	adopts map[string]chan struct{} // adoptions under way, by id
	served map[string]func()        // to other processes, by id; calls end it
}

// NewManager makes a manager.
func NewManager(cfg Config) (*Manager, error) {
	cfg.Limit = cmp.Or(cfg.Limit, DefaultLimit)
	cfg.Idle = cmp.Or(cfg.Idle, DefaultIdle)
	if cfg.Directory == nil {
		cfg.Directory = NewMemory()
	}
	if cfg.Budget == nil {
		cfg.Budget = NewBudget(DefaultBytes)
	}
	if cfg.Fleet == nil {
		cfg.Fleet = fleet.Alone()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := newSealer(cfg.APIKey, cfg.Principal)
	if err != nil {
		return nil, err
	}
	return &Manager{cfg: cfg, owner: newID(), sealer: s, open: map[string]*terminal{}, all: map[string]*terminal{}, adopts: map[string]chan struct{}{}, served: map[string]func(){}}, nil
}

func newID() string {
	b := make([]byte, idLength)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

// ErrLimit says that a caller has as many terminals open as it may have.
var ErrLimit = errors.New("too many terminals are open")

// ErrClosed says that the server is ending.
var ErrClosed = errors.New("this server is shutting down")

// Open opens a terminal of an instance and gives its handle. Where the instance
// has a program for that, it keeps the shell, and any process with the handle
// can go on with it. Open waits for the service's first word, for a moment; a
// service that refuses the terminal by then is an error.
func (m *Manager) Open(ctx context.Context, instance string, cols, rows int) (string, Session, error) {
	id := newID()
	if err := m.reserve(id, cols, rows); err != nil {
		return "", nil, err
	}
	o := client.TerminalOptions{Cols: cols, Rows: rows, Family: m.cfg.Family}
	conn, p, shown, err := m.connect(ctx, instance, id, o)
	if err != nil {
		m.release(id, false)
		return "", nil, err
	}
	t := m.newTerminal(id, instance, o, conn, p)
	if shown != nil {
		t.show(shown)
		t.log.add(shown.text(), true)
	}
	if err := m.enter(t); err != nil {
		return "", nil, err
	}
	m.cfg.Log.Debug("a terminal was opened", "instance", instance, "family", string(conn.Family()), "keeper", p.keeper)
	if err := t.settle(ctx); err != nil {
		_, _ = t.Close(ctx)
		m.forget(id)
		return "", nil, err
	}
	return m.sealer.seal(handleState{owner: m.owner, id: id, instance: instance, kept: p.keeper != ""}), t, nil
}

// connect starts a shell, within a keeper where there is one.
func (m *Manager) connect(ctx context.Context, instance, id string, o client.TerminalOptions) (link, place, *snapshot, error) {
	typed := "" // what was typed for a keeper has this in it
	if o.Family != client.TerminalLines {
		p, err := m.prepare(ctx, instance, id, true, o.Cols, o.Rows)
		if err != nil {
			m.cfg.Log.Debug("no keeper for a terminal", "instance", instance, "err", err)
		}
		if p.keeper != "" {
			conn, shown, err := m.attach(ctx, instance, id, o, p, true)
			var refused *client.Error
			if err == nil {
				return conn, p, shown, nil
			}
			if errors.As(err, &refused) && !errors.Is(err, errNotKept) {
				return nil, place{}, nil, err
			}
			m.cfg.Log.Debug("the keeper of a terminal can't be reached", "instance", instance, "keeper", p.keeper, "err", err)
			_ = m.end(context.WithoutCancel(ctx), instance, id)
			typed = p.dir
		}
	}
	conn, err := m.cfg.Client.Terminal.Open(ctx, instance, o)
	if err != nil || typed == "" {
		return conn, place{}, nil, err
	}
	return &tidyLink{link: conn, dir: typed}, place{}, nil, nil
}

// reserve takes one of the terminals that may be open, and room for it.
func (m *Manager) reserve(id string, cols, rows int) error {
	if err := m.count(id); err != nil {
		return err
	}
	if err := m.cfg.Budget.reserve(id, cols, rows); err != nil {
		m.release(id, false)
		return err
	}
	return nil
}

func (m *Manager) count(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return ErrClosed
	case len(m.open) >= m.cfg.Limit:
		return fmt.Errorf("%w: %d, the most that one caller may have; close_terminal ends one", ErrLimit, m.cfg.Limit)
	}
	m.open[id] = nil
	return nil
}

func (m *Manager) newTerminal(id, instance string, o client.TerminalOptions, conn link, p place) *terminal {
	return &terminal{
		manager: m, id: id, instance: instance, place: p, options: o, idle: m.cfg.Idle, looked: time.Now(),
		conn: conn, screen: newScreen(o.Cols, o.Rows), status: StatusOpen, onEnd: func() { m.release(id, true) },
	}
}

// enter makes a terminal that has a reservation one of the open ones.
func (m *Manager) enter(t *terminal) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		m.cfg.Budget.release(t.id)
		_ = t.conn.Close()
		return ErrClosed
	}
	m.open[t.id], m.all[t.id] = t, t
	m.cfg.Directory.Put(t.id, t)
	t.start()
	m.mu.Unlock()
	m.cfg.Budget.settle(t)
	m.serve(t)
	return nil
}

// settle waits for the first word. A terminal that ended before it is an error.
func (t *terminal) settle(ctx context.Context) error {
	timer := time.NewTimer(firstWord)
	defer timer.Stop()
	for {
		t.mu.Lock()
		heard, failure, open, changed := t.heard, t.failure, t.status == StatusOpen, t.change()
		blank := t.log.end() == 0 && !t.screen.fullScreen()
		t.mu.Unlock()
		switch {
		case failure != nil && blank:
			return failure
		case heard || !open:
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Find gives the terminal of a handle and the instance it belongs to. One that
// this process does not have yet is looked for when it is used.
func (m *Manager) Find(handle string) (Session, string, error) {
	h, err := m.sealer.open(handle)
	if err != nil {
		return nil, "", err
	}
	if s, ok := m.cfg.Directory.Get(h.id); ok {
		return s, h.instance, nil
	}
	if !h.kept && h.owner == m.owner {
		return nil, h.instance, ErrGone
	}
	return &distant{m, h}, h.instance, nil
}

// release takes a terminal out of the open ones. It can be read for a while, if
// it came to be at all: as long as there are not as many newer ones.
func (m *Manager) release(id string, readable bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, id)
	if !readable {
		m.cfg.Budget.release(id)
		return
	}
	m.ended = append(m.ended, id)
	for len(m.ended) > m.cfg.Limit {
		m.forgetLocked(m.ended[0])
	}
}

func (m *Manager) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(id)
}

func (m *Manager) forgetLocked(id string) {
	m.cfg.Directory.Remove(id)
	m.cfg.Budget.release(id)
	delete(m.all, id)
	if stop := m.served[id]; stop != nil {
		stop()
		delete(m.served, id)
	}
	for i, e := range m.ended {
		if e == id {
			m.ended = append(m.ended[:i:i], m.ended[i+1:]...)
			return
		}
	}
}

// Close closes all terminals and waits for it.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	var all []*terminal
	for id, t := range m.all {
		all = append(all, t)
		m.cfg.Directory.Remove(id)
		m.cfg.Budget.release(id)
	}
	for _, stop := range m.served {
		stop()
	}
	clear(m.served)
	m.mu.Unlock()
	var wg sync.WaitGroup
	for _, t := range all {
		wg.Go(func() {
			t.leave("closed at the end of this process of the server")
			t.work.Wait()
		})
	}
	wg.Wait()
}

// Memory is a Directory of this process alone.
type Memory struct {
	mu   sync.Mutex
	list map[string]Session
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{list: map[string]Session{}} }

// Put implements [Directory].
func (d *Memory) Put(id string, s Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list[id] = s
}

// Get implements [Directory].
func (d *Memory) Get(id string) (Session, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.list[id]
	return s, ok
}

// Remove implements [Directory].
func (d *Memory) Remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.list, id)
}

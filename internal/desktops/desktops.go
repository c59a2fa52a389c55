// Package desktops looks at and acts on the remote desktops of one principal:
// it keeps their connections, remembers which picture of each was shown last,
// and translates places of that picture into places of the screen.
//
// [Local] is the desktops of one process, and [Shared] has the processes of a
// fleet use each other's.
package desktops

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/rfb"
)

// Desktops is the desktops of one principal.
type Desktops interface {
	// Capture takes a picture of an instance's desktop.
	Capture(ctx context.Context, instance string, r Request) (Picture, error)
	// Act uses the pointer or the keyboard of a desktop, or waits for it.
	// It is refused with a *hand.HeldError while a person has the desktop.
	Act(ctx context.Context, instance string, a Action) (Outcome, error)
	// Live gives a page what has changed since what it has seen, and waits so long for it.
	Live(ctx context.Context, instance string, seen Seen, wait time.Duration) (Frame, error)
	// Use does what a person does in a page, whose turn it is from then on. It gives how
	// long that lasts without more; take only begins it, give ends it.
	Use(ctx context.Context, instance string, events []Event, take, give bool) (time.Duration, error)
	// Close ends all connections.
	Close()
}

// InputError is a request that makes no sense. Nothing was done.
type InputError struct{ Text string }

// Error implements error.
func (e *InputError) Error() string { return e.Text }

// Config is what a [Local] works with.
type Config struct {
	Client   *client.Client
	Password string        // for desktops that want one
	Idle     time.Duration // after which an unused connection is closed (2 min)
	MaxOpen  int           // connections at a time (8)
	Patience time.Duration // with a desktop that does not answer (10 s)
	Budget   *Budget       // of pixels, shared by the process (one of its own)
	Hands    fleet.Fleet   // says whose turn it is at the desktops of the key (of this Local alone)
	Log      *slog.Logger
}

// Local keeps connections in this process. It is safe for concurrent use; the
// calls for one desktop happen one after the other.
type Local struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	all    map[string]*desktop // by instance
	hands  map[string]*own
	serial int // of the newest connection
}

// desktop is one instance's. Whoever holds its lock may use the rest.
type desktop struct {
	lock chan struct{} // holds one value
	conn *rfb.Conn     // nil: none
	idle *time.Timer

	serial int // of conn; guarded by Local.mu

	shown *view       // the picture that was returned last
	stale atomic.Bool // another process may have returned one since
	mark  rfb.Mark    // the screen at the end of the last call
	known bool        // there is a mark
	width int         // the widest picture of the whole screen that a request allowed last

	used  time.Time // guarded by Local.mu
	calls int       // that use it or wait to; guarded by Local.mu
}

// NewLocal makes a Local.
func NewLocal(cfg Config) *Local {
	if cfg.Idle <= 0 {
		cfg.Idle = 2 * time.Minute
	}
	if cfg.MaxOpen <= 0 {
		cfg.MaxOpen = 8
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Budget == nil {
		cfg.Budget = NewBudget(DefaultPixels)
	}
	if cfg.Hands == nil {
		cfg.Hands = fleet.Alone()
	}
	return &Local{cfg: cfg, all: make(map[string]*desktop), serial: rand.IntN(1 << 30), hands: make(map[string]*own)}
}

var errClosed = errors.New("desktops: closed")

// Close implements [Desktops]. Calls under way fail.
func (l *Local) Close() {
	l.cfg.Budget.leave(l)
	l.mu.Lock()
	l.closed = true
	all := l.all
	l.all = map[string]*desktop{}
	var open []*rfb.Conn
	for _, d := range all {
		d.idle.Stop()
		if d.conn != nil {
			open = append(open, d.conn)
		}
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// unsee has coordinates not refer to what was returned last from here.
func (l *Local) unsee(instance string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.all[instance]; d != nil {
		d.stale.Store(true)
	}
}

// use has f work with a desktop whose screen is up to date.
func (l *Local) use(ctx context.Context, instance string, f func(*desktop) error) error {
	d, err := l.enter(ctx, instance)
	if err != nil {
		return err
	}
	defer l.leave(instance, d)
	if err := l.ready(ctx, instance, d); err != nil {
		return err
	}
	return f(d)
}

// enter waits for a desktop to be free.
func (l *Local) enter(ctx context.Context, instance string) (*desktop, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errClosed
	}
	d := l.all[instance]
	if d == nil {
		d = &desktop{lock: make(chan struct{}, 1)}
		d.idle = time.AfterFunc(time.Hour, func() { l.expire(instance, d) })
		d.idle.Stop()
		l.all[instance] = d
	}
	d.calls++
	l.mu.Unlock()
	select {
	case d.lock <- struct{}{}:
		d.idle.Stop()
		return d, nil
	case <-ctx.Done():
		l.mu.Lock()
		d.calls--
		l.mu.Unlock()
		return nil, ctx.Err()
	}
}

func (l *Local) leave(instance string, d *desktop) {
	l.mu.Lock()
	d.used = time.Now()
	d.calls--
	if d.conn == nil && d.calls == 0 && d.shown == nil {
		delete(l.all, instance) // it was never reached
	} else if !l.closed {
		d.idle.Reset(l.cfg.Idle)
	}
	l.mu.Unlock()
	<-d.lock
}

// expire closes a connection that nobody has used for a while. What was shown
// last is remembered for longer: the caller may still refer to it.
func (l *Local) expire(instance string, d *desktop) {
	if l.disconnect(d) { // else it is in use, and will be left later
		l.cfg.Log.Debug("desktop closed because it was idle", "instance", instance)
	}
}

// set exchanges the connection of a desktop, and gives the one before.
func (l *Local) set(d *desktop, c *rfb.Conn) (before *rfb.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	before, d.conn, d.serial = d.conn, c, l.serial
	return before
}

// ready connects where needed, and brings the screen up to date. A connection
// that was kept may have died unnoticed: then it is opened anew, once.
func (l *Local) ready(ctx context.Context, instance string, d *desktop) error {
	kept := d.conn != nil
	for {
		if d.conn == nil || d.conn.Err() != nil {
			kept = false
			if err := l.connect(ctx, instance, d); err != nil {
				return err
			}
		}
		limited, cancel := context.WithTimeout(ctx, l.cfg.Patience)
		err := d.conn.Refresh(limited)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_ = l.set(d, nil).Close()
		if !kept {
			return l.problem(err, "the desktop was opened, but sends no picture", client.OutcomeNotSent)
		}
	}
}

func (l *Local) connect(ctx context.Context, instance string, d *desktop) error {
	if old := l.set(d, nil); old != nil {
		_ = old.Close()
	}
	l.makeRoom()
	conn, err := l.cfg.Client.Desktop.Connect(ctx, instance, client.DesktopOptions{Password: l.cfg.Password, Patience: l.cfg.Patience, Reserve: l.cfg.Budget.account()})
	if err != nil {
		return err
	}
	l.set(d, conn)
	l.cfg.Budget.join(l)
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		l.cfg.Budget.leave(l)
		_ = l.set(d, nil).Close()
		return errClosed
	}
	l.cfg.Log.Debug("desktop opened", "instance", instance, "size", conn.Size())
	return nil
}

// makeRoom closes the connection that was not used for longest, where there are
// as many as allowed.
func (l *Local) makeRoom() {
	l.mu.Lock()
	open := 0
	var oldest *desktop
	for _, d := range l.all {
		if d.conn == nil {
			continue
		}
		open++
		if d.calls == 0 && (oldest == nil || d.used.Before(oldest.used)) {
			oldest = d
		}
	}
	l.mu.Unlock()
	if open >= l.cfg.MaxOpen && oldest != nil {
		l.disconnect(oldest) // one that is in use again is one too many, which does no harm
	}
}

// problem makes an *client.Error of what a connection ended with.
func (l *Local) problem(err error, message string, outcome client.Outcome) error {
	e := &client.Error{Op: "GET /instances/{id}/vnc/ws", Message: message, Err: err, Outcome: outcome}
	var known *client.Error
	switch {
	case errors.As(err, &known):
		c := *known
		c.Outcome = outcome
		c.Message = message + ": " + known.Message
		return &c
	case errors.Is(err, context.DeadlineExceeded):
		e.Message += " in time"
	default:
		e.Message += ": " + err.Error()
	}
	return e
}

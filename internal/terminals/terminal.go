package terminals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/hand"
)

// terminal is an open terminal of this process.
type terminal struct {
	manager  *Manager
	id       string
	instance string
	place    place // where the shell is kept; zero: it is the connection's
	options  client.TerminalOptions
	onEnd    func() // it is not open any more
	idle     time.Duration
	idler    *time.Timer // closes it

	ctx    context.Context // ends with the terminal
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	conn     link // nil while it is being made again
	screen   *screen
	log      outputLog
	raw      rawLog
	looked   time.Time // when somebody last used or showed it
	hand     hand.Hand
	status   Status
	reason   string
	failure  error // what ended it
	exitCode *int
	problem  string // the service's last complaint
	notes    []string
	heard    bool          // the service has said anything at all
	printed  time.Time     // when there was output last
	count    uint64        // of changes
	base     int64         // where the output begins that this process has seen
	read     int64         // where the last reading of new output ended
	changed  chan struct{} // closed at the next change; nil if nobody waits
	asked    chan struct{} // there are answers to send
}

// start begins to follow a connection.
func (t *terminal) start() {
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.asked = make(chan struct{}, 1)
	t.idler = time.AfterFunc(t.idle, func() {
		t.leave(fmt.Sprintf("closed after %s without a call", t.idle))
		if t.place.keeper != "" {
			// The keeper's clock runs now, and a call until its end finds the shell again.
			t.manager.forget(t.id)
		}
	})
	conn := t.conn
	t.work.Go(func() { t.follow(conn) })
	t.work.Go(t.answer)
}

// follow takes in what comes from the service until the terminal's end.
func (t *terminal) follow(conn link) {
	for {
		ev, err := conn.Next(t.ctx)
		if err == nil {
			t.take(ev)
			t.manager.cfg.Budget.settle(t)
			continue
		}
		t.mu.Lock()
		t.conn = nil // until it is made again
		t.tell()
		t.mu.Unlock()
		_ = conn.Close()
		if t.ctx.Err() != nil {
			return
		}
		if errors.Is(err, io.EOF) {
			t.finish(StatusExited, "the shell has ended", nil)
			return
		}
		if conn = t.resume(conn, err); conn == nil {
			return
		}
	}
}

// take applies an event.
func (t *terminal) take(ev client.TerminalEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = true
	if ev.Output != "" {
		t.print(ev.Output)
	}
	if ev.Title != "" {
		t.screen.title = ev.Title
	}
	if ev.Problem != nil {
		t.problem = ev.Problem.Message
	}
	if ev.Exited {
		t.exitCode = ev.ExitCode
	}
	t.tell()
}

// print shows output. What a full-screen program draws is on the screen only:
// in the log it would be a heap of fragments.
func (t *terminal) print(output string) {
	t.printed = time.Now()
	for len(output) > 0 {
		logged, modes := !t.screen.fullScreen(), t.screen.modeSequences()
		n := t.screen.write(output)
		t.raw.add(output[:n], modes, t.screen.between())
		if logged {
			t.log.add(output[:n], t.screen.between() || t.screen.fullScreen())
		}
		output = output[n:]
	}
	if len(t.screen.replies) > 0 {
		select {
		case t.asked <- struct{}{}:
		default:
		}
	}
}

// tell wakes whoever waits. It holds t.mu.
func (t *terminal) tell() {
	t.count++
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// change gives a channel that is closed at the next change. It holds t.mu.
func (t *terminal) change() <-chan struct{} {
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// answer sends the terminal's answers to questions that programs put to it. It
// is apart from follow, which must go on reading meanwhile.
func (t *terminal) answer() {
	for {
		select {
		case <-t.asked:
		case <-t.ctx.Done():
			return
		}
		t.mu.Lock()
		replies, conn := t.screen.replies, t.conn
		t.screen.replies = nil
		t.mu.Unlock()
		if k, ok := conn.(*keeperLink); ok && k.answers() {
			continue
		}
		if conn != nil && len(replies) > 0 && conn.Family() != client.TerminalLines {
			_ = conn.Write(t.ctx, strings.Join(replies, ""))
		}
	}
}

// finish ends the terminal, once. What it showed can still be read.
func (t *terminal) finish(s Status, reason string, cause error) {
	t.mu.Lock()
	if t.status != StatusOpen {
		t.mu.Unlock()
		return
	}
	t.status, t.reason, t.failure = s, reason, cause
	if t.problem != "" && s == StatusExited {
		t.reason += "; the service said: " + t.problem
	}
	conn := t.conn
	t.conn = nil
	t.tell()
	t.mu.Unlock()
	t.idler.Stop()
	// follow has not ended yet, so nobody is done waiting for the work.
	t.work.Go(func() {
		if conn != nil {
			_ = conn.Close() // properly: a service may keep the shell of a broken connection
		}
		t.cancel()
	})
	t.onEnd()
}

// leave ends the connection, and the shell with it unless that is kept.
func (t *terminal) leave(reason string) {
	if t.place.keeper != "" {
		t.finish(StatusMoved, reason+" here; the shell goes on in the instance", nil)
		return
	}
	t.finish(StatusClosed, reason, nil)
}

// touch notes a call.
func (t *terminal) touch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looked = time.Now()
	if t.status == StatusOpen {
		t.idler.Reset(t.idle)
	}
}

// Write implements [Session].
func (t *terminal) Write(ctx context.Context, in Input, w Wait) (View, error) {
	t.touch()
	m, err := newMatcher(w)
	if err != nil {
		return View{}, err
	}
	if err := t.hand.Check("terminal"); err != nil {
		return View{}, err
	}
	if _, err := t.connection(ctx); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	data, err := in.typed(t.screen.appKeys, t.screen.paste)
	m.begin(t, in.Text)
	from := t.log.end()
	t.mu.Unlock()
	if err != nil {
		return View{}, &InputError{err}
	}
	if err := t.send(ctx, data); err != nil {
		return View{}, err
	}
	ended, err := t.wait(ctx, w, m)
	if err != nil {
		return View{}, err
	}
	t.touch()
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.view(Query{Part: PartScreen})
	v.Ended, v.Cursor, v.Left = ended, from, t.screen.history.total() > m.line
	return v, nil
}

// send types, over the next connection where one turns out to be closed.
func (t *terminal) send(ctx context.Context, data string) error {
	for data != "" {
		conn, err := t.connection(ctx)
		if err != nil {
			return err
		}
		err = conn.Write(ctx, data)
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Outcome != client.OutcomeNotSent || !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// connection gives the connection, for which it waits while it is being made
// again.
func (t *terminal) connection(ctx context.Context) (link, error) {
	for {
		t.mu.Lock()
		if t.status != StatusOpen {
			err := &EndedError{t.status, t.reason}
			t.mu.Unlock()
			return nil, err
		}
		conn, changed := t.conn, t.change()
		t.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close implements [Session].
func (t *terminal) Close(ctx context.Context) (View, error) {
	if err := t.hand.Check("terminal"); err != nil {
		return View{}, err
	}
	t.finish(StatusClosed, "closed", nil)
	t.work.Wait()
	if t.place.keeper != "" {
		if err := t.manager.end(ctx, t.instance, t.id); err != nil {
			return View{}, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view(Query{Part: PartScreen}), nil
}

package client

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"openclaw-mcp/internal/text"
)

// TerminalEvent is what comes from an open terminal. It is empty where the
// service said something that means nothing here.
type TerminalEvent struct {
	// Output is what the shell and its programs wrote: valid UTF-8, control
	// sequences included. No character is cut in two by it; with
	// TerminalOptions.Bytes, the bytes are as the service sent them.
	Output string
	Title  string // a new title of the terminal
	// Attached says that the service named the shell, and Resumed that it says
	// that it is the one of an earlier connection.
	Attached, Resumed bool
	Exited            bool   // the shell has ended
	ExitCode          *int   // nil where the service did not say
	Problem           *Error // what the service complains of; the terminal may go on
}

// TerminalConn is an open terminal. One goroutine may call Next at a time; the
// other methods are safe for concurrent use.
//
// As long as nobody calls Next, the service is made to wait: nothing is
// buffered without bound.
type TerminalConn struct {
	core *core
	req  call
	ws   *websocket.Conn

	// Of the receiving side.
	reader  frameReader
	text    text.UTF8Stream
	bytes   bool // output goes out as it came
	pending []wsFrame
	said    *Error // the last complaint
	exited  bool
	failure error // what Next answers from now on

	sending sync.Mutex // keeps the frames of one Write together
	line    string     // of frameWriter
	family  atomic.Value
	binary  atomic.Bool
	session atomic.Value
	reading atomic.Bool
	closed  atomic.Bool
	lost    atomic.Bool // a ping was not answered

	stopPing context.CancelFunc
	pinging  chan struct{}
}

// start makes a terminal of a connection whose family is known.
func (d *terminalDial) start(ctx context.Context, ws *websocket.Conn, family TerminalFamily, first *wsFrame) (*TerminalConn, error) {
	t := &TerminalConn{core: d.core, req: d.req, ws: ws, reader: frameReader{family: family}, bytes: d.options.Bytes, pinging: make(chan struct{})}
	t.family.Store(family)
	t.session.Store("")
	if first != nil {
		t.pending = append(t.pending, *first)
	}
	if family == TerminalTtyd {
		if err := t.send(ctx, ttydHello(d.options.Cols, d.options.Rows)); err != nil {
			_ = ws.CloseNow()
			return nil, err
		}
	} else if f, ok := t.writer().resize(d.options.Cols, d.options.Rows); ok {
		// A service that has closed already says why when it is read.
		_ = t.send(ctx, f)
	}
	pings, stop := context.WithCancel(context.Background())
	t.stopPing = stop
	go t.ping(pings, d.options.ping)
	return t, nil
}

// Family is the family of the frames: the one that was found out so far.
func (t *TerminalConn) Family() TerminalFamily { return t.family.Load().(TerminalFamily) }

// Session is the service's name of the shell, to ask for it with a later
// connection, "" where the service gives none.
func (t *TerminalConn) Session() string { return t.session.Load().(string) }

// CanResize reports whether the service can be told the terminal's size.
func (t *TerminalConn) CanResize() bool {
	f := t.Family()
	return f != TerminalRaw && f != TerminalLines
}

// Next waits for news. It ends with io.EOF once the shell has exited or the
// connection was closed from this side, else with an *[Error]. Once it has
// ended, or its ctx has, the connection is of no use any more.
func (t *TerminalConn) Next(ctx context.Context) (TerminalEvent, error) {
	for {
		if t.failure != nil {
			return TerminalEvent{}, t.failure
		}
		f, err := t.receive(ctx)
		if err != nil {
			t.failure = t.ended(ctx, err)
			if rest := t.text.Flush(); rest != "" {
				return TerminalEvent{Output: rest}, nil
			}
			continue
		}
		return t.event(f), nil
	}
}

func (t *TerminalConn) receive(ctx context.Context) (wsFrame, error) {
	if len(t.pending) > 0 {
		f := t.pending[0]
		t.pending = t.pending[1:]
		return f, nil
	}
	t.reading.Store(true)
	defer t.reading.Store(false)
	return readFrame(ctx, t.ws)
}

// event reads a frame.
func (t *TerminalConn) event(f wsFrame) TerminalEvent {
	fe := t.reader.decode(f)
	t.family.Store(t.reader.family)
	t.binary.Store(t.reader.binary)
	ev := TerminalEvent{Title: fe.title, Resumed: fe.resumed}
	if fe.session != "" {
		ev.Attached = true
		t.session.Store(fe.session)
	}
	if len(fe.output) > 0 {
		if ev.Output = string(fe.output); !t.bytes {
			ev.Output = t.text.Decode(fe.output)
		}
	}
	if fe.problem != nil {
		t.said = t.core.finish(t.req, fe.problem)
		ev.Problem = t.said
	}
	if fe.exited {
		ev.Exited, ev.ExitCode = true, fe.code
		ev.Output += t.text.Flush()
		t.exited = true
		t.failure = io.EOF
	}
	return ev
}

// ended says why there is nothing more to read.
func (t *TerminalConn) ended(ctx context.Context, err error) error {
	switch {
	case t.exited, t.closed.Load():
		return io.EOF
	case ctx.Err() != nil:
		return t.core.finish(t.req, &Error{Err: ctx.Err()})
	case t.lost.Load():
		return t.core.finish(t.req, &Error{Message: "the connection to the terminal is dead: a ping was not answered", Outcome: OutcomeUnknown})
	}
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure && t.said == nil {
		// A service that has no word for it closes like this when the shell ends.
		return io.EOF
	}
	return t.core.finish(t.req, t.core.socketError(err, t.said))
}

// Write types data: text, with "\r" for the enter key and control sequences
// for others. That it returns means that it was sent.
func (t *TerminalConn) Write(ctx context.Context, data string) error {
	if err := checkText("input", data); err != nil {
		return notSent(t.req.op, err)
	}
	t.sending.Lock()
	defer t.sending.Unlock()
	w := t.writer()
	w.line = t.line
	frames, err := w.input(data)
	if err != nil {
		return t.core.finish(t.req, &Error{Message: err.Error(), Err: ErrTerminalInput, Outcome: OutcomeNotSent})
	}
	t.line = w.line
	for i, f := range frames {
		if err := t.send(ctx, f); err != nil {
			if e, ok := errors.AsType[*Error](err); ok && i > 0 {
				e.Outcome = OutcomeUnknown
			}
			return err
		}
	}
	return nil
}

// writer writes what the receiving side found out to be right so far.
func (t *TerminalConn) writer() *frameWriter {
	return &frameWriter{family: t.Family(), binary: t.binary.Load()}
}

// Resize tells the service the terminal's size. Where the family has no way to,
// the error's cause is [ErrTerminalInput].
func (t *TerminalConn) Resize(ctx context.Context, cols, rows int) error {
	if err := (TerminalOptions{Cols: cols, Rows: rows}).check(); err != nil {
		return notSent(t.req.op, err)
	}
	f, ok := t.writer().resize(cols, rows)
	if !ok {
		return t.core.finish(t.req, &Error{Message: "the service can't be told the size of this terminal; stty may help", Err: ErrTerminalInput, Outcome: OutcomeNotSent})
	}
	return t.send(ctx, f)
}

// send sends one frame. A service that takes none for long loses the connection.
func (t *TerminalConn) send(ctx context.Context, f wsFrame) error {
	if t.closed.Load() {
		return t.core.finish(t.req, &Error{Message: "the terminal is closed", Err: net.ErrClosed, Outcome: OutcomeNotSent})
	}
	if err := ctx.Err(); err != nil {
		return t.core.finish(t.req, &Error{Err: err, Outcome: OutcomeNotSent})
	}
	// Not bound to ctx: a caller who leaves must not cut a frame in two, which
	// costs the connection.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	kind := websocket.MessageText
	if f.binary {
		kind = websocket.MessageBinary
	}
	err := t.ws.Write(limited, kind, f.data)
	switch {
	case err == nil:
		return nil
	case limited.Err() != nil:
		return t.core.finish(t.req, &Error{Message: "the terminal took no input for " + sendTimeout.String(), Err: context.DeadlineExceeded, Outcome: OutcomeUnknown})
	}
	return t.core.finish(t.req, t.core.socketError(err, nil))
}

// ping keeps proxies from cutting a silent connection, and finds out that it is
// dead.
func (t *TerminalConn) ping(ctx context.Context, every time.Duration) {
	defer close(t.pinging)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, min(pingTimeout, every))
		err := t.ws.Ping(limited)
		cancel()
		if err != nil && ctx.Err() == nil && t.reading.Load() {
			// Answers are seen by whoever reads. If nobody does, nothing is known.
			t.lost.Store(true)
			_ = t.ws.CloseNow()
			return
		}
	}
}

// Close closes the terminal, which ends its shell unless the service keeps it.
func (t *TerminalConn) Close() error {
	if t.closed.Swap(true) {
		<-t.pinging
		return nil
	}
	t.stopPing()
	// The service may be busy writing to us, so it is not waited for.
	err := t.ws.Close(websocket.StatusNormalClosure, "")
	<-t.pinging
	if err != nil {
		_ = t.ws.CloseNow()
	}
	return nil
}

package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// StdioOptions tune a [Stdio]; the zero value is ready to use.
type StdioOptions struct {
	Log        *slog.Logger
	MaxMessage int           // bytes of one incoming line (DefaultMaxMessage)
	MaxCalls   int           // requests served at once (1024); more are refused
	Drain      time.Duration // how long requests in flight may go on at the end of input (10 s)
	Subscriber Subscriber    // watches resources; nil: no subscriptions
	Tools      Tools         // served without mcp-go; none: mcp-go serves all
}

// Stdio serves MCP over a pair of streams: one JSON-RPC message a line (MCP,
// transports, stdio).
type Stdio struct {
	dispatcher
	opts StdioOptions
}

// NewStdio serves s.
func NewStdio(s *server.MCPServer, opts StdioOptions) *Stdio {
	if opts.MaxMessage == 0 {
		opts.MaxMessage = DefaultMaxMessage
	}
	if opts.MaxCalls == 0 {
		opts.MaxCalls = 1024
	}
	if opts.Drain == 0 {
		opts.Drain = 10 * time.Second
	}
	return &Stdio{dispatcher: newDispatcher(s, opts.Log, opts.Subscriber, opts.Tools), opts: opts}
}

// hurryGrace is what requests get to hand over what they have once they were
// told that the server goes.
const hurryGrace = 3 * time.Second

// Serve reads messages from in and writes answers to out until in ends, ctx is
// done or out is broken. At the end of input, requests in flight go on for a
// while (StdioOptions.Drain), are then told to hand over what they have, and
// their answers are still written; when ctx is done they are told at once. It
// returns nil in both cases, and an error when out broke or in failed.
//
// Serve can't interrupt a Read of in: it returns without waiting for it.
func (t *Stdio) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	enlarge(in)
	enlarge(out)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Requests outlive ctx for as long as it takes them to hand over.
	calls, hurry := context.WithCancelCause(context.WithoutCancel(ctx))
	defer hurry(nil)
	// Listening has nothing to hand over, so it does not hold up the end.
	listens, deaf := context.WithCancelCause(calls)
	defer deaf(nil)
	c := &stdioConn{
		Stdio:   t,
		ctx:     ctx,
		calls:   calls,
		listens: listens,
		session: newSession("stdio", Local),
		out:     &lineWriter{w: out, broken: cancel},
		slots:   make(chan struct{}, t.opts.MaxCalls),
		replies: make(chan []byte, maxReplies),
		in:      bufio.NewReaderSize(in, 64<<10),
		read:    make(chan error, 1),
		idle:    make(chan struct{}),
		over:    make(chan struct{}),
	}
	defer close(c.over)
	defer c.session.end()
	go c.replyLoop()
	if t.subscriber != nil {
		go c.announceLoop()
	}

	go c.work()
	var err error
	drain := t.opts.Drain
	select {
	case err = <-c.read:
	case <-ctx.Done():
		drain = 0
	}
	idle := c.active.shut()
	deaf(ErrDraining)
	await(ctx, idle, drain)
	if c.out.err() == nil {
		hurry(ErrDraining)
		await(context.Background(), idle, hurryGrace)
	}
	if werr := c.out.err(); werr != nil {
		hurry(ErrDisconnected) // nobody is there to hand over to
		return werr
	}
	return err
}

// maxReplies bounds the replies that wait to be written; see stdioConn.replies.
const maxReplies = 256

// stdioConn is one Serve.
type stdioConn struct {
	*Stdio
	ctx     context.Context // of the connection
	calls   context.Context // of the requests
	listens context.Context // of those that only listen
	session *session
	out     *lineWriter
	active  gate // requests in flight, and replies that wait
	slots   chan struct{}
	// replies are what the reading goroutine has to say itself. It leaves them
	// to another goroutine, because a client that does not read blocks whoever
	// writes to it, and must still be able to cancel.
	replies chan []byte
	in      *bufio.Reader // of one goroutine at a time
	read    chan error    // input has ended; what it failed with
	idle    chan struct{} // taken by a goroutine that has nothing to do
	idling  atomic.Int32  // how many have
	over    chan struct{} // Serve has returned
}

// maxIdle is how many goroutines that have served a request are kept for the
// next ones.
const maxIdle = 4

// work reads a request and serves it, while another goroutine goes on reading:
// waking a thread for the request would take longer than small ones do. Then it
// stays for more, since its stack has grown to what a request takes.
func (c *stdioConn) work() {
	for {
		serve, err := c.nextRequest()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			c.read <- err
			if serve != nil {
				serve()
			}
			return
		}
		select {
		case c.idle <- struct{}{}:
		default:
			go c.work()
		}
		serve()
		if c.idling.Add(1) > maxIdle {
			c.idling.Add(-1)
			return
		}
		select {
		case <-c.idle:
			c.idling.Add(-1)
		case <-c.over:
			return
		}
	}
}

// nextRequest reads messages up to a request that serve serves, or to the end of
// input, which is [io.EOF] where nothing is wrong.
func (c *stdioConn) nextRequest() (serve func(), err error) {
	for serve == nil && err == nil {
		var line []byte
		line, err = readLine(c.in, c.opts.MaxMessage)
		switch {
		case c.ctx.Err() != nil:
			return nil, io.EOF
		case errors.Is(err, errLineTooLong):
			c.reply(errorMessage(nil, mcp.INVALID_REQUEST,
				fmt.Sprintf("the message is longer than %d bytes", c.opts.MaxMessage)))
			err = nil
		case len(line) > 0:
			serve = c.receive(line)
		}
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("standard input: %w", err)
	}
	return serve, err
}

func (c *stdioConn) reply(msg []byte) {
	if !c.active.enter() {
		return
	}
	select {
	case c.replies <- msg:
	case <-c.over:
		c.active.leave()
	}
}

func (c *stdioConn) replyLoop() {
	for {
		select {
		case msg := <-c.replies:
			_ = c.out.send(msg)
			c.active.leave()
		case <-c.over:
			return
		}
	}
}

// announceLoop tells a legacy client what is new of what it subscribed to. A
// modern client hears it from its listen requests.
func (c *stdioConn) announceLoop() {
	subs := c.session.subscriptions(c.subscriber)
	for {
		select {
		case <-c.over:
			return
		case <-subs.wake:
		}
		uri, _, ok := subs.take()
		if !ok {
			continue
		}
		msg, err := updatedMessage(uri, nil)
		if err == nil {
			err = c.out.send(msg)
		}
		if err != nil {
			return // the connection is broken
		}
	}
}

var errLineTooLong = errors.New("line too long")

// readLine reads up to a newline or the end, without white space around it. A
// line of more than limit bytes is skipped whole, so that the next one can be
// read.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong {
			if len(line) > 0 {
				line = slices.Grow(line, len(line)) // append grows large slices by a quarter, copying each time
			}
			line = append(line, part...) // part is the reader's buffer: copy
			if tooLong = len(bytes.TrimRight(line, "\r\n")) > limit; tooLong {
				line = nil
			}
		}
		switch {
		case err == bufio.ErrBufferFull:
		case tooLong && (err == nil || err == io.EOF):
			return nil, errLineTooLong
		default:
			return bytes.TrimSpace(line), err
		}
	}
}

// receive handles one line: cancels, answers and pings at once, so that they get
// through however busy the rest is; of other requests it gives what serves them.
func (c *stdioConn) receive(line []byte) (serve func()) {
	m, code, err := parseMessage(line)
	switch {
	case err != nil:
		c.reply(errorMessage(m.ID, code, err.Error()))
	case m.isCancel():
		id, reason := cancelParams(m)
		c.inflight.cancel(callID{id: id}, reason)
	case m.isNotification():
		c.notify(c.ctx, line, m, c.session)
	case m.Method == string(mcp.MethodInitialize), m.Method == string(mcp.MethodPing):
		// Quick, and the first must take effect before the next message.
		c.quick(line, m)
	case m.isRequest():
		return c.start(line, m)
	default:
		c.session.answer(m)
	}
	return nil
}

// quick serves a request on the reading goroutine. It can't be cancelled.
func (c *stdioConn) quick(line []byte, m *message) {
	meta := m.meta()
	ctx, call := c.newCall(c.calls, &c.active, meta.ProgressToken, c.out.send)
	defer call.cancel(nil)
	answer, _ := c.request(ctx, line, m, sessionFor(m, meta.ProtocolVersion, c.session, Local), call)
	_ = call.finish(func() error { c.reply(answer); return nil })
}

// start takes a request on, and gives what serves it; nil for one that was
// refused.
func (c *stdioConn) start(line []byte, m *message) (serve func()) {
	select {
	case c.slots <- struct{}{}:
	default:
		c.reply(errorMessage(m.ID, mcp.INTERNAL_ERROR, fmt.Sprintf(
			"%d requests are in flight already; wait for one to end and send this one again: it was not started", cap(c.slots))))
		return nil
	}
	if !c.active.enter() {
		<-c.slots
		return nil
	}
	meta := m.meta()
	parent := c.calls
	if m.Method == string(mcp.MethodSubscriptionsListen) {
		parent = c.listens
	}
	ctx, call := c.newCall(parent, &c.active, meta.ProgressToken, c.out.send)
	end := func() {
		call.cancel(nil)
		c.active.leave()
		<-c.slots
	}
	key := callID{id: string(m.ID)}
	// Registered before the next line is read: a cancel always finds it.
	if !c.inflight.add(key, call, true) {
		end()
		c.reply(errorMessage(m.ID, mcp.INVALID_REQUEST, "a request with this id is in flight already"))
		return nil
	}
	return func() {
		defer end()
		answer, _ := c.request(ctx, line, m, sessionFor(m, meta.ProtocolVersion, c.session, Local), call)
		// Before the answer is out: behind it, the client may use the id again.
		c.inflight.remove(key, call, false, true)
		_ = call.finish(func() error {
			if call.wasCancelled() {
				return nil
			}
			return c.out.send(answer)
		})
	}
}

// lineWriter writes whole lines, one writer at a time.
type lineWriter struct {
	mu     sync.Mutex
	w      io.Writer
	broken func(error) // called once, on the first failed write

	emu  sync.Mutex
	fail error
}

// send writes msg and a newline. A failed write is reported to broken once, and
// repeated to every later caller.
func (l *lineWriter) send(msg []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.err(); err != nil {
		return err
	}
	if _, err := l.w.Write(append(msg, '\n')); err != nil {
		err = fmt.Errorf("standard output: %w", err)
		l.emu.Lock()
		l.fail = err
		l.emu.Unlock()
		l.broken(err)
		return err
	}
	return nil
}

// err gives the first failed write. It never waits for a write that blocks.
func (l *lineWriter) err() error {
	l.emu.Lock()
	defer l.emu.Unlock()
	return l.fail
}

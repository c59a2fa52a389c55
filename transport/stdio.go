package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// StdioOptions tune a [Stdio]; the zero value is ready to use.
type StdioOptions struct {
	Options
	MaxCalls int           // requests served at once (1024); more are refused
	Drain    time.Duration // how long requests in flight may go on at the end of input (10 s)
}

// Stdio serves MCP over a pair of streams: one JSON-RPC message a line (MCP,
// transports, stdio).
type Stdio struct {
	dispatcher
	opts StdioOptions
}

// NewStdio serves s.
func NewStdio(s *server.MCPServer, opts StdioOptions) *Stdio {
	if opts.MaxCalls == 0 {
		opts.MaxCalls = 1024
	}
	if opts.Drain == 0 {
		opts.Drain = 10 * time.Second
	}
	return &Stdio{dispatcher: newDispatcher(s, opts.Options), opts: opts}
}

// finishGrace is what requests get to hand over what they have once they were
// told that the server stops.
const finishGrace = 3 * time.Second

// Serve reads messages from in and writes answers to out until in ends, ctx is
// done or out is broken. At the end of input, requests in flight go on for a
// while (StdioOptions.Drain), are then told to hand over what they have, and
// their answers are still written; when ctx is done they are told at once. It
// returns nil in both cases, and an error when out broke or in failed.
//
// Serve can't interrupt a Read of in: it returns without waiting for it.
func (t *Stdio) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Requests outlive ctx for as long as it takes them to hand over.
	calls, finishCalls := context.WithCancelCause(context.WithoutCancel(ctx))
	defer finishCalls(nil)
	// Listening has nothing to hand over, so it does not hold up the end.
	listens, cancelListeners := context.WithCancelCause(calls)
	defer cancelListeners(nil)
	c := &stdioConn{
		Stdio:   t,
		ctx:     ctx,
		calls:   calls,
		listens: listens,
		session: newSession("stdio", Local),
		out:     &lineWriter{w: out, broken: cancel},
		slots:   make(chan struct{}, t.opts.MaxCalls),
		replies: make(chan []byte, maxReplies),
		next:    make(chan func()),
		kept:    make(chan struct{}, maxKept),
		over:    make(chan struct{}),
	}
	defer close(c.over)
	defer c.session.end()
	go c.replyLoop()
	if t.Subscriber != nil {
		go c.announceLoop()
	}
	read := make(chan error, 1)
	go func() { read <- c.readLoop(bufio.NewReaderSize(in, 64<<10)) }()
	var err error
	drain := t.opts.Drain
	select {
	case err = <-read:
	case <-ctx.Done():
		drain = 0
	}
	idle := c.active.shut()
	cancelListeners(ErrDraining)
	await(ctx, idle, drain)
	if c.out.err() == nil {
		finishCalls(ErrDraining)
		await(context.Background(), idle, finishGrace)
	}
	if werr := c.out.err(); werr != nil {
		finishCalls(ErrDisconnected) // nobody is there to hand over to
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
	next    chan func()   // work for the goroutines that are kept for it
	kept    chan struct{} // holds a value for each of these
	over    chan struct{} // Serve has returned
}

// readLoop handles messages until the input ends or fails, or the connection is
// over.
func (c *stdioConn) readLoop(in *bufio.Reader) error {
	for {
		line, err := readLine(in, c.MaxMessage)
		switch {
		case c.ctx.Err() != nil:
			return nil
		case errors.Is(err, errLineTooLong):
			c.reply(errorMessage(nil, mcp.INVALID_REQUEST, fmt.Sprintf("the message is longer than %d bytes", c.MaxMessage)))
			continue
		case len(line) > 0:
			c.receive(withoutMark(line))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("standard input: %w", err)
		}
	}
}

// send writes an answer, if there is one.
func (c *stdioConn) send(msg []byte) error {
	if msg == nil {
		return nil
	}
	return c.out.send(msg)
}

func (c *stdioConn) reply(msg []byte) {
	if msg == nil {
		return
	}
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
	subs := c.session.subscriptions(c.Subscriber, c.watched)
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

// receive handles one line, which is a message, or a batch of them.
func (c *stdioConn) receive(line []byte) {
	if messages, ok := splitBatch(line); ok && c.session.protocol() == batchVersion {
		c.batch(messages)
		return
	}
	c.message(line, c.send, c.reply)
}

// batch serves messages together, and writes their answers as one.
func (c *stdioConn) batch(messages []json.RawMessage) {
	var mu sync.Mutex
	var answers [][]byte
	left := len(messages)
	one := func(answer []byte, write func([]byte) error) error {
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, answer)
		if left--; left > 0 {
			return nil
		}
		all := joinBatch(answers)
		if all == nil {
			return nil
		}
		return write(all)
	}
	for _, m := range messages {
		c.message(m, func(answer []byte) error { return one(answer, c.out.send) }, func(answer []byte) {
			_ = one(answer, func(all []byte) error { c.reply(all); return nil })
		})
	}
}

// message handles one message: cancels, answers and pings at once, so that they get
// through however busy the rest is; other requests are started. The answer goes to
// answer, or, from this goroutine, to quickly; one of them is told, with nil where
// there is no answer.
func (c *stdioConn) message(line []byte, answer func([]byte) error, quickly func([]byte)) {
	m, err := parseMessage(line)
	switch {
	case err != nil:
		quickly(errorMessage(m.ID, err.code, err.text))
		return
	case m.isCancel():
		id, reason := cancelParams(m)
		c.inflight.cancel(callID{id: id}, reason)
	case m.isNotification():
		c.notify(c.ctx, line, m, c.session)
	case m.Method == string(mcp.MethodInitialize), m.Method == string(mcp.MethodPing):
		// Quick, and the first must take effect before the next message.
		c.quick(line, m, quickly)
		return
	case m.isRequest():
		c.start(line, m, answer, quickly)
		return
	default:
		c.session.answer(m)
	}
	quickly(nil)
}

// quick serves a request on the reading goroutine. It can't be cancelled.
func (c *stdioConn) quick(line []byte, m *message, quickly func([]byte)) {
	meta := m.meta()
	ctx, call := c.newCall(c.calls, &c.active, meta.ProgressToken, c.out.send)
	defer call.cancel(nil)
	answer, _ := c.request(ctx, line, m, sessionFor(m, meta.ProtocolVersion, c.session, Local), call)
	_ = call.finish(func() error { quickly(answer); return nil })
}

// start has a request served by a goroutine of its own, or refuses it.
func (c *stdioConn) start(line []byte, m *message, answer func([]byte) error, quickly func([]byte)) {
	select {
	case c.slots <- struct{}{}:
	default:
		quickly(errorMessage(m.ID, mcp.INTERNAL_ERROR, fmt.Sprintf(
			"%d requests are in flight already; wait for one to end and send this one again: it was not started", cap(c.slots))))
		return
	}
	load := c.room.of(Local.Name)
	if !load.addBytes(len(line)) || !load.addValues(line) {
		load.release()
		<-c.slots
		quickly(errorMessage(m.ID, errBusy.code, errBusy.text))
		return
	}
	if !c.active.enter() {
		load.release()
		<-c.slots
		quickly(nil)
		return
	}
	meta := m.meta()
	parent := c.calls
	if m.Method == string(mcp.MethodSubscriptionsListen) {
		parent = c.listens
	}
	ctx, call := c.newCall(parent, &c.active, meta.ProgressToken, c.out.send)
	end := func() {
		call.cancel(nil)
		load.release()
		c.active.leave()
		<-c.slots
	}
	key := callID{id: string(m.ID)}
	// Registered before the next line is read: a cancel always finds it.
	if !c.inflight.add(key, call, true) {
		end()
		quickly(errorMessage(m.ID, mcp.INVALID_REQUEST, "a request with this id is in flight already"))
		return
	}
	c.goServe(func() {
		defer end()
		result, _ := c.request(ctx, line, m, sessionFor(m, meta.ProtocolVersion, c.session, Local), call)
		// Before the answer is out: behind it, the client may use the id again.
		c.inflight.remove(key, call, false, true)
		_ = call.finish(func() error {
			if call.wasCancelled() {
				result = nil
			}
			return answer(result)
		})
	})
}

// maxKept is how many goroutines that have served a request are kept for the next:
// the stack of a new one grows three times, by copying, until it is as large as a
// request takes, which is a sixth of a small request.
const maxKept = 16

// goServe has serve run by a goroutine that is kept, or by a new one.
func (c *stdioConn) goServe(serve func()) {
	select {
	case c.next <- serve:
	default:
		go c.work(serve)
	}
	runtime.Gosched() // serves it here and now; another thread needs longer to fetch it
}

// work runs serve, and then what comes next, if there is room for one more to be kept.
func (c *stdioConn) work(serve func()) {
	for {
		serve()
		select {
		case c.kept <- struct{}{}:
		default:
			return
		}
		select {
		case serve = <-c.next:
			<-c.kept
		case <-c.over:
			return
		}
	}
}

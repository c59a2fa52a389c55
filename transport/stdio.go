package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
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
	return &Stdio{dispatcher: newDispatcher(s, opts.Log), opts: opts}
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &stdioConn{
		Stdio:   t,
		ctx:     ctx,
		session: newSession("stdio", Local),
		out:     &lineWriter{w: out, broken: func(err error) { cancel(fmt.Errorf("standard output: %w", err)) }},
		slots:   make(chan struct{}, t.opts.MaxCalls),
	}
	// Requests outlive ctx for as long as it takes them to hand over.
	calls, hurry := context.WithCancelCause(context.WithoutCancel(ctx))
	defer hurry(nil)
	c.calls = calls

	read := make(chan error, 1)
	go func() { read <- c.readLoop(in) }()
	var err error
	select {
	case err = <-read:
		t.wait(ctx, &c.running, t.opts.Drain)
	case <-ctx.Done():
	}
	hurry(ErrDraining)
	if c.out.err() == nil { // nobody is there to hand over to, otherwise
		t.wait(context.Background(), &c.running, hurryGrace)
	}
	if werr := c.out.err(); werr != nil {
		return fmt.Errorf("standard output: %w", werr)
	}
	return err
}

// wait waits for g, but no longer than limit or ctx.
func (t *Stdio) wait(ctx context.Context, g *sync.WaitGroup, limit time.Duration) {
	done := make(chan struct{})
	go func() { g.Wait(); close(done) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// stdioConn is one Serve.
type stdioConn struct {
	*Stdio
	ctx     context.Context // of the connection
	calls   context.Context // of the requests
	session *session
	out     *lineWriter
	running sync.WaitGroup
	slots   chan struct{}
}

func (c *stdioConn) readLoop(in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(r, c.opts.MaxMessage)
		switch {
		case errors.Is(err, errLineTooLong):
			c.out.send(errorMessage(nil, mcp.INVALID_REQUEST,
				fmt.Sprintf("the message is longer than %d bytes", c.opts.MaxMessage)))
			continue
		case len(line) > 0 && c.ctx.Err() == nil:
			c.receive(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if c.ctx.Err() != nil {
			return nil
		}
	}
}

var errLineTooLong = errors.New("line too long")

// readLine reads up to a newline or the end, without either. A line beyond max
// is skipped whole, so that the next one can be read.
func readLine(r *bufio.Reader, max int) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong {
			line = append(line, part...) // part is the reader's buffer: copy
			if len(line) > max+1 {
				tooLong, line = true, nil
			}
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if tooLong && (err == nil || err == io.EOF) {
			return nil, errLineTooLong
		}
		for n := len(line); n > 0 && (line[n-1] == '\n' || line[n-1] == '\r'); n-- {
			line = line[:n-1]
		}
		return line, err
	}
}

// receive handles one line on the reading goroutine: cancels, answers and pings
// at once, so that they get through however busy the rest is; other requests on
// a goroutine each.
func (c *stdioConn) receive(line []byte) {
	m, code, err := parseMessage(line)
	if err != nil {
		c.out.send(errorMessage(m.ID, code, err.Error()))
		return
	}
	switch {
	case m.Method == methodCancelled:
		id, reason := cancelParams(m)
		c.inflight.cancel(callID{id: id}, reason)
	case m.isNotification():
		c.notify(c.ctx, line, m, c.session)
	case m.isRequest():
		c.request(line, m)
	default:
		c.session.answer(m)
	}
}

func (c *stdioConn) request(line []byte, m message) {
	select {
	case c.slots <- struct{}{}:
	default:
		c.out.send(errorMessage(m.ID, mcp.INTERNAL_ERROR, fmt.Sprintf(
			"%d requests are in flight already; wait for one to end and send this one again: it was not started", cap(c.slots))))
		return
	}
	meta := m.meta()
	ctx, cancel := context.WithCancelCause(c.calls)
	call := &Call{id: m.ID, token: meta.ProgressToken, send: c.out.send, cancel: cancel}
	key := callID{id: string(m.ID)}
	// Registered before the next line is read: a cancel always finds it.
	if !c.inflight.add(key, call, true) {
		cancel(nil)
		<-c.slots
		c.out.send(errorMessage(m.ID, mcp.INVALID_REQUEST, "a request with this id is in flight already"))
		return
	}
	session := sessionFor(m, meta.ProtocolVersion, c.session, Local)
	serve := func() {
		defer func() { <-c.slots }()
		defer cancel(nil)
		defer c.inflight.remove(key, call, false, true)
		answer, _ := c.dispatcher.request(ctx, line, m, session, call)
		_ = call.finish(func() error {
			if call.wasCancelled() {
				return nil
			}
			return c.out.send(answer)
		})
	}
	// These two are quick and must take effect before the next message.
	if m.Method == string(mcp.MethodInitialize) || m.Method == string(mcp.MethodPing) {
		serve()
		return
	}
	c.running.Go(serve)
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

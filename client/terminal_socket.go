package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coder/websocket"
)

const (
	ttydProtocol = "tty"
	// guessSilence is how long a service may be silent before it is asked in
	// another way.
	guessSilence = 2 * time.Second
	// sendTimeout is how long the service may take no input.
	sendTimeout = 30 * time.Second
	// maxFrame bounds one message from the service.
	maxFrame = 4 << 20
)

// TerminalOptions say what kind of terminal to open.
type TerminalOptions struct {
	Cols, Rows int            // 80 and 24 where 0; 2 to 1000 and 1 to 500
	Family     TerminalFamily // TerminalAuto finds out
	// Session asks for the shell of an earlier connection ([TerminalConn.Session]).
	// A service that knows no such thing gives a new one: see [TerminalConn.Next].
	Session string
	Bytes   bool // leave it to the caller to make text of the output

	silence time.Duration // instead of guessSilence, for tests
	ping    time.Duration // instead of pingEvery
}

func (o TerminalOptions) check() error {
	switch {
	case o.Cols < 2 || o.Cols > 1000:
		return fmt.Errorf("a terminal has 2 to 1000 columns, not %d", o.Cols)
	case o.Rows < 1 || o.Rows > 500:
		return fmt.Errorf("a terminal has 1 to 500 rows, not %d", o.Rows)
	case o.Family != TerminalAuto && !slices.Contains(TerminalFamilies(), o.Family):
		return fmt.Errorf("unknown terminal family %q", string(o.Family))
	}
	return nil
}

// Open opens an interactive terminal (WebSocket GET /instances/{id}/terminal/ws).
//
// The format of its frames is found out by waiting: a service whose first word
// within two seconds is a JSON object with a type speaks T1, T3 or T5, any
// other that speaks is raw (T2). One that is silent is connected to again with
// the subprotocol tty (T4), and if it does not choose that, it is taken for T1
// until its first frame says otherwise.
// Nothing is typed meanwhile. TerminalOptions.Family skips all this.
//
// That ctx ends later does not close the terminal. A refused upgrade is an
// *[Error] with the HTTP status and the message of the answer, a refusal by
// closing the connection one with the close code and its reason.
func (s *TerminalService) Open(ctx context.Context, instance string, o TerminalOptions) (*TerminalConn, error) {
	path, op, err := instancePath(http.MethodGet, instance, "/terminal/ws")
	if err != nil {
		return nil, err
	}
	if o.Cols == 0 {
		o.Cols = 80
	}
	if o.Rows == 0 {
		o.Rows = 24
	}
	if o.silence == 0 {
		o.silence = guessSilence
	}
	if o.ping == 0 {
		o.ping = pingEvery
	}
	if err := o.check(); err != nil {
		return nil, notSent(op, err)
	}
	d := terminalDial{core: s.core, req: call{op: op, method: http.MethodGet, path: path}, options: o}
	if o.Session != "" {
		d.req.query = url.Values{"session_id": {o.Session}}
	}
	return d.open(ctx)
}

// terminalDial is the opening of one terminal.
type terminalDial struct {
	core    *core
	req     call
	options TerminalOptions
}

func (d *terminalDial) open(ctx context.Context) (*TerminalConn, error) {
	switch d.options.Family {
	case TerminalAuto:
	case TerminalTtyd:
		ws, err := d.dial(ctx, ttydProtocol)
		if err != nil {
			return nil, err
		}
		return d.start(ctx, ws, TerminalTtyd, nil)
	default:
		ws, err := d.dial(ctx)
		if err != nil {
			return nil, err
		}
		return d.start(ctx, ws, d.options.Family, nil)
	}

	ws, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	first, err := d.listen(ctx, ws)
	if err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	if first != nil {
		return d.start(ctx, ws, familyOf(*first), first)
	}
	_ = ws.CloseNow()
	if ws, err = d.dial(ctx, ttydProtocol); err != nil {
		return nil, err
	}
	if ws.Subprotocol() == ttydProtocol {
		return d.start(ctx, ws, TerminalTtyd, nil)
	}
	t, err := d.start(ctx, ws, TerminalTyped, nil)
	if err != nil {
		return nil, err
	}
	t.reader.guessed = true
	return t, nil
}

// dial makes the connection. Every error is an *Error.
func (d *terminalDial) dial(ctx context.Context, protocols ...string) (*websocket.Conn, error) {
	if d.core.options.readOnly(ctx) {
		return nil, d.core.finish(d.req, &Error{Code: "read_only", Message: "read-only: no terminal is opened", Outcome: OutcomeNotSent})
	}
	return d.core.dialSocket(ctx, d.req, maxFrame, protocols...)
}

// listen waits for the first frame; nil is silence.
func (d *terminalDial) listen(ctx context.Context, ws *websocket.Conn) (*wsFrame, error) {
	type read struct {
		f   wsFrame
		err error
	}
	got := make(chan read, 1)
	go func() {
		f, err := readFrame(context.Background(), ws)
		got <- read{f, err}
	}()
	timer := time.NewTimer(d.options.silence)
	defer timer.Stop()
	stop := func() {
		_ = ws.CloseNow()
		<-got
	}
	select {
	case r := <-got:
		if r.err != nil {
			return nil, d.core.finish(d.req, d.core.socketError(r.err, nil))
		}
		return &r.f, nil
	case <-timer.C:
		stop()
		return nil, nil
	case <-ctx.Done():
		stop()
		return nil, d.core.finish(d.req, &Error{Err: ctx.Err(), Outcome: OutcomeUnknown})
	}
}

// readFrame reads a frame, which takes of what all streams may hold until it is whole.
func readFrame(ctx context.Context, ws *websocket.Conn) (wsFrame, error) {
	kind, r, err := ws.Reader(ctx)
	if err != nil {
		return wsFrame{}, err
	}
	held := &heldReader{Reader: r}
	defer held.release()
	data, err := io.ReadAll(held)
	return wsFrame{kind == websocket.MessageBinary, data}, err
}

// socketError turns the end of a connection into an error. What the service
// said before it closed is shown as well.
func (c *core) socketError(err error, said *Error) *Error {
	e := &Error{Err: err, Outcome: OutcomeUnknown}
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		e.Code = fmt.Sprintf("close code %d", int(closed.Code))
		e.Message = "the service closed the terminal"
		if meaning := closeMeaning(closed.Code); meaning != "" {
			e.Message += ": " + meaning
		}
		if reason := oneLine(closed.Reason, 200); reason != "" {
			e.Message += ": " + reason
		}
		if refusedBy(closed.Code) {
			e.Outcome = OutcomeRejected
		}
	case errors.Is(err, websocket.ErrMessageTooBig):
		e.Message, e.Err = fmt.Sprintf("the service sent a message of more than %d bytes", maxFrame), ErrTooLarge
	case errors.Is(err, io.EOF):
		// Bare, it is Next's word for a proper end.
		e.Message, e.Err = "the connection to the terminal broke", io.ErrUnexpectedEOF
	default:
		e.Message = "the connection to the terminal broke: " + err.Error()
	}
	if said != nil {
		e.Message = said.Message + "; then " + e.Message
		setIfEmpty(&e.RequestID, said.RequestID)
		e.RetryAfter = said.RetryAfter
	}
	return e
}

func closeMeaning(code websocket.StatusCode) string {
	switch code {
	case websocket.StatusGoingAway:
		return "it is shutting down"
	case websocket.StatusPolicyViolation:
		return "not allowed"
	case websocket.StatusInternalError:
		return "internal error"
	case 4401:
		return "the API key is not accepted"
	case 4403:
		return "no access"
	case 4404:
		return "no such instance or terminal"
	}
	return ""
}

// refusedBy reports whether a close code says that there is no terminal at all.
func refusedBy(code websocket.StatusCode) bool {
	return code == websocket.StatusPolicyViolation || code >= 4400 && code <= 4499
}

package transport

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/text"
)

// Why a request's context ended, as context.Cause reports it. None of them
// stops a run: that is what [Call.OnCancel] is for.
var (
	ErrCancelled    = errors.New("the client cancelled the request")
	ErrDisconnected = errors.New("the client closed the connection")
	ErrDraining     = errors.New("the server is shutting down")
	ErrUnauthorized = errors.New("the caller's authorization has ended")
)

// errCallDone is for notifications about a request that was already answered: MCP
// allows none after the result.
var errCallDone = errors.New("the request was already answered")

// Call is one request that is being served: its own way back to the client.
// Its methods may be used concurrently.
type Call struct {
	token  json.RawMessage         // progress token, nil when the client wants no progress
	send   func(msg []byte) error  // writes one message to the request's own stream
	cancel context.CancelCauseFunc // ends the request's context
	log    *slog.Logger
	askFor time.Duration // Options.AskFor
	active *gate         // the end of the connection or server waits for what is in it

	verbatim atomic.Bool // the result goes out as it is, and so does its text as it comes

	writing sync.Mutex  // held while a message goes out, so that they keep their order
	done    bool        // the result is out
	steps   float64     // progress so far
	plain   text.Stream // of progress
	masked  text.Masked // the caller's key in it

	// A second lock, because a client that does not read blocks the first one,
	// and must still be able to cancel.
	mu     sync.Mutex
	reason *string               // set when the client cancelled explicitly
	hooks  []func(reason string) // to call when it does

	failure *mcp.JSONRPCErrorDetails // see Fail
	task    *Task                    // see BecomeTask

	place    atomic.Pointer[func() []byte] // see Resumable
	asking   atomic.Bool                   // nothing was done yet: the user is asked first
	prime    func() error                  // gives the client an id to come back with; nil: it can't
	takeOver *cursor                       // where another process left the call; nil: it begins here
}

// WantsProgress reports whether the client sent a progress token.
func (c *Call) WantsProgress() bool { return c != nil && c.token != nil }

// notification is a JSON-RPC notification on the wire.
type notification struct {
	JSONRPC string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

type progressParams struct {
	ProgressToken json.RawMessage `json:"progressToken"`
	Progress      float64         `json:"progress"`
	Total         float64         `json:"total,omitempty"`
	Message       string          `json:"message,omitempty"`
	Meta          *progressMeta   `json:"_meta,omitempty"`
}

// progressMeta is what a progress notification tells programs.
type progressMeta struct {
	Text   string   `json:"openclaw-mcp/text,omitempty"`
	Line   string   `json:"openclaw-mcp/line,omitempty"`
	Events []string `json:"openclaw-mcp/events,omitempty"`
	Run    string   `json:"openclaw-mcp/run,omitempty"`

	last bool // no text comes behind this one
}

// Progress sends one notifications/progress now, and returns when it is
// written. Its progress value is one more than the last one's, so it rises
// strictly however many callers there are. Without a progress token it does
// nothing. What is not plain text in it is left out or made visible. Errors: the
// client is gone, it cancelled the request, or the request was already answered.
func (c *Call) Progress(message string) error { return c.progress(message, nil) }

func (c *Call) progress(message string, meta *progressMeta) error {
	if !c.WantsProgress() {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.over(); err != nil {
		return err
	}
	c.steps++
	msg, err := encode(notification{
		JSONRPC: "2.0", Method: "notifications/progress",
		Params: progressParams{ProgressToken: c.token, Progress: c.steps, Message: c.outgoing().text(message), Meta: c.plainMeta(meta)},
	})
	if err != nil {
		return err
	}
	return c.send(msg)
}

// plainMeta makes what programs get plain, also where a sequence is cut between two
// notifications.
func (c *Call) plainMeta(meta *progressMeta) *progressMeta {
	if meta == nil {
		return nil
	}
	how := c.outgoing()
	plain := &progressMeta{Text: meta.Text, Line: c.open(meta.Line), Run: meta.Run}
	if !c.verbatim.Load() {
		plain.Text = c.plain.Next(meta.Text)
	}
	if meta.last {
		plain.Text += c.plain.Rest()
	}
	plain.Text = c.masked.Next(plain.Text)
	if meta.last {
		plain.Text += c.masked.Rest()
	}
	for _, e := range meta.Events {
		plain.Events = append(plain.Events, how.text(e))
	}
	return plain
}

// outgoing is what becomes of the call's texts.
func (c *Call) outgoing() outgoing {
	if c == nil {
		return outgoing{}
	}
	return outgoing{secret: c.masked.Secret}
}

// open is a line that is still being written as it goes out.
func (c *Call) open(line string) string {
	how := c.outgoing()
	return how.secret.HideOpen(how.text(line))
}

// holds reports whether text is held back that may be part of something that goes on.
func (c *Call) holds() bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.plain.Holds() || c.masked.Holds()
}

// Begins tells the client the handle of what the call is about to begin, so that it
// can be found again whatever happens to this process: in a progress notification with
// this message, else, where the stream can be resumed, by its first event's id.
func (c *Call) Begins(message, handle string) {
	switch {
	case c.WantsProgress():
		_ = c.progress(message, &progressMeta{Run: handle}) // a client that is gone is noticed later
	case c != nil:
		_ = c.primed()
	}
}

// primed gives the client an id to come back with before there is anything to say.
func (c *Call) primed() error {
	if c.prime == nil {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.over() != nil {
		return nil
	}
	return c.prime()
}

// Resumable says how another process goes on with the call: place is asked for with
// each message that goes out, and what it gives comes back to HTTPOptions.Resume.
func (c *Call) Resumable(place func() []byte) {
	if c != nil {
		c.place.Store(&place)
	}
}

// sendMessage writes any other message about the request to its stream, such as
// a question to the client.
func (c *Call) sendMessage(msg []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.over(); err != nil {
		return err
	}
	return c.send(msg)
}

// over reports why nothing more may be said about the request, if so. It is
// called with writing held.
func (c *Call) over() error {
	switch {
	case c.done:
		return errCallDone
	case c.wasCancelled():
		return ErrCancelled
	}
	return nil
}

// finish runs write, which sends the result, as the last message of the call.
func (c *Call) finish(write func() error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.done = true
	return write()
}

// OnCancel registers f to be called, once and in a goroutine of its own, when
// the client cancels this request explicitly (notifications/cancelled), with the
// reason that it gave. A lost connection is not a cancel; but a request that
// ended by one can still be cancelled for a few seconds, since an impatient
// client's close may overtake its cancel. An answered request can't be.
func (c *Call) OnCancel(f func(reason string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason != nil {
		c.startHook(f, *c.reason)
		return
	}
	c.hooks = append(c.hooks, f)
}

// cancelled carries out an explicit cancel by the client.
func (c *Call) cancelled(reason string) {
	c.mu.Lock()
	first := c.reason == nil
	hooks := c.hooks
	if first {
		c.reason, c.hooks = &reason, nil
	}
	c.mu.Unlock()
	if !first {
		return
	}
	for _, f := range hooks {
		c.startHook(f, reason)
	}
	c.cancel(ErrCancelled)
}

// startHook runs f in a goroutine. A client may cancel and leave: the end of the
// connection waits for hooks as it does for requests.
func (c *Call) startHook(f func(reason string), reason string) {
	held := c.active.enter()
	go func() {
		if held {
			defer c.active.leave()
		}
		c.runHook(f, reason)
	}()
}

// runHook contains a panic of a hook as one of a handler is: to the call.
func (c *Call) runHook(f func(reason string), reason string) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic while cancelling a request", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f(reason)
}

// wasCancelled reports whether the client cancelled explicitly: such a request
// gets no answer (MCP, cancellation).
func (c *Call) wasCancelled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason != nil
}

package transport

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// Why a request's context ended, as context.Cause reports it. None of them
// stops a run: that is what [Call.OnCancel] is for.
var (
	ErrCancelled    = errors.New("the client cancelled the request")
	ErrDisconnected = errors.New("the client closed the connection")
	ErrDraining     = errors.New("the server is shutting down")
)

// errCallDone is returned to whoever notifies about a request that was already
// answered: MCP allows nothing about a request behind its result.
var errCallDone = errors.New("the request was already answered")

// Call is one request that is being served: its own way back to the client.
// Its methods may be used concurrently.
type Call struct {
	token  json.RawMessage         // progress token, nil when the client wants no progress
	send   func(msg []byte) error  // writes one message to the request's own stream
	cancel context.CancelCauseFunc // ends the request's context
	log    *slog.Logger
	active *gate // the end of the connection or server waits for what is in it

	arguments json.RawMessage // see Arguments

	writing sync.Mutex // held while a message goes out, so that they keep their order
	done    bool       // the result is out
	steps   float64    // progress so far

	// A second lock, because a client that does not read blocks the first one,
	// and must still be able to cancel.
	mu     sync.Mutex
	reason *string               // set when the client cancelled explicitly
	hooks  []func(reason string) // to call when it does

	failure *mcp.JSONRPCErrorDetails // see Fail
}

type callKey struct{}

// CallFrom gives the request that ctx belongs to, nil outside of one.
func CallFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

func withCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// Arguments gives the arguments of a tools/call as the client sent them. It is nil
// where mcp-go has them: when they are no object, or spelt in an odd way.
func (c *Call) Arguments() json.RawMessage {
	if c == nil {
		return nil
	}
	return c.arguments
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
}

// Progress sends one notifications/progress now, and returns when it is
// written. Its progress value is one more than the last one's, so it rises
// strictly however many callers there are. Without a progress token it does
// nothing. Errors: the client is gone, it cancelled the request, or the request
// was already answered.
func (c *Call) Progress(text string) error {
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
		Params: progressParams{ProgressToken: c.token, Progress: c.steps, Message: text},
	})
	if err != nil {
		return err
	}
	return c.send(msg)
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

package transport

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/secret"
	"openclaw-mcp/internal/text"
)

// DefaultMaxMessage bounds one incoming JSON-RPC message, in bytes.
const DefaultMaxMessage = 64 << 20

// Options are what both transports take; the zero value is ready to use.
type Options struct {
	Log        *slog.Logger
	MaxMessage int        // bytes of one incoming message (DefaultMaxMessage); more is refused
	Subscriber Subscriber // watches resources; nil: no subscriptions
	Tasks      Tasks      // what tool calls became; nil: none becomes a task

	// AskFor is how long an answer to a question to the user is waited for (10 min).
	AskFor time.Duration
	// Info is this server as initialize names it: since 2026-07-28, every result
	// carries it.
	Info mcp.Implementation
	// Key is the key of callers who bring none of their own. What goes out to a caller has
	// its key masked.
	Key secret.Text
	// OnError is told of every tools/call that is answered with an error; its id is
	// a json.RawMessage, its message nil. nil: nobody is.
	OnError server.OnErrorHookFunc
}

// dispatcher serves requests, each with its call and its session in the context:
// tools/call and subscriptions itself, the rest by mcp-go.
type dispatcher struct {
	Options
	mcp        *server.MCPServer
	inflight   *inflight
	room       *room
	watched    *watchCount
	info       json.RawMessage                                                    // Options.Info, as each result carries it
	parkAfter  time.Duration                                                      // HTTPOptions.ParkAfter; 0 on stdio
	resumeCall func(context.Context, string, []byte) (*mcp.CallToolResult, error) // HTTPOptions.Resume; nil on stdio
}

func newDispatcher(s *server.MCPServer, opts Options) dispatcher {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.AskFor == 0 {
		opts.AskFor = 10 * time.Minute
	}
	if opts.MaxMessage == 0 {
		opts.MaxMessage = DefaultMaxMessage
	}
	info, err := encode(opts.Info)
	if err != nil { // impossible: it holds texts alone
		panic(err)
	}
	return dispatcher{Options: opts, mcp: s, inflight: newInflight(), room: newRoom(opts.MaxMessage), watched: newWatchCount(), info: info}
}

// sessionFor gives the session that serves m: the connection's for a legacy
// message; one of its own for a modern one, which must not learn anything from
// earlier requests.
func sessionFor(m *message, version string, s *session, p Principal) *session {
	if s != nil && !mcp.IsModernProtocol(version) {
		return s
	}
	own := newSession("", p)
	own.ready = true
	return own
}

// newCall makes a call, whose messages to the client go through send, and the
// context that it runs in. Cancel it when the request has ended; active is waited
// for before the server goes.
func (d *dispatcher) newCall(ctx context.Context, active *gate, token json.RawMessage, send func([]byte) error) (context.Context, *Call) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Call{token: token, send: send, cancel: cancel, log: d.Log, askFor: d.AskFor, active: active}
}

// secretOf is what is masked in what goes out to a principal.
func (d *dispatcher) secretOf(p Principal) text.Secret {
	return text.NewSecret(string(cmp.Or(p.Key, d.Key)))
}

// request runs one request to its end and returns the encoded answer, and the
// JSON-RPC error code in it (0 for a result).
func (d *dispatcher) request(ctx context.Context, raw []byte, m *message, s *session, c *Call) ([]byte, int) {
	started := time.Now()
	key := d.secretOf(s.principal)
	if c != nil {
		c.masked.Secret = key
	}
	ctx = withServed(ctx, s.principal, c)
	ctx = d.mcp.WithContext(ctx, requestSession{session: s, call: c})
	answer := c.answerWith(d.handle(ctx, raw, m, s, c))
	if answer == nil { // mcp-go answers every request; a later version may not
		return errorMessage(m.ID, mcp.INTERNAL_ERROR, "the server has no answer"), mcp.INTERNAL_ERROR
	}
	code := 0
	if e, ok := answer.(mcp.JSONRPCError); ok {
		code = e.Error.Code
	}
	out, err := encodeAnswer(m.ID, answer)
	if err != nil {
		d.Log.Error("an answer could not be encoded", "method", m.Method, "error", err)
		return errorMessage(m.ID, mcp.INTERNAL_ERROR, "the answer could not be encoded"), mcp.INTERNAL_ERROR
	}
	how := outgoing{secret: key, verbatim: c != nil && c.verbatim.Load() && code == 0}
	out = how.json(out, answerStart(m.ID))
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		d.Log.Debug("request", "method", m.Method, "duration", time.Since(started), "code", code, "bytes", len(out))
	}
	return out, code
}

// handle calls mcp-go, or serves the request itself. A panic is logged with its
// stack and answered without it: the text of a panic may hold anything.
func (d *dispatcher) handle(ctx context.Context, raw []byte, m *message, s *session, c *Call) (answer mcp.JSONRPCMessage) {
	defer func() {
		if p := recover(); p != nil {
			d.Log.Error("panic while serving a request", "method", m.Method, "panic", p, "stack", string(debug.Stack()))
			answer = mcp.NewJSONRPCError(mcp.RequestId{}, mcp.INTERNAL_ERROR,
				"internal error in openclaw-mcp; its log has the details", nil)
		}
	}()
	if c != nil && c.takeOver != nil {
		return d.goOn(ctx, m.ID, c)
	}
	if serve := d.own(m); serve != nil && c != nil {
		return serve(ctx, m, s, c)
	}
	return d.mcp.HandleMessage(ctx, raw)
}

// notify handles a notification other than a cancel.
func (d *dispatcher) notify(ctx context.Context, raw []byte, m *message, s *session) {
	ctx = withServed(ctx, s.principal, nil)
	d.handle(d.mcp.WithContext(ctx, requestSession{session: s}), raw, m, s, nil)
}

// isCancel reports whether m tells that the client gave up a request.
func (m *message) isCancel() bool {
	return m.isNotification() && m.Method == string(mcp.MethodNotificationCancelled)
}

// cancelParams reads which request a cancel means. Numbers are compared as they
// are written, so 1 and "1" are different requests.
func cancelParams(m *message) (id, reason string) {
	reason, _ = textOf(find(m.params, "reason"))
	return string(find(m.params, "requestId")), reason
}

package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// HTTPOptions tune an [HTTP]; the zero value is ready to use.
type HTTPOptions struct {
	Log         *slog.Logger
	MaxMessage  int           // bytes of one request body (DefaultMaxMessage); more is 413
	MaxSessions int           // legacy sessions kept at once (10,000); the longest idle one makes room
	SessionIdle time.Duration // a legacy session unused for this long has expired (1 h)
	SessionAge  time.Duration // a legacy session this old has expired, however busy (24 h)
	Heartbeat   time.Duration // longest silence of an open stream (15 s)
	BodyLimit   time.Duration // how long a request's body may take to come in (1 min)
	WriteLimit  time.Duration // how long one write may take before the client counts as gone (30 s)

	Subscriber Subscriber    // watches resources; nil: no subscriptions
	Tools      Tools         // served without mcp-go; none: mcp-go serves all
	ParkAfter  time.Duration // how long subscriptions of a legacy session go on with no stream to tell it (2 min)

	// Authenticate says who a request is from, or refuses it with a *Refusal.
	// nil: everybody is Local.
	Authenticate   func(*http.Request) (Principal, error)
	AllowedHosts   []string // names that requests may be for besides loopback's
	AllowedOrigins []string // origins whose web pages may call; "*" for all
	Rate           float64  // requests a second of one principal; 0: no limit
	Concurrency    int      // requests and streams of one principal at once; 0: no limit

	ResumeFor time.Duration // how long a legacy request goes on for a client that lost its stream (2 min)
	Watch     *Watch        // is told what goes on; nil: nobody is
}

// HTTP serves MCP over streamable HTTP on one endpoint (MCP, transports,
// streamable HTTP): POST for messages in both eras, GET and DELETE for legacy
// sessions. It is an http.Handler for that endpoint, whatever its path.
type HTTP struct {
	dispatcher
	opts HTTPOptions

	base   context.Context // ends with Close; requests inherit its cause
	closed context.CancelCauseFunc
	active gate

	ids     *sessionIDs
	limiter *limiter

	mu       sync.Mutex
	sessions map[sessionKey]*session
	ended    *tombstones // ids of sessions that are over
}

// sessionKey finds a session: an id is good for its principal only.
type sessionKey struct{ principal, id string }

// NewHTTP serves s.
func NewHTTP(s *server.MCPServer, opts HTTPOptions) *HTTP {
	if opts.MaxMessage == 0 {
		opts.MaxMessage = DefaultMaxMessage
	}
	if opts.MaxSessions == 0 {
		opts.MaxSessions = 10_000
	}
	if opts.SessionIdle == 0 {
		opts.SessionIdle = time.Hour
	}
	if opts.SessionAge == 0 {
		opts.SessionAge = 24 * time.Hour
	}
	if opts.BodyLimit == 0 {
		opts.BodyLimit = time.Minute
	}
	if opts.ResumeFor == 0 {
		opts.ResumeFor = 2 * time.Minute
	}
	if opts.Heartbeat == 0 {
		opts.Heartbeat = 15 * time.Second
	}
	if opts.WriteLimit == 0 {
		opts.WriteLimit = 30 * time.Second
	}
	if opts.ParkAfter == 0 {
		opts.ParkAfter = 2 * time.Minute
	}
	base, closed := context.WithCancelCause(context.Background())
	h := &HTTP{
		dispatcher: newDispatcher(s, opts.Log, opts.Subscriber, opts.Tools), opts: opts,
		base: base, closed: closed, sessions: make(map[sessionKey]*session),
		ids: newSessionIDs(), limiter: newLimiter(opts.Rate, opts.Concurrency), ended: newTombstones(),
	}
	h.parkAfter = opts.ParkAfter
	return h
}

// Close tells requests in flight to hand over what they have, ends open
// streams, and waits for them until ctx is done.
func (h *HTTP) Close(ctx context.Context) error {
	idle := h.active.shut()
	h.closed(ErrDraining)
	h.mu.Lock()
	for _, s := range h.sessions {
		defer s.end()
	}
	h.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const headerSession = "Mcp-Session-Id"

// ServeHTTP implements http.Handler.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.active.enter() {
		w.Header().Set("Retry-After", "1")
		plainError(w, http.StatusServiceUnavailable, ErrDraining.Error())
		return
	}
	defer h.active.leave()
	err := h.checkHost(r)
	if err == nil {
		err = h.checkOrigin(r)
	}
	if err != nil {
		plainError(w, http.StatusForbidden, err.Error())
		return
	}
	allowOrigin(w, r)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" && r.Header.Get("Origin") != "" {
		preflight(w, r)
		return
	}
	caller, err := h.authenticate(r)
	if err != nil {
		refuse(w, err)
		return
	}
	leave, wait := h.limiter.enter(caller.Name)
	if leave == nil {
		h.beyondLimit(w, r, caller, wait)
		return
	}
	defer leave()
	version := r.Header.Get(mcp.HeaderProtocolVersion)
	switch {
	case r.Method == http.MethodPost:
		h.post(w, r.WithContext(withHeader(r.Context(), r.Header)), caller)
	case mcp.IsModernProtocol(version):
		w.Header().Set("Allow", http.MethodPost)
		plainError(w, http.StatusMethodNotAllowed, "protocol version "+version+" has only POST: it has no sessions")
	case r.Method == http.MethodGet:
		h.get(w, r, caller)
	case r.Method == http.MethodDelete:
		h.delete(w, r, caller)
	default:
		w.Header().Set("Allow", "POST, GET, DELETE")
		plainError(w, http.StatusMethodNotAllowed, "the MCP endpoint takes POST, GET and DELETE")
	}
}

func (h *HTTP) authenticate(r *http.Request) (Principal, error) {
	if h.opts.Authenticate == nil {
		return Local, nil
	}
	return h.opts.Authenticate(r)
}

// refuse answers a request whose sender was not accepted.
func refuse(w http.ResponseWriter, err error) {
	var r *Refusal
	if !errors.As(err, &r) {
		r = &Refusal{Status: http.StatusUnauthorized, Message: "the caller could not be authenticated"}
	}
	if r.Challenge != "" {
		w.Header().Set("WWW-Authenticate", r.Challenge)
	}
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(r.RetryAfter))
	}
	jsonAnswer(w, r.Status, errorMessage(nil, mcp.INVALID_REQUEST, r.Message))
}

// retryAfter renders a pause in whole seconds, as the header wants it.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}

func plainError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func jsonAnswer(w http.ResponseWriter, status int, body []byte) {
	jsonHeader(w, status, len(body))
	_, _ = w.Write(body)
}

func jsonHeader(w http.ResponseWriter, status, length int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(status)
}

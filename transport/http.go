package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/fleet"
)

// HTTPOptions tune an [HTTP]; the zero value is ready to use.
type HTTPOptions struct {
	Options
	MaxSessions int           // legacy sessions kept at once (10,000); whoever has most makes room
	MaxShare    int           // of those, of one caller (1,000); its own longest idle one makes room
	SessionIdle time.Duration // a legacy session unused for this long has expired (1 h)
	SessionAge  time.Duration // a legacy session this old has expired, however busy (24 h)
	Heartbeat   time.Duration // longest silence of an open stream (15 s)
	WriteLimit  time.Duration // how long one write may take before the client counts as gone (30 s)

	ParkAfter time.Duration // how long subscriptions of a legacy session go on with no stream to tell it (2 min)

	// Authenticate says who a request is from, or refuses it with a Refusal.
	// nil: everybody is Local. What is open is asked about again at each heartbeat.
	Authenticate func(*http.Request) (Principal, error)
	// Share says whose share of the limits a caller's request takes; nil: each has
	// its own. Callers that are nobody in particular may have one together.
	Share func(*http.Request, Principal) string
	// CheckHeader says what is wrong with a request's headers, which then is not served;
	// nil: nothing is.
	CheckHeader    func(http.Header) error
	AllowedHosts   []string // names that requests may be for besides loopback's
	AllowedOrigins []string // origins whose web pages may call; "*" for all
	// Fleet gives a caller's part of what joins the processes that serve the same
	// callers: nobody else can read or forge what passes there. nil: this one is alone.
	Fleet       func(Principal) (fleet.Fleet, error)
	Rate        float64 // requests a second of one principal; 0: no limit
	Concurrency int     // requests and streams of one principal at once; 0: no limit

	// Resume goes on with a call of a tool that another process began, from the place
	// that its Call.Resumable gave; nil where that gave none: then it has to say that
	// nothing is known. nil: a call ends with its process.
	Resume    func(ctx context.Context, tool string, place []byte) (*mcp.CallToolResult, error)
	ResumeFor time.Duration // how long a legacy request goes on for a client that lost its stream (2 min)
	Watch     *Watch        // is told what goes on; nil: nobody is
}

// HTTP serves MCP over streamable HTTP on one endpoint (MCP, transports,
// streamable HTTP): POST for messages in both eras, GET and DELETE for legacy
// sessions. It is an http.Handler for that endpoint, whatever its path. [Guard]
// keeps bodies that trickle in, and answers that nobody reads, from holding memory for ever.
type HTTP struct {
	dispatcher
	opts HTTPOptions

	base   context.Context // ends with Close; requests inherit its cause
	closed context.CancelCauseFunc
	active gate

	ids     *sessionIDs
	peers   peers
	limiter *limiter
	headers *room
	untold  untold
	id      string // of this process, among those that serve the same callers

	mu       sync.Mutex
	sessions map[sessionKey]*session
	shares   map[string]*share // of those who have a session
	ended    *tombstones       // ids of sessions that are over

	open openRequests
}

// sessionKey finds a session: an id is good for its principal only.
type sessionKey struct{ principal, id string }

// NewHTTP serves s.
func NewHTTP(s *server.MCPServer, opts HTTPOptions) *HTTP {
	if opts.MaxSessions == 0 {
		opts.MaxSessions = 10_000
	}
	if opts.MaxShare == 0 {
		opts.MaxShare = 1000
	}
	if opts.SessionIdle == 0 {
		opts.SessionIdle = time.Hour
	}
	if opts.SessionAge == 0 {
		opts.SessionAge = 24 * time.Hour
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
		dispatcher: newDispatcher(s, opts.Options), opts: opts,
		base: base, closed: closed, sessions: make(map[sessionKey]*session), shares: make(map[string]*share),
		ids: newSessionIDs(), limiter: newLimiter(opts.Rate, opts.Concurrency), headers: newHeaderRoom(), untold: untold{of: make(map[Principal]int)}, id: rand.Text(), ended: newTombstones(),
	}
	h.parkAfter, h.resumeCall = opts.ParkAfter, opts.Resume
	h.peers = peers{join: opts.Fleet, hear: h.heard, of: make(map[Principal]*peer)}
	h.open.init(opts)
	return h
}

// Close tells requests in flight to hand over what they have, ends open
// streams, and waits for them until ctx is done.
func (h *HTTP) Close(ctx context.Context) error {
	idle := h.active.shut()
	h.closed(ErrDraining)
	h.inflight.end(ErrDraining)
	h.open.close()
	h.mu.Lock()
	for _, s := range h.sessions {
		defer s.end()
	}
	h.mu.Unlock()
	defer h.peers.close() // those in flight may still be asked for
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Headers as net/http writes them: others it writes anew at each look.
const (
	headerSession   = "Mcp-Session-Id"
	headerLastEvent = "Last-Event-Id"
)

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
	if h.opts.CheckHeader != nil {
		if err := h.opts.CheckHeader(r.Header); err != nil {
			jsonAnswer(w, http.StatusBadRequest, errorMessage(nil, mcp.INVALID_REQUEST, err.Error()))
			return
		}
	}
	share := caller.Name
	if h.opts.Share != nil {
		share = h.opts.Share(r, caller)
	}
	headers := h.headers.of(share)
	defer headers.release()
	if !headers.add(headerCost(r.Header)) {
		h.busy(w)
		return
	}
	r, untrack := h.open.track(withOrigin(r.Context(), r.Header, share), r, caller)
	defer untrack()
	leave, wait := h.enter(caller, share)
	if leave == nil {
		h.beyondLimit(w, r, caller, wait)
		return
	}
	defer leave()
	version := r.Header.Get(mcp.HeaderProtocolVersion)
	switch {
	case r.Method == http.MethodPost:
		h.post(w, r, caller)
	case mcp.IsModernProtocol(version):
		w.Header().Set("Allow", http.MethodPost)
		plainError(w, http.StatusMethodNotAllowed, "protocol version "+version+" uses only POST: it has no sessions")
	case r.Method == http.MethodGet:
		h.get(w, r, caller)
	case r.Method == http.MethodDelete:
		h.delete(w, r, caller)
	default:
		w.Header().Set("Allow", "POST, GET, DELETE")
		plainError(w, http.StatusMethodNotAllowed, "the MCP endpoint takes POST, GET and DELETE")
	}
}

// enter lets one request of a caller in: see limiter.enter.
func (h *HTTP) enter(caller Principal, share string) (leave func(), wait time.Duration) {
	leave, wait = h.limiter.enter(share)
	if leave != nil && share == caller.Name { // another share is of several callers, whom nothing joins
		h.tellEntered(caller)
	}
	return leave, wait
}

func (h *HTTP) authenticate(r *http.Request) (Principal, error) {
	if h.opts.Authenticate == nil {
		return Local, nil
	}
	return h.opts.Authenticate(r)
}

// refuse answers a request whose sender was not accepted.
func refuse(w http.ResponseWriter, err error) {
	status, text := http.StatusUnauthorized, "the caller could not be authenticated"
	if r := (Refusal)(nil); errors.As(err, &r) {
		status, text = r.Answer(w.Header()), r.Error()
	}
	jsonAnswer(w, status, errorMessage(nil, mcp.INVALID_REQUEST, text))
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

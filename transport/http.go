package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
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
		dispatcher: newDispatcher(s, opts.Log, opts.Subscriber), opts: opts,
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
		h.opts.Watch.limited()
		tooMany(w, wait)
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

// tooMany answers a request beyond the limits of its principal.
func tooMany(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", retryAfter(wait))
	jsonAnswer(w, http.StatusTooManyRequests, errorMessage(nil, codeTooMany,
		"too many requests: wait "+retryAfter(wait)+" s, then go on more slowly; nothing was done"))
}

// codeTooMany is the JSON-RPC code beside status 429, of those that are left to
// implementations (JSON-RPC 2.0, section 5.1).
const codeTooMany = -32029

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

// incoming is a POSTed message on its way to be served.
type incoming struct {
	message
	raw     []byte
	meta    requestMeta
	modern  bool
	session *session
	scope   string // of cancels
}

func (h *HTTP) post(w http.ResponseWriter, r *http.Request, caller Principal) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		plainError(w, http.StatusUnsupportedMediaType, "the Content-Type of a POST is application/json")
		return
	}
	raw, err := h.readBody(w, r)
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		jsonAnswer(w, http.StatusRequestEntityTooLarge, errorMessage(nil, mcp.INVALID_REQUEST,
			fmt.Sprintf("the message is longer than %d bytes", tooBig.Limit)))
		return
	}
	if err != nil {
		plainError(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
		return
	}
	m, code, err := parseMessage(raw)
	if err != nil {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(m.ID, code, err.Error()))
		return
	}
	in := incoming{message: m, raw: raw, meta: m.meta()}
	if !h.classify(w, r, &in, caller) {
		return
	}
	in.session.enter()
	defer in.session.leave()
	switch {
	case m.isCancel():
		id, reason := cancelParams(m)
		h.inflight.cancel(callID{in.scope, id}, reason)
		w.WriteHeader(http.StatusAccepted)
	case m.isNotification():
		h.notify(r.Context(), raw, m, in.session)
		w.WriteHeader(http.StatusAccepted)
	case m.isRequest():
		h.serve(w, r, in)
	default:
		in.session.answer(m)
		w.WriteHeader(http.StatusAccepted)
	}
}

// readBody reads what was POSTed; what announces itself as too long is not even
// read.
func (h *HTTP) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// A body that trickles in must not hold memory for ever.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(h.opts.BodyLimit))
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	limit := int64(h.opts.MaxMessage)
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
}

// classify decides which era a POST belongs to and finds its session; it answers
// and returns false where the request can't be served.
func (h *HTTP) classify(w http.ResponseWriter, r *http.Request, in *incoming, caller Principal) bool {
	header := r.Header.Get(mcp.HeaderProtocolVersion)
	in.modern = mcp.IsModernProtocol(in.meta.ProtocolVersion) || mcp.IsModernProtocol(header)
	switch {
	case in.modern && in.isCancel():
		// Clients exist that cancel without _meta; refusing that would end them.
		in.scope = modernScope(r, caller)
		in.session = newSession("", caller)
		return true
	case in.modern:
		if code, err := h.checkModern(r, header, in); err != nil {
			jsonAnswer(w, http.StatusBadRequest, errorMessage(in.ID, code, err.Error()))
			return false
		}
		in.scope = modernScope(r, caller)
		in.session = sessionFor(in.message, in.meta.ProtocolVersion, nil, caller)
		return true
	case in.Method == string(mcp.MethodInitialize):
		if in.ID == nil {
			jsonAnswer(w, http.StatusBadRequest, errorMessage(nil, mcp.INVALID_REQUEST, "initialize is a request: it needs an id"))
			return false
		}
		in.session = newSession(rand.Text(), caller) // its id follows with its capabilities
		in.scope = in.session.id
		return true
	}
	if header != "" && !mcp.IsValidProtocolVersion(header) {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(in.ID, mcp.INVALID_REQUEST,
			fmt.Sprintf("unsupported protocol version %q in %s; supported are %s",
				header, mcp.HeaderProtocolVersion, strings.Join(mcp.ValidProtocolVersions, ", "))))
		return false
	}
	var ok bool
	in.session, ok = h.session(w, r, caller, in.ID)
	if ok {
		in.scope = in.session.id
	}
	return ok
}

// checkModern holds a modern request to the rules of its transport: the version
// stands in the header and in _meta, equal; Mcp-Method and Mcp-Name repeat the
// body; and nothing is a client's answer, since nothing is asked.
func (h *HTTP) checkModern(r *http.Request, header string, in *incoming) (int, error) {
	switch {
	case in.Method == "":
		return mcp.INVALID_REQUEST, errors.New("the server asks nothing in this protocol version, so there is nothing to answer")
	case r.Header.Get(mcp.HeaderLastEventID) != "":
		return mcp.HEADER_MISMATCH, errors.New("streams are not resumable in this protocol version: send the request again without Last-Event-ID")
	case header == "":
		return mcp.HEADER_MISMATCH, errors.New(mcp.HeaderProtocolVersion + " header is missing; it repeats " + mcp.MetaKeyProtocolVersion)
	case in.meta.ProtocolVersion == "":
		return mcp.INVALID_PARAMS, errors.New("missing or invalid _meta field " + mcp.MetaKeyProtocolVersion)
	case header != in.meta.ProtocolVersion:
		return mcp.HEADER_MISMATCH, fmt.Errorf("%s is %q but %s is %q", mcp.HeaderProtocolVersion, header, mcp.MetaKeyProtocolVersion, in.meta.ProtocolVersion)
	}
	if !mcp.IsValidProtocolVersion(header) {
		return 0, nil // mcp-go answers with the list of what is supported
	}
	if err := mcp.ValidateStandardHeaders(r.Header.Get, header, mcp.MCPMethod(in.Method), in.Params); err != nil {
		return mcp.HEADER_MISMATCH, err
	}
	return 0, nil
}

// modernScope is what little tells the sessionless clients of one principal
// apart.
func modernScope(r *http.Request, caller Principal) string {
	return "modern\x00" + caller.Name + "\x00" + hostname(r.RemoteAddr) + "\x00" + r.UserAgent()
}

// serve runs a request and answers with JSON, or with an event stream once
// something has to be said before the result.
func (h *HTTP) serve(w http.ResponseWriter, r *http.Request, in incoming) {
	stream, err := newPostStream(w, r, h.opts)
	if err != nil {
		plainError(w, http.StatusNotAcceptable, err.Error())
		return
	}
	initialize := !in.modern && in.Method == string(mcp.MethodInitialize)
	defer stream.ended()
	token := in.meta.ProgressToken
	if stream.jsonOnly {
		token = nil // there is no way to send progress, so nobody needs to make any
	}
	// The request's own context says only that it ended; which of the two ends
	// it was matters to the handler.
	ctx, call := h.newCall(context.WithoutCancel(r.Context()), &h.active, token, stream.send)
	defer call.cancel(nil)
	if !in.modern && !initialize && !stream.jsonOnly {
		stream.session, stream.giveUp = in.session, func() { call.cancel(ErrDisconnected) }
		stream.primes = in.session.protocol() >= mcp.ProtocolVersion20251125
	}
	defer context.AfterFunc(r.Context(), func() {
		// A client that can come back to the stream is waited for.
		if rp := stream.begun(); rp == nil || !rp.detach(stream) {
			call.cancel(ErrDisconnected)
		}
	})()
	defer context.AfterFunc(h.base, func() { call.cancel(ErrDraining) })()

	key := callID{in.scope, string(in.ID)}
	if !h.inflight.add(key, call, !in.modern) {
		stream.discard()
		jsonAnswer(w, http.StatusBadRequest, errorMessage(in.ID, mcp.INVALID_REQUEST, "a request with this id is in flight already"))
		return
	}
	stop := stream.heartbeat()
	answer, code := h.request(ctx, in.raw, in.message, in.session, call)
	stop()
	// Before the answer is out: behind it, the client may use the id again, and
	// a cancel is a late one.
	h.inflight.remove(key, call, r.Context().Err() != nil, !in.modern)
	if initialize && code == 0 {
		if err := h.begin(w, in.session); err != nil {
			h.log.Error("a session could not be begun", "error", err)
			answer, code = errorMessage(in.ID, mcp.INTERNAL_ERROR, "internal error in openclaw-mcp; its log has the details"), mcp.INTERNAL_ERROR
		}
	}
	err = call.finish(func() error {
		if call.wasCancelled() {
			return stream.close()
		}
		return stream.finish(answer, statusFor(in.modern, code))
	})
	if err != nil {
		h.opts.Watch.dropped()
	}
}

// begin makes a session of a successful initialize: it gets its id, and the
// client is told.
func (h *HTTP) begin(w http.ResponseWriter, s *session) error {
	id, err := h.ids.seal(s.principal, stateOf(s))
	if err != nil {
		return err
	}
	s.id = id
	w.Header().Set(headerSession, id)
	h.addSession(s)
	return nil
}

// statusFor maps a JSON-RPC error code to the HTTP status that the modern era
// prescribes; the legacy era answers 200 with the error in the body.
func statusFor(modern bool, code int) int {
	if !modern {
		return http.StatusOK
	}
	switch code {
	case mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case mcp.HEADER_MISMATCH, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION,
		mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.PARSE_ERROR:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

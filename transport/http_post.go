package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// incoming is a POSTed message on its way to be served.
type incoming struct {
	*message
	raw     []byte
	meta    requestMeta
	modern  bool
	session *session
	scope   string // of cancels
}

func (h *HTTP) post(w http.ResponseWriter, r *http.Request, caller Principal) {
	in := h.receive(w, r, caller)
	if in == nil {
		return
	}
	in.session.enter()
	defer in.session.leave()
	switch {
	case in.isCancel():
		id, reason := cancelParams(in.message)
		h.inflight.cancel(callID{in.scope, id}, reason)
		w.WriteHeader(http.StatusAccepted)
	case in.isNotification():
		h.notify(r.Context(), in.raw, in.message, in.session)
		w.WriteHeader(http.StatusAccepted)
	case in.isRequest():
		h.serve(w, r, in)
	default:
		in.session.answer(in.message)
		w.WriteHeader(http.StatusAccepted)
	}
}

// receive reads what was POSTed. Where that can't be served it answers, and
// gives nil.
func (h *HTTP) receive(w http.ResponseWriter, r *http.Request, caller Principal) *incoming {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		plainError(w, http.StatusUnsupportedMediaType, "the Content-Type of a POST is application/json")
		return nil
	}
	raw, err := h.readBody(w, r)
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		jsonAnswer(w, http.StatusRequestEntityTooLarge, errorMessage(nil, mcp.INVALID_REQUEST,
			fmt.Sprintf("the message is longer than %d bytes", tooBig.Limit)))
		return nil
	}
	if err != nil {
		plainError(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
		return nil
	}
	m, code, err := parseMessage(raw)
	if err != nil {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(m.ID, code, err.Error()))
		return nil
	}
	in := &incoming{message: m, raw: raw, meta: m.meta()}
	if !h.classify(w, r, in, caller) {
		return nil
	}
	return in
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
func (h *HTTP) serve(w http.ResponseWriter, r *http.Request, in *incoming) {
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
	stop := func() {}
	if !initialize { // whose header tells the session, and can't go out before that is known
		stop = stream.heartbeat()
	}
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

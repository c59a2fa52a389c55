package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

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

	takeOver *cursor // where another process left the call; nil: it begins here
	steps    float64 // of its progress so far
}

func (h *HTTP) post(w http.ResponseWriter, r *http.Request, caller Principal) {
	load := h.room.of(ShareFrom(r.Context()))
	defer load.release()
	if in := h.receive(w, r, caller, load); in != nil {
		h.serveMessage(w, r, in)
	}
}

// serveMessage serves one message.
func (h *HTTP) serveMessage(w http.ResponseWriter, r *http.Request, in *incoming) {
	in.session.enter()
	defer in.session.leave()
	switch {
	case in.isCancel():
		h.cancel(in)
		w.WriteHeader(http.StatusAccepted)
	case in.isNotification():
		h.notify(r.Context(), in.raw, in.message, in.session)
		w.WriteHeader(http.StatusAccepted)
	case in.isRequest():
		h.peers.get(in.session.principal) // so that its cancel is heard of
		h.serve(w, r, in)
	default:
		if !in.session.answer(in.message) {
			if err := h.answerAt(r.Context(), in); err != nil {
				w.Header().Set("Retry-After", "1")
				plainError(w, http.StatusServiceUnavailable, "the answer could not be passed on to the server that asked: send it again, it counts once ("+err.Error()+")")
				return
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

// cancel cancels the call that a client gave up, wherever it is served.
func (h *HTTP) cancel(in *incoming) {
	id, reason := cancelParams(in.message)
	key := callID{in.scope, id}
	f := h.peers.get(in.session.principal)
	switch {
	case f == nil:
		h.inflight.cancel(key, reason)
	case in.modern:
		h.peers.do(func() { h.cancelAt(f, key, reason) })
	default:
		h.peers.do(func() { h.cancelUnique(f, key, reason) })
	}
}

// receive reads what was POSTed. Where that can't be served it answers, and
// gives nil.
func (h *HTTP) receive(w http.ResponseWriter, r *http.Request, caller Principal, load *load) *incoming {
	if media, _, err := mediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		plainError(w, http.StatusUnsupportedMediaType, "the Content-Type of a POST must be application/json")
		return nil
	}
	raw, err := h.readBody(w, r, load)
	switch {
	case errors.Is(err, errBusy):
		h.busy(w)
		return nil
	case errors.Is(err, errTooManyValues):
		jsonAnswer(w, http.StatusBadRequest, errorMessage(nil, errTooManyValues.code, errTooManyValues.text))
		return nil
	}
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		jsonAnswer(w, http.StatusRequestEntityTooLarge, errorMessage(nil, mcp.INVALID_REQUEST,
			fmt.Sprintf("the message is longer than %d bytes", tooBig.Limit)))
		return nil
	}
	if err != nil {
		plainError(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
		return nil
	}
	raw = withoutMark(raw)
	if h.batch(w, r, caller, raw) {
		return nil
	}
	return h.receiveMessage(w, r, caller, raw)
}

// receiveMessage is receive for a message that was read.
func (h *HTTP) receiveMessage(w http.ResponseWriter, r *http.Request, caller Principal, raw []byte) *incoming {
	m, wrong := parseMessage(raw)
	if wrong != nil {
		status := http.StatusBadRequest
		if wrong.code == mcp.INVALID_PARAMS && m.ID != nil {
			// A request like any other that fails: some clients take 400 for the end of the session.
			status = statusFor(mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)), wrong.code)
		}
		jsonAnswer(w, status, errorMessage(m.ID, wrong.code, wrong.text))
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
func (h *HTTP) readBody(w http.ResponseWriter, r *http.Request, load *load) ([]byte, error) {
	size := h.MaxMessage
	switch {
	case r.ContentLength > int64(size):
		return nil, &http.MaxBytesError{Limit: int64(size)}
	case r.ContentLength >= 0:
		size = int(r.ContentLength)
	}
	return load.read(http.MaxBytesReader(w, r.Body, int64(size)), size)
}

// busy answers a message that finds no room.
func (h *HTTP) busy(w http.ResponseWriter) {
	h.opts.Watch.limited()
	w.Header().Set("Retry-After", "1")
	jsonAnswer(w, http.StatusServiceUnavailable, errorMessage(nil, errBusy.code, errBusy.text))
}

// classify decides which era a POST belongs to and finds its session; it answers
// and returns false where the request can't be served.
func (h *HTTP) classify(w http.ResponseWriter, r *http.Request, in *incoming, caller Principal) bool {
	header := r.Header.Get(mcp.HeaderProtocolVersion)
	in.modern = mcp.IsModernProtocol(in.meta.ProtocolVersion) || mcp.IsModernProtocol(header)
	if in.Method == string(mcp.MethodInitialize) && !mcp.IsModernProtocol(in.meta.ProtocolVersion) {
		in.modern = false // the header of some clients names the newest version that they know
	}
	switch {
	case in.modern && in.Method == "" && in.ID == nil:
		// An error that is about nothing in particular: it is not answered.
		in.session = newSession("", caller)
		return true
	case in.modern && in.isCancel():
		// Some clients cancel without _meta, and give up the server when that is refused.
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
		return mcp.INVALID_REQUEST, errors.New("in this protocol version the server sends no requests, so there is nothing to answer")
	case r.Header.Get(headerLastEvent) != "":
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
	if in.Method == methodTasksGet || in.Method == methodTasksUpdate || in.Method == methodTasksCancel {
		id, _ := textOf(find(in.params, "taskId"))
		if name := r.Header.Get(mcp.HeaderName); name != id {
			return mcp.HEADER_MISMATCH, fmt.Errorf("%s is %q; for %s it repeats params.taskId", mcp.HeaderName, name, in.Method)
		}
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
	h.run(w, r, in, stream)
}

// run runs a request and answers it through a stream.
func (h *HTTP) run(w http.ResponseWriter, r *http.Request, in *incoming, stream *postStream) {
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
	call.steps, call.takeOver = in.steps, in.takeOver
	if !in.modern && !initialize && !stream.jsonOnly {
		h.makeResumable(stream, in, call)
	}
	defer context.AfterFunc(r.Context(), func() {
		if unauthorized(r) {
			call.cancel(ErrUnauthorized)
			stream.discard()
			return
		}
		// A client that can come back to the stream is waited for.
		if rp := stream.currentReplay(); rp == nil || !rp.detach(stream) {
			call.cancel(ErrDisconnected)
		}
	})()
	key := callID{in.scope, string(in.ID)}
	if !h.inflight.add(key, call, !in.modern) {
		stream.discard()
		jsonAnswer(w, http.StatusBadRequest, errorMessage(in.ID, mcp.INVALID_REQUEST, "a request with this id is in flight already"))
		return
	}
	if stream.from != "" { // from now on, the client may come back to this stream
		stream.resumable()
		if stream.comment("open") != nil {
			stream.currentReplay().detach(stream)
		}
		h.cancelledBefore(ctx, in.session.principal, key, call)
	}
	if !initialize { // whose header tells the session, and can't go out before that is known
		stream.startBeats()
	}
	answer, code := h.request(ctx, in.raw, in.message, in.session, call)
	stream.stopBeats()
	// Before the answer is out: behind it, the client may use the id again, and
	// a cancel is a late one.
	h.inflight.remove(key, call, r.Context().Err() != nil, !in.modern)
	if initialize && code == 0 {
		if err := h.begin(w, in.session, ShareFrom(r.Context())); err != nil {
			h.Log.Error("a session could not be started", "error", err)
			answer, code = errorMessage(in.ID, mcp.INTERNAL_ERROR, "internal error in openclaw-mcp; its log has the details"), mcp.INTERNAL_ERROR
		}
	}
	err := call.finish(func() error {
		switch {
		case call.wasCancelled():
			return stream.close()
		case unauthorized(r):
			return stream.finish(errorMessage(in.ID, mcp.INVALID_REQUEST, ErrUnauthorized.Error()), http.StatusUnauthorized)
		}
		return stream.finish(answer, statusFor(in.modern, code))
	})
	if err != nil {
		h.opts.Watch.dropped()
	}
}

// makeResumable has a call's events carry what another process needs to go on with it.
func (h *HTTP) makeResumable(stream *postStream, in *incoming, call *Call) {
	stream.open = func() *replay {
		rp := in.session.replays.add(stream, func() { call.cancel(ErrDisconnected) }, h.sealedCursor(in, call))
		h.offer(in.session, rp)
		return rp
	}
	if in.session.protocol() >= mcp.ProtocolVersion20251125 {
		stream.call = call
		call.prime = func() error { return stream.resumable().prime() }
	}
}

// unauthorized reports whether a request ended because its sender may not call any more.
func unauthorized(r *http.Request) bool {
	return errors.Is(context.Cause(r.Context()), ErrUnauthorized)
}

// begin keeps the session that a successful initialize made, and sends its id.
func (h *HTTP) begin(w http.ResponseWriter, s *session, share string) error {
	id, err := h.ids.seal(s.principal, stateOf(s))
	if err != nil {
		return err
	}
	s.id = id
	w.Header().Set(headerSession, id)
	h.addSession(s, share)
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

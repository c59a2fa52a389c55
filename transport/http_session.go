package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/fleet"
)

// session finds the legacy session that a request names, or answers 400 or 404.
// A valid id that this process does not know comes from another replica, or from
// before a restart: its session is restored.
func (h *HTTP) session(w http.ResponseWriter, r *http.Request, caller Principal, id json.RawMessage) (*session, bool) {
	sid := r.Header.Get(headerSession)
	if sid == "" {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(id, mcp.INVALID_REQUEST,
			headerSession+" header is missing: send initialize first, then its answer's header with each request"))
		return nil, false
	}
	s := h.known(r.Context(), caller, sid)
	if s == nil {
		// 404 tells a client to initialize again (MCP, session management).
		jsonAnswer(w, http.StatusNotFound, errorMessage(id, mcp.INVALID_REQUEST,
			"no such session, or it expired: send initialize again"))
		return nil, false
	}
	return s, true
}

// known gives the session of an id, nil where there is none.
func (h *HTTP) known(ctx context.Context, caller Principal, sid string) *session {
	if s := h.find(caller, sid); s != nil {
		return s
	}
	return h.revive(ctx, caller, sid)
}

// find gives a session that this process has.
func (h *HTTP) find(caller Principal, sid string) *session {
	key := sessionKey{caller.Name, sid}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[key]; s != nil {
		// Its caller's key may have changed: then nothing goes on with the old one.
		if s.principal == caller && s.idle(now) <= h.opts.SessionIdle && now.Sub(s.started) <= h.opts.SessionAge {
			return s
		}
		h.forget(s)
	}
	return nil
}

// revive makes a session again from its id, nil where that leads to none.
func (h *HTTP) revive(ctx context.Context, caller Principal, sid string) *session {
	key := sessionKey{caller.Name, sid}
	state, err := h.ids.open(caller, sid)
	if err != nil || time.Since(state.started) > h.opts.SessionAge || h.endedAt(ctx, caller, sid) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[key]; s != nil && s.principal == caller {
		return s // another request was faster
	}
	if h.ended.has(key) {
		return nil
	}
	s := sessionOf(sid, caller, state)
	h.keep(s, ShareFrom(ctx))
	return s
}

// endSession ends a session that another process was told to end.
func (h *HTTP) endSession(key sessionKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[key]; s != nil {
		h.forget(s)
	}
	h.ended.add(key)
}

// forget ends a session for good; h.mu is held.
func (h *HTTP) forget(s *session) {
	h.drop(s)
	h.ended.add(sessionKey{s.principal.Name, s.id})
}

// drop takes a session out, which its id may bring back; h.mu is held.
func (h *HTTP) drop(s *session) {
	delete(h.sessions, sessionKey{s.principal.Name, s.id})
	if of := h.shares[s.share]; of != nil {
		delete(of.sessions, s)
		if len(of.sessions) == 0 {
			delete(h.shares, s.share)
		}
	}
	go s.end()
}

// share is what one caller, or several that share one, takes of the limits.
type share struct {
	sessions map[*session]struct{}
	replays  replayShare
}

// addSession keeps a session, making room for it where there are too many.
func (h *HTTP) addSession(s *session, share string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(s, share)
}

// keep is addSession for who holds h.mu. Whoever has too many sessions loses its own
// longest idle one; where all have too many together, whoever has most does. A session
// that has to make room is not over, since its id takes it up again, except where it
// watches something: its client has to know that nobody watches any more.
func (h *HTTP) keep(s *session, name string) {
	if of := h.shares[name]; of != nil && len(of.sessions) >= h.opts.MaxShare {
		h.makeRoom(of)
	}
	if len(h.sessions) >= h.opts.MaxSessions {
		most := h.shares[name]
		for _, of := range h.shares {
			if most == nil || len(of.sessions) > len(most.sessions) {
				most = of
			}
		}
		h.makeRoom(most)
	}
	of := h.shares[name]
	if of == nil {
		of = &share{sessions: make(map[*session]struct{})}
		h.shares[name] = of
	}
	s.share, s.replays.share = name, &of.replays
	if h.peers.join != nil {
		s.shared = func() fleet.Fleet { return h.peers.get(s.principal) }
	}
	of.sessions[s] = struct{}{}
	h.sessions[sessionKey{s.principal.Name, s.id}] = s
}

// makeRoom takes out the sessions of a share that have expired, else the longest idle
// one; h.mu is held.
func (h *HTTP) makeRoom(of *share) {
	now := time.Now()
	var oldest *session
	longest, expired := time.Duration(-1), false
	for s := range of.sessions {
		if idle := s.idle(now); idle > h.opts.SessionIdle {
			h.forget(s)
			expired = true
		} else if idle > longest {
			oldest, longest = s, idle
		}
	}
	switch {
	case expired || oldest == nil:
	case oldest.watches():
		h.forget(oldest)
	default:
		h.drop(oldest)
	}
}

// tombstones remembers the last sessions that ended, so that their ids do not
// bring them back.
type tombstones struct {
	keys  map[sessionKey]struct{}
	queue []sessionKey
}

// maxTombstones bounds what is remembered; ids expire by their age besides.
const maxTombstones = 100_000

func newTombstones() *tombstones { return &tombstones{keys: make(map[sessionKey]struct{})} }

func (t *tombstones) has(k sessionKey) bool { _, ok := t.keys[k]; return ok }

func (t *tombstones) add(k sessionKey) {
	if t.has(k) {
		return
	}
	t.keys[k] = struct{}{}
	t.queue = append(t.queue, k)
	if len(t.queue) > maxTombstones {
		delete(t.keys, t.queue[0])
		t.queue = t.queue[1:]
	}
}

// get opens a legacy session's stream for what is not about a request: updates
// of what the session subscribed to.
func (h *HTTP) get(w http.ResponseWriter, r *http.Request, caller Principal) {
	if !accepts(r, "text/event-stream") {
		plainError(w, http.StatusNotAcceptable, "a GET opens an event stream: Accept must include text/event-stream")
		return
	}
	s, ok := h.session(w, r, caller, nil)
	if !ok {
		return
	}
	s.enter()
	defer s.leave()
	last := r.Header.Get(headerLastEvent)
	seen, ok := parseEventID(last)
	if ok && strings.HasPrefix(seen.stream, requestStream) {
		h.resume(w, r, s, seen)
		return
	}
	lost := s.lostSubscriptions()
	if h.Subscriber != nil && h.shareSubscriptions(r.Context(), s) {
		lost = false
	}
	if last != "" && lost {
		// The client subscribed elsewhere, and can't know that this is lost.
		jsonAnswer(w, http.StatusNotFound, errorMessage(nil, mcp.INVALID_REQUEST,
			"the subscriptions of this session are gone with the server that had them: send initialize again"))
		return
	}
	stream := &postStream{w: w, rc: http.NewResponseController(w), limit: h.opts.WriteLimit, watch: h.opts.Watch}
	defer stream.ended()
	if err := stream.comment("open"); err != nil {
		return
	}
	var news <-chan struct{}
	var subs *subscriptions
	if h.Subscriber != nil {
		subs = s.subscriptions(h.Subscriber, h.watched)
		news = subs.wake
		if s.streams.open() {
			// The only stream: whatever an earlier one lost is said again. Of
			// another stream's events nothing is known here, so all is.
			if seen.stream != subs.stream {
				seen.seq = 0
			}
			subs.since(seen.seq)
			go subs.unpark(withServed(r.Context(), caller, nil))
		}
		defer s.streams.close(subs, h.opts.ParkAfter)
	}
	tick := time.NewTicker(h.opts.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-h.base.Done():
			_ = stream.retry(restartPause)
			return
		case <-news:
			if !announce(stream, subs) {
				return
			}
		case <-tick.C:
			if !h.hasSession(s) || stream.comment("ping") != nil {
				return
			}
		}
	}
}

// Sessions is how many legacy sessions there are.
func (h *HTTP) Sessions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

func (h *HTTP) hasSession(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[sessionKey{s.principal.Name, s.id}] == s
}

// restartPause is when a client whose stream ends with this process should
// connect again: to its successor, or to another replica.
const restartPause = time.Second

func (s *session) protocol() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

func (s *session) watches() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs != nil
}

// lostSubscriptions reports whether what the session once subscribed to is
// unknown here.
func (s *session) lostSubscriptions() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revived && s.subs == nil
}

// delete ends a legacy session.
func (h *HTTP) delete(w http.ResponseWriter, r *http.Request, caller Principal) {
	s, ok := h.session(w, r, caller, nil)
	if !ok {
		return
	}
	h.mu.Lock()
	h.forget(s)
	h.mu.Unlock()
	if err := h.endAt(r.Context(), s); err != nil {
		h.Log.Warn("a session was ended here, but the other servers could not be told", "error", err)
	}
	w.WriteHeader(http.StatusNoContent)
}

package transport

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// session finds the legacy session that a request names, or answers 400 or 404.
// One that this process does not know, but whose id is good, was begun by
// another replica, or before a restart: it is taken up.
func (h *HTTP) session(w http.ResponseWriter, r *http.Request, caller Principal, id json.RawMessage) (*session, bool) {
	sid := r.Header.Get(headerSession)
	if sid == "" {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(id, mcp.INVALID_REQUEST,
			headerSession+" header is missing: send initialize first and repeat the header of its answer"))
		return nil, false
	}
	s := h.find(caller, sid)
	if s == nil {
		// 404 tells a client to initialize again (MCP, session management).
		jsonAnswer(w, http.StatusNotFound, errorMessage(id, mcp.INVALID_REQUEST,
			"no such session, or it expired: send initialize again"))
		return nil, false
	}
	return s, true
}

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
		return nil
	}
	state, err := h.ids.open(caller, sid)
	if err != nil || now.Sub(state.started) > h.opts.SessionAge || h.ended.has(key) {
		return nil
	}
	s := sessionOf(sid, caller, state)
	h.keep(s)
	return s
}

// forget ends a session for good; h.mu is held.
func (h *HTTP) forget(s *session) {
	key := sessionKey{s.principal.Name, s.id}
	delete(h.sessions, key)
	h.ended.add(key)
	go s.end()
}

// addSession keeps a session, making room for it where there are too many.
func (h *HTTP) addSession(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(s)
}

// keep is addSession for who holds h.mu. A session that has to make room is
// not over, since its id takes it up again, except where it watches something:
// its client has to know that nobody watches any more.
func (h *HTTP) keep(s *session) {
	now := time.Now()
	if len(h.sessions) >= h.opts.MaxSessions {
		var oldest *session
		longest := time.Duration(-1)
		for _, other := range h.sessions {
			if idle := other.idle(now); idle > h.opts.SessionIdle {
				h.forget(other)
			} else if idle > longest {
				oldest, longest = other, idle
			}
		}
		if len(h.sessions) >= h.opts.MaxSessions {
			if oldest.watches() {
				h.forget(oldest)
			} else {
				delete(h.sessions, sessionKey{oldest.principal.Name, oldest.id})
				go oldest.end()
			}
		}
	}
	h.sessions[sessionKey{s.principal.Name, s.id}] = s
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
		plainError(w, http.StatusNotAcceptable, "a GET opens an event stream: Accept must have text/event-stream")
		return
	}
	s, ok := h.session(w, r, caller, nil)
	if !ok {
		return
	}
	s.enter()
	defer s.leave()
	last := r.Header.Get(mcp.HeaderLastEventID)
	if stream, seq, ok := parseEventID(last); ok {
		h.resume(w, r, s, stream, seq)
		return
	}
	if last != "" && s.lostSubscriptions() {
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
	if h.subscriber != nil {
		subs = s.subscriptions(h.subscriber)
		news = subs.wake
		after, _ := strconv.ParseInt(last, 10, 64)
		if s.streams.open() {
			// The only stream: whatever an earlier one lost is said again.
			subs.since(after)
			go subs.unpark(r.Context())
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

// announce sends the next update. What a broken stream does not take is kept
// for the next one.
func announce(stream *postStream, subs *subscriptions) bool {
	uri, event, ok := subs.take()
	if !ok {
		return true
	}
	msg, err := updatedMessage(uri, nil)
	if err == nil {
		err = stream.event(strconv.FormatInt(event, 10), msg)
	}
	if err != nil {
		subs.untake(uri)
	}
	return err == nil
}

// streams counts the GET streams of a session. While there is none, nobody can
// be told of updates, so after a while nobody looks for them either.
type streams struct {
	mu    sync.Mutex
	count int
	park  *time.Timer
	over  bool
}

// open counts one more, and reports whether it is the only one.
func (s *streams) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if s.park != nil {
		s.park.Stop()
		s.park = nil
	}
	return s.count == 1
}

func (s *streams) close(subs *subscriptions, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	s.wait(subs, after)
}

// wait parks subscriptions after a while, unless a stream is opened before. It
// is called with the lock held.
func (s *streams) wait(subs *subscriptions, after time.Duration) {
	if s.count > 0 || s.over || s.park != nil {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.park == timer {
			s.park = nil
			subs.park()
		}
	})
	s.park = timer
}

// subscribed starts the wait of a client that subscribes with no stream open.
func (s *streams) subscribed(subs *subscriptions, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(subs, after)
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.park != nil {
		s.park.Stop()
		s.park = nil
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
	w.WriteHeader(http.StatusNoContent)
}

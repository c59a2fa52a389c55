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
func (h *HTTP) session(w http.ResponseWriter, r *http.Request, id json.RawMessage) (*session, bool) {
	sid := r.Header.Get(headerSession)
	if sid == "" {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(id, mcp.INVALID_REQUEST,
			headerSession+" header is missing: send initialize first and repeat the header of its answer"))
		return nil, false
	}
	h.mu.Lock()
	s := h.sessions[sid]
	if s != nil && s.idle(time.Now()) > h.opts.SessionIdle {
		delete(h.sessions, sid)
		defer s.end()
		s = nil
	}
	h.mu.Unlock()
	if s == nil {
		// 404 tells a client to initialize again (MCP, session management).
		jsonAnswer(w, http.StatusNotFound, errorMessage(id, mcp.INVALID_REQUEST,
			"no such session, or it expired: send initialize again"))
		return nil, false
	}
	return s, true
}

// addSession keeps a session, making room for it where there are too many.
func (h *HTTP) addSession(s *session) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sessions) >= h.opts.MaxSessions {
		oldest, longest := "", time.Duration(-1)
		for id, other := range h.sessions {
			idle := other.idle(now)
			if idle > h.opts.SessionIdle {
				delete(h.sessions, id)
				defer other.end()
			} else if idle > longest {
				oldest, longest = id, idle
			}
		}
		if len(h.sessions) >= h.opts.MaxSessions {
			defer h.sessions[oldest].end()
			delete(h.sessions, oldest)
		}
	}
	h.sessions[s.id] = s
}

// get opens a legacy session's stream for what is not about a request: updates
// of what the session subscribed to.
func (h *HTTP) get(w http.ResponseWriter, r *http.Request) {
	if !accepts(r, "text/event-stream") {
		plainError(w, http.StatusNotAcceptable, "a GET opens an event stream: Accept must have text/event-stream")
		return
	}
	s, ok := h.session(w, r, nil)
	if !ok {
		return
	}
	s.enter()
	defer s.leave()
	stream := &postStream{w: w, rc: http.NewResponseController(w), limit: h.opts.WriteLimit}
	if err := stream.comment("open"); err != nil {
		return
	}
	var news <-chan struct{}
	var subs *subscriptions
	if h.subscriber != nil {
		subs = s.subscriptions(h.subscriber)
		news = subs.wake
		after, _ := strconv.ParseInt(r.Header.Get(mcp.HeaderLastEventID), 10, 64)
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
		err = stream.event(event, msg)
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

func (h *HTTP) hasSession(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[s.id] == s
}

// delete ends a legacy session.
func (h *HTTP) delete(w http.ResponseWriter, r *http.Request) {
	s, ok := h.session(w, r, nil)
	if !ok {
		return
	}
	h.mu.Lock()
	delete(h.sessions, s.id)
	h.mu.Unlock()
	s.end()
	w.WriteHeader(http.StatusNoContent)
}

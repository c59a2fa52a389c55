package transport

import (
	"encoding/json"
	"net/http"
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
			} else if idle > longest {
				oldest, longest = id, idle
			}
		}
		if len(h.sessions) >= h.opts.MaxSessions {
			delete(h.sessions, oldest)
		}
	}
	h.sessions[s.id] = s
}

// get opens a legacy session's stream for what is not about a request. Nothing
// of that kind is sent yet, but clients open it and expect it to stay open.
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
	tick := time.NewTicker(h.opts.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-h.base.Done():
			return
		case <-tick.C:
			if !h.hasSession(s) || stream.comment("ping") != nil {
				return
			}
		}
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
	w.WriteHeader(http.StatusNoContent)
}

package emulator

import (
	"net/http"
	"time"
)

// acceptMessage reads the body of both chat endpoints and starts the reply.
func (s *Server) acceptMessage(c *call) *run {
	var body struct {
		Message   *string `json:"message"`
		SessionID string  `json:"session_id"`
	}
	if !s.body(c, &body) || !s.need(c, "message", body.Message, false) {
		return nil
	}
	r, err := s.startRun(c.in, body.SessionID, *body.Message)
	if err != nil {
		s.failWith(c.w, err)
		return nil
	}
	return r
}

// chat answers POST chat: it blocks until the reply is complete. A client that
// leaves does not stop the reply.
func (s *Server) chat(c *call) {
	r := s.acceptMessage(c)
	if r == nil {
		return
	}
	select {
	case <-r.done:
	case <-c.r.Context().Done():
		return
	}
	_, final, _ := r.since(0)
	switch final.StopReason {
	case stopError:
		s.fail(c.w, http.StatusInternalServerError, "agent_error", final.Error)
		return
	case stopAborted:
		s.fail(c.w, http.StatusServiceUnavailable, "aborted", final.Error)
		return
	}
	s.reply(c.w, http.StatusOK, object{"session_id": r.session, "message": messageWire(*final)})
}

// chatStream answers POST chat/stream: the reply as it grows.
func (s *Server) chatStream(c *call) {
	r := s.acceptMessage(c)
	if r == nil {
		return
	}
	out := newStream(c.w)
	out.beginReply(r)
	heartbeat := time.NewTicker(s.opts.Heartbeat)
	defer heartbeat.Stop()
	for n := 0; out.err == nil; {
		events, final, changed := r.since(n)
		for _, ev := range events {
			out.replyEvent(ev)
		}
		n += len(events)
		if final != nil {
			out.endReply(*final)
			return
		}
		select {
		case <-changed:
			heartbeat.Reset(s.opts.Heartbeat)
		case <-heartbeat.C:
			out.heartbeat()
		case <-c.r.Context().Done():
			return
		}
	}
}

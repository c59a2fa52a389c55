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
	if r := s.acceptMessage(c); r != nil {
		s.replyWhole(c, r)
	}
}

// replyWhole waits for a reply and answers with it in one body.
func (s *Server) replyWhole(c *call, r *run) {
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
	var body object
	switch s.opts.Messages {
	case Camel:
		body = object{"runId": r.id, "sessionId": r.session, "status": "ok",
			"result": object{"payloads": []object{{"text": final.Text}}}}
	case Wrapped:
		body = object{"user_message": s.messageWire(r.user), "assistant_message": s.messageWire(*final)}
	default:
		body = object{"session_id": r.session, "message": s.messageWire(*final)}
	}
	s.reply(c.w, http.StatusOK, body)
}

// chatStream answers POST chat/stream in the family of the options.
func (s *Server) chatStream(c *call) {
	r := s.acceptMessage(c)
	if r == nil {
		return
	}
	s.streams.Add(1)
	defer s.streams.Add(-1)
	if s.opts.Family == FamilyJSON {
		s.replyWhole(c, r)
		return
	}
	out := newStream(c.w, s.opts.Family == FamilyNDJSON)
	enc := newFamily(s, out, r)
	enc.begin()
	heartbeat := time.NewTicker(s.opts.Heartbeat)
	defer heartbeat.Stop()
	for n := 0; out.err == nil; {
		events, final, changed := r.since(n)
		for _, ev := range events {
			enc.event(ev)
		}
		n += len(events)
		if final != nil {
			enc.end(*final)
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

package emulator

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// followMessages answers GET chat/events: the messages after a cursor, then
// those that are stored while the client stays. The sequence number of a
// message, its place in the session from 1 on, is the id of its event.
func (s *Server) followMessages(c *call) {
	query := c.r.URL.Query()
	after := query.Get("after")
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		// A client that reconnects by itself repeats its old query, and knows
		// better by now.
		after = last
	}
	s.mu.Lock()
	sess, err := c.in.pickSessionLocked(query.Get("session_id"))
	var position int
	if err == nil && sess == nil {
		err = errNoSession
	}
	if err == nil {
		position, err = sess.positionLocked(after)
	}
	s.mu.Unlock()
	if err != nil {
		s.failWith(c.w, err)
		return
	}
	s.streams.Add(1)
	defer s.streams.Add(-1)
	if s.opts.EventsAsPoll {
		s.pollMessages(c, sess, position)
		return
	}
	out := newStream(c.w, false)
	heartbeat := time.NewTicker(s.opts.Heartbeat)
	defer heartbeat.Stop()
	for out.err == nil {
		s.mu.Lock()
		news, changed := sess.messages[position:], sess.changed
		s.mu.Unlock()
		for _, m := range news {
			position++
			s.messageEvent(out, position, m)
		}
		select {
		case <-changed:
			heartbeat.Reset(s.opts.Heartbeat)
		case <-heartbeat.C:
			out.heartbeat()
		case <-c.r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// messageEvent sends a message in one of the two forms that are plausible.
func (s *Server) messageEvent(out *stream, seq int, m Message) {
	id, wire := strconv.Itoa(seq), s.messageWire(m)
	if s.opts.Messages == Wrapped {
		out.event(id, "", encode(object{"type": "message", "seq": seq, "message": wire}))
		return
	}
	out.event(id, "message", encode(wire))
}

// pollMessages answers once there is at least one message, or with none after a
// while.
func (s *Server) pollMessages(c *call, sess *session, position int) {
	wait := time.NewTimer(s.opts.PollWait)
	defer wait.Stop()
	for expired := false; ; {
		s.mu.Lock()
		news, changed := sess.messages[position:], sess.changed
		s.mu.Unlock()
		if len(news) > 0 || expired {
			list := []object{}
			for _, m := range news {
				list = append(list, s.messageWire(m))
			}
			s.reply(c.w, http.StatusOK, object{"events": list, "next": position + len(news)})
			return
		}
		select {
		case <-changed:
		case <-wait.C:
			expired = true
		case <-s.ctx.Done():
			expired = true
		case <-c.r.Context().Done():
			return
		}
	}
}

// positionLocked gives the number of messages up to and including a cursor: a
// sequence number, the id of a message, or a time.
func (sess *session) positionLocked(after string) (int, error) {
	if after == "" {
		return 0, nil
	}
	if n, err := strconv.Atoi(after); err == nil {
		if n >= 0 && n <= len(sess.messages) {
			return n, nil
		}
	} else if t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(after, " ", "+")); err == nil {
		// A "+" of the zone that was not escaped arrives as a space.
		n := 0
		for n < len(sess.messages) && !sess.messages[n].CreatedAt.After(t) {
			n++
		}
		return n, nil
	} else {
		for i, m := range sess.messages {
			if m.ID == after {
				return i + 1, nil
			}
		}
	}
	return 0, &failure{http.StatusBadRequest, "bad_cursor", "after names no message of this session"}
}

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
	out := newStream(c.w)
	heartbeat := time.NewTicker(s.opts.Heartbeat)
	defer heartbeat.Stop()
	for out.err == nil {
		s.mu.Lock()
		news, changed := sess.messages[position:], sess.changed
		s.mu.Unlock()
		for _, m := range news {
			position++
			out.event(strconv.Itoa(position), "message", messageWire(m))
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

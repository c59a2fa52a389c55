package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Message is one entry of a session's history, as stored.
type Message struct {
	ID, SessionID string
	Role          string // "user", "assistant" or "tool"
	Text          string
	CreatedAt     time.Time // whole milliseconds, ascending within a session

	// Of tool results.
	ToolCallID, ToolName string
	ToolArgs             map[string]any
	IsError              bool

	// Of replies: "stop", "error" or "aborted", and what the error was.
	StopReason, Error string
}

// The roles of stored messages.
const (
	roleUser      = "user"
	roleAssistant = "assistant"
	roleTool      = "tool"
)

// session is one conversation. Server.mu guards it.
type session struct {
	id, title        string
	created, updated time.Time
	messages         []Message     // the sequence number of one is its index + 1
	changed          chan struct{} // closed and replaced when a message is added
	last             *run          // the newest reply; replies of a session are made one by one
}

// sessionLocked gives a session by its id, or nil.
func (in *instance) sessionLocked(id string) *session {
	for _, sess := range in.sessions {
		if sess.id == id {
			return sess
		}
	}
	return nil
}

// newestLocked gives the session made last, or nil.
func (in *instance) newestLocked() *session {
	if len(in.sessions) == 0 {
		return nil
	}
	return in.sessions[len(in.sessions)-1]
}

func (s *Server) addSessionLocked(in *instance, title string) *session {
	now := s.opts.Clock()
	sess := &session{id: newID(), title: title, created: now, updated: now, changed: make(chan struct{})}
	in.sessions = append(in.sessions, sess)
	s.keepLocked(record{Session: &sessionRecord{Instance: in.id, ID: sess.id, Title: title, Created: now}})
	return sess
}

// addMessageLocked stores a message under a new id and wakes the followers.
func (s *Server) addMessageLocked(sess *session, m Message) Message {
	m.ID, m.SessionID = newID(), sess.id
	// Times ascend strictly, so that sorting by them keeps the order and a time
	// names one place in the history.
	m.CreatedAt = s.opts.Clock().Truncate(time.Millisecond)
	if n := len(sess.messages); n > 0 && !m.CreatedAt.After(sess.messages[n-1].CreatedAt) {
		m.CreatedAt = sess.messages[n-1].CreatedAt.Add(time.Millisecond)
	}
	sess.messages = append(sess.messages, m)
	sess.updated = m.CreatedAt
	stored := messageRecord(m)
	s.keepLocked(record{Message: &stored})
	close(sess.changed)
	sess.changed = make(chan struct{})
	return m
}

var errNoSession = &failure{http.StatusNotFound, "not_found", "Session not found"}

// pickSessionLocked gives the session of an id, or the newest one for "". It
// may be nil, when there is none yet.
func (in *instance) pickSessionLocked(id string) (*session, error) {
	if id == "" {
		return in.newestLocked(), nil
	}
	if sess := in.sessionLocked(id); sess != nil {
		return sess, nil
	}
	return nil, errNoSession
}

func (s *Server) listSessions(c *call) {
	s.mu.Lock()
	list := []object{}
	for _, sess := range slices.Backward(c.in.sessions) { // newest first
		list = append(list, s.sessionWireLocked(sess))
	}
	s.mu.Unlock()
	s.reply(c.w, http.StatusOK, list)
}

func (s *Server) createSession(c *call) {
	var body struct {
		Title string `json:"title"`
	}
	if !s.body(c, &body) || !s.ready(c) {
		return
	}
	s.mu.Lock()
	wire := s.sessionWireLocked(s.addSessionLocked(c.in, body.Title))
	s.mu.Unlock()
	s.reply(c.w, http.StatusCreated, wire)
}

func (s *Server) sessionWireLocked(sess *session) object {
	return object{"id": sess.id, "title": sess.title,
		"created_at": stamp(sess.created), "updated_at": stamp(sess.updated)}
}

func (s *Server) listMessages(c *call) {
	query := c.r.URL.Query()
	limit := -1
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			s.fail(c.w, http.StatusBadRequest, "bad_request", "limit has to be a positive number")
			return
		}
		limit = n
	}
	tail := query.Get("tail")
	if !slices.Contains([]string{"", "true", "false", "1", "0"}, tail) {
		s.fail(c.w, http.StatusBadRequest, "bad_request", "tail has to be true or false")
		return
	}
	s.mu.Lock()
	sess, err := c.in.pickSessionLocked(query.Get("session_id"))
	var messages []Message
	if sess != nil {
		messages = sess.messages
	}
	s.mu.Unlock()
	if err != nil {
		s.failWith(c.w, err)
		return
	}
	if limit >= 0 && limit < len(messages) {
		if tail == "true" || tail == "1" {
			messages = messages[len(messages)-limit:]
		} else {
			messages = messages[:limit]
		}
	}
	list := []object{}
	for _, m := range messages {
		list = append(list, messageWire(m))
	}
	s.reply(c.w, http.StatusOK, list)
}

// messageWire gives a message as it is answered.
func messageWire(m Message) object {
	o := object{"id": m.ID, "session_id": m.SessionID, "role": m.Role, "content": m.Text,
		"created_at": stamp(m.CreatedAt)}
	if m.Role == roleTool {
		o["tool_call_id"], o["tool_name"], o["is_error"] = m.ToolCallID, m.ToolName, m.IsError
	}
	if m.StopReason != "" { // who reads the history later knows at once that the reply is whole
		o["stop_reason"] = m.StopReason
	}
	if m.StopReason == stopError || m.StopReason == stopAborted {
		o["error_message"] = m.Error
	}
	return o
}

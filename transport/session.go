package transport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/fleet"
)

// session is what a legacy client's initialize established: a stdio
// connection's, or an HTTP session's. A modern request gets one of its own.
type session struct {
	id        string
	principal Principal
	share     string // of HTTP: whose share of the limits it takes
	started   time.Time

	mu       sync.Mutex
	ready    bool
	info     mcp.Implementation
	caps     mcp.ClientCapabilities
	version  string
	level    mcp.LoggingLevel
	lastUsed time.Time
	uses     int  // requests and streams that are open
	over     bool // it has ended
	revived  bool // made again from its id, by a process that did not start it

	subs     *subscriptions  // nil until the first one
	sharing  sync.Mutex      // held while that is brought in line with other processes
	watching context.Context // what shared subscriptions are watched with; nil: the session's stream was never here
	streams  streams         // of HTTP
	replays  replays         // of HTTP: streams of requests that can be resumed

	asked  map[string]chan *message // questions to the client, by request id
	shared func() fleet.Fleet       // what the processes that serve the session share; nil: this one is alone
}

func newSession(id string, p Principal) *session {
	return &session{
		id: id, principal: p, started: time.Now(), level: mcp.LoggingLevelError,
		lastUsed: time.Now(), asked: make(map[string]chan *message),
	}
}

// enter notes that the session is in use until leave.
func (s *session) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses++
}

func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses--
	s.lastUsed = time.Now()
}

func (s *session) idle(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uses > 0 {
		return 0
	}
	return now.Sub(s.lastUsed)
}

// subscriptions gives what the session watches.
func (s *session) subscriptions(sub Subscriber, of *watchCount) *subscriptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs == nil {
		s.subs = newSubscriptions(sub, of, s.share)
		s.subs.closed = s.over
	}
	return s.subs
}

// end ends what the session watches, for good.
func (s *session) end() {
	s.mu.Lock()
	s.over = true
	subs := s.subs
	s.mu.Unlock()
	s.streams.end()
	s.replays.end()
	if subs != nil {
		subs.close()
	}
}

// answer hands a client's answer to the call that asked, and reports whether there
// is one.
func (s *session) answer(m *message) bool {
	s.mu.Lock()
	ch, ok := s.asked[string(m.ID)]
	delete(s.asked, string(m.ID))
	s.mu.Unlock()
	if ok {
		ch <- m // buffered: never blocks
	}
	return ok
}

// requestSession is the session as one request sees it: what is sent through it
// goes to that request's own stream. It is the value that mcp-go is given.
type requestSession struct {
	*session
	call *Call
}

var (
	_ server.SessionWithClientInfo      = requestSession{}
	_ server.SessionWithLogging         = requestSession{}
	_ server.SessionWithProtocolVersion = requestSession{}
	_ server.SessionWithElicitation     = requestSession{}
	_ server.SessionWithRoots           = requestSession{}
)

func (s requestSession) SessionID() string { return s.id }

// NotificationChannel is mcp-go's own way to notify, which drops and misroutes;
// a nil channel makes sure that nobody uses it by mistake.
func (s requestSession) NotificationChannel() chan<- mcp.JSONRPCNotification { return nil }

func (s requestSession) Initialize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

func (s requestSession) Initialized() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

func (s requestSession) SetLogLevel(l mcp.LoggingLevel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.level = l
}

func (s requestSession) GetLogLevel() mcp.LoggingLevel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.level
}

func (s requestSession) SetClientInfo(i mcp.Implementation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info = keptInfo(i)
}

func (s requestSession) GetClientInfo() mcp.Implementation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

func (s requestSession) SetClientCapabilities(c mcp.ClientCapabilities) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caps = keptCapabilities(c)
}

func (s requestSession) GetClientCapabilities() mcp.ClientCapabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caps
}

func (s requestSession) SetProtocolVersion(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = v
}

func (s requestSession) ProtocolVersion() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// asksForms reports whether a client can put a form to its user. One that names only
// URLs can't (MCP 2025-11-25, elicitation, capabilities).
func asksForms(c mcp.ClientCapabilities) bool {
	return c.Elicitation != nil && (c.Elicitation.URL == nil || c.Elicitation.Form != nil)
}

// opensPages reports whether a client can send its user to a page.
func opensPages(c mcp.ClientCapabilities) bool {
	return c.Elicitation != nil && c.Elicitation.URL != nil
}

// RequestElicitation asks the user something through the client, by a form or on a page
// (elicitation/create, legacy era). A client that announces elicitation but
// answers with an error, does not answer in time, or can't be asked on this stream,
// counts as one whose user was not asked: the answer is "cancel", and the tool finds
// another way.
func (s requestSession) RequestElicitation(ctx context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	able := asksForms
	if req.Params.Mode == mcp.ElicitationModeURL {
		able = opensPages
		req.Params.ElicitationID = rand.Text() // which 2026-07-28 has no more
	}
	if !able(s.GetClientCapabilities()) {
		return nil, server.ErrElicitationNotSupported
	}
	var result mcp.ElicitationResult
	asking, cancel := context.WithTimeout(ctx, s.call.askFor)
	defer cancel()
	if err := s.ask(asking, string(mcp.MethodElicitationCreate), req.Params, &result); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		result.Action = mcp.ElicitationResponseActionCancel
	}
	return &result, nil
}

// ListRoots asks the client for its roots (roots/list, legacy era).
func (s requestSession) ListRoots(ctx context.Context, _ mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	var result mcp.ListRootsResult
	if err := s.ask(ctx, string(mcp.MethodListRoots), nil, &result); err != nil {
		return nil, err
	}
	return &result, nil
}

// ask sends a request to the client on this request's stream, and waits for the
// answer.
func (s requestSession) ask(ctx context.Context, method string, params, result any) error {
	if s.call == nil {
		return errors.New("the client can be asked only during a request")
	}
	// Random: an answer to another process's question must not answer this one.
	id, _ := json.Marshal("openclaw-" + rand.Text())
	ch := make(chan *message, 1)
	s.mu.Lock()
	s.asked[string(id)] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.asked, string(id))
		s.mu.Unlock()
	}()
	defer s.takeAnswers(string(id))()
	msg, err := encode(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Method  string          `json:"method"`
		Params  any             `json:"params,omitempty"`
	}{"2.0", id, method, params})
	if err != nil {
		return err
	}
	if err := s.call.sendMessage(s.call.outgoing().json(msg, 0)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		s.withdraw(id)
		return context.Cause(ctx)
	case m := <-ch:
		if m.Error != nil {
			text, _ := textOf(find(membersOf(m.Error), "message"))
			return fmt.Errorf("%s: the client answered: %s", method, text)
		}
		if err := jsonv2.Unmarshal(m.Result, result, loneSurrogates); err != nil {
			return fmt.Errorf("%s: the client's answer: %w", method, err)
		}
		return nil
	}
}

// withdraw tells the client that a question needs no answer any more.
func (s requestSession) withdraw(id json.RawMessage) {
	msg, err := encode(notification{JSONRPC: "2.0", Method: string(mcp.MethodNotificationCancelled), Params: map[string]any{
		"requestId": id, "reason": "no answer came in time",
	}})
	if err == nil {
		_ = s.call.sendMessage(msg) // a client that is gone has forgotten the question
	}
}

package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
)

// IfBusy says what a message does whose session has a reply under way.
type IfBusy string

// What a message may do while the session is busy.
const (
	IfBusyQueue  IfBusy = "queue"  // is sent when the reply under way has ended
	IfBusyReject IfBusy = "reject" // is refused
	IfBusySend   IfBusy = "send"   // is sent anyway
)

// ChatRequest is a message to an instance's agent.
type ChatRequest struct {
	Instance       string
	Session        string // "" is the newest session, or a new one where there is none
	Message        string
	IdempotencyKey string
	IfBusy         IfBusy // "" is IfBusyQueue
}

// joinWindow is how long after its start a reply that is under way takes in a
// repetition of its message that has no idempotency key: clients repeat a call
// that they gave up on.
const joinWindow = 10 * time.Minute

// ErrKeyReused is the answer to an idempotency key that comes with another
// message than before.
var ErrKeyReused = errors.New("this idempotency_key was used before with another message or session: nothing was sent; use a new key for a new message")

// ErrBusy is the answer of IfBusyReject.
var ErrBusy = errors.New("the session has a reply under way: nothing was sent; wait for it with wait_run, or pass if_busy: queue or send")

// SendChat sends a message and follows the reply. Where the call repeats an
// earlier one (the same idempotency key; or, without one, the same message to
// the same session while its reply is under way), nothing is sent and the
// earlier run is returned, with joined saying why.
func (m *Manager) SendChat(ctx context.Context, req ChatRequest) (run *Run, joined string, err error) {
	session := req.Session
	if session == "" {
		if session, err = m.defaultSession(ctx, req.Instance); err != nil {
			return nil, "", err
		}
	}
	what := hashText(session + "\x00" + req.Message)
	key := req.Instance + "\x00" + req.IdempotencyKey
	place := req.Instance + "\x00" + session

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, "", ErrClosed
	}
	if req.IdempotencyKey != "" {
		if k, ok := m.keys[key]; ok && !k.run.neverSent() {
			if k.what != what {
				return nil, "", ErrKeyReused
			}
			return k.run.reader(), "an earlier call with this idempotency_key sent the message; nothing was sent again", nil
		}
	}
	previous := m.last[place]
	if previous != nil {
		if _, over := previous.endedAt(); over {
			previous = nil
		}
	}
	if previous != nil && req.IdempotencyKey == "" && req.IfBusy != IfBusySend &&
		previous.what == what && time.Since(previous.state.Started) < joinWindow {
		return previous.reader(), "the same message to this session is being answered already; nothing was sent again (pass a new idempotency_key to send it once more)", nil
	}
	if previous != nil && req.IfBusy == IfBusyReject {
		return nil, "", ErrBusy
	}
	if req.IfBusy == IfBusySend {
		previous = nil
	}
	l := m.newLive(handleState{
		Kind: KindChat, ID: newID(), Instance: req.Instance, Session: session,
		Started: time.Now().Truncate(time.Second), Message: hashMessage(req.Message),
	})
	l.what, l.message = what, req.Message
	if req.IdempotencyKey != "" {
		m.keys[key] = keyed{run: l, what: what}
	}
	m.last[place] = l
	m.start(l, func(ctx context.Context) { l.chat(ctx, previous) })
	return l.reader(), "", nil
}

// reader reads a live run from its start.
func (l *live) reader() *Run { return &Run{m: l.m, state: handleState{Kind: l.state.Kind}, live: l} }

// neverSent reports whether the run failed before anything happened upstream,
// so that doing it now is not doing it again.
func (l *live) neverSent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var e *client.Error
	return l.status == StatusFailed && errors.As(l.err, &e) &&
		(e.Outcome == client.OutcomeNotSent || e.Outcome == client.OutcomeRejected)
}

// defaultSession finds the session that is used when a call names none: the
// newest one, or a new one where there is none. It stays the same for as long
// as this process knows it, so that a conversation does not change its session
// because somebody else opened a newer one. A service without sessions gets "".
func (m *Manager) defaultSession(ctx context.Context, instance string) (string, error) {
	m.mu.Lock()
	lock := m.resolve[instance]
	if lock == nil {
		lock = new(sync.Mutex)
		m.resolve[instance] = lock
	}
	m.mu.Unlock()
	// One at a time, or two first messages would make two sessions.
	lock.Lock()
	defer lock.Unlock()
	m.mu.Lock()
	known, ok := m.sessions[instance]
	m.mu.Unlock()
	if ok {
		return known, nil
	}
	id, err := m.findSession(ctx, instance)
	if err != nil {
		return "", notSent(err, "finding the session to send to")
	}
	m.mu.Lock()
	m.sessions[instance] = id
	m.mu.Unlock()
	return id, nil
}

func (m *Manager) findSession(ctx context.Context, instance string) (string, error) {
	page, err := m.c.Chat.Sessions(ctx, instance)
	switch {
	case unsupported(err):
		return "", nil
	case err != nil:
		return "", err
	case len(page.Items) > 0:
		return page.Items[0].ID, nil
	}
	s, err := m.c.Chat.CreateSession(ctx, instance, "openclaw-mcp")
	if unsupported(err) {
		return "", nil
	}
	return s.ID, err
}

// forgetSession makes the next message look for its session again.
func (m *Manager) forgetSession(instance, session string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[instance] == session {
		delete(m.sessions, instance)
	}
}

// unsupported reports whether the service lacks an endpoint. A 404 may also
// mean that the instance is not there; the next call tells.
func unsupported(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented)
}

// notSent makes an error of something that came before the send say so.
func notSent(err error, doing string) error {
	var e *client.Error
	if errors.As(err, &e) {
		c := *e
		c.Outcome = client.OutcomeNotSent
		return fmt.Errorf("%s: %w", doing, &c)
	}
	return fmt.Errorf("%s: %w", doing, &client.Error{Outcome: client.OutcomeNotSent, Err: err})
}

// chat is the whole life of a chat run: wait for the reply before it, note where
// the history stands, send, read the stream, and make up from the history for
// whatever the stream left open.
func (l *live) chat(ctx context.Context, previous *live) {
	if previous != nil {
		l.note("queued behind a reply that was under way in this session")
		l.line("status: waiting for the reply before this one")
		if !l.waitFor(ctx, previous) {
			return
		}
	}
	history, err := l.markHistory(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.end(StatusFailed, notSent(err, "reading the session's history before sending"))
		}
		return
	}
	accepted, final, err := l.stream(ctx)
	if ctx.Err() != nil {
		return
	}
	var e *client.Error
	switch {
	case final && err == nil && strings.TrimSpace(l.currentText()) != "":
		l.end(StatusCompleted, nil)
	case final && err != nil: // the agent's own word
		l.end(StatusFailed, err)
	case errors.As(err, &e) && !accepted && (e.Outcome == client.OutcomeNotSent || e.Outcome == client.OutcomeRejected):
		if e.Status == http.StatusNotFound {
			l.m.forgetSession(l.state.Instance, l.state.Session)
		}
		l.end(StatusFailed, err)
	case !history:
		l.endWithoutHistory(accepted, final, err)
	default:
		l.line("status: the stream ended early; reading the reply from the session's history")
		l.followHistory(ctx, follow{accepted: accepted, ended: final || err == nil, cause: err})
	}
}

// waitFor keeps a queued run alive until the one before it has ended.
func (l *live) waitFor(ctx context.Context, previous *live) bool {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-previous.done:
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
			previous.mu.Lock()
			stalled := previous.statusAt(time.Now()) == StatusStalled
			previous.mu.Unlock()
			if !stalled {
				l.alive()
			}
		}
	}
}

// stream sends the message and reads the reply. accepted says that the service
// took the message; final that the stream came to its own end, with err as the
// agent's error.
func (l *live) stream(ctx context.Context) (accepted, final bool, err error) {
	req := client.SendRequest{Message: l.message, SessionID: l.state.Session}
	for ev, err := range l.m.c.Chat.Stream(ctx, l.state.Instance, req) {
		if err != nil {
			return accepted, false, err
		}
		accepted = true
		l.event(ev)
		switch ev.Kind {
		case client.EventFinal:
			return true, true, nil
		case client.EventError:
			return true, true, ev.Err
		}
	}
	return true, false, nil
}

// event takes in one step of the reply.
func (l *live) event(ev client.Event) {
	l.alive()
	if ev.SessionID != "" && l.sessionID() == "" {
		l.change(func() { l.state.Session = ev.SessionID })
	}
	switch ev.Kind {
	case client.EventText:
		if ev.Replace {
			l.setText(ev.Text)
		} else {
			l.append(ev.Text)
		}
	case client.EventFinal:
		if ev.Text != "" {
			l.setText(ev.Text)
		}
	case client.EventStatus:
		if text := strings.TrimSpace(ev.Text); text != "" {
			l.line("status: " + text)
		}
	case client.EventToolStart, client.EventToolUpdate, client.EventToolEnd:
		l.tool(ev)
	}
}

func (l *live) sessionID() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Session
}

// tool merges a tool event into the run's list and tells those who watch.
func (l *live) tool(ev client.Event) {
	l.change(func() {
		l.lastActivity = time.Now()
		i := len(l.tools) - 1
		for ; i >= 0; i-- {
			if t := l.tools[i]; t.ID == ev.Tool.ID && (t.ID != "" || (t.Name == ev.Tool.Name && t.Result == "")) {
				break
			}
		}
		isNew := i < 0
		if isNew {
			l.tools = append(l.tools, ev.Tool)
			i = len(l.tools) - 1
		} else {
			t := &l.tools[i]
			if t.Name == "" {
				t.Name = ev.Tool.Name
			}
			if t.Arguments == nil {
				t.Arguments = ev.Tool.Arguments
			}
			if ev.Tool.Result != "" {
				t.Result = ev.Tool.Result
			}
			t.IsError = t.IsError || ev.Tool.IsError
		}
		t := l.tools[i]
		if isNew {
			l.lines = append(l.lines, line{len(l.text), strings.TrimSpace("tool: " + t.Name + " " + summarise(t.Arguments))})
		}
		if ev.Kind == client.EventToolEnd && t.IsError {
			l.lines = append(l.lines, line{len(l.text), "tool: " + t.Name + " failed: " + clip(t.Result)})
		}
	})
}

// summarise renders a tool's arguments for a person: the one that says what it
// does where there is such a one, else all of them.
func summarise(args []byte) string {
	var m map[string]any
	if json.Unmarshal(args, &m) == nil {
		for _, key := range []string{"command", "cmd", "path", "file_path", "file", "url", "query", "pattern"} {
			if s, ok := m[key].(string); ok {
				return clip(s)
			}
		}
		if len(m) == 0 {
			return ""
		}
	}
	return clip(string(args))
}

// clip makes a text fit on a line.
func clip(s string) string {
	const limit = 160
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit {
		return s
	}
	return s[:runeCut([]byte(s), limit)] + "…"
}

// endWithoutHistory ends a run whose stream did not end well on a service that
// keeps no history to look at.
func (l *live) endWithoutHistory(accepted, final bool, cause error) {
	switch {
	case final:
		l.note("the reply has no text")
		l.end(StatusCompleted, nil)
	case cause == nil && strings.TrimSpace(l.currentText()) != "":
		l.note("the stream ended without an end marker, and this service has no history to check it against: the reply may be incomplete")
		l.end(StatusCompleted, nil)
	default:
		l.end(StatusFailed, unknownOutcome(accepted, cause))
	}
}

// unknownOutcome is the error of a message whose fate could not be found out.
func unknownOutcome(accepted bool, cause error) error {
	text := "the connection was lost before the service answered, so the message may or may not have arrived"
	if accepted {
		text = "the service took the message, but the reply broke off, and the agent may go on with it"
	}
	e := &client.Error{Op: "POST /instances/{id}/chat/stream", Message: text, Outcome: client.OutcomeUnknown, Err: cause}
	var c *client.Error
	if errors.As(cause, &c) {
		e.Status, e.Code, e.RequestID = c.Status, c.Code, c.RequestID
		if c.Message != "" {
			e.Message += " (" + c.Message + ")"
		}
	}
	return e
}

package runs

import (
	"context"
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
	if k, ok := m.keys[key]; ok && req.IdempotencyKey != "" && (k.run == nil || !k.run.neverSent()) {
		if k.what != what {
			return nil, "", ErrKeyReused
		}
		if k.run == nil {
			if k.run, err = m.takeUp(k.state); err != nil {
				return nil, "", err
			}
		}
		return k.run.reader(), "an earlier call with this idempotency_key sent the message; nothing was sent again", nil
	}
	before := m.inFlight(place)
	if req.IdempotencyKey == "" && req.IfBusy != IfBusySend {
		for _, other := range before {
			if other.what == what && time.Since(other.state.Started) < joinWindow {
				return other.reader(), "the same message to this session is being answered already; nothing was sent again (pass a new idempotency_key to send it once more)", nil
			}
		}
	}
	if len(before) > 0 && req.IfBusy == IfBusyReject {
		return nil, "", ErrBusy
	}
	l := m.newLive(handleState{
		Kind: KindChat, ID: newID(), Instance: req.Instance, Session: session,
		Started: time.Now().Truncate(time.Second), Message: hashMessage(req.Message),
	})
	l.what, l.message = what, req.Message
	if req.IdempotencyKey != "" {
		m.keys[key] = keyed{what: what, run: l, state: l.state}
	}
	m.claim(place, l)
	if req.IfBusy == IfBusySend {
		l.beside, before = before, nil
	}
	m.start(l.carried(ctx), func(ctx context.Context) { l.chat(ctx, before) })
	return l.reader(), "", nil
}

// reader reads a live run from its start.
func (l *live) reader() *Run { return &Run{m: l.m, state: handleState{Kind: l.state.Kind}, live: l} }

// neverSent reports whether the run ended before anything happened upstream,
// so that doing it now is not doing it again.
func (l *live) neverSent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resumed || !l.status.Over() {
		return false
	}
	var e *client.Error
	return !l.sent || l.status == StatusFailed && errors.As(l.err, &e) &&
		(e.Outcome == client.OutcomeNotSent || e.Outcome == client.OutcomeRejected)
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

// chat is the whole life of a chat run: wait for the replies before it, note
// where the history stands, send, read the stream, and make up from the history
// for whatever the stream left open.
func (l *live) chat(ctx context.Context, before []*live) {
	defer func() { l.beside = nil }() // or runs would keep each other in memory
	if len(before) > 0 {
		l.note("queued behind a reply that was under way in this session")
		l.line("status: waiting for the reply before this one")
	}
	for _, other := range before {
		if !l.waitFor(ctx, other) {
			return
		}
	}
	if err := l.markHistory(ctx); err != nil {
		if ctx.Err() == nil {
			l.end(StatusFailed, notSent(err, "reading the session's history before sending"))
		}
		return
	}
	l.change(func() { l.sent = true })
	if _, over := l.endedAt(); over {
		return // cancelled before
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
	default:
		l.line("status: the stream ended early; reading the reply from the session's history")
		l.followHistory(ctx, follow{accepted: accepted, final: final, ended: final || err == nil, cause: err})
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := l.watchStream(ctx, cancel)
	defer watchdog()
	for ev, err := range l.m.c.Chat.Stream(ctx, l.state.Instance, req) {
		if err != nil {
			if cause := context.Cause(ctx); errors.Is(cause, errDeadStream) {
				return true, false, cause
			}
			return accepted, false, err
		}
		accepted = true
		l.event(ev)
		switch ev.Kind {
		case client.EventFinal:
			return true, true, nil
		case client.EventError:
			if ev.Err == nil {
				return true, true, &client.Error{Message: "the agent failed without saying how", Outcome: client.OutcomeUnknown}
			}
			return true, true, ev.Err
		}
	}
	return true, false, nil
}

// errDeadStream ends a stream whose reply the history has already.
var errDeadStream = errors.New("the stream went silent, and the history has more of the reply than it brought")

// watchStream looks at the history whenever the stream has been silent, without
// so much as a heartbeat, for as long as it takes to count as stalled: a
// connection can die without a word. Where the history has more of the reply
// than the stream has brought, or the stream goes on being silent behind the
// whole reply, it cancels the stream. The returned function ends the watch.
func (l *live) watchStream(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	watch, end := context.WithCancel(ctx)
	// A timer, and a goroutine only while it looks: there may be thousands.
	var looking sync.Mutex
	var timer *time.Timer
	looking.Lock()
	defer looking.Unlock()
	timer = time.AfterFunc(l.m.cfg.StallAfter, func() {
		looking.Lock()
		defer looking.Unlock()
		if watch.Err() != nil {
			return
		}
		if l.streamIsDead(watch) {
			cancel(errDeadStream)
			return
		}
		timer.Reset(max(l.m.cfg.StallAfter-l.silence(), l.m.cfg.StallAfter/4, l.m.timing.pollMin))
	})
	return func() {
		end()
		looking.Lock()
		defer looking.Unlock()
		timer.Stop()
	}
}

// streamIsDead reports whether a stream that has been silent for too long will
// bring nothing that the history does not have.
func (l *live) streamIsDead(ctx context.Context) bool {
	const patience = 5 // stalls, until a reply without an end marker counts as ended
	silent := l.silence()
	if silent < l.m.cfg.StallAfter {
		return false
	}
	messages, err := l.history(ctx)
	if err != nil {
		return false
	}
	found := l.locate(messages)
	text, shown := l.fit(found), l.currentText()
	ahead := len(text) > len(strings.TrimSpace(shown))
	return found.whole() && text != "" && (ahead || silent > patience*l.m.cfg.StallAfter) && l.silence() >= silent
}

// silence is for how long nothing was heard from upstream.
func (l *live) silence() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.lastActivity)
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

// endWithoutHistory ends a run whose stream did not end well on a service that
// has no history to look at; err is what it says instead.
func (l *live) endWithoutHistory(f follow, err error) {
	switch blank := strings.TrimSpace(l.currentText()) == ""; {
	case f.final && blank:
		l.note("the reply has no text")
		l.end(StatusCompleted, nil)
	case f.ended && !blank:
		l.note("the stream ended without an end marker, and this service has no history to check it against: the reply may be incomplete")
		l.end(StatusCompleted, nil)
	case l.resumed:
		l.end(StatusFailed, l.unknownOutcome(f, err))
	default:
		l.note("the service has no history to look at: " + err.Error())
		l.end(StatusFailed, l.unknownOutcome(f, f.cause))
	}
}

// unknownOutcome is the error of a message whose fate could not be found out.
func (l *live) unknownOutcome(f follow, cause error) error {
	text := "the connection was lost before the service answered, so the message may or may not have arrived"
	switch {
	case f.accepted:
		text = "the service took the message, but the reply broke off, and the agent may go on with it"
	case l.resumed:
		text = "the server process that was to send the message is gone, so the message may or may not have arrived"
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

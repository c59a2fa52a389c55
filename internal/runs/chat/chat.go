package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// reply is the run of one message: the agent's reply to it.
type reply struct {
	*runs.Live
	s        *Service
	instance string
	message  string // what is sent; "" when taken up
	what     uint64 // hash of it and its session
	sum      uint64 // hash by which the history's copy of it is recognised

	// How far the reply was read, and a hash of that, by the handle that took the
	// run up: it tells in which way the parts of a reply are joined.
	hintRead  int64
	hintCheck uint32

	silent    bool         // the agent chose not to answer, so the reply has no text
	noHistory bool         // the service had none to look at before the message was sent
	crowded   bool         // a message of the session had no answer yet then
	doubt     bool         // what the stream brings may answer that one, or another
	unproven  bool         // nothing but its place tells that the run on the stream is ours
	run       string       // the run that the stream named last
	told      string       // what the stream said last of how the agent stands
	page      atomic.Int64 // how much of the history is read at once; 0 for historyPage
	passed    atomic.Bool  // taken up from the history, where somebody's next message stands behind it: nobody waits for it

	// Guarded by the lock of Live.
	was        before            // the history before the message went out
	concurrent []*reply          // replies of the same session that are under way beside this one
	sent       bool              // the message may have gone out
	news       time.Time         // when the stream last brought something new
	repeated   repeated          // of a message that another process was to send
	entry      entry             // in the list of what is under way; this process's own does not change
	used       []client.ToolCall // what the agent last used
}

// own is what a handle carries of a reply alone.
func own(anchor, sum uint64) string {
	return string(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, anchor), sum))
}

// Resume follows a reply that another process asked for.
func (r *reply) Resume(ctx context.Context) {
	defer r.leaveList(ctx)
	if r.takeOver(ctx) {
		return
	}
	// What whoever had it told, or its claim, may be more than the handle knows.
	state := r.State()
	if d := runs.NewDecoder(state.Own); len(state.Own) > 0 {
		r.was = beforeOf(state, d.Uint64())
	}
	r.followHistory(ctx, follow{resumed: true, accepted: state.Flags&flagAccepted != 0 || r.hintRead > 0})
}

// Shared is the tools that the agent used.
func (r *reply) Shared() any { return &r.used }

// Result gives the tools that the agent used, as []client.ToolCall.
func (r *reply) Result() any { return slices.Clone(r.used) }

// CancelNote says what a cancel does to a reply.
func (r *reply) CancelNote() string {
	if !r.Resumed() && !r.sent {
		return "the message was not sent"
	}
	return "the reply is no longer followed; the service has no way to stop the agent, so it may go on, and its reply will then be in the session's history"
}

// Size counts what a reply keeps besides its text.
func (r *reply) Size() int {
	n := len(r.message)
	for _, t := range r.used {
		n += len(t.Arguments) + len(t.Result)
	}
	return n
}

func (r *reply) over() bool { return r.Status().Over() }

func (r *reply) sessionID() string { return r.State().Session }

// neverSent reports whether the run ended before anything happened upstream,
// so that doing it now is not doing it again.
func (r *reply) neverSent() bool {
	if !r.over() {
		return false
	}
	var sent bool
	r.Locked(func() { sent = r.sent })
	var e *client.Error
	return !sent && !r.Resumed() || r.Status() == runs.StatusFailed && errors.As(r.Err(), &e) &&
		(e.Outcome == client.OutcomeNotSent || e.Outcome == client.OutcomeRejected)
}

// notSent makes an error of what came before the send say so.
func notSent(err error, doing string) error {
	var e *client.Error
	if errors.As(err, &e) {
		c := *e
		c.Outcome = client.OutcomeNotSent
		return fmt.Errorf("%s: %w", doing, &c)
	}
	return fmt.Errorf("%s: %w", doing, &client.Error{Outcome: client.OutcomeNotSent, Err: err})
}

// NoteQueued is the note of a message that was not sent at once.
const NoteQueued = "queued behind a reply that was under way in this session"

// start is the whole life of a reply: wait for the replies before it, note
// where the history stands, send, read the stream, and make up from the history
// for whatever the stream left open.
func (r *reply) start(ctx context.Context, before []*reply) {
	defer r.Locked(func() { r.concurrent = nil }) // or runs would keep each other in memory
	if len(before) > 0 {
		r.Note(NoteQueued)
		r.Line("status: waiting for the reply before this one")
	}
	for _, other := range before {
		if !r.waitFor(ctx, other) {
			return
		}
	}
	r.useNamedSession()
	if r.markHistory(ctx); ctx.Err() != nil {
		return
	}
	if r.over() || !r.mayBeSent(ctx) {
		return
	}
	r.Change(func() { r.sent = true })
	if r.over() {
		return // cancelled before
	}
	accepted, final, err := r.converse(ctx)
	if ctx.Err() != nil {
		return
	}
	var e *client.Error
	switch {
	case final && r.doubt:
		r.Line("status: another run is on the stream; looking for the reply in the session's history")
		r.followHistory(ctx, follow{accepted: true, doubt: true, failure: err, cause: errOtherRuns})
	case final && err == nil && (r.silent || strings.TrimSpace(r.Text()) != ""):
		r.End(runs.StatusCompleted, nil)
	case final && err != nil: // the agent's own word
		r.End(runs.StatusFailed, err)
	case errors.Is(err, client.ErrWebPage):
		r.End(runs.StatusFailed, err)
	case errors.As(err, &e) && !accepted && (e.Outcome == client.OutcomeNotSent || e.Outcome == client.OutcomeRejected):
		if e.Status == http.StatusNotFound {
			r.s.sessions.forget(r.instance, r.sessionID())
		}
		r.End(runs.StatusFailed, err)
	default:
		r.Line("status: the stream ended early; reading the reply from the session's history")
		r.followHistory(ctx, follow{accepted: accepted, final: final, ended: final || err == nil, unproven: r.doubt || r.crowded && r.unproven, cause: err})
	}
}

// leaveList takes a reply that has ended off the list that a process which is gone may
// have put it on.
func (r *reply) leaveList(ctx context.Context) {
	if !r.over() {
		return
	}
	var e entry
	r.Locked(func() { e = r.entry })
	if !e.noted { // taken up by its key or its handle, which do not tell whether it is listed
		e.place = placeOf(r.State())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	r.s.exit(ctx, e.place, r.State().ID, e.list)
}

// waitFor keeps a queued run alive until the one before it has ended.
func (r *reply) waitFor(ctx context.Context, previous *reply) bool {
	defer previous.Keep()()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-previous.Done():
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
			if previous.passed.Load() {
				return true
			}
			if previous.Status() != runs.StatusStalled {
				r.Alive()
			}
		}
	}
}

// stream sends the message and reads the reply. accepted says that the service
// took the message; final that the stream came to its own end, with err as the
// agent's error.
func (r *reply) stream(ctx context.Context, send way) (accepted, final bool, err error) {
	req := client.SendRequest{Message: r.message, SessionID: r.sessionID(), Linger: r.crowded}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := r.watchStream(ctx, cancel)
	defer watchdog()
	for ev, err := range send(ctx, r.instance, req) {
		switch {
		case err != nil && final:
			return true, true, nil
		case err != nil:
			if cause := context.Cause(ctx); errors.Is(cause, errDeadStream) {
				return true, false, cause
			}
			return accepted, false, err
		}
		accepted = true
		if r.event(ev); final {
			continue
		}
		switch ev.Kind {
		case client.EventFinal:
			if !r.crowded || !ev.Doubt || r.doubt {
				return true, true, nil
			}
			// The run may be that of the message before ours. If it is, ours follows.
			final = true
			defer time.AfterFunc(r.s.timing.lag, func() { cancel(errQuiet) }).Stop()
		case client.EventError:
			if ev.Err == nil {
				return true, true, &client.Error{Message: "the agent failed without saying how", Outcome: client.OutcomeUnknown}
			}
			return true, true, ev.Err
		}
	}
	return true, final, nil
}

// Causes for which a stream is ended, or not believed.
var (
	errDeadStream = errors.New("the stream went silent")
	errQuiet      = errors.New("nothing came after the end")
	errOtherRuns  = errors.New("more than one run was on the stream, and nothing says which of them answers the message")
)

// watchStream looks at the history whenever the stream has brought nothing new for a
// while: a connection can die without a word, and a service may leave a stream open
// behind the reply. It cancels a stream that has nothing more to bring. The returned
// function ends the watch.
func (r *reply) watchStream(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	watch, end := context.WithCancel(ctx)
	stall := r.s.m.Config.StallAfter
	first := max(stall/12, r.s.timing.pollMin) // 15 s
	// A timer, and a goroutine only while it looks: there may be thousands.
	var looking sync.Mutex
	var timer *time.Timer
	var seen stillReply
	pause := first
	r.Locked(func() { r.news = time.Now() })
	looking.Lock()
	defer looking.Unlock()
	timer = time.AfterFunc(first, func() {
		looking.Lock()
		defer looking.Unlock()
		quiet := r.quiet()
		switch {
		case watch.Err() != nil:
			return
		case quiet < first:
			pause = first
			timer.Reset(first - quiet)
			return
		case r.streamIsOver(watch, &seen):
			cancel(errDeadStream)
			return
		}
		pause = min(pause*3/2, max(stall/4, first))
		timer.Reset(pause)
	})
	return func() {
		end()
		looking.Lock()
		defer looking.Unlock()
		timer.Stop()
	}
}

// quiet is for how long the stream has brought nothing new, signs of life aside.
func (r *reply) quiet() (d time.Duration) {
	r.Locked(func() { d = time.Since(r.news) })
	return d
}

// stillReply is a reply in the history, and since when it is as it is.
type stillReply struct {
	fingerprint uint64
	since       time.Time
}

// streamIsOver reports whether a stream without an end marker will bring nothing that
// the history does not have. It is enough that the history marks the reply as ended.
// Else the reply must stand there unchanged for long, since it may pause for minutes
// behind a first remark: longest on a stream that shows signs of life, which would
// bring what comes. Where the history tells nothing, the patience has an end, too, or
// the run would block its session.
func (r *reply) streamIsOver(ctx context.Context, seen *stillReply) bool {
	stall, silent, quiet := r.s.m.Config.StallAfter, r.Silence(), r.quiet()
	page, _, err := r.history(ctx)
	if err != nil {
		return silent > r.s.timing.patience
	}
	m := matchHistory(r.was, r.question(follow{accepted: true}), page.Items, r.overlapping())
	if id := fingerprint(m.rows...); id != seen.fingerprint || seen.since.IsZero() {
		*seen = stillReply{id, time.Now()}
	}
	still := time.Since(seen.since)
	switch text := r.fit(m); {
	case r.quiet() < quiet:
		return false
	case m.working():
		return silent > r.s.timing.giveUp
	case m.closed && atWork(m.newest): // on ours, perhaps, behind somebody's next message
		return silent > r.s.timing.patience
	case m.verdict != found || text == "" && !m.marked():
		return silent > r.s.timing.patience || quiet > r.s.timing.giveUp
	case m.marked() && (strings.HasPrefix(bare(text), bare(r.Text())) || silent > stall):
		return true
	}
	return silent > 2*stall && still > stall*3/2 || quiet > 5*stall && still > 4*stall
}

// event takes in one step of the reply.
func (r *reply) event(ev client.Event) {
	r.Alive()
	if r.isNews(ev) {
		r.Locked(func() { r.news = time.Now() })
	}
	if ev.RunID != "" {
		r.run = ev.RunID
	}
	r.unproven, r.doubt = ev.Doubt, ev.Doubt && ev.Rivals || ev.Kind == client.EventOtherRun
	if state := r.State(); state.Flags&flagAccepted == 0 {
		r.ChangeState(func(s *runs.State) { s.Flags |= flagAccepted })
	}
	if ev.SessionID != "" && r.sessionID() == "" {
		r.s.nameSession(r, ev.SessionID)
	}
	switch ev.Kind {
	case client.EventText:
		if ev.Replace {
			r.SetText(ev.Text)
		} else {
			r.Append(ev.Text)
		}
	case client.EventFinal:
		if ev.Text != "" {
			r.SetText(ev.Text)
		}
		if r.silent = ev.Silent; ev.Note != "" {
			r.Note(ev.Note)
		}
	case client.EventStatus, client.EventAccepted:
		if text := strings.TrimSpace(ev.Text); text != "" {
			r.Line("status: " + text)
		}
	case client.EventToolStart, client.EventToolUpdate, client.EventToolEnd:
		r.tool(ev)
	}
}

// isNews reports whether a step is more than a sign of life.
func (r *reply) isNews(ev client.Event) bool {
	switch ev.Kind {
	case client.EventHeartbeat, client.EventUnknown:
		return false
	case client.EventStatus:
		again := ev.Text == r.told
		r.told = ev.Text
		return !again
	}
	return true
}

// endWithoutHistory ends a run whose stream did not end well on a service that
// has no history to look at; err is what it says instead.
func (r *reply) endWithoutHistory(f follow, err error) {
	switch blank := strings.TrimSpace(r.Text()) == ""; {
	case f.doubt || f.unproven:
		r.End(runs.StatusFailed, fmt.Errorf("unclear: %w", r.unknownOutcome(f, f.cause)))
	case f.final && blank:
		r.Note("the reply has no text")
		r.End(runs.StatusCompleted, nil)
	case f.ended && !blank:
		r.Note("the stream ended without an end marker, and this service has no history to check it against: the reply may be incomplete")
		r.End(runs.StatusCompleted, nil)
	case r.Resumed():
		r.End(runs.StatusFailed, r.unknownOutcome(f, err))
	default:
		r.Note("the service has no history to look at: " + err.Error())
		r.End(runs.StatusFailed, r.unknownOutcome(f, f.cause))
	}
}

// unknownOutcome is the error of a message whose fate could not be found out.
func (r *reply) unknownOutcome(f follow, cause error) error {
	text := "the connection was lost before the service answered, so the message may or may not have arrived"
	switch {
	case f.accepted && f.resumed:
		text = "the server process that sent the message is gone; the service took the message, and the agent may go on with it"
	case f.accepted:
		text = "the service took the message, but the reply broke off, and the agent may go on with it"
	case f.resumed:
		text = "the server process that was to send the message is gone, so the message may or may not have arrived"
	}
	op := "POST /instances/{id}/chat/stream"
	if r.s.knownWhole(r.instance) {
		op = "POST /instances/{id}/chat"
	}
	e := &client.Error{Op: op, Message: text, Outcome: client.OutcomeUnknown, Err: cause}
	var c *client.Error
	if errors.As(cause, &c) {
		e.Status, e.Code, e.RequestID = c.Status, c.Code, c.RequestID
		if c.Message != "" {
			e.Message += " (" + c.Message + ")"
		}
	}
	return e
}

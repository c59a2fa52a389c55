package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
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

	unsure    string       // what the stream said that may be no reply, where it said nothing else
	silent    bool         // the agent chose not to answer, so the reply has no text
	calling   bool         // the stream told of a tool's call, and of nothing since
	check     bool         // the stream's end had no text, and the last words before it may be missing
	noHistory bool         // the service had none to look at before the message was sent
	crowded   bool         // a message of the session had no answer yet then
	doubt     error        // why what the stream brings may answer that one, or another; nil: it does not
	unproven  bool         // nothing but its place tells that the run on the stream is ours
	run       string       // the run that the stream named last
	told      string       // what the stream said last of how the agent stands
	rested    bool         // the last thing on the stream was that the model ended its message
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
	earlier    *earlier          // once it has ended and somebody asked for that
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
		n += sizeOf(t)
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
	defer r.forgetOthers()
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
	r.Locked(func() { r.was.said = nil })
	if ctx.Err() != nil {
		return
	}
	var e *client.Error
	switch {
	case final && r.doubt != nil:
		r.Line("status: another run is on the stream; looking for the reply in the session's history")
		r.followHistory(ctx, follow{accepted: true, doubt: true, streamed: r.Text(), failure: err, cause: r.doubt})
	case final && err == nil && r.check:
		r.Line("status: reading the end of the reply from the session's history")
		r.followHistory(ctx, follow{accepted: true, final: true, ended: true, check: true})
	case final && err == nil && (r.silent || strings.TrimSpace(r.Text()) != ""):
		r.End(runs.StatusCompleted, nil)
	case final && err != nil, errors.Is(err, client.ErrWebPage): // the agent's own word, or nobody's
		r.End(runs.StatusFailed, err)
	case !accepted && r.cameAllTheSame(ctx, err):
		r.followHistory(ctx, follow{accepted: true, refused: true, cause: err})
	case errors.As(err, &e) && !accepted && (e.Outcome == client.OutcomeNotSent || e.Outcome == client.OutcomeRejected):
		if e.Status == http.StatusNotFound {
			r.s.sessions.forget(r.instance, r.sessionID())
		}
		r.End(runs.StatusFailed, err)
	default:
		r.Line("status: the stream ended early; reading the reply from the session's history")
		r.followHistory(ctx, follow{accepted: accepted, final: final, ended: final || err == nil, calling: r.calling && !final, rested: r.rested, unproven: r.doubt != nil || r.crowded && r.unproven, cause: err})
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
	r.exit(ctx, e.place, e.list, func(context.Context) {})
}

// exit takes a reply that has ended off the list of its place, and does what else there
// is to note.
func (r *reply) exit(ctx context.Context, place string, list fleet.Fact, note func(ctx context.Context)) {
	brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	err := r.s.exit(brief, place, r.State().ID, list)
	note(brief)
	r.s.exitLater(ctx, err, place, r.State().ID)
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
	req := client.SendRequest{Message: r.message, SessionID: r.sessionID(), Linger: true, Room: r.Room, Before: r.was.has}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := r.watchStream(ctx, cancel)
	defer watchdog()
	abrupt, broken := false, false
	var failure error
	var quiet *time.Timer
	for ev, err := range send(ctx, r.instance, req) {
		switch {
		case err != nil && final:
			broken = true // it comes last
			continue
		case err != nil:
			if cause := context.Cause(ctx); errors.Is(cause, errDeadStream) {
				if r.rested {
					cause = nil // as if the service had closed it
				}
				return true, false, cause
			}
			return accepted, false, err
		}
		accepted = true
		if final && failure != nil && !abrupt && ev.Kind != client.EventGoesOn {
			continue // what else goes on there is not ours
		}
		r.event(ev)
		if final {
			if abrupt && ev.Kind == client.EventOtherRun || ev.Kind == client.EventGoesOn { // which the stream goes on with
				final, abrupt, failure = false, false, nil
				quiet.Stop()
			}
			continue
		}
		switch ev.Kind {
		case client.EventFinal:
		case client.EventError:
			if failure = ev.Err; ev.Err == nil {
				failure = &client.Error{Message: "the agent failed without saying how", Outcome: client.OutcomeUnknown}
			}
		default:
			continue
		}
		final, abrupt = true, ev.Doubt && ev.Abrupt
		wait := r.s.timing.lag
		switch {
		case r.doubt != nil || !abrupt && failure == nil && !ev.Elsewhere && (!ev.Doubt || !r.crowded):
			return true, true, failure
		case !r.crowded, !abrupt && (failure != nil || !ev.Doubt): // another attempt, or our session, follows soon
			wait = r.s.timing.brief
		}
		// The run may be that of a message before ours. If it is, ours follows; and a
		// stream that is closed behind the end was of this run, unless a message was
		// waiting for its answer.
		quiet = time.AfterFunc(wait, func() { cancel(errQuiet) })
		defer quiet.Stop()
	}
	if abrupt && (broken || r.crowded) && r.doubt == nil {
		r.doubt = errAbrupt
	}
	return true, final, failure
}

// event takes in one step of the reply.
func (r *reply) event(ev client.Event) {
	r.Alive()
	if r.isNews(ev) || ev.Rested != r.rested {
		r.Locked(func() { r.news, r.rested = time.Now(), ev.Rested })
	}
	if ev.RunID != "" {
		r.run = ev.RunID
	}
	r.unproven, r.doubt, r.calling = ev.Doubt, nil, ev.Calling
	if ev.Doubt && ev.Rivals || ev.Kind == client.EventOtherRun {
		r.doubt = errOtherRuns
	}
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
		r.check, r.unsure = ev.Check, ev.Unsure
		if r.silent = ev.Silent; ev.Note != "" {
			r.Note(ev.Note)
		}
	case client.EventGoesOn:
		r.Line("status: what ended was not the reply; it follows")
	case client.EventStatus, client.EventAccepted:
		r.unsure = ev.Unsure
		if text := strings.TrimSpace(ev.Text); text != "" {
			r.Line("status: " + text)
		}
	case client.EventToolStart, client.EventToolUpdate, client.EventToolEnd:
		r.tool(ev)
	}
}

package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

const (
	// historyPage is the first look at a history; it grows as long as what is
	// looked for may lie further back.
	historyPage    = 50
	maxHistoryPage = 3200
)

// errOldestOnly is about a service that gives the oldest messages of a history
// when it is asked for the newest.
var errOldestOnly = errors.New("the service gives the oldest messages of a history when asked for the newest, and this history is too long to read whole")

// Flags of a reply's handle.
const (
	flagUnseen   = 1 << iota // it is not known how the history was before
	flagAccepted             // the service took the message
)

// beforeOf is what a handle knows of the history before its message.
func beforeOf(state runs.State, anchor uint64) before {
	b := before{seen: state.Flags&flagUnseen == 0, part: anchor != 0}
	if anchor != 0 {
		b.rows = []uint64{anchor}
	}
	return b
}

// follow is what is known when a reply has to be read from the history.
type follow struct {
	accepted bool   // the service took the message
	refused  bool   // the service refused the message, and the history has it all the same
	final    bool   // the stream had its end marker
	ended    bool   // the stream came to an end, with a marker or without
	rested   bool   // the last that the stream brought was that the model ended its message
	cause    error  // what broke the stream
	calling  bool   // the stream broke where the agent used a tool
	resumed  bool   // the run was taken up: nothing is known of the stream
	check    bool   // the reply is what the stream brought, but some of its words may be missing
	shown    string // what was shown of the reply before the history was asked for it
	unproven bool   // what the stream brought was of a run that nothing proves to be ours
	doubt    bool   // what the stream brought may be the reply to another message
	streamed string // with doubt: the text that it brought
	failure  error  // with doubt: what it said of the agent's failure
}

// followHistory reads the reply from the session's history until it is complete
// there. It never sends anything.
func (r *reply) followHistory(ctx context.Context, f follow) {
	t := r.s.timing
	f.shown = r.Text()
	var (
		delay      = t.pollMin
		began      = time.Now()
		reached    time.Time // first answer of the history
		missing    time.Time // since when the service says that it has none
		seen       uint64    // the reply as last found
		seenSince  time.Time
		newest     uint64 // the newest message as last found
		news       = time.Now()
		idleSince  = time.Now()
		answeredAt = time.Now()
		down       bool
		last       client.Message // the reply's newest message as last found
		grows      bool           // the service stores a message while it is being written
		closed     bool           // somebody's next message stood behind the reply when it was last found
		overtaken  bool           // and the agent may have gone on with the reply behind it
		fullest    match          // the reply as last found, but by a replica that is behind
		fullestAt  time.Time
	)
	for ; ; delay = min(delay*3/2, t.pollMax) {
		page, _, err := r.history(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case fatal(err):
			r.End(runs.StatusFailed, r.unknownOutcome(f, err))
			return
		case lasting(err):
			// A proxy says 404, too, while its service is being restarted.
			if missing.IsZero() {
				missing = now
			}
			if r.noHistory || now.Sub(missing) > t.lag {
				r.endWithoutHistory(f, err)
				return
			}
		case err != nil:
			if !down {
				r.Line("status: the service does not answer; still trying")
				down = true
			}
			patience := t.patience
			if !f.resumed && !r.was.seen {
				patience = t.unclear // it did not answer before either
			}
			if now.Sub(answeredAt) > patience {
				r.endWithoutHistory(f, err)
				return
			}
		default:
			down, missing, answeredAt = false, time.Time{}, now
			if reached.IsZero() {
				reached = now
			}
			q := r.question(f)
			q.overtaken = overtaken && !f.final
			m := matchHistory(r.was, q, page.Items, r.overlapping())
			if m.isBeginningOf(fullest) && now.Sub(fullestAt) < 2*t.lag {
				break // by another one than before, that is
			}
			fullest, fullestAt = m, now
			grows = grows || grew(last, m.last())
			last = m.last()
			// Where messages grow, the time of one does not tell when it was whole.
			changed := wording(m.rows...) != seen
			late := grows && (changed || now.Sub(seenSince) < stillness)
			if m.closed && !overtaken && (m.atWork() || closed && changed || !closed && late) {
				overtaken, q.overtaken = true, !f.final
				m = matchHistory(r.was, q, page.Items, r.overlapping())
			}
			closed = m.closed
			m.busy = page.Busy && !r.was.busy
			f.accepted = f.accepted || m.verdict == found
			if f.resumed && m.message != "" {
				r.Describe(m.message)
			}
			text := r.fit(m)
			if id := wording(m.newest); id != newest {
				newest, news = id, now
			}
			r.passed.Store(f.resumed && (m.closed || m.verdict == unclear))
			if id := wording(m.rows...); id != seen || seenSince.IsZero() {
				seen, seenSince = id, now
				if !client.IsSilent(text) {
					r.show(text)
				}
				delay = t.pollMin
			}
			s := standing{follow: f, match: m, text: text, shown: r.Text(), run: r.run, unsure: r.unsure,
				still: now.Sub(seenSince), quiet: now.Sub(news), reached: now.Sub(reached), age: m.age(now.Sub(r.State().Started))}
			if s.working() || s.inCall() {
				r.GoesOn()
			}
			e, over := s.decide(t)
			if over && e.status == runs.StatusCompleted && s.unmarked() && r.sessionBusy(ctx) {
				s.busy, s.listed = true, true
				e, over = s.decide(t)
			}
			if over {
				r.conclude(s, e)
				return
			}
		}
		if now.Sub(began) > t.giveUp {
			r.End(runs.StatusFailed, r.unknownOutcome(f, f.cause))
			return
		}
		if r.Resumed() {
			if r.Waited() {
				idleSince = now
			} else if now.Sub(idleSince) > t.idle && r.Leave() {
				return
			}
		}
		if !runs.Pause(ctx, delay) {
			return
		}
	}
}

// sessionBusy reports whether the list of sessions says that the agent is at work in this
// one. Where it says so of all, it tells nothing.
func (r *reply) sessionBusy(ctx context.Context) bool {
	page, err := r.s.c.Chat.Sessions(ctx, r.instance)
	if err != nil {
		return false
	}
	ours := func(session client.Session) bool { return session.ID == r.sessionID() && session.Busy }
	idle := func(session client.Session) bool { return !session.Busy }
	return slices.ContainsFunc(page.Items, ours) && (len(page.Items) == 1 || slices.ContainsFunc(page.Items, idle))
}

// question is the message as the history is searched for it.
func (r *reply) question(f follow) sent {
	q := sent{text: r.message, sum: r.sum, at: r.State().Started, now: time.Now(), accepted: f.accepted}
	if r.doubt == nil && !(r.crowded && r.unproven) {
		q.shown = f.shown // not what the history has shown since, which may be another's
	}
	return q
}

// overlapping is what else this process sent to the session meanwhile.
func (r *reply) overlapping() (list []overlapping) {
	var others []*reply
	r.Locked(func() { others = append(others, r.concurrent...) })
	for _, other := range others {
		var sent bool
		if other.Locked(func() { sent = other.sent }); !sent || other.neverSent() {
			continue
		}
		o := overlapping{message: other.message, reply: other.Text()}
		o.over = other.Status() == runs.StatusCompleted && strings.TrimSpace(o.reply) != ""
		list = append(list, o)
	}
	return list
}

// fingerprint changes with anything that messages say.
func fingerprint(rows ...client.Message) uint64 {
	var b []byte
	for _, row := range rows {
		b = binary.BigEndian.AppendUint64(b, identity(row))
		b = binary.BigEndian.AppendUint64(b, hashText(row.Text))
		b = append(b, byte(len(row.ToolCalls)))
	}
	return hashText(string(b))
}

// wording changes with what messages say, and not with their names: some services make new
// ids, or times, each time that they are asked.
func wording(rows ...client.Message) uint64 {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].ID, rows[i].CreatedAt = "", time.Time{}
	}
	return fingerprint(rows...)
}

// grew reports whether a message is an earlier one with more text.
func grew(old, m client.Message) bool {
	return m.Role == old.Role && m.ID == old.ID && m.CreatedAt.Equal(old.CreatedAt) && len(m.Text) > len(old.Text) && strings.HasPrefix(m.Text, old.Text)
}

// fatal reports errors that no repetition changes.
func fatal(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status == http.StatusPaymentRequired)
}

// lasting reports errors that say that there is no history to be had.
func lasting(err error) bool {
	return unsupported(err) || runs.Permanent(err) || errors.Is(err, errOldestOnly)
}

// history gives the newest messages, as far back as where the history stood
// before ours; part says that there may be older ones.
func (r *reply) history(ctx context.Context) (page client.Page[client.Message], part bool, err error) {
	for {
		limit := max(r.page.Load(), historyPage)
		page, err = r.messages(ctx, int(limit))
		n, want := len(page.Items), int(limit)
		full := n == want || n+page.Skipped == want
		// Some services leave messages out after they have counted.
		if err != nil || !full && (n > want || n < want/2) {
			return page, false, err // it is whole; more than the limit is all there is, too
		}
		newest, err := r.givesNewest(ctx, page.Items)
		if err != nil {
			return page, true, err
		}
		if newest && !full {
			return page, false, nil
		}
		if newest {
			_, _, anchored := added(r.was, page.Items)
			if anchored || !r.was.seen || limit*4 > maxHistoryPage {
				return page, true, nil
			}
		} else if limit*4 > maxHistoryPage {
			return page, true, errOldestOnly
		}
		r.page.Store(limit * 4)
	}
}

func (r *reply) messages(ctx context.Context, limit int) (client.Page[client.Message], error) {
	return r.s.c.Chat.Messages(ctx, r.instance, client.MessagesQuery{SessionID: r.sessionID(), Tail: true, Limit: limit})
}

// givesNewest reports whether the service gives the newest messages of a
// history, as it was asked to, and not the oldest: half a page is then not the
// page's beginning.
func (r *reply) givesNewest(ctx context.Context, page []client.Message) (bool, error) {
	r.s.mu.Lock()
	newest, known := r.s.givesNewest[r.instance]
	r.s.mu.Unlock()
	if known {
		return newest, nil
	}
	half, err := r.messages(ctx, len(page)/2)
	if err != nil {
		return false, err
	}
	n := min(len(half.Items), len(page))
	same := func(a, b client.Message) bool { return fingerprint(a) == fingerprint(b) }
	newest = n > 0 && (!slices.EqualFunc(half.Items[:n], page[:n], same) || slices.EqualFunc(half.Items[:n], page[len(page)-n:], same))
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.givesNewest[r.instance] = newest
	return newest, nil
}

// fit makes one text of the agent's messages, joined in the way that continues
// what the stream has shown or an earlier reader has read, if there is one.
func (r *reply) fit(m match) string {
	if m.verdict != found {
		return ""
	}
	shown, parts := r.Text(), m.texts()
	for _, sep := range separators {
		text := strings.Join(parts, sep)
		if shown != "" && strings.HasPrefix(text, shown) {
			return text
		}
		if n := r.hintRead; shown == "" && n > 0 && int64(len(text)) >= n && runs.Checksum([]byte(text[:n])) == r.hintCheck {
			return text
		}
	}
	return strings.Join(parts, "\n\n")
}

// separators are what may stand between the messages of one reply, where a
// stream showed them as one text. The first is what a reader is shown otherwise.
var separators = []string{"\n\n", "\n", " ", ""}

// show adds what the history has beyond the reply so far.
func (r *reply) show(text string) {
	if shown := r.Text(); len(text) > len(shown) && strings.HasPrefix(text, shown) {
		r.Append(text[len(shown):])
	}
}

// describe names a message for a person.
func describe(m client.Message) string {
	if m.Role == "" {
		return "none at all"
	}
	at := ""
	if !m.CreatedAt.IsZero() {
		at = " of " + m.CreatedAt.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("the %s's%s: %q", m.Role, at, runs.Clip(m.Text))
}

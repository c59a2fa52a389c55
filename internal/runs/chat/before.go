package chat

import (
	"context"
	"fmt"
	"hash"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// markHistory notes how the history stands before the message goes out, so that
// ours and its reply can be told from earlier ones. Where it can't be read, the
// message is sent all the same.
func (r *reply) markHistory(ctx context.Context) {
	page, part, err := r.history(ctx)
	switch {
	case ctx.Err() != nil:
	case unsupported(err):
		r.noHistory = true
	case err != nil:
		r.noHistory = lasting(err)
		r.Note("the session's history could not be read before the message was sent: if the stream breaks off, the reply may not be found (" + err.Error() + ")")
	default:
		if page.Skipped > 0 {
			r.Note(fmt.Sprintf("%d items of the session's history are not messages and were left out", page.Skipped))
		}
		was, anchor := before{seen: true, part: part, rows: identities(page.Items), busy: page.Busy, missing: r.missing(page.Items)}, uint64(0)
		if n := len(page.Items); n > 0 {
			anchor = was.rows[n-1]
		}
		was.said = make(map[string]uint64, len(page.Items))
		for _, row := range page.Items {
			if fromAgent(row) && row.ID != "" {
				was.said[row.ID] = hashText(strings.TrimSpace(row.Text))
			}
		}
		rows, _ := asked(page.Items, 0)
		r.crowded = unanswered(rows, time.Time{})
		was.judge(rows, sent{text: r.message, sum: r.sum})
		r.ChangeState(func(s *runs.State) {
			r.was = was
			s.Own = own(anchor, r.sum)
			if inOrder(page.Items) {
				s.Flags &^= flagUnseen
			}
		})
	}
}

// judge notes what a history, without what answers nobody, says before a message goes out.
func (b *before) judge(rows []client.Message, msg sent) {
	n := len(rows)
	if n == 0 {
		return
	}
	b.last, b.size = hashText(rows[n-1].Text), len(rows[n-1].Text)
	b.settled = b.size > 0 && fromAgent(rows[n-1]) && rises(rows) && !unanswered(rows, time.Time{}) && !outrun(rows, time.Time{})
	b.unsaid = !b.part && !slices.ContainsFunc(rows, func(row client.Message) bool {
		return fromUser(row) && (msg.is(row.Text) || msg.quotedBy(row.Text))
	})
}

// rises reports whether the times of a history prove its order: else the newest message, which
// may wait for an answer, may come first.
func rises(rows []client.Message) bool {
	first := map[client.Role]time.Time{}
	for _, row := range rows {
		if at, known := first[row.Role]; row.CreatedAt.IsZero() || known && row.CreatedAt.Before(at) {
			return false
		}
		first[row.Role] = row.CreatedAt
	}
	return len(rows) > 1 && rows[len(rows)-1].CreatedAt.After(rows[0].CreatedAt)
}

// leftOpen reports whether the agent may have had another message to answer when the next one
// came, behind the rows of old; those from start on were not there before. Where it had
// answered all, rows that were deleted or edited since say nothing else; one that has grown does.
func (b before) leftOpen(old []client.Message, start int, next time.Time) bool {
	start = min(start, len(old))
	changed := b.last != 0 && start > 0 && hashText(old[start-1].Text) != b.last
	fresh := old[start:]
	switch {
	case !b.settled:
		return changed || unanswered(old, next) || outrun(old, next)
	case start > 0 && fromUser(old[start-1]) && len(fresh) == 0: // its answer was deleted
	case unanswered(old, next):
		return true
	}
	return outrun(fresh, next) || changed && slices.ContainsFunc(old[max(0, start-1):], b.grew)
}

// grew reports whether a message begins with what was the newest one.
func (b before) grew(row client.Message) bool {
	return len(row.Text) > b.size && hashText(row.Text[:b.size]) == b.last
}

// earlier is a message that has been answered, as little of it as tells it from others: runs
// keep those of their session.
type earlier struct {
	message sent
	words   uint64 // hashWords of the reply; 0: there is none to look for
}

// in finds the message and its whole reply among the messages of a history.
func (e earlier) in(rows []client.Message) (from, to int, there bool) {
	for from, row := range rows {
		if !fromUser(row) || !e.message.is(row.Text) {
			continue
		}
		said := fnv.New64a()
		for to := from + 1; to < len(rows) && !fromUser(rows[to]); to++ {
			if addWords(said, rows[to].Text); said.Sum64() == e.words {
				return from, to + 1, true
			}
		}
	}
	return 0, 0, false
}

// hashWords is the same for texts of the same words.
func hashWords(s string) uint64 {
	h := fnv.New64a()
	addWords(h, s)
	return h.Sum64()
}

func addWords(h hash.Hash64, s string) {
	for word := range strings.FieldsSeq(s) {
		_, _ = h.Write([]byte(word))
	}
}

const (
	// maxMissing is how many messages before it a run looks for in the history.
	maxMissing = 20
	// maxEarlier is how long a message is that is kept by its words, not by its hash alone.
	maxEarlier = 4 << 10
)

// asEarlier is what later messages of the session keep of a reply that is complete.
func (r *reply) asEarlier() (e *earlier) {
	if r.Locked(func() { e = r.earlier }); e != nil {
		return e
	}
	e = new(earlier)
	if text := r.Text(); r.message != "" && strings.TrimSpace(text) != "" {
		*e = earlier{sent{sum: r.sum}, hashWords(text)}
		if len(r.message) <= maxEarlier {
			e.message.text = r.message
		}
	}
	r.Locked(func() { r.earlier = e })
	return e
}

// forgetOthers lets go of what a run knows of others of its session, which would keep each
// other in memory.
func (r *reply) forgetOthers() {
	r.Locked(func() { r.concurrent, r.was = nil, before{} })
}

// has reports whether the agent had said a text under an id.
func (b before) has(id, text string) bool {
	sum, known := b.said[id]
	return known && sum == hashText(strings.TrimSpace(text))
}

// missing gives what this process had of the session last, where the history does not show
// it: some are behind by a while.
func (r *reply) missing(rows []client.Message) (missing []earlier) {
	place, n := placeOf(r.State()), 0
	for _, l := range r.s.m.All() {
		other, ok := l.Work().(*reply)
		if !ok || other == r || l.Status() != runs.StatusCompleted || l.Silence() > longLag || placeOf(other.State()) != place {
			continue
		}
		e := other.asEarlier()
		if e.words == 0 {
			continue
		}
		if _, _, there := e.in(rows); !there {
			missing = append(missing, *e)
		}
		if n++; n == maxMissing {
			break
		}
	}
	slices.Reverse(missing) // oldest first
	return missing
}

// longLag is how far a history may be behind.
const longLag = 10 * time.Minute

// inOrder reports whether the ends of a history show that its newest message comes last.
// If they don't, the last message may be the oldest, and a handle must not rely on it.
func inOrder(list []client.Message) bool {
	if len(list) < 2 {
		return true
	}
	first, last := list[0], list[len(list)-1]
	return first.Role == client.RoleUser && fromAgent(last) ||
		!first.CreatedAt.IsZero() && last.CreatedAt.After(first.CreatedAt)
}

package chat

import (
	"context"
	"fmt"
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

// missing gives what this process had of the session last, where the history does not show
// it: some are behind by a while.
func (r *reply) missing(rows []client.Message) (missing []overlapping) {
	place := placeOf(r.State())
	for _, l := range r.s.m.All() {
		other, ok := l.Work().(*reply)
		if !ok || other == r || l.Status() != runs.StatusCompleted || l.Silence() > longLag || placeOf(other.State()) != place {
			continue
		}
		if o := (overlapping{message: other.message, reply: other.Text(), over: true}); o.message != "" && strings.TrimSpace(o.reply) != "" {
			if _, _, there := o.in(rows); !there {
				missing = append(missing, o)
			}
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

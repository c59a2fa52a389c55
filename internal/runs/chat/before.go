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
		was.said = make(map[string]uint64, len(page.Items))
		for _, row := range page.Items {
			if fromAgent(row) && row.ID != "" {
				was.said[row.ID] = hashText(strings.TrimSpace(row.Text))
			}
		}
		rows, n := asked(page.Items, len(page.Items))
		if r.crowded = unanswered(rows, time.Time{}); n > 0 {
			was.last = hashText(rows[n-1].Text)
		}
		r.ChangeState(func(s *runs.State) {
			r.was = was
			s.Own = own(anchor, r.sum)
			if inOrder(page.Items) {
				s.Flags &^= flagUnseen
			}
		})
	}
}

// has reports whether the agent had said a text under an id.
func (b before) has(id, text string) bool {
	sum, known := b.said[id]
	return known && sum == hashText(strings.TrimSpace(text))
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

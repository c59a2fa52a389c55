package runs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"openclaw-mcp/client"
)

const (
	// historyPage is the first look at a history; it grows as long as what is
	// looked for may lie further back.
	historyPage    = 50
	maxHistoryPage = 3200
)

// markHistory notes the newest message before ours, so that ours and its reply
// can be told from earlier ones with the same text. A service that keeps no
// history has nothing to note.
func (l *live) markHistory(ctx context.Context) error {
	page, err := l.m.c.Chat.Messages(ctx, l.state.Instance, client.MessagesQuery{SessionID: l.sessionID(), Tail: true, Limit: 5})
	if unsupported(err) {
		l.noHistory = true
		return nil
	}
	if err != nil {
		return err
	}
	if n := len(page.Items); n > 0 {
		l.change(func() { l.state.Anchor = identity(page.Items[n-1]) })
	}
	return nil
}

// identity tells a message from all others of its session, and never is 0.
func identity(m client.Message) uint64 {
	if m.ID != "" {
		return hashText("id\x00"+m.ID) | 1
	}
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(m.CreatedAt.UnixNano()))
	return hashText(string(m.Role)+"\x00"+string(at[:])+m.Text) | 1
}

func hashText(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// hashMessage recognises a message again; services trim what they store.
func hashMessage(s string) uint64 { return hashText(strings.TrimSpace(s)) }

// follow is what is known when a reply has to be read from the history.
type follow struct {
	accepted bool  // the service took the message
	final    bool  // the stream had its end marker
	ended    bool  // the stream came to an end, with a marker or without
	cause    error // what broke the stream

	quiet time.Duration // for how long the history has had nothing new
}

// resumeChat follows a chat run that another process started.
func (l *live) resumeChat(ctx context.Context) { l.followHistory(ctx, follow{}) }

// followHistory reads the reply from the session's history until it is complete
// there. It never sends anything.
func (l *live) followHistory(ctx context.Context, f follow) {
	t := l.m.timing
	var (
		delay     = t.pollMin
		began     = time.Now()
		reached   time.Time // first answer of the history
		missing   time.Time // since when the service says that it has none
		seen      string    // the reply as last found
		seenSince time.Time
		newest    uint64 // the newest message as last found
		news      time.Time
		idleSince = time.Now()
		down      bool
	)
	for ; ; delay = min(delay*3/2, t.pollMax) {
		messages, err := l.history(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case unsupported(err):
			// So does a proxy whose service is just being restarted.
			if missing.IsZero() {
				missing = now
			}
			if l.noHistory || now.Sub(missing) > t.lag {
				l.endWithoutHistory(f, err)
				return
			}
		case fatal(err):
			l.end(StatusFailed, l.unknownOutcome(f, err))
			return
		case err != nil:
			if !down {
				l.line("status: the service does not answer; still trying")
				down = true
			}
		default:
			down, missing = false, time.Time{}
			if reached.IsZero() {
				reached = now
			}
			found := l.locate(messages)
			f.accepted = f.accepted || found.ours
			text := l.fit(found)
			if id := identity(found.newest); id != newest {
				newest, news = id, now
			}
			f.quiet = now.Sub(news)
			if text != seen {
				seen, seenSince = text, now
				l.show(text)
				delay = t.pollMin
			}
			if l.complete(f, found, text, now.Sub(seenSince), now.Sub(reached)) {
				return
			}
		}
		if now.Sub(began) > t.giveUp {
			l.end(StatusFailed, l.unknownOutcome(f, f.cause))
			return
		}
		if l.resumed {
			if l.waited() {
				idleSince = now
			} else if now.Sub(idleSince) > t.idle && l.m.leave(l) {
				return
			}
		}
		if !pause(ctx, delay) {
			return
		}
	}
}

// fatal reports errors that no repetition mends.
func fatal(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status == http.StatusPaymentRequired)
}

func (l *live) waited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiters > 0
}

// history gives the newest messages, as far back as our own or the one before
// it.
func (l *live) history(ctx context.Context) ([]client.Message, error) {
	for limit := historyPage; ; limit *= 4 {
		page, err := l.m.c.Chat.Messages(ctx, l.state.Instance, client.MessagesQuery{SessionID: l.sessionID(), Tail: true, Limit: limit})
		if err != nil {
			return nil, err
		}
		if len(page.Items) < limit || limit*4 > maxHistoryPage || l.locate(page.Items).anchored {
			return page.Items, nil
		}
	}
}

// located is our message's place in a history, and what follows it.
type located struct {
	anchored  bool             // the messages reach back to before ours
	ours      bool             // our message is there
	shared    int              // other messages of the user between ours and what the agent said next
	assistant []client.Message // the agent's messages behind ours
	closed    bool             // another message of the user follows them
	last      client.Message   // the newest message that belongs to the reply
	newest    client.Message   // the newest message of all
}

func (l *live) locate(messages []client.Message) (f located) {
	l.mu.Lock()
	state, text := l.state, l.message
	l.mu.Unlock()
	if n := len(messages); n > 0 {
		f.newest = messages[n-1]
	}
	start := 0
	if state.Anchor != 0 {
		for i := len(messages) - 1; i >= 0; i-- {
			if identity(messages[i]) == state.Anchor {
				start, f.anchored = i+1, true
				break
			}
		}
	}
	ours := -1
	for i := start; i < len(messages); i++ {
		if m := messages[i]; m.Role == client.RoleUser && hashMessage(m.Text) == state.Message && !older(m, state.Started) {
			ours = i
			if state.Anchor == 0 || f.anchored {
				break
			} // else the last one: earlier ones may be repetitions of old
		}
	}
	if ours < 0 && f.anchored {
		// Some services decorate what they store, with a time stamp for example.
		for i := start; i < len(messages); i++ {
			if m := messages[i]; m.Role == client.RoleUser && (text == "" || strings.Contains(m.Text, strings.TrimSpace(text))) {
				ours = i
				break
			}
		}
	}
	if ours < 0 {
		return f
	}
	f.ours = true
	for _, m := range messages[ours+1:] {
		if m.Role == client.RoleUser {
			if len(f.assistant) > 0 {
				f.closed = true
				break
			}
			f.shared++
			continue
		}
		if m.Role == client.RoleAssistant {
			f.assistant = append(f.assistant, m)
		}
		if m.Role != client.RoleSystem {
			f.last = m
		}
	}
	return f
}

// whole reports whether the history, as it stands, has the end of the reply.
func (f located) whole() bool {
	return f.closed || f.last.Role == client.RoleAssistant && len(f.last.ToolCalls) == 0
}

// older reports whether a message was there clearly before the run began; the
// two clocks may differ.
func older(m client.Message, started time.Time) bool {
	return !m.CreatedAt.IsZero() && m.CreatedAt.Before(started.Add(-10*time.Minute))
}

// fit makes one text of the agent's messages, joined in the way that continues
// what the stream has shown or an earlier reader has read, if there is one. It
// is "" as long as the reply can't be told from those to other messages.
func (l *live) fit(found located) string {
	shown := l.currentText()
	var parts []string
	for _, m := range found.assistant {
		if m.Text != "" {
			parts = append(parts, m.Text)
		}
	}
	parts, ok := l.withoutOthers(parts)
	if !ok {
		return ""
	}
	if found.shared > 0 {
		// Replies come in the order of their messages; but ours may have got
		// none.
		i := slices.IndexFunc(parts, func(s string) bool { return len(shown) >= tellingLen && strings.HasPrefix(s, shown) })
		switch {
		case i >= 0:
			return parts[i]
		case len(parts) > found.shared:
			l.note("another message was sent before this reply came; the two replies were told apart by their order, so check with read_chat_history")
			return parts[0]
		}
		return ""
	}
	for _, sep := range separators {
		text := strings.Join(parts, sep)
		if shown != "" && strings.HasPrefix(text, shown) {
			return text
		}
		if n := l.hintRead; shown == "" && n > 0 && int64(len(text)) >= n && checksum([]byte(text[:n])) == l.hintCheck {
			return text
		}
	}
	return strings.Join(parts, "\n\n")
}

// separators are what may stand between the messages of one reply, where a
// stream showed them as one text.
var separators = []string{"", "\n\n", "\n", " "}

// tellingLen is how much of a reply tells it from others.
const tellingLen = 16

// withoutOthers drops the replies of runs that were under way when ours was
// sent. It is not ok as long as those are not known.
func (l *live) withoutOthers(parts []string) (rest []string, ok bool) {
	rest = slices.Clone(parts)
	for _, other := range l.beside {
		if _, over := other.endedAt(); !over {
			return nil, false
		}
		text := strings.TrimSpace(other.currentText())
		if i := slices.IndexFunc(rest, func(s string) bool { return strings.TrimSpace(s) == text }); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return rest, true
}

// show adds what the history has beyond the reply so far.
func (l *live) show(text string) {
	if shown := l.currentText(); len(text) > len(shown) && strings.HasPrefix(text, shown) {
		l.append(text[len(shown):])
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
	return fmt.Sprintf("the %s's%s: %q", m.Role, at, clip(m.Text))
}

// complete ends the run if the history, unchanged for stable, has the whole
// reply, or will not have it any more; reached is for how long the history has
// been answering.
func (l *live) complete(f follow, found located, text string, stable, reached time.Duration) bool {
	t := l.m.timing
	shown := l.currentText()
	switch {
	case found.ours && found.last.Failure != "" && found.shared == 0 && len(l.beside) == 0:
		if reached < t.settle {
			return false
		}
		l.show(text)
		l.end(StatusFailed, &client.Error{Op: "POST /instances/{id}/chat/stream", Message: found.last.Failure, Outcome: client.OutcomeUnknown})
	case found.ours && text != "":
		behind := len(text) < len(shown) && strings.HasPrefix(shown, text)
		if strings.TrimSpace(shown) == strings.TrimSpace(text) && len(text) < len(shown) {
			text, behind = shown, false // stored without the white space at its ends
		}
		switch {
		case !found.whole() || stable < t.settle:
			return false
		case behind && stable < t.lag:
			return false
		case behind:
			l.note("the history has less of the reply than the stream has shown; this is what the stream has shown")
			text = shown
		}
		l.setText(text)
		l.end(StatusCompleted, nil)
	case f.ended && !f.final && found.ours && len(found.assistant) == 0 && f.quiet < t.patience:
		return false // a stream may be closed while the agent works on
	case f.ended && f.cause == nil && reached > t.lag && (shown != "" || found.ours):
		if shown == "" {
			l.note("the reply has no text")
		} else {
			l.note("the stream ended without an end marker, and the history does not show the reply: it may be incomplete")
		}
		l.end(StatusCompleted, nil)
	case !f.accepted && reached > t.appear:
		l.note(fmt.Sprintf("the session's history does not show the message, %s later; its newest message is %s. Look again with read_chat_history before sending once more", t.appear, describe(found.newest)))
		l.end(StatusFailed, l.unknownOutcome(f, f.cause))
	case found.ours && found.shared > 0 && len(found.assistant) > 0 && f.quiet > t.unclear:
		l.end(StatusFailed, fmt.Errorf("the history shows the message, but another one before any reply, so that its reply can't be told: %w", l.unknownOutcome(f, f.cause)))
	case found.ours && found.closed && reached > t.lag:
		l.end(StatusFailed, fmt.Errorf("the history shows the message, but no reply before the next one: %w", l.unknownOutcome(f, f.cause)))
	default:
		return false
	}
	return true
}

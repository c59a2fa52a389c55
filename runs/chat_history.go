package runs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/client"
)

const (
	// historyPage is the first look at a history; it grows as long as what is
	// looked for may lie further back.
	historyPage    = 50
	maxHistoryPage = 3200

	// pollMin and pollMax bound the pause between two looks at the history.
	pollMin = 100 * time.Millisecond
	pollMax = 3 * time.Second

	// settle is how long a reply must stand unchanged in the history to count
	// as complete when no end marker said so: the service may store a reply in
	// several messages.
	settle = 500 * time.Millisecond
	// appear is how long a message of unknown fate may take to show up in the
	// history of a service that answers.
	appear = 10 * time.Second
	// lag is how long a history may be behind a stream that has ended.
	lag = 5 * time.Second
	// giveUp ends the following of a reply that never shows up.
	giveUp = 2 * time.Hour
	// idleFollow ends the following of a run that was taken up and then left.
	idleFollow = 5 * time.Minute
)

// markHistory notes the newest message before ours, so that ours and its reply
// can be told from earlier ones with the same text. history is false where the
// service keeps none.
func (l *live) markHistory(ctx context.Context) (history bool, err error) {
	page, err := l.m.c.Chat.Messages(ctx, l.state.Instance, client.MessagesQuery{SessionID: l.sessionID(), Tail: true, Limit: 5})
	if unsupported(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if n := len(page.Items); n > 0 {
		l.change(func() { l.state.Anchor = identity(page.Items[n-1]) })
	}
	return true, nil
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
	ended    bool  // the stream came to an end; only its text or its end marker is missing
	cause    error // what broke the stream
}

// resumeChat follows a chat run that another process started.
func (l *live) resumeChat(ctx context.Context) { l.followHistory(ctx, follow{}) }

// followHistory reads the reply from the session's history until it is complete
// there. It never sends anything.
func (l *live) followHistory(ctx context.Context, f follow) {
	var (
		pause     = pollMin
		began     = time.Now()
		reached   time.Time // first answer of the history
		seen      string    // the reply as last found
		seenSince time.Time
		idleSince = time.Now()
		down      bool
	)
	for {
		messages, err := l.history(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case unsupported(err):
			l.endWithoutHistory(f.accepted, f.ended && f.cause == nil && l.currentText() != "", f.cause)
			return
		case fatal(err):
			l.end(StatusFailed, unknownOutcome(f.accepted, err))
			return
		case err != nil:
			if !down {
				l.line("status: the service does not answer; still trying")
				down = true
			}
		default:
			down = false
			if reached.IsZero() {
				reached = now
			}
			found := l.locate(messages)
			f.accepted = f.accepted || found.ours
			text := l.fit(found.assistant)
			if text != seen {
				seen, seenSince = text, now
				l.show(text)
				pause = pollMin
			}
			if l.complete(f, found, text, now.Sub(seenSince), now.Sub(reached)) {
				return
			}
		}
		if now.Sub(began) > giveUp {
			l.end(StatusFailed, unknownOutcome(f.accepted, f.cause))
			return
		}
		if l.resumed && l.watched() {
			idleSince = now
		} else if l.resumed && now.Sub(idleSince) > idleFollow {
			l.forget()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(pause*3/2, pollMax)
	}
}

// fatal reports errors that no repetition mends.
func fatal(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status == http.StatusPaymentRequired)
}

func (l *live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiters > 0
}

// forget lets go of a run that nobody waits for; its handle takes it up again.
func (l *live) forget() {
	l.m.mu.Lock()
	delete(l.m.live, l.state.ID)
	l.m.mu.Unlock()
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
	assistant []client.Message // the agent's messages behind it
	closed    bool             // another message of the user follows
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
			break
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
			f.closed = true
			break
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

// older reports whether a message was there clearly before the run began; the
// two clocks may differ.
func older(m client.Message, started time.Time) bool {
	return !m.CreatedAt.IsZero() && m.CreatedAt.Before(started.Add(-10*time.Minute))
}

// fit makes one text of the agent's messages, joined in the way that continues
// what the stream has shown, if there is one.
func (l *live) fit(messages []client.Message) string {
	var parts []string
	for _, m := range messages {
		if m.Text != "" {
			parts = append(parts, m.Text)
		}
	}
	l.mu.Lock()
	shown := string(l.text)
	l.mu.Unlock()
	for _, sep := range []string{"", "\n\n", "\n", " "} {
		if text := strings.Join(parts, sep); shown != "" && strings.HasPrefix(text, shown) {
			return text
		}
	}
	return strings.Join(parts, "\n\n")
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
	shown := l.currentText()
	switch {
	case found.ours && text != "":
		whole := found.closed || (found.last.Role == client.RoleAssistant && len(found.last.ToolCalls) == 0)
		behind := len(text) < len(shown) && strings.HasPrefix(shown, text)
		if behind && strings.TrimSpace(shown) == strings.TrimSpace(text) {
			text, behind = shown, false // stored without the white space at its ends
		}
		switch {
		case !whole || stable < settle:
			return false
		case behind && stable < lag:
			return false
		case behind:
			l.note("the history has less of the reply than the stream has shown; this is what the stream has shown")
			text = shown
		}
		l.setText(text)
		l.end(StatusCompleted, nil)
		return true
	case f.ended && f.cause == nil && reached > lag && (shown != "" || found.ours):
		if shown == "" {
			l.note("the reply has no text")
		} else {
			l.note("the stream ended without an end marker, and the history does not show the reply: it may be incomplete")
		}
		l.end(StatusCompleted, nil)
		return true
	case !f.accepted && reached > appear:
		err := unknownOutcome(false, f.cause)
		l.note(fmt.Sprintf("the session's history does not show the message, %s later; its newest message is %s. Look again with read_chat_history before sending once more", appear, describe(found.newest)))
		l.end(StatusFailed, err)
		return true
	case found.closed && found.ours && reached > lag:
		l.end(StatusFailed, fmt.Errorf("the history shows the message, but no reply before the next one: %w", unknownOutcome(true, f.cause)))
		return true
	}
	return false
}

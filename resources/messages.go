package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

const (
	defaultMessages = 50
	maxMessages     = 500
	// maxWindow is how many of the newest messages are read to find an older
	// one. What is further back is looked for from the start of the history, by
	// a stream of which only a page is held.
	maxWindow = 4000
	// maxHistory is the window where there is no such stream.
	maxHistory = 200_000
)

// messageJSON is a message as programs read it.
type messageJSON struct {
	ID        string     `json:"id,omitempty"`
	Role      string     `json:"role"`
	Text      string     `json:"text"`
	CreatedAt string     `json:"created_at,omitempty"`
	Tool      string     `json:"tool,omitempty"` // whose result it is
	Failed    bool       `json:"failed,omitempty"`
	Calls     []callJSON `json:"calls,omitempty"`
	Omitted   int        `json:"omitted_bytes,omitempty"` // left out in the middle of the text
}

type callJSON struct {
	Name  string `json:"name"`
	Input string `json:"input,omitempty"`
}

// historyJSON is a part of a session's history.
type historyJSON struct {
	Instance string        `json:"instance"`
	Session  string        `json:"session"`
	Messages []messageJSON `json:"messages"` // oldest first
	More     bool          `json:"more,omitempty"`
	Older    string        `json:"older,omitempty"` // URI of the messages before these
	Note     string        `json:"note,omitempty"`
}

func (c *caller) readMessages(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	limit := int(r.number("limit", defaultMessages))
	part, more, err := c.history(ctx, r, limit)
	if err != nil {
		return nil, err
	}
	out := c.fit(r, part, more, limit)
	if r.query.Get("format") == "json" {
		return jsonContents(r.uri, out)
	}
	return textContents(r.uri, mimeMarkdown, out.markdown()), nil
}

// history gives up to limit messages, oldest first: the newest, or those before
// the one that the URI names; and whether there are older ones.
func (c *caller) history(ctx context.Context, r ref, limit int) ([]client.Message, bool, error) {
	before := r.query.Get("before")
	window := limit + 1
	if before != "" {
		window = max(2*limit, 200)
	}
	cut := maxWindow
	for {
		page, err := c.client.Chat.Messages(ctx, r.instance, client.MessagesQuery{SessionID: r.session, Tail: true, Limit: window})
		if err != nil {
			return nil, false, err
		}
		all := page.Items
		whole := len(all) < window && !page.More
		end := len(all)
		if before != "" {
			end = slices.IndexFunc(all, func(m client.Message) bool { return m.ID == before })
		}
		if end >= limit || end >= 0 && whole || before == "" {
			start := max(0, end-limit)
			return slices.Clone(all[start:end]), start > 0 || !whole, nil
		}
		if whole {
			return nil, false, notFound(r.uri, "message %q is not in the history of session %s", text.Clip(before, 100), r.session)
		}
		if window >= maxHistory {
			return nil, false, notFound(r.uri, "message %q is not among the newest %d of session %s, and the service gives no way to look further back", text.Clip(before, 100), len(all), r.session)
		}
		if window >= cut {
			part, more, err := c.scan(ctx, r, before, all[len(all)-1].ID, limit)
			var known *Error
			if err == nil || errors.As(err, &known) || ctx.Err() != nil {
				return part, more, err
			}
			cut = maxHistory // the service has no such stream
		}
		window = min(window*4, max(cut, window+1))
	}
}

// maxKept is how many bytes of messages a search keeps: far more than a result shows.
const maxKept = 8 << 20

// scan looks for a message from the start of the history on, and gives the ones
// before it. last is the newest message, where the search ends.
func (c *caller) scan(ctx context.Context, r ref, before, last string, limit int) ([]client.Message, bool, error) {
	var kept []client.Message
	size, more := 0, false
	for cursor, progress := "", true; progress; {
		progress = false
		for ev, err := range c.client.Chat.Events(ctx, r.instance, client.EventsQuery{SessionID: r.session, After: cursor}) {
			if err != nil {
				return nil, false, err
			}
			m := ev.Message
			if m.ID == before {
				return kept, more, nil
			}
			if m.ID == last {
				return nil, false, notFound(r.uri, "message %q is not in the history of session %s", text.Clip(before, 100), r.session)
			}
			kept = append(kept, m)
			size += m.Size()
			for len(kept) > limit || size > maxKept && len(kept) > 1 {
				size -= kept[0].Size()
				kept[0], kept, more = client.Message{}, kept[1:], true
			}
			// A long poll ends after each answer: read on behind it.
			if ev.Cursor != "" && ev.Cursor != cursor {
				cursor, progress = ev.Cursor, true
			}
		}
	}
	return nil, false, fmt.Errorf("the history stream of session %s ended before its newest message", r.session)
}

// fit puts messages within the budget, from the newest back.
func (c *caller) fit(r ref, part []client.Message, more bool, limit int) historyJSON {
	out := historyJSON{Instance: r.instance, Session: r.session, Messages: []messageJSON{}}
	left := c.MaxChars
	share := max(left/4, 1000) // no message takes all the room
	first := len(part)
	for ; first > 0; first-- {
		m := messageOf(part[first-1], share)
		if left -= m.size(); left < 0 && first < len(part) {
			break
		}
		out.Messages = append(out.Messages, m)
	}
	slices.Reverse(out.Messages)
	if first == 0 && !more {
		return out
	}
	out.More = true
	if id := part[first].ID; id != "" {
		out.Older = withQuery(MessagesURI(r.instance, r.session), "before", id,
			"limit", strconv.Itoa(limit), "format", r.query.Get("format"))
	} else {
		out.Note = "there are older messages, but the service gives them no ids to name: ask for more with limit"
	}
	return out
}

func messageOf(m client.Message, share int) messageJSON {
	o := messageJSON{ID: m.ID, Role: string(m.Role), Text: m.Text, CreatedAt: stamp(m.CreatedAt), Tool: m.ToolName, Failed: m.IsError || m.Failure != ""}
	if len(o.Text) > share {
		head, tail, omitted := text.HeadTail(o.Text, share)
		o.Text, o.Omitted = head+text.Omission(int64(omitted))+tail, omitted
	}
	if m.Failure != "" {
		o.Text += "\n[the reply broke off: " + m.Failure + "]"
	}
	for _, call := range m.ToolCalls {
		o.Calls = append(o.Calls, callJSON{call.Name, text.Clip(string(call.Arguments), 200)})
	}
	return o
}

// size is about how much room a message takes.
func (m messageJSON) size() int {
	n := len(m.Text) + len(m.ID) + len(m.Tool) + 60
	for _, call := range m.Calls {
		n += len(call.Name) + len(call.Input) + 20
	}
	return n
}

func (h historyJSON) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Chat history\n\nSession %s of instance %s, oldest message first.\n", h.Session, h.Instance)
	if h.Older != "" {
		fmt.Fprintf(&b, "\nOlder messages: <%s>\n", h.Older)
	}
	if h.Note != "" {
		b.WriteString("\n" + h.Note + "\n")
	}
	if len(h.Messages) == 0 {
		b.WriteString("\nNothing was said yet.\n")
	}
	for _, m := range h.Messages {
		b.WriteString("\n## " + m.Role)
		if m.Tool != "" {
			b.WriteString(" " + m.Tool)
		}
		if m.Failed {
			b.WriteString(" (failed)")
		}
		for _, s := range []string{m.CreatedAt, m.ID} {
			if s != "" {
				b.WriteString(" · " + s)
			}
		}
		b.WriteString("\n\n" + m.Text + "\n")
		for _, call := range m.Calls {
			fmt.Fprintf(&b, "\n- uses %s %s\n", call.Name, call.Input)
		}
	}
	return b.String()
}

package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/text"
)

// NoteQueued is the note of a message that waits for its turn.
const NoteQueued = chat.NoteQueued

func chatTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "send_chat_message", Title: "Send a chat message", Family: "chat", Effect: Writes, Page: pageWork,
			Description: "Sends a message to the instance's agent, which may run commands and change files there, and waits for its reply. One that takes longer returns status \"running\", the text so far and a `run`: go on with wait_run, do not send again.",
			Props: map[string]Prop{
				"message":         {NotEmpty: true, Long: true},
				"wait_seconds":    waitProp(),
				"idempotency_key": {MaxLength: 200},
				"if_busy":         oneOf("queue", "reject", "send").or("queue"),
			},
		}, sendChatMessage),
		define(Spec{
			Name: "read_chat_history", Title: "Read the chat history", Family: "chat", Effect: Reads,
			Description: "Reads a session's newest messages, those before one (`before`), or one of them in parts (`message`, `offset`).",
			Props: map[string]Prop{
				"limit":  between(1, 500).or(20),
				"offset": atLeast(0),
			},
		}, readChatHistory),
		define(Spec{
			Name: "list_chat_sessions", Title: "List chat sessions", Family: "chat", Effect: Reads,
			Description: "Lists an instance's chat sessions, newest first.",
			Props:       map[string]Prop{"limit": between(1, 500).or(50), "offset": atLeast(0)},
		}, listChatSessions),
		define(Spec{
			Name: "create_chat_session", Title: "Create a chat session", Family: "chat", Effect: Writes,
			Description: "Creates an empty chat session, to keep a task apart from earlier talk.",
			Props:       map[string]Prop{"title": {MaxLength: 200}},
		}, createChatSession),
	}
}

type sendChatIn struct {
	Message        string `json:"message" jsonschema:"what to tell the agent"`
	Instance       string `json:"instance,omitempty" jsonschema:"if several"`
	Session        string `json:"session,omitempty" jsonschema:"session id; default: the newest, or a new one"`
	WaitSeconds    *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
	IdempotencyKey string `json:"idempotency_key,omitempty" jsonschema:"any string; sent once per key"`
	IfBusy         string `json:"if_busy,omitempty" jsonschema:"while a reply is under way"`
}

func sendChatMessage(ctx context.Context, r *request, in sendChatIn) (*runOut, error) {
	if strings.TrimSpace(in.Message) == "" {
		return nil, badArgument("argument \"message\" must not be blank")
	}
	if err := checkSession(in.Session); err != nil {
		return nil, err
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return nil, err
	}
	run, joined, err := r.Chat.Send(ctx, chat.Request{
		Instance: id, Session: in.Session, Message: in.Message,
		IdempotencyKey: in.IdempotencyKey, IfBusy: chat.IfBusy(in.IfBusy),
	})
	if err != nil {
		return nil, err
	}
	r.stopOnCancel(ctx, run)
	out, err := r.waitFor(ctx, run, "", in.WaitSeconds, false)
	if joined != "" && err == nil {
		out.Notes = append([]string{joined}, out.Notes...)
	}
	return out, err
}

// Message is a message of a session's history in results.
type Message struct {
	ID        string       `json:"id,omitempty"`
	Role      string       `json:"role"`
	Text      string       `json:"text"`
	CreatedAt string       `json:"created_at,omitempty"`
	Tool      string       `json:"tool,omitempty"` // of a tool's message
	Calls     []toolUse    `json:"calls,omitempty"`
	Files     []attachment `json:"attachments,omitempty"`
	Failed    bool         `json:"failed,omitempty"`
	Omitted   int          `json:"omitted_bytes,omitempty"`
}

// attachment is a file that goes with a message.
type attachment struct {
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"`
	Size *int64 `json:"size,omitempty"` // in bytes
	Path string `json:"path,omitempty"` // in the instance
	URL  string `json:"url,omitempty"`

	line string // for a model
}

// attachmentOut renders an attachment; reads is what a call of a tool for its path begins with.
func attachmentOut(a client.Attachment, reads callArgs) attachment {
	o := attachment{Name: a.Name, Type: a.Type, Path: a.Path, URL: a.URL, line: "attachment: " + a.String()}
	if a.Size >= 0 {
		o.Size = &a.Size
	}
	switch {
	case a.Path != "":
		o.line += "; " + reads.call("read_file", arg{"path", a.Path})
	case a.URL != "":
		o.line += "; " + a.URL
	default:
		o.line += "; the service does not say where it is"
	}
	return o
}

func messageOut(m client.Message, reads callArgs) Message {
	o := Message{ID: m.ID, Role: string(m.Role), Text: m.Text, CreatedAt: stamp(m.CreatedAt), Tool: m.ToolName, Failed: m.IsError}
	for _, c := range m.ToolCalls {
		o.Calls = append(o.Calls, toolUse{Name: c.Name, Input: text.Line(string(c.Arguments), 200), Failed: c.IsError})
	}
	for _, a := range m.Attachments {
		o.Files = append(o.Files, attachmentOut(a, reads))
	}
	return o
}

func (m Message) block() string {
	var b strings.Builder
	b.WriteString("## " + m.Role)
	if m.Tool != "" {
		b.WriteString(" " + m.Tool)
	}
	if m.Failed {
		b.WriteString(" (failed)")
	}
	if m.CreatedAt != "" {
		b.WriteString(", " + m.CreatedAt)
	}
	if m.ID != "" {
		b.WriteString(", id " + m.ID)
	}
	b.WriteString("\n" + m.Text)
	for _, c := range m.Calls {
		b.WriteString("\ntool: " + c.Name + " " + c.Input)
	}
	for _, a := range m.Files {
		b.WriteString("\n" + a.line)
	}
	return b.String()
}

type historyIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Session  string `json:"session,omitempty" jsonschema:"session id; default: the newest"`
	Limit    int    `json:"limit,omitempty" jsonschema:"how many messages"`
	Before   string `json:"before,omitempty" jsonschema:"message id: read those before it"`
	Message  string `json:"message,omitempty" jsonschema:"message id: read this one alone"`
	Offset   int    `json:"offset,omitempty" jsonschema:"of the message, in bytes"`
}

type historyOut struct {
	onInstance
	Session  string    `json:"session,omitempty"`
	Messages []Message `json:"messages"` // oldest first
	More     bool      `json:"more,omitempty"`
	Next     string    `json:"next,omitempty"`
}

// maxHistory is how far back a history is read: the service has no cursor, so
// older messages are reached by asking for more of the newest.
const maxHistory = 20_000

func checkSession(id string) error {
	if err := client.CheckSession(id); err != nil {
		return badArgument("argument \"session\": %v", err)
	}
	return nil
}

func readChatHistory(ctx context.Context, r *request, in historyIn) (historyOut, error) {
	switch {
	case in.Before != "" && in.Message != "":
		return historyOut{}, badArgument("arguments \"before\" and \"message\" can't be used together")
	case in.Offset > 0 && in.Message == "":
		return historyOut{}, badArgument("argument \"offset\" goes with \"message\"")
	}
	if err := checkSession(in.Session); err != nil {
		return historyOut{}, err
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return historyOut{}, err
	}
	out := historyOut{onInstance: r.on(id), Session: in.Session, Messages: []Message{}}
	messages, more, err := r.history(ctx, id, in)
	if err != nil {
		return historyOut{}, err
	}
	if out.Session == "" && len(messages) > 0 {
		out.Session = messages[len(messages)-1].SessionID
	}
	where := callArgs{{"instance", r.named(id)}, {"session", out.Session}}
	if in.Message != "" {
		return r.oneMessage(out, messages[0], in.Offset, where)
	}
	// The newest messages matter most, so the budget is spent from the end.
	left := r.MaxResultChars
	share := max(left/4, 1000) // no message takes all the room
	first := len(messages)
	for first > 0 {
		o := messageOut(messages[first-1], where[:1])
		if len(o.Text) > share {
			head, tail, omitted := text.HeadTail(o.Text, share)
			o.Text, o.Omitted = head+text.Omission(int64(omitted))+tail, omitted
			if out.Next == "" && o.ID != "" {
				out.Next = "a part of a long message is left out; read on with " +
					where.call("read_chat_history", arg{"message", o.ID}, arg{"offset", len(head)})
			}
		}
		if left -= len(o.block()) + 1; left < 0 && first < len(messages) {
			break
		}
		out.Messages = append(out.Messages, o)
		first--
	}
	slices.Reverse(out.Messages)
	if first > 0 || more {
		out.More = true
		if oldest := out.Messages[0].ID; oldest != "" {
			out.Next = joinNext(out.Next, "older messages: "+where.call("read_chat_history", arg{"before", oldest}, arg{"limit", in.Limit}))
		} else {
			out.Next = joinNext(out.Next, "there are older messages; ask for more with limit")
		}
	}
	return out, nil
}

func joinNext(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// history reads the messages that were asked for, oldest first, and whether
// there are older ones.
func (r *request) history(ctx context.Context, instance string, in historyIn) ([]client.Message, bool, error) {
	anchor := in.Before + in.Message
	for limit := in.Limit + 1; ; limit *= 4 {
		if anchor != "" {
			limit = max(limit, 100)
		}
		page, err := r.Client.Chat.Messages(ctx, instance, client.MessagesQuery{SessionID: in.Session, Tail: true, Limit: limit})
		if err != nil {
			return nil, false, err
		}
		all := page.Items
		whole := len(all) < limit && !page.More
		end := len(all)
		if anchor != "" {
			end = slices.IndexFunc(all, func(m client.Message) bool { return m.ID == anchor })
			switch {
			case end < 0 && (whole || limit > maxHistory):
				return nil, false, badArgument("message %q is not in this session's history (%d messages looked at)", text.Clip(anchor, 100), len(all))
			case end < 0:
				continue
			case in.Message != "":
				return all[end : end+1], false, nil
			case end < in.Limit && !whole && limit <= maxHistory:
				continue // it may have more before it than this page shows
			}
		}
		start := max(0, end-in.Limit)
		return all[start:end], start > 0 || page.More, nil
	}
}

// oneMessage reads one message from a byte on.
func (r *request) oneMessage(out historyOut, m client.Message, offset int, where callArgs) (historyOut, error) {
	if offset > len(m.Text) {
		return historyOut{}, badArgument("argument \"offset\" is %d, but the message has %d bytes", offset, len(m.Text))
	}
	o := messageOut(m, where[:1])
	rest := m.Text[offset:]
	o.Text = text.Head(rest, r.MaxResultChars)
	o.Omitted = len(rest) - len(o.Text)
	if o.Omitted > 0 {
		out.More = true
		out.Next = "read on with " + where.call("read_chat_history", arg{"message", m.ID}, arg{"offset", offset + len(o.Text)})
	}
	out.Messages = []Message{o}
	return out, nil
}

func (o historyOut) text() string {
	var b strings.Builder
	b.WriteString(text.Count(len(o.Messages), "message", "messages") + o.where("of"))
	if o.Session != "" {
		b.WriteString(", session " + o.Session)
	}
	for _, m := range o.Messages {
		b.WriteString("\n\n" + m.block())
		if m.Omitted > 0 {
			fmt.Fprintf(&b, "\n[%d bytes of this message are left out]", m.Omitted)
		}
	}
	return withNext(b.String(), o.Next)
}

package tools

import (
	"context"
	"fmt"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

type sessionsIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Limit    int    `json:"limit,omitempty" jsonschema:"at most this many"`
	Offset   int    `json:"offset,omitempty" jsonschema:"newest to skip"`
}

// Session is a chat session in results.
type Session struct {
	ID        string `json:"id"`
	Title     string `json:"title,omitempty"`
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

func sessionOut(s client.Session) Session {
	return Session{ID: s.ID, Title: s.Title, CreatedAt: stamp(s.CreatedAt), UpdatedAt: stamp(s.UpdatedAt)}
}

func (s Session) line() string {
	line := s.ID
	if s.Title != "" {
		line += fmt.Sprintf(" %q", text.Line(s.Title, 100))
	}
	if at := s.UpdatedAt; at != "" {
		line += ", last used " + at
	} else if s.CreatedAt != "" {
		line += ", created " + s.CreatedAt
	}
	return line
}

type sessionsOut struct {
	onInstance
	Sessions []Session `json:"sessions"`
	More     bool      `json:"more,omitempty"`
	Next     string    `json:"next,omitempty"`
}

func listChatSessions(ctx context.Context, r *request, in sessionsIn) (sessionsOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return sessionsOut{}, err
	}
	page, err := r.Client.Chat.Sessions(ctx, id)
	if err != nil {
		return sessionsOut{}, err
	}
	out := sessionsOut{onInstance: r.on(id), Sessions: []Session{}, More: page.More}
	rest := page.Items[min(in.Offset, len(page.Items)):]
	left := r.MaxResultChars
	for i, s := range rest {
		o := sessionOut(s)
		if left -= len(o.line()) + 1; left < 0 || i == in.Limit {
			out.More = true
			out.Next = "older sessions: " + callArgs{{"instance", r.named(id)}}.call("list_chat_sessions", arg{"offset", in.Offset + i}, arg{"limit", in.Limit})
			break
		}
		out.Sessions = append(out.Sessions, o)
	}
	if len(page.Items) == 0 {
		out.Next = "send_chat_message opens a session by itself"
	} else if page.More && out.Next == "" {
		out.Next = "the service has more sessions than it lists here"
	}
	return out, nil
}

func (o sessionsOut) text() string {
	var b strings.Builder
	b.WriteString(text.Count(len(o.Sessions), "session", "sessions") + o.where("of") + "\n")
	for _, s := range o.Sessions {
		b.WriteString(s.line() + "\n")
	}
	return withNext(b.String(), o.Next)
}

type createSessionIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Title    string `json:"title,omitempty" jsonschema:"shown to people"`
}

type createSessionOut struct {
	onInstance
	Session Session `json:"session"`
	Next    string  `json:"next"`
}

func createChatSession(ctx context.Context, r *request, in createSessionIn) (createSessionOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return createSessionOut{}, err
	}
	s, err := r.Client.Chat.CreateSession(ctx, id, in.Title)
	if err != nil {
		return createSessionOut{}, err
	}
	return createSessionOut{
		onInstance: r.on(id), Session: sessionOut(s),
		Next: callArgs{{"instance", r.named(id)}}.call("send_chat_message", arg{"session", s.ID}, arg{"message", "…"}),
	}, nil
}

func (o createSessionOut) links() []Link { return messagesLink(o.Instance, o.Session.ID) }

func (o createSessionOut) text() string {
	return withNext("session "+o.Session.line()+o.where("of"), o.Next)
}

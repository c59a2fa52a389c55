package resources

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
)

const (
	mimeJSON     = "application/json"
	mimeMarkdown = "text/markdown"
	mimeText     = "text/plain"
)

// check reports why a resource may not be read.
func (s *Server) check(ctx context.Context, r ref) error {
	if r.kind == kindSkill {
		return nil
	}
	if err := s.AllowTool(ctx, toolOf(r.kind)); err != nil {
		return forbidden(r.uri, err)
	}
	if r.instance != "" {
		if err := s.AllowNamed(ctx, r.instance); err != nil {
			return forbidden(r.uri, err)
		}
	}
	if r.kind == kindFile {
		if err := s.AllowPath(ctx, r.path); err != nil {
			return forbidden(r.uri, err)
		}
	}
	return nil
}

// Read gives the contents of a resource.
func (s *Server) Read(ctx context.Context, uri string) ([]mcp.ResourceContents, error) {
	r, err := parse(uri)
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx, r); err != nil {
		return nil, err
	}
	if r.kind == kindSkill {
		return textContents(uri, mimeMarkdown, skill), nil
	}
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	var contents []mcp.ResourceContents
	switch r.kind {
	case kindInstances:
		contents, err = c.readInstances(ctx, r)
	case kindInstance:
		contents, err = c.readInstance(ctx, r)
	case kindSessions:
		contents, err = c.readSessions(ctx, r)
	case kindMessages:
		contents, err = c.readMessages(ctx, r)
	case kindFile:
		contents, err = c.readFile(ctx, r)
	case kindDocument:
		contents, err = c.readDocument(ctx, r)
	}
	if err != nil {
		return nil, asCallers(uri, err)
	}
	return contents, nil
}

func textContents(uri, mime, text string) []mcp.ResourceContents {
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, MIMEType: mime, Text: text}}
}

func jsonContents(uri string, v any) ([]mcp.ResourceContents, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	return textContents(uri, mimeJSON, string(b)), nil
}

// stamp renders a time, "" when it is unknown.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// instanceJSON is an instance as programs read it.
type instanceJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Status    string `json:"status"`
	Ready     bool   `json:"ready"`
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
	URI       string `json:"uri"`
	Sessions  string `json:"sessions"`  // URI
	Workspace string `json:"workspace"` // URI
}

func instanceOf(in client.Instance) instanceJSON {
	return instanceJSON{
		ID: in.ID, Name: in.Name, Status: in.Status, Ready: in.State == client.StateReady,
		CreatedAt: stamp(in.CreatedAt), UpdatedAt: stamp(in.UpdatedAt),
		URI: instanceURI(in.ID), Sessions: sessionsURI(in.ID), Workspace: FileURI(in.ID, client.Workspace),
	}
}

func (c *caller) readInstances(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	page, err := c.client.Instances.List(ctx)
	if err != nil {
		return nil, err
	}
	out := struct {
		Instances []instanceJSON `json:"instances"`
		More      bool           `json:"more,omitempty"` // the service has more than it lists
	}{[]instanceJSON{}, page.More}
	for _, in := range page.Items {
		if c.AllowInstance(ctx, in.ID) == nil {
			out.Instances = append(out.Instances, instanceOf(in))
		}
	}
	return jsonContents(r.uri, out)
}

func (c *caller) readInstance(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	in, err := c.client.Instances.Get(ctx, r.instance)
	if err != nil {
		return nil, err
	}
	return jsonContents(r.uri, instanceOf(in))
}

// sessionJSON is a session as programs read it.
type sessionJSON struct {
	ID        string `json:"id"`
	Title     string `json:"title,omitempty"`
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
	Messages  string `json:"messages"` // URI
}

func (c *caller) readSessions(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	page, err := c.client.Chat.Sessions(ctx, r.instance)
	if err != nil {
		return nil, err
	}
	out := struct {
		Instance string        `json:"instance"`
		Sessions []sessionJSON `json:"sessions"` // newest first
		Omitted  int           `json:"omitted,omitempty"`
		Note     string        `json:"note,omitempty"`
	}{Instance: r.instance, Sessions: []sessionJSON{}}
	left := c.MaxChars
	for i, s := range page.Items {
		one := sessionJSON{s.ID, s.Title, stamp(s.CreatedAt), stamp(s.UpdatedAt), MessagesURI(r.instance, s.ID)}
		if left -= len(one.ID) + len(one.Title) + len(one.Messages) + 150; left < 0 && i > 0 {
			out.Omitted = len(page.Items) - i
			out.Note = "older sessions are left out; resources/list has all of them in pages, the tool list_chat_sessions reads on with offset"
			break
		}
		out.Sessions = append(out.Sessions, one)
	}
	return jsonContents(r.uri, out)
}

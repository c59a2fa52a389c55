// Package resources provides the MCP resources: instances, chat sessions, their
// history and files, and what the service publishes of itself, readable and
// watchable under openclaw:// URIs; and the completion of their arguments.
//
//	openclaw://instances
//	openclaw://instances/{instance}
//	openclaw://instances/{instance}/sessions
//	openclaw://instances/{instance}/sessions/{session}/messages?limit=&before=&format=
//	openclaw://instances/{instance}/files/{+path}?offset=&length=&after=&limit=
//	openclaw://service/{document}?offset=
//
// Each resource offers what some tool offers too. A caller that may not use the
// tool may not read the resource.
package resources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/client"
)

// Deps is what resources work with; the program wires it.
type Deps struct {
	// Client gives the client of the principal that ctx's request is from.
	Client func(ctx context.Context) (*client.Client, error)
	// Principal names who ctx's request is from.
	Principal func(ctx context.Context) string
	// AllowTool, AllowInstance and AllowPath report why ctx's request may not
	// do what a tool does, use an instance or touch a path. nil allows all.
	AllowTool, AllowInstance, AllowPath func(ctx context.Context, name string) error
	// AllowNamed is AllowInstance for ids that a caller gave, not the service; nil:
	// the same.
	AllowNamed func(ctx context.Context, instance string) error

	Instance string // that completions assume where none is named; "" to find one
	MaxChars int    // budget of a history or a listing (20,000)
	Log      *slog.Logger

	Poll, MaxPoll   time.Duration // between looks at what is watched by polling (5 s), while nothing happens (30 s)
	ChatPoll        time.Duration // of a history, where the service can't be followed (2 s)
	Verify          time.Duration // how often a silent stream is checked (1 min)
	Retry, MaxRetry time.Duration // pause after a broken stream (100 ms), at most (15 s)
	CacheTTL        time.Duration // of what completions are made of (5 s)
	CompleteLimit   time.Duration // how long a completion may take (2 s)
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Server offers the resources of all callers. Each has followers and a cache
// of its own.
type Server struct {
	Deps
	base context.Context // of everything that goes on between requests
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	callers map[string]*caller // by principal
}

// New makes a server.
func New(d Deps) *Server {
	allow := func(context.Context, string) error { return nil }
	for _, f := range []*func(context.Context, string) error{&d.AllowTool, &d.AllowInstance, &d.AllowPath} {
		if *f == nil {
			*f = allow
		}
	}
	if d.AllowNamed == nil {
		d.AllowNamed = d.AllowInstance
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&d.MaxChars, 20_000)
	orDefault(&d.Poll, 5*time.Second)
	orDefault(&d.MaxPoll, 30*time.Second)
	orDefault(&d.ChatPoll, 2*time.Second)
	orDefault(&d.Verify, time.Minute)
	orDefault(&d.Retry, 100*time.Millisecond)
	orDefault(&d.MaxRetry, 15*time.Second)
	orDefault(&d.CacheTTL, 5*time.Second)
	orDefault(&d.CompleteLimit, completeLimit)
	s := &Server{Deps: d, callers: make(map[string]*caller)}
	s.base, s.stop = context.WithCancel(context.Background())
	return s
}

// Close ends all following, and waits for it.
func (s *Server) Close() {
	s.stop()
	s.mu.Lock()
	s.closed = true
	callers := s.callers
	s.callers = make(map[string]*caller)
	s.mu.Unlock()
	for _, c := range callers {
		c.cache.clear()
	}
	s.wg.Wait()
}

// spawn runs f in a goroutine that Close waits for, and reports false once the
// server is closed.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

var errClosed = errors.New("the server is shutting down")

// caller is what belongs to one principal.
type caller struct {
	*Server
	client *client.Client
	cache  *cache

	mu        sync.Mutex
	followers map[string]*follower // by what they follow
}

// caller gives what belongs to the principal that ctx's request is from.
func (s *Server) caller(ctx context.Context) (*caller, error) {
	cl, err := s.Client(ctx)
	if err != nil {
		return nil, err
	}
	name := s.Principal(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[name]
	if c == nil || c.client != cl { // another key: nothing carries over
		s.forgetIdle()
		c = &caller{Server: s, client: cl, cache: newCache(s.CacheTTL), followers: make(map[string]*follower)}
		s.callers[name] = c
	}
	return c, nil
}

// maxCallers bounds the callers that are kept; those who follow nothing lose no
// more than their cache.
const maxCallers = 1000

// forgetIdle makes room for another caller; s.mu is held.
func (s *Server) forgetIdle() {
	if len(s.callers) < maxCallers {
		return
	}
	for name, c := range s.callers {
		c.mu.Lock()
		idle := len(c.followers) == 0
		c.mu.Unlock()
		if idle {
			delete(s.callers, name)
		}
	}
}

// Options set an MCP server up to offer the resources; hooks must be the
// server's own.
func (s *Server) Options(hooks *server.Hooks, fail func(context.Context, error)) []server.ServerOption {
	hooks.AddBeforeReadResource(escapeURI)
	hooks.AddAfterListResources(func(ctx context.Context, _ any, req *mcp.ListResourcesRequest, result *mcp.ListResourcesResult) {
		result.Resources, result.NextCursor = []mcp.Resource{}, ""
		page, next, err := s.List(ctx, string(req.Params.Cursor))
		if err != nil {
			fail(ctx, err)
			return
		}
		result.Resources, result.NextCursor = append(result.Resources, page...), mcp.Cursor(next)
	})
	hooks.AddAfterListResourceTemplates(func(ctx context.Context, _ any, _ *mcp.ListResourceTemplatesRequest, result *mcp.ListResourceTemplatesResult) {
		result.ResourceTemplates = s.templates(ctx)
	})
	return []server.ServerOption{
		server.WithResourceCapabilities(true, false),
		server.WithCompletions(),
		server.WithResourceCompletionProvider(s),
	}
}

// anyURI is the one template that mcp-go knows: our own parser tells resources
// apart, since mcp-go matches templates in random order where several fit, and
// none with a query. Clients are told of kinds instead.
const anyURI = "{+uri}"

// Register adds the resources to an MCP server made with Options.
func (s *Server) Register(m *server.MCPServer) {
	m.AddResourceTemplate(mcp.NewResourceTemplate(anyURI, "resource"), func(ctx context.Context, req mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return s.Read(ctx, req.Params.URI)
	})
}

// escapeURI percent-encodes what may not stand in a URI as it is, such as spaces
// and letters beyond ASCII: some clients send them, and anyURI would not match.
func escapeURI(_ context.Context, _ any, req *mcp.ReadResourceRequest) {
	uri := req.Params.URI
	var b strings.Builder
	for i := range len(uri) {
		c := uri[i]
		_, err := url.PathUnescape(uri[i:min(i+3, len(uri))])
		strayPercent := c == '%' && err != nil
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 || strayPercent {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	req.Params.URI = b.String()
}

// InstanceOf gives the instance that a read is about, "" for none or for a URI
// that is not one of ours.
func InstanceOf(req mcp.ReadResourceRequest) string {
	r, err := parse(req.Params.URI)
	if err != nil {
		return ""
	}
	return r.instance
}

// IsFixed reports whether what a resource says stays the same for minutes at least.
func IsFixed(uri string) bool {
	r, err := parse(uri)
	return err == nil && (r.kind == kindSkill || r.kind == kindDocument)
}

// kindInfo is what a client is told of one kind of resource.
type kindInfo struct {
	kind                                     kind
	name, template, title, description, mime string
	tool                                     string // that gives the same
}

var kinds = []kindInfo{
	{kindInstance, "instance", rootURI + "/{instance}", "OpenClaw instance",
		"One instance and its current status. Can be subscribed to.", mimeJSON, "get_instance"},
	{kindSessions, "sessions", rootURI + "/{instance}/sessions", "Chat sessions",
		"The chat sessions of an instance, newest first, with the URI of each one's history.", mimeJSON, "list_chat_sessions"},
	{kindMessages, "messages", rootURI + "/{instance}/sessions/{session}/messages{?limit,before,format}", "Chat history",
		"A session's newest messages, oldest first; before=MESSAGE_ID reads what was said before that one, limit is 1 to 500 (50), format is markdown or json. Subscribe to be told of each new message.", "", "read_chat_history"},
	{kindFile, "files", rootURI + "/{instance}/files/{+path}", "File or directory",
		"A file (text, or a blob where it is binary) or the entries of a directory, by its absolute path, such as workspace/README.md. Large ones come in parts: ?offset= and ?length= in bytes, ?after= and ?limit= in entries. Can be subscribed to.", "", "read_file"},
	{kindDocument, "service", serviceURI + "/{document}{?offset}", "What the service says of itself",
		"A document that the service publishes: discovery (what its API advertises), openapi.json, openapi.yaml, llms-full.md, agent.md, SKILL.md or docs. A service may lack some. Large ones come in parts: ?offset= in bytes.", "", "check_service"},
}

// toolOf names the tool that gives what a kind of resource gives.
func toolOf(k kind) string {
	for _, i := range kinds {
		if i.kind == k {
			return i.tool
		}
	}
	return "list_instances"
}

// templates lists the templates that ctx's request may use.
func (s *Server) templates(ctx context.Context) []mcp.ResourceTemplate {
	list := []mcp.ResourceTemplate{}
	for _, i := range kinds {
		if s.AllowTool(ctx, i.tool) == nil {
			list = append(list, mcp.NewResourceTemplate(i.template, i.name, mcp.WithTemplateTitle(i.title),
				mcp.WithTemplateDescription(i.description), mcp.WithTemplateMIMEType(i.mime)))
		}
	}
	return list
}

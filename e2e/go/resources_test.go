// Package e2e drives the built binary on its embedded service with the official
// Go SDK's client. It is a module of its own, so that the program's does not
// depend on that SDK.
package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/openclaw-mcp")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("build the binary first (make e2e does): %v", err)
	}
	return path
}

func command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.Command(binary(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "OPENCLAW_MCP_LOG_FORMAT=json", "OPENCLAW_MCP_STRUCTURED=true"}
	return cmd
}

// serveHTTP starts the binary with an HTTP front, and gives its URL.
func serveHTTP(t *testing.T) string {
	t.Helper()
	cmd := command(t, "--local", "--http", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var entry struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && strings.HasPrefix(entry.Msg, "serving MCP") {
				url <- entry.URL
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	select {
	case u := <-url:
		return u
	case <-time.After(patience):
		t.Fatal("the server does not start")
		return ""
	}
}

// client is a connected client, and what it hears.
type client struct {
	*mcp.ClientSession
	updates chan string   // URIs
	acks    chan struct{} // acknowledged subscriptions
}

func connect(t *testing.T, transport mcp.Transport) *client {
	t.Helper()
	c := &client{updates: make(chan string, 1024), acks: make(chan struct{}, 16)}
	sdk := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) { c.updates <- req.Params.URI },
	})
	sdk.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method == "notifications/subscriptions/acknowledged" {
				c.acks <- struct{}{}
			}
			return next(ctx, method, req)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	if c.ClientSession, err = sdk.Connect(ctx, transport, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func recv[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// subscribe subscribes and waits until that holds: the SDK does not, in the
// modern era.
func (c *client) subscribe(t *testing.T, uri string) {
	t.Helper()
	if err := c.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err != nil {
		t.Fatal(err)
	}
	recv(t, c.acks, "the acknowledgement")
}

func (c *client) call(t *testing.T, tool string, args map[string]any) *mcp.CallToolResult {
	t.Helper()
	res, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil || res.IsError {
		t.Fatalf("%s: %v %+v", tool, err, res)
	}
	return res
}

func (c *client) complete(t *testing.T, ref *mcp.CompleteReference, arg, value string) []string {
	t.Helper()
	res, err := c.Complete(t.Context(), &mcp.CompleteParams{Ref: ref, Argument: mcp.CompleteParamsArgument{Name: arg, Value: value}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Completion.Values
}

// Two clients of one server: both hear what is said, however it got there.
func TestGoSDKOverHTTP(t *testing.T) {
	url := serveHTTP(t)
	one := connect(t, &mcp.StreamableClientTransport{Endpoint: url})
	two := connect(t, &mcp.StreamableClientTransport{Endpoint: url})
	session(t, one, two)
}

func TestGoSDKOverStdio(t *testing.T) {
	c := connect(t, &mcp.CommandTransport{Command: command(t, "--local")})
	session(t, c, c)
}

func session(t *testing.T, c, other *client) {
	created := c.call(t, "create_chat_session", map[string]any{"title": "go"})
	var link *mcp.ResourceLink
	for _, content := range created.Content {
		if l, ok := content.(*mcp.ResourceLink); ok {
			link = l
		}
	}
	if link == nil {
		t.Fatal("the result has no link")
	}
	var templates []string
	for tmpl, err := range c.ResourceTemplates(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		templates = append(templates, tmpl.URITemplate)
	}
	listed := false
	for r, err := range c.Resources(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		listed = listed || r.URI == link.URI
		if _, err := c.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: r.URI}); err != nil {
			t.Errorf("%s: %v", r.URI, err)
		}
	}
	if !listed || len(templates) != 5 {
		t.Errorf("the session is listed: %t; templates: %v", listed, templates)
	}
	_, err := c.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: link.URI + "?before=none"})
	if e := (*jsonrpc.Error)(nil); !errors.As(err, &e) || e.Code != -32602 {
		t.Errorf("got %v", err)
	}

	c.subscribe(t, link.URI)
	if other != c {
		other.subscribe(t, link.URI)
	}
	parts := strings.Split(link.URI, "/")
	instance, id := parts[3], parts[5]
	c.call(t, "send_chat_message", map[string]any{"session": id, "message": "say hello"})
	for _, who := range []*client{c, other} {
		if uri := recv(t, who.updates, "an update"); uri != link.URI {
			t.Errorf("got the update of %s", uri)
		}
	}
	read, err := c.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: link.URI})
	if err != nil || !strings.Contains(read.Contents[0].Text, "hello") {
		t.Errorf("%v: %+v", err, read)
	}
	if err := c.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: link.URI}); err != nil {
		t.Error(err)
	}

	resource := &mcp.CompleteReference{Type: "ref/resource", URI: templates[0]}
	if got := c.complete(t, resource, "instance", instance[:4]); !slices.Equal(got, []string{instance}) {
		t.Errorf("got %v", got)
	}
	if got := c.complete(t, &mcp.CompleteReference{Type: "ref/prompt", Name: "catch_up_session"}, "session", id[:6]); !slices.Contains(got, id) {
		t.Errorf("got %v", got)
	}
	prompt, err := c.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "debug_command", Arguments: map[string]string{"command": "make test"}})
	if err != nil || !strings.Contains(prompt.Messages[0].Content.(*mcp.TextContent).Text, "make test") {
		t.Errorf("%v: %+v", err, prompt)
	}
}

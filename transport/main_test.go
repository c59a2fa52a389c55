package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for an event that must come.
const patience = 2 * time.Minute

func recv[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("waiting for %s: closed", what)
		}
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// blocked is the end of a call of the tool "block".
type blocked struct {
	name  string
	cause error // nil when it was released
}

// fixture is an MCP server whose tools do what the tests need.
type fixture struct {
	server  *server.MCPServer
	started chan string   // names of "block" calls that began
	ended   chan blocked  // and that ended
	hooks   chan string   // "name: reason" of OnCancel hooks
	release chan struct{} // close it to let "block" calls answer
	calls   chan *Call    // of "block" calls, in the order of started
}

const panicText = "the secret in the panic"

func newFixture() *fixture {
	f := &fixture{
		server: server.NewMCPServer("fixture", "1", server.WithToolCapabilities(false), server.WithElicitation(),
			server.WithHooks(hooksOf(OnError))),
		started: make(chan string, 4096), ended: make(chan blocked, 4096),
		hooks: make(chan string, 4096), release: make(chan struct{}), calls: make(chan *Call, 4096),
	}
	add := func(name string, handler server.ToolHandlerFunc) {
		f.server.AddTool(mcp.NewTool(name), decoded(handler))
	}
	add("progress", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for i := range r.GetInt("n", 0) {
			if err := CallFrom(ctx).Progress(fmt.Sprintf("%s %d", r.GetString("name", ""), i+1)); err != nil {
				return nil, err
			}
		}
		return mcp.NewToolResultText("done"), nil
	})
	add("echo", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(r.GetString("text", "")), nil
	})
	add("big", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(strings.Repeat("x", r.GetInt("n", 0))), nil
	})
	add("panic", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) { panic(panicText) })
	add("block", f.block)
	add("flood", f.flood)
	add("elicit", elicit)
	return f
}

func hooksOf(f server.OnErrorHookFunc) *server.Hooks {
	h := &server.Hooks{}
	h.AddOnError(f)
	return h
}

// decoded lets a handler use mcp-go's ways to look at its arguments.
func decoded(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if err := json.Unmarshal(r.Params.RawArguments, &r.Params.Arguments); err != nil {
			return nil, err
		}
		return next(ctx, r)
	}
}

// block waits until it is released or its context ends, and answers with the
// cause.
func (f *fixture) block(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	name := r.GetString("name", "")
	call := CallFrom(ctx)
	call.OnCancel(func(reason string) { f.hooks <- name + ": " + reason })
	f.calls <- call
	f.started <- name
	select {
	case <-ctx.Done():
		f.ended <- blocked{name, context.Cause(ctx)}
		return mcp.NewToolResultText(context.Cause(ctx).Error()), nil
	case <-f.release:
		f.ended <- blocked{name, nil}
		return mcp.NewToolResultText("released"), nil
	}
}

// flood reports progress until it can't.
func (f *fixture) flood(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	name := r.GetString("name", "")
	call := CallFrom(ctx)
	call.OnCancel(func(reason string) { f.hooks <- name + ": " + reason })
	f.started <- name
	text := strings.Repeat("x", r.GetInt("size", 0))
	for {
		if err := call.Progress(text); err != nil {
			<-ctx.Done()
			f.ended <- blocked{name, context.Cause(ctx)}
			return nil, err
		}
	}
}

// elicit asks the user for a color, in whichever way the era has.
func elicit(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if answer := server.ElicitationResponse(r.Params.InputResponses, "color"); answer != nil {
		return mcp.NewToolResultText(fmt.Sprintf("%s %v", answer.Action, answer.Content)), nil
	}
	return server.NewInputRequestBuilder("state").Elicit("color", mcp.ElicitationParams{
		Message:         "Which color?",
		RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"color": map[string]any{"type": "string"}}},
	}).ToolResult(), nil
}

// logTo returns a logger whose records arrive on the channel, as text.
func logTo(ch chan string) *slog.Logger {
	return slog.New(slog.NewTextHandler(chanWriter(ch), nil))
}

type chanWriter chan string

func (w chanWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/transport"
)

// newServer is an MCP server with one tool, which greets.
func newServer() *server.MCPServer {
	s := server.NewMCPServer("greeter", "1", server.WithToolCapabilities(false))
	s.AddTool(mcp.NewTool("greet", mcp.WithString("name")), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var in struct{ Name string }
		if err := json.Unmarshal(r.Params.RawArguments, &in); err != nil {
			return nil, err
		}
		if err := transport.CallFrom(ctx).Progress("thinking of a greeting"); err != nil {
			return nil, err
		}
		return mcp.NewToolResultText("Hello, " + in.Name + "!"), nil
	})
	return s
}

// A client calls a tool over stdio: its progress comes before its result.
func ExampleStdio() {
	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{"name":"Ada"},"_meta":{"progressToken":"p"}}}`)
	err := transport.NewStdio(newServer(), transport.StdioOptions{}).Serve(context.Background(), in, os.Stdout)
	fmt.Println(err)
	// Output:
	// {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"message":"thinking of a greeting"}}
	// {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Hello, Ada!"}]}}
	// <nil>
}

type refusal struct{}

func (refusal) Error() string { return "send a bearer token" }

func (refusal) Answer(h http.Header) int {
	h.Set("WWW-Authenticate", "Bearer")
	return http.StatusUnauthorized
}

// An HTTP endpoint whose callers bring a token, at most ten requests a second each.
func ExampleHTTP() {
	h := transport.NewHTTP(newServer(), transport.HTTPOptions{
		Rate: 10,
		Authenticate: func(r *http.Request) (transport.Principal, error) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				return transport.Principal{}, refusal{}
			}
			return transport.Principal{Name: "ada"}, nil
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/mcp", h)
	// Serve mux. At the end, let requests hand over what they have:
	fmt.Println(h.Close(context.Background()))
	// Output: <nil>
}

// Long work goes on when a client's connection breaks, and ends when the client
// cancels it.
func ExampleCall_OnCancel() {
	work := func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		long, stop := context.WithCancel(context.WithoutCancel(ctx))
		transport.CallFrom(ctx).OnCancel(func(reason string) { stop() })
		select {
		case <-long.Done():
			return nil, errors.New("cancelled")
		case <-ctx.Done():
			return mcp.NewToolResultText("still running: " + context.Cause(ctx).Error()), nil
		}
	}
	_ = work
}

// Text comes in small pieces; a reporter joins them, and keeps their order.
func ExampleReporter() {
	stream := func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		reporter := transport.NewReporter(transport.CallFrom(ctx), func(seconds int) string { return fmt.Sprintf("working, %d s", seconds) })
		defer reporter.Close()
		reporter.Line("asking the agent")
		for _, word := range []string{"Hel", "lo ", "there"} {
			reporter.Text(word)
		}
		return mcp.NewToolResultText("Hello there"), nil
	}
	_ = stream
}

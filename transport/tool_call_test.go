package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// sameTools are two dispatchers of the same tools: one leaves all calls to
// mcp-go. ran counts the calls that the tools saw.
func sameTools() (without, with dispatcher, ran *int) {
	s := server.NewMCPServer("fixture", "1", server.WithToolCapabilities(false), server.WithElicitation(),
		server.WithToolHandlerMiddleware(Arguments), server.WithHooks(hooksOf(OnError)))
	tools := Tools{Server: mcp.Implementation{Name: "fixture", Version: "1"}, Handlers: map[string]server.ToolHandlerFunc{}}
	ran = new(int)
	add := func(name string, handler server.ToolHandlerFunc) {
		counted := func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			*ran++
			return handler(ctx, r)
		}
		s.AddTool(mcp.NewTool(name), counted)
		tools.Handlers[name] = Arguments(counted)
	}
	add("tell", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		info := server.RequestProtocolInfoFromContext(ctx)
		session, _ := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo)
		told, err := json.Marshal([]any{r.Params.Name, r.GetArguments(), r.Params.Meta, info, session.GetClientInfo(), session.GetClientCapabilities()})
		return &mcp.CallToolResult{
			Content: []mcp.Content{mcp.NewTextContent(string(told)), mcp.NewImageContent("aGk=", "image/png")}, StructuredContent: info,
			IsError: r.GetBool("fail", false),
		}, err
	})
	add("empty", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{}, nil
	})
	add("raw", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{RawStructuredContent: json.RawMessage(`{"a":"<b>"}`)}, nil
	})
	add("fail", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, errors.New("it failed")
	})
	add("coded", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, &codedError{-32042, "coded"}
	})
	add("panic", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) { panic("oh") })
	s.AddTool(mcp.NewTool("elicit"), elicit)
	return newDispatcher(s, nil, nil, Tools{}), newDispatcher(s, nil, nil, tools), ran
}

func hooksOf(f server.OnErrorHookFunc) *server.Hooks {
	h := &server.Hooks{}
	h.AddOnError(f)
	return h
}

// ask has a dispatcher answer a tools/call.
func ask(t testing.TB, d dispatcher, params []byte) any {
	t.Helper()
	raw := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":%s}`, params)
	m, _, err := parseMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession("s", Local)
	ctx, c := d.newCall(t.Context(), new(gate), m.meta().ProgressToken, func([]byte) error { return nil })
	defer c.cancel(nil)
	answer, _ := d.request(ctx, raw, m, sessionFor(m, m.meta().ProtocolVersion, s, Local), c)
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		t.Fatalf("the answer %q: %v", answer, err)
	}
	return v
}

// A call that is served without mcp-go is answered, and carried out, as mcp-go
// would have it.
func FuzzToolCall(f *testing.F) {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"2"},"progressToken":3,"traceparent":"00-x"}`
	for _, name := range []string{"tell", "empty", "raw", "fail", "coded", "panic", "elicit", "nothing"} {
		for _, rest := range []string{
			``, `,"arguments":{}`, `,"arguments":{"fail":true,"a":[1,"<&>",null]}`, `,"arguments":[]`, `,"arguments":null`,
			`,"arguments":{},` + meta, `,"arguments":{},"_meta":{}`, `,"arguments":{},"_meta":null`, `,"arguments":{},"_meta":7`,
			`,"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`,
			`,"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01","io.modelcontextprotocol/clientCapabilities":{}}`,
			`,"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-06-18","progressToken":"x"}`,
			`,"arguments":{},"task":{"ttl":1}`, `,"arguments":{},"requestState":"s","inputResponses":{"color":{"action":"accept"}}`,
			`,"arguments":{},"more":1`, `,"arguments":{},"ARGUMENTS":{"b":1}`,
		} {
			f.Add([]byte(`{"name":"` + name + `"` + rest + `}`))
		}
	}
	f.Add([]byte(`{"name":7,"arguments":{}}`))
	f.Add([]byte(`[]`))
	without, with, ran := sameTools()
	f.Fuzz(func(t *testing.T, params []byte) {
		if !json.Valid(params) {
			return
		}
		*ran = 0
		want := ask(t, without, params)
		times := *ran
		*ran = 0
		if got := ask(t, with, params); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%v, want\n%v", params, got, want)
		}
		if *ran != times {
			t.Errorf("%s: the tool ran %d times, want %d", params, *ran, times)
		}
	})
}

package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// fuzzServer has tools that end by themselves.
func fuzzServer() *server.MCPServer {
	s := server.NewMCPServer("fuzz", "1")
	s.AddTool(mcp.NewTool("echo"), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		_ = CallFrom(ctx).Progress("working")
		return mcp.NewToolResultText(r.GetString("text", "")), nil
	})
	s.AddTool(mcp.NewTool("panic"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) { panic("oh") })
	return s
}

// Whatever lines come in: no panic, no request answered twice, nothing but
// JSON-RPC on the way out, and the stream stays usable.
func FuzzStdioLine(f *testing.F) {
	for _, m := range wrongMessages {
		f.Add([]byte(m.line))
	}
	f.Add(encodeRequest(f, legacy, "1", "initialize", initParams))
	f.Add(encodeRequest(f, modern, `"a"`, "tools/call", params{"name": "echo", "_meta": params{"progressToken": 1}}))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"panic"}}` + "\n" + `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`))
	f.Add([]byte("{\"jsonrpc\":\"2.0\",\"ID\":1,\"id\":2,\"method\":\"ping\"}\r\n\r\n\t{}"))
	srv := fuzzServer()
	f.Fuzz(func(t *testing.T, lines []byte) {
		const limit = 4096
		const marker = `"the marker of this test"`
		in := append(bytes.Clone(lines), "\n"+`{"jsonrpc":"2.0","id":`+marker+`,"method":"ping"}`...)
		var out bytes.Buffer
		started := time.Now()
		if err := NewStdio(srv, StdioOptions{Options: Options{MaxMessage: limit}}).Serve(t.Context(), bytes.NewReader(in), &out); err != nil {
			t.Fatalf("Serve: %v", err)
		}
		if d := time.Since(started); d > 8*time.Second {
			t.Errorf("Serve took %v: something was not answered", d)
		}
		asked := make(map[string]int)
		for line := range bytes.Lines(in) {
			var m struct{ ID json.RawMessage }
			_ = json.Unmarshal(line, &m)
			asked[string(m.ID)]++
		}
		marked := false
		for line := range bytes.Lines(out.Bytes()) {
			var m struct {
				JSONRPC, Method string
				ID              json.RawMessage
			}
			if err := json.Unmarshal(line, &m); err != nil || m.JSONRPC != "2.0" || line[len(line)-1] != '\n' {
				t.Fatalf("sent %q: %v", line, err)
			}
			if m.Method != "" {
				continue
			}
			id := string(m.ID)
			if asked[id]--; asked[id] < 0 && id != "null" {
				t.Errorf("%s was answered too often", id)
			}
			marked = marked || id == marker
		}
		if !marked {
			t.Errorf("the stream is unusable behind %q", lines)
		}
	})
}

// Whatever is POSTed: no panic, and a status that this transport has.
func FuzzHTTPBody(f *testing.F) {
	for _, m := range wrongMessages {
		f.Add([]byte(m.line), "application/json", "application/json", "", "", "", "s")
	}
	body := encodeRequest(f, modern, "1", "tools/call", params{"name": "echo", "_meta": params{"progressToken": 1}})
	f.Add(body, "application/json", "", modern, "tools/call", "echo", "")
	f.Add(body, "application/json", "text/event-stream", modern, "tools/call", "=?base64?x?=", "")
	f.Add(encodeRequest(f, legacy, "1", "initialize", initParams), "application/json; charset=x", "*/*", "", "", "", "")
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"panic"}}`), "application/json", "*/*", legacy, "", "", "s")
	h := NewHTTP(fuzzServer(), HTTPOptions{Options: Options{MaxMessage: 4096}, MaxSessions: 2})
	known := []int{200, 202, 400, 404, 406, 413, 415}
	f.Fuzz(func(t *testing.T, body []byte, contentType, accept, version, method, name, session string) {
		if h.find(Local, "s") == nil {
			h.addSession(newSession("s", Local), "")
		}
		req := httptest.NewRequest("POST", "/mcp", bytes.NewReader(body))
		for k, v := range map[string]string{
			"Content-Type": contentType, "Accept": accept, "Mcp-Protocol-Version": version,
			"Mcp-Method": method, "Mcp-Name": name, "Mcp-Session-Id": session,
		} {
			req.Header[http.CanonicalHeaderKey(k)] = []string{v}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if !slices.Contains(known, w.Code) {
			t.Errorf("status %d", w.Code)
		}
		if w.Code == 200 && w.Body.Len() == 0 {
			t.Error("an empty success")
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("not JSON: %q", w.Body)
		}
		if len(h.sessions) > 2 {
			t.Errorf("%d sessions", len(h.sessions))
		}
	})
}

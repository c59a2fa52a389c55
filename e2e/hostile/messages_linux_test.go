//go:build e2e && linux

package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// swallow is a service that takes whatever is written, said or run, and knows no scripts.
func swallow(taken *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/instances/i1")
		if r.Method == http.MethodPost {
			n, _ := io.Copy(io.Discard, r.Body)
			if n > 30<<20 {
				taken.Add(1)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		switch at {
		case "/files/write":
			_, _ = io.WriteString(w, `{"ok":true}`)
		case "/chat/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "event: delta\ndata: {\"delta\":\"yes\"}\n\nevent: done\ndata: {}\n\n")
		case "/chat/messages", "/chat/sessions":
			_, _ = io.WriteString(w, "[]")
		case "/terminal/exec":
			_, _ = io.WriteString(w, `{"stdout":"","exit_code":0}`)
		default:
			instances(anyKey)(w, r)
		}
	}
}

// largeCall is a call of a tool with so many bytes of text, every other one of which is
// escaped.
func largeCall(tool string, size int) []byte {
	argument := map[string]string{"write_file": `"path":"/workspace/f","content"`, "send_chat_message": `"session":"s1","wait_seconds":5,"message"`, "exec_command": `"command"`,
		"edit_file": `"path":"/workspace/f","new_text":"x","old_text"`}[tool]
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"instance":"i1",%s:"`, tool, argument)
	b.WriteString(strings.Repeat(`word\n`, size/6))
	b.WriteString(`"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)
	return b.Bytes()
}

// Messages as large as they may be take a bounded part of the memory, however many come at
// once and whoever sends them; one by itself is served. Twelve of 34 MiB once took 780 MiB.
func TestLargeMessages(t *testing.T) {
	for _, tool := range []string{"write_file", "send_chat_message", "exec_command", "edit_file"} {
		t.Run(tool, func(t *testing.T) {
			var taken atomic.Int64
			var names, tokens []string
			for i := range 12 {
				names = append(names, fmt.Sprint("caller", i))
				tokens = append(tokens, names[i]+":"+tokenOf(names[i]))
			}
			s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, swallow(&taken)), "OPENCLAW_MCP_AUTH=token",
				"OPENCLAW_MCP_TOKENS="+strings.Join(tokens, ","))
			post := func(name string, body []byte) (int, string) {
				status, text, _ := named(t, s, name).answer(t, http.MethodPost, headers(modern, "tools/call", tool), body)
				return status, text
			}
			status, text := post(names[0], largeCall(tool, 63<<20))
			t.Logf("one of 63 MiB: %d MiB, status %d, %.200s", s.memory(t), status, text)
			if status != http.StatusOK || (tool == "write_file" || tool == "send_chat_message") && taken.Load() != 1 {
				t.Errorf("one of 63 MiB: status %d, %.300s", status, text)
			}
			body := largeCall(tool, 34<<20)
			var served, refused atomic.Int64
			for _, whose := range []func(i int) string{func(int) string { return names[0] }, func(i int) string { return names[i] }} {
				for range 2 {
					var wg sync.WaitGroup
					for i := range 12 {
						wg.Go(func() {
							res, err := named(t, s, whose(i)).do(http.MethodPost, headers(modern, "tools/call", tool), bytes.NewReader(body))
							if err != nil {
								return // cut off while sending
							}
							defer res.Body.Close()
							var answer struct{ Error json.RawMessage }
							if err := json.NewDecoder(res.Body).Decode(&answer); err == nil && answer.Error == nil {
								served.Add(1)
							} else {
								refused.Add(1)
							}
						})
					}
					wg.Wait()
				}
			}
			t.Logf("%d MiB; %d were served and %d refused", s.memory(t), served.Load(), refused.Load())
			if m := s.memory(t); m > 400 || served.Load() == 0 {
				t.Errorf("it took %d MiB, and %d were served", m, served.Load())
			}
			if status, text := named(t, s, names[0]).call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
				t.Errorf("afterwards: %d, %s", status, text)
			}
		})
	}
}

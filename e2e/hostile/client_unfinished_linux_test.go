//go:build e2e

package hostile

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What streams begin and never end takes little memory, many of them at once as well: arguments of
// tools that come in pieces, and what may turn out to be the beginning of a reply. 200 streams once
// took 2 GB. A short reply is whole beside them.
func TestManyUnfinishedStreams(t *testing.T) {
	const streams = 200
	text := strings.Repeat("words and more words ", 2<<10) // 42 KiB
	chunk := func(call string) string { return `data: {"choices":[{"index":0,"delta":` + call + "}]}\n\n" }
	for _, c := range []struct {
		name, begin, more string
		size              int
	}{
		{
			"arguments", chunk(`{"tool_calls":[{"index":0,"id":"t1","function":{"name":"exec","arguments":"{\"a\":\""}}]}`),
			chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"` + text + `"}}]}`), 3900 << 10,
		},
		{"pieces", "", "event: delta\ndata: {\"x\":\"" + text + "\"}\n\n", 7 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			var whole atomic.Int64
			s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.Contains(r.URL.Path, "/instances/short/"):
					chats(w, r)
					return
				case !strings.HasSuffix(r.URL.Path, "/chat/stream"):
					instances(anyKey)(w, r)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, c.begin)
				for range c.size / len(text) {
					if _, err := io.WriteString(w, c.more); err != nil {
						return
					}
				}
				_ = http.NewResponseController(w).Flush()
				whole.Add(1)
				<-r.Context().Done()
			}))
			caller := newCaller(t, s.url)
			for i := range streams {
				if _, text := caller.call(t, "send_chat_message", message("hello", fmt.Sprint("s", i))); runOf(text) == "" {
					t.Fatalf("stream %d: %.300s", i, text)
				}
			}
			for end := time.Now().Add(patience); whole.Load() < streams && s.memory(t) < 1000 && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			_, said := caller.call(t, "send_chat_message", params{"instance": "short", "session": "s", "message": "hello"})
			if !strings.Contains(said, "echo of hello") || strings.Contains(said, "no memory") {
				t.Errorf("a short reply: %s", said)
			}
			t.Logf("%d MiB when %d streams had said %d MiB each", s.memory(t), whole.Load(), c.size>>20)
			if m := s.memory(t); m > 300 {
				t.Errorf("it took %d MiB", m)
			}
		})
	}
}

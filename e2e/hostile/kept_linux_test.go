//go:build e2e

package hostile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

// verbose is a service whose agent says 500 KB to each message, and whose history shows none
// of it.
func verbose(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/chat/stream") {
		chats(w, r)
		return
	}
	var body struct{ Message string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 10 {
		_, _ = fmt.Fprintf(w, "event: delta\ndata: {\"delta\":%q}\n\n", fmt.Sprint(body.Message, i, strings.Repeat(" words and more words", 2500)))
	}
	_, _ = fmt.Fprint(w, "event: done\ndata: {}\n\n")
}

// Many messages in one session take what their replies take. Each once had a copy of all
// before it: 80 took 1.2 GB.
func TestLongSession(t *testing.T) {
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, verbose))
	c := newCaller(t, s.url)
	for i := range 80 {
		if _, text := c.call(t, "send_chat_message", params{"session": "s", "message": fmt.Sprint("message ", i)}); !strings.Contains(text, fmt.Sprint("message ", i, "0 words")) {
			t.Fatalf("message %d: %.300s", i, text)
		}
	}
	t.Logf("%d MiB", s.memory(t))
	if m := s.memory(t); m > 300 {
		t.Errorf("it took %d MiB", m)
	}
}

// cluttered is a service whose terminals are filled to the last cell, with marks on each
// character, on both screens and above. full counts those that are. The instance "short" has
// a quiet one.
func cluttered(full *atomic.Int64) http.HandlerFunc {
	row := []byte(strings.Repeat("a"+strings.Repeat("\u0301", 12), 400) + "\r\n")
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/terminal/ws") {
			instances(anyKey)(w, r)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		write := func(b []byte) {
			if err == nil {
				err = ws.Write(r.Context(), websocket.MessageBinary, b)
			}
		}
		write([]byte("ready $ "))
		if !strings.Contains(r.URL.Path, "/short/") {
			for range 2 {
				for range 260 {
					write(row)
				}
				write([]byte("\x1b[?1049h"))
			}
			full.Add(1)
		}
		for err == nil {
			_, _, err = ws.Read(r.Context())
		}
	}
}

// The terminals of all callers share what their screens and their output may take. 32 once
// took 420 MB.
func TestManyTerminals(t *testing.T) {
	var full atomic.Int64
	var names, tokens []string
	for i := range 5 {
		names = append(names, fmt.Sprint("caller", i))
		tokens = append(tokens, names[i]+":"+tokenOf(names[i]))
	}
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, cluttered(&full)), "OPENCLAW_MCP_TERMINAL_FAMILY=T2",
		"OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS="+strings.Join(tokens, ","))
	for i := range 32 {
		if _, text := named(t, s, names[i%4]).call(t, "open_terminal", params{"instance": "i1", "cols": 400, "rows": 200}); !strings.Contains(text, ": open") {
			t.Fatalf("terminal %d: %.300s", i, text)
		}
	}
	_, text := named(t, s, names[4]).call(t, "open_terminal", params{"instance": "short"})
	if !strings.Contains(text, "ready $") {
		t.Errorf("an honest one: %s", text)
	}
	eventually(t, "all are full", func() bool { return full.Load() == 32 })
	t.Logf("%d MiB", s.memory(t))
	if m := s.memory(t); m > 300 {
		t.Errorf("it took %d MiB", m)
	}
}

// Messages of terminals that never end share what there is for such. 40 once took 253 MB.
func TestEndlessFrames(t *testing.T) {
	var names, tokens []string
	for i := range 5 {
		names = append(names, fmt.Sprint("caller", i))
		tokens = append(tokens, names[i]+":"+tokenOf(names[i]))
	}
	var sent atomic.Int64
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/terminal/ws") {
			instances(anyKey)(w, r)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		_ = ws.Write(r.Context(), websocket.MessageBinary, []byte("ready $ "))
		frame, err := ws.Writer(r.Context(), websocket.MessageBinary)
		part := make([]byte, 64<<10)
		for i := 0; err == nil && i < 62; i++ {
			_, err = frame.Write(part)
		}
		sent.Add(1)
		if err == nil {
			_, _, _ = ws.Read(r.Context())
		}
	}), "OPENCLAW_MCP_TERMINAL_FAMILY=T2", "OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS="+strings.Join(tokens, ","))
	for i := range 40 {
		if _, text := named(t, s, names[i%5]).call(t, "open_terminal", params{"instance": "i1"}); !strings.Contains(text, "ready $") {
			t.Fatalf("terminal %d: %.300s", i, text)
		}
	}
	eventually(t, "all was sent", func() bool { return sent.Load() >= 40 })
	t.Logf("%d MiB", s.memory(t))
	if m := s.memory(t); m > 200 {
		t.Errorf("it took %d MiB", m)
	}
}

//go:build e2e

package hostile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
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

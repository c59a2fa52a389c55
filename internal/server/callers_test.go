package server

import (
	"fmt"
	"log/slog"
	"testing"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/observe"
	"openclaw-mcp/internal/secret"
	"openclaw-mcp/transport"
)

// What is remembered for a caller whose key the service never took goes when it makes room
// for others, unless it has come back; what is remembered for the others stays.
func TestInventedCallersAreForgotten(t *testing.T) {
	t.Parallel()
	cfg, err := config.Read([]string{"OPENCLAW_MCP_HTTP=127.0.0.1:0", "OPENCLAW_MCP_AUTH=key", "OPENCLAW_API_BASE_URL=http://127.0.0.1:1/api"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(cfg, slog.New(slog.DiscardHandler), observe.New(observe.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	principal := func(name string) transport.Principal {
		return transport.Principal{Name: "key:" + name, Key: secret.Text(name)}
	}
	remembers := func(name string, note bool) bool {
		t.Helper()
		s, err := b.callers.of(t.Context(), principal(name), "one address", nil)
		if err != nil {
			t.Fatal(err)
		}
		if note {
			if _, _, err := s.Fleet.Create(t.Context(), "claim", nil); err != nil {
				t.Fatal(err)
			}
		}
		_, ok, err := s.Fleet.Find(t.Context(), "claim")
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for _, name := range []string{"invented", "good"} {
		if !remembers(name, true) {
			t.Errorf("%s: nothing is remembered", name)
		}
	}
	b.callers.taken(principal("good"), b.callers.newcomers[principal("good")])
	old := b.callers.newcomers[principal("invented")]
	b.callers.closeAll([]*caller{old}) // as of an earlier visit
	if !remembers("invented", false) {
		t.Error("a caller that has come back is forgotten")
	}
	b.callers.mu.Lock()
	for _, one := range b.callers.newcomers {
		one.calls = 0 // this test's are over
	}
	b.callers.mu.Unlock()
	for i := range maxNewcomersShare {
		remembers(fmt.Sprint("other-", i), false)
	}
	if remembers("invented", false) {
		t.Error("an invented caller is still remembered")
	}
	if !remembers("good", false) {
		t.Error("a caller whose key is good is forgotten")
	}
}

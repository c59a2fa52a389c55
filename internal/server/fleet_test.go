package server

import (
	"log/slog"
	"testing"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/observe"
)

// Processes share what they do at one service, however its address is spelt, and nothing of what
// they do at another that knows the same key.
func TestSharedByService(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	claim := func(cfg config.Config) (ours bool) {
		t.Helper()
		cfg.APIKey, cfg.StateDir = "key", state
		b, err := New(cfg, slog.New(slog.DiscardHandler), observe.New(observe.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		s, err := b.servicesOf(t.Context(), b.local(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range []fleet.Fleet{s.Fleet, s.Runs.Config.OfKey} { // of the caller, and of all with the key
			_, created, err := f.Create(t.Context(), "a claim", []byte("x"))
			if err != nil || i > 0 && created != ours {
				t.Errorf("%s: created %t, %t, %v", cfg.BaseURL, ours, created, err)
			}
			ours = created
		}
		return ours
	}
	for _, tt := range []struct {
		cfg  config.Config
		want bool
	}{
		{config.Config{BaseURL: "http://one.test/api"}, true},
		{config.Config{BaseURL: "http://one.test"}, false},
		{config.Config{BaseURL: "http://ONE.test:80/api/"}, false},
		{config.Config{BaseURL: "http://two.test/api"}, true},
		{config.Config{BaseURL: "http://one.test:81/api"}, true},
		{config.Config{BaseURL: "http://127.0.0.1:1/api", ServiceName: "local"}, true},
		{config.Config{BaseURL: "http://127.0.0.1:2/api", ServiceName: "local"}, false},
	} {
		if got := claim(tt.cfg); got != tt.want {
			t.Errorf("%s: a claim of its own: %t", tt.cfg.BaseURL, got)
		}
	}
}

package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"openclaw-mcp/internal/config"
)

// An answer that asks for a key is an answer; the question itself carries none.
func TestReachable(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusOK: "", http.StatusUnauthorized: "", http.StatusNotFound: "",
		http.StatusInternalServerError: "500 Internal Server Error", http.StatusServiceUnavailable: "503 Service Unavailable",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/" || r.Header.Get("Authorization") != "" || r.Header.Get("X-Api-Key") != "" {
				t.Errorf("asked %s with %v, want /api/ without a key", r.URL.Path, r.Header)
			}
			w.WriteHeader(status)
		}))
		b := &Bridge{cfg: config.Config{BaseURL: srv.URL + "/api", APIKey: "sk-secret"}}
		err := b.reachable(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("a service that answers %d: got %v, want %q", status, err, want)
		}
		srv.Close()
		if err := b.reachable(t.Context()); err == nil {
			t.Error("a service that is not there counts as reachable")
		}
	}
	if err := (&Bridge{cfg: config.Config{BaseURL: "http://exa mple"}}).reachable(t.Context()); err == nil {
		t.Error("an address that is none counts as reachable")
	}
}

package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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

// What a look at the service finds is the service's: a redirect is followed to no other host,
// which may be one that only this server reaches.
func TestReachableStaysWithTheService(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away/api/":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/near/api/":
			http.Redirect(w, r, "/api/", http.StatusFound)
		}
	}))
	defer srv.Close()
	look := func(base string) error {
		return (&Bridge{cfg: config.Config{BaseURL: srv.URL + base}}).reachable(t.Context())
	}
	if err := look("/away/api"); err == nil || !strings.Contains(err.Error(), "302 Found") || asked.Load() {
		t.Errorf("a redirect to another host: %v, followed %v", err, asked.Load())
	}
	if err := look("/near/api"); err != nil {
		t.Errorf("a redirect within the service: %v", err)
	}
}

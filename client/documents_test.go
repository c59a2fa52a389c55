package client

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Each document is asked for in its place, without the key, and comes as text.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path, kind, body string
		status                 int
		want, problem          string
	}{
		{name: "discovery", path: "/api/", kind: "application/json", body: `{"name":"x"}`, want: `{"name":"x"}`},
		{name: "openapi.json", path: "/api/openapi.json", kind: "application/json", body: `{"openapi":"3.1.0"}`, want: `{"openapi":"3.1.0"}`},
		{name: "openapi.yaml", path: "/api/openapi.yaml", kind: "text/yaml", body: "openapi: 3.1.0", want: "openapi: 3.1.0"},
		{name: "llms-full.md", path: "/llms-full.md", kind: "text/markdown", body: "# <b>\n", want: "# <b>\n"},
		{name: "agent.md", path: "/agent.md", kind: "text/plain", body: "\ufeffa\xff", want: "a\ufffd"},
		{name: "SKILL.md", path: "/skills/openclaw-api-control/SKILL.md", kind: "application/octet-stream", body: "---\n", want: "---\n"},
		{name: "docs", path: "/docs", kind: "text/html", body: `<!doctype html><title>API</title><script>x</script><h1>One <b>two</b></h1><p>See <a href="/api/openapi.json">it</a>.`,
			want: "API\nOne two\nSee it </api/openapi.json>.\n[The page may show more by scripts; openapi.json has what it is made of.]\n"},
		{name: "agent.md", path: "/agent.md", kind: "text/html", body: "<!doctype html><title>Home</title>", problem: "not the document: the service does not seem to publish it: Home"},
		{name: "agent.md", path: "/agent.md", kind: "text/markdown", body: "PNG\x00", problem: "not text"},
		{name: "agent.md", path: "/agent.md", kind: "text/markdown", body: strings.Repeat("x", maxDocument+1), problem: "larger than"},
		{name: "agent.md", path: "/agent.md", kind: "application/json", status: 404, body: `{}`, problem: "404"},
		{name: "other.md", problem: "the documents are discovery, openapi.json"},
	} {
		t.Run(tt.name+" "+tt.problem, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != tt.path || r.Header.Get("Authorization") != "" {
					t.Errorf("GET %s with key %q, want %s without", r.URL, r.Header.Get("Authorization"), tt.path)
				}
				answer(max(tt.status, 200), tt.kind, tt.body)(w, r)
			})
			doc, err := c.Documents.Get(t.Context(), tt.name)
			if tt.problem != "" {
				if e := wantError(t, err); !strings.Contains(e.Error(), tt.problem) {
					t.Errorf("got %v, want %q", err, tt.problem)
				}
				return
			}
			if err != nil || doc.Text != tt.want || doc.Path != tt.path {
				t.Errorf("got %+v, %v, want %q", doc, err, tt.want)
			}
		})
	}
}

// A document that did not change is not sent again; all that is kept is bounded.
func TestDocumentsETag(t *testing.T) {
	t.Parallel()
	var version atomic.Value
	var sent atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		now := version.Load().(string)
		w.Header().Set("ETag", `"`+now+`"`)
		if r.Header.Get("If-None-Match") == `"`+now+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent.Add(1)
		answer(200, "text/markdown", strings.Repeat(now, maxDocument-100))(w, r)
	})
	for _, tt := range []struct {
		name, version string
		sent          int64
	}{
		{"agent.md", "1", 1}, {"agent.md", "1", 1}, {"agent.md", "2", 2}, {"agent.md", "2", 2},
		{"llms-full.md", "2", 3}, {"agent.md", "2", 3}, {"SKILL.md", "2", 4}, // makes room
		{"llms-full.md", "2", 5},
	} {
		version.Store(tt.version)
		doc, err := c.Documents.Get(t.Context(), tt.name)
		if err != nil || doc.Text[:1] != tt.version || sent.Load() != tt.sent || doc.Name != tt.name {
			t.Errorf("%s, version %s: %d sent, want %d: %.1s %v", tt.name, tt.version, sent.Load(), tt.sent, doc.Text, err)
		}
		size := 0
		for _, d := range c.Documents.kept {
			size += len(d.Text)
		}
		if size > maxDocuments {
			t.Errorf("%d bytes are kept", size)
		}
	}
}

// The key goes to the API alone, and only where it is asked for.
func TestDocumentsKey(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			answer(401, "application/json", `{"error":"unauthorized"}`)(w, r)
			return
		}
		answer(200, "application/json", `{}`)(w, r)
	})
	for _, d := range Documents() {
		_, err := c.Documents.Get(t.Context(), d.Name)
		if ofAPI := strings.HasPrefix(d.Path, "/api/"); ofAPI != (err == nil) {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
}

// Nothing is fetched from another host.
func TestDocumentsStayOnTheirHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked elsewhere: %s", r.URL) }))
	t.Cleanup(other.Close)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/agent.md":
			http.Redirect(w, r, "/moved.md", http.StatusFound)
		case "/moved.md":
			answer(200, "text/markdown", "here")(w, r)
		default:
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
		}
	})
	if doc, err := c.Documents.Get(t.Context(), "agent.md"); err != nil || doc.Text != "here" {
		t.Errorf("got %+v, %v", doc, err)
	}
	_, err := c.Documents.Get(t.Context(), "llms-full.md")
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusFound {
		t.Errorf("got %v", err)
	}
}

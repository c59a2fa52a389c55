package auth

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetadataPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ resource, want string }{
		{"https://mcp.example", "/.well-known/oauth-protected-resource"},
		{"https://mcp.example/", "/.well-known/oauth-protected-resource"},
		{"https://mcp.example/mcp", "/.well-known/oauth-protected-resource/mcp"},
		{"https://mcp.example:8443/a%2Fb/mcp", "/.well-known/oauth-protected-resource/a%2Fb/mcp"},
		{"https://mcp.example/%zz", "/.well-known/oauth-protected-resource"},
	} {
		if got := MetadataPath(c.resource); got != c.want {
			t.Errorf("%s: got %s, want %s", c.resource, got, c.want)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "/realms/a", "ec")
	server := httptest.NewServer(f.newOAuth(t, OAuthConfig{Scopes: []string{"mcp", "x"}}, standardPace).MetadataHandler())
	t.Cleanup(server.Close)
	want := map[string]any{
		"resource": testAudience, "authorization_servers": []any{f.url},
		"scopes_supported": []any{"mcp", "x"}, "bearer_methods_supported": []any{"header"},
	}
	for _, c := range []struct {
		method string
		status int
		header map[string]string
	}{
		{"GET", 200, map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=3600"}},
		{"HEAD", 200, map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=3600"}},
		{"OPTIONS", 204, map[string]string{"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "*"}},
		{"POST", 405, map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: got %s, %v, %v; want %d for any origin", c.method, resp.Status, resp.Header, err, c.status)
		}
		for name, value := range c.header {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", c.method, name, got, value)
			}
		}
		if c.method != "GET" {
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
	}
}

//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// OAuth from a client's first, refused request to a call with the caller's own
// OpenClaw key.
func TestAuthOAuth(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{Keys: []string{"sk_live_second"}})
	second, err := up.AddInstance("sk_live_second")
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(params{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
		case "/keys":
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey, KeyID: "1", Use: "sig"}}})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer issuer.Close()
	token := func(subject, scope string) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(params{"iss": issuer.URL, "sub": subject, "aud": "https://claw.example/mcp", "exp": time.Now().Add(time.Hour).Unix(), "scope": scope})
		o, err := s.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		text, err := o.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("alice:"+up.key+"\nbob:sk_live_second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, url := launchHTTP(t, []string{
		"OPENCLAW_API_KEY=unused", "OPENCLAW_API_BASE_URL=" + up.url, "OPENCLAW_MCP_AUTH=oauth", "OPENCLAW_MCP_OAUTH_ISSUER=" + issuer.URL,
		"OPENCLAW_MCP_OAUTH_SCOPES=mcp:use", "OPENCLAW_MCP_OAUTH_KEYS_FILE=" + keys, "OPENCLAW_MCP_PUBLIC_URL=https://claw.example/mcp",
	})
	w := newHTTPWire(t, url, modern)
	list := encodeRequest(t, modern, "1", "tools/list", nil)
	ask := func(header params) (int, string, string) {
		res := w.do(t, t.Context(), "POST", list, header)
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, res.Header.Get("WWW-Authenticate"), string(b)
	}
	if status, challenge, _ := ask(nil); status != 401 || !strings.Contains(challenge, `resource_metadata="https://claw.example/.well-known/oauth-protected-resource/mcp"`) {
		t.Errorf("without a token: %d, %s", status, challenge)
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		res, err := w.http.Get(strings.TrimSuffix(url, "/mcp") + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != 200 || !strings.Contains(string(b), issuer.URL) || !strings.Contains(string(b), "mcp:use") {
			t.Errorf("%s: %d, %s", path, res.StatusCode, b)
		}
	}
	if status, challenge, _ := ask(bearer(token("alice", "other"))); status != 403 || !strings.Contains(challenge, "insufficient_scope") {
		t.Errorf("without the scope: %d, %s", status, challenge)
	}
	if status, _, body := ask(bearer(token("mallory", "mcp:use"))); status != 403 || !strings.Contains(body, "no OpenClaw key") {
		t.Errorf("an unknown subject: %d, %s", status, body)
	}
	for _, era := range []string{legacy, modern} {
		a, b := callerOf(t, p, url, era, bearer(token("alice", "mcp:use"))), callerOf(t, p, url, era, bearer(token("bob", "mcp:use")))
		if l := a.ok(t, "list_instances", nil); !strings.Contains(l.Text, up.instance) || strings.Contains(l.Text, second) {
			t.Errorf("alice sees %s", l.Text)
		}
		if l := b.ok(t, "list_instances", nil); strings.Contains(l.Text, up.instance) || !strings.Contains(l.Text, second) {
			t.Errorf("bob sees %s", l.Text)
		}
	}
	if strings.Contains(p.stderr.String(), token("alice", "mcp:use")[:40]) || strings.Contains(p.stderr.String(), "sk_live_second") {
		t.Error("a credential is in the log")
	}
}

package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const resource = "https://claw.example/mcp"

// issuer is an authorization server over a real socket.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    []any // what its JWKS holds
	down    bool
	path    string // where its metadata is
	fetches int
	claims  string // the issuer that its metadata names; "" for the right one
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{path: "/.well-known/openid-configuration"}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.down:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == i.path:
		name := i.claims
		if name == "" {
			name = i.URL
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": name, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys":
		i.fetches++
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (i *issuer) set(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

type signingKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key any
}

func newRSA(t *testing.T, id string, bits int) signingKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, jose.RS256, k}
}

func newEC(t *testing.T, id string) signingKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, jose.ES256, k}
}

func (k signingKey) public() any {
	return jose.JSONWebKey{Key: k.key.(crypto.Signer).Public(), KeyID: k.id, Use: "sig", Algorithm: string(k.alg)}
}

func sign(t *testing.T, k signingKey, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.key, KeyID: k.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(claims)
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

// good are a good token's claims, some of them replaced or (nil) left out.
func (i *issuer) good(change map[string]any) map[string]any {
	c := map[string]any{"iss": i.URL, "sub": "alice", "aud": resource, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "scope": "mcp:use other"}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func ask(a Authenticator, token string) (Caller, *Refusal) {
	r := httptest.NewRequest(http.MethodPost, "/mcp?access_token="+token, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	c, err := a.Authenticate(r)
	var refusal *Refusal
	errors.As(err, &refusal)
	return c, refusal
}

func TestOAuth(t *testing.T) {
	i := newIssuer(t)
	strong, ec, weak, other := newRSA(t, "rsa", 2048), newEC(t, "ec"), newRSA(t, "weak", 1024), newRSA(t, "rsa", 2048)
	i.keys = []any{map[string]any{"kty": "unheard of", "kid": "x"}, strong.public(), ec.public(), weak.public(),
		map[string]any{"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}}
	o, err := NewOAuth(OAuthConfig{Issuer: i.URL, Resource: resource, Scopes: []string{"mcp:use"}})
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(strong.key.(*rsa.PrivateKey).Public())
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "."
	body, _ := json.Marshal(i.good(nil))
	unsigned += base64.RawURLEncoding.EncodeToString(body) + "."
	anyKey := strong
	anyKey.id = ""
	for name, tt := range map[string]struct {
		token  string
		status int // 0: taken
		says   string
	}{
		"RSA":                      {sign(t, strong, i.good(nil)), 0, ""},
		"EC":                       {sign(t, ec, i.good(nil)), 0, ""},
		"without a key id":         {sign(t, anyKey, i.good(nil)), 0, ""},
		"audiences":                {sign(t, ec, i.good(map[string]any{"aud": []string{"x", resource}})), 0, ""},
		"scp":                      {sign(t, ec, i.good(map[string]any{"scope": nil, "scp": []string{"mcp:use"}})), 0, ""},
		"just expired":             {sign(t, ec, i.good(map[string]any{"exp": time.Now().Add(-10 * time.Second).Unix()})), 0, ""},
		"none":                     {"", 401, "send an access token"},
		"not a JWT":                {"opaque", 401, "not a JWT"},
		"unsigned":                 {unsigned, 401, "not a JWT"},
		"signed with what is open": {sign(t, signingKey{"rsa", jose.HS256, der}, i.good(nil)), 401, "not a JWT"},
		"shared key":               {sign(t, signingKey{"shared", jose.HS256, []byte("secret-secret-secret-secret-secret")}, i.good(nil)), 401, "not a JWT"},
		"another's key":            {sign(t, other, i.good(nil)), 401, "signature"},
		"a weak key":               {sign(t, weak, i.good(nil)), 401, "key"},
		"an unknown key":           {sign(t, newEC(t, "new"), i.good(nil)), 401, "key"},
		"another issuer":           {sign(t, ec, i.good(map[string]any{"iss": "https://evil.example"})), 401, "another server"},
		"another audience":         {sign(t, ec, i.good(map[string]any{"aud": "https://other.example"})), 401, "audience"},
		"no audience":              {sign(t, ec, i.good(map[string]any{"aud": nil})), 401, "audience"},
		"expired":                  {sign(t, ec, i.good(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})), 401, "expired"},
		"without an end":           {sign(t, ec, i.good(map[string]any{"exp": nil})), 401, "expires"},
		"not yet":                  {sign(t, ec, i.good(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})), 401, "yet"},
		"from the future":          {sign(t, ec, i.good(map[string]any{"iat": time.Now().Add(time.Hour).Unix()})), 401, "future"},
		"nobody":                   {sign(t, ec, i.good(map[string]any{"sub": nil})), 401, "subject"},
		"a long subject":           {sign(t, ec, i.good(map[string]any{"sub": strings.Repeat("x", 256)})), 401, "subject"},
		"odd claims":               {sign(t, ec, i.good(map[string]any{"aud": 5})), 401, "claims"},
		"without the scope":        {sign(t, ec, i.good(map[string]any{"scope": "other"})), 403, "mcp:use"},
		"too long":                 {strings.Repeat("x", maxCredential+1), 400, "bytes"},
	} {
		c, refusal := ask(o, tt.token)
		if tt.status == 0 {
			if refusal != nil || !strings.HasPrefix(c.Name, "oauth:") || !strings.HasSuffix(c.Name, ":alice") {
				t.Errorf("%s: %v, %v", name, c, refusal)
			}
			continue
		}
		if refusal == nil || refusal.Status != tt.status || !strings.Contains(refusal.Message, tt.says) {
			t.Errorf("%s: got %+v, want %d", name, refusal, tt.status)
			continue
		}
		if tt.token != "" && strings.Contains(refusal.Message+refusal.Challenge, tt.token) {
			t.Errorf("%s: the refusal repeats the token", name)
		}
		if tt.status != 400 && !strings.Contains(refusal.Challenge, `resource_metadata="https://claw.example/.well-known/oauth-protected-resource/mcp"`) {
			t.Errorf("%s: the challenge is %s", name, refusal.Challenge)
		}
	}
	_, refusal := ask(o, sign(t, ec, i.good(map[string]any{"scope": ""})))
	if !strings.Contains(refusal.Challenge, `error="insufficient_scope"`) || !strings.Contains(refusal.Challenge, `scope="mcp:use"`) {
		t.Errorf("the challenge is %s", refusal.Challenge)
	}
	if i.fetches != 1 {
		t.Errorf("the keys were fetched %d times: anybody could make this server hammer the issuer", i.fetches)
	}
}

// Keys change, and the issuer goes away and comes back.
func TestOAuthRotation(t *testing.T) {
	i := newIssuer(t)
	i.down = true
	first, second := newEC(t, "1"), newEC(t, "2")
	i.keys = []any{first.public()}
	o, err := NewOAuth(OAuthConfig{Issuer: i.URL, Resource: resource})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var clock sync.Mutex
	o.keys.now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	later := func(d time.Duration) { clock.Lock(); defer clock.Unlock(); now = now.Add(d) }
	token1, token2 := sign(t, first, i.good(nil)), sign(t, second, i.good(nil))
	status := func(token string) int {
		_, refusal := ask(o, token)
		if refusal == nil {
			return 200
		}
		if refusal.Status == 503 && refusal.RetryAfter <= 0 {
			t.Error("503 says not when to try again")
		}
		return refusal.Status
	}
	want := func(what, token string, want int) {
		t.Helper()
		if got := status(token); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	want("the issuer is down from the start", token1, 503)
	i.set(func() { i.down = false })
	want("at once", token1, 503)
	later(failureWait)
	want("it is back", token1, 200)
	want("a key that it has not", token2, 401)
	i.set(func() { i.keys = []any{second.public()} })
	want("looked up a moment ago", token2, 401)
	later(refetchAfter)
	want("a new key", token2, 200)
	want("a key that was withdrawn", token1, 401)
	i.set(func() { i.down = true })
	later(refreshAfter + time.Second)
	want("known keys serve while it is down", token2, 200)
	later(time.Hour)
	want("for as long as it takes", token2, 200)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // the look in the background
		o.keys.mu.Lock()
		failed := o.keys.failed
		o.keys.mu.Unlock()
		if failed != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("old keys are not read again")
		}
	}
	want("an unknown key meanwhile", token1, 503)
}

func TestOAuthDiscovery(t *testing.T) {
	i := newIssuer(t)
	k := newEC(t, "1")
	i.keys = []any{k.public()}
	i.path = "/.well-known/oauth-authorization-server" // RFC 8414 alone
	o, err := NewOAuth(OAuthConfig{Issuer: i.URL, Resource: resource, Audience: "claw"})
	if err != nil {
		t.Fatal(err)
	}
	if _, refusal := ask(o, sign(t, k, i.good(map[string]any{"aud": "claw"}))); refusal != nil {
		t.Errorf("got %v", refusal)
	}
	i.claims = "https://evil.example"
	o, _ = NewOAuth(OAuthConfig{Issuer: i.URL, Resource: resource})
	if _, refusal := ask(o, sign(t, k, i.good(nil))); refusal == nil || refusal.Status != 503 {
		t.Errorf("metadata of another issuer: %v", refusal)
	}
	for _, cfg := range []OAuthConfig{
		{Issuer: "http://id.example", Resource: resource}, {Issuer: "id.example", Resource: resource},
		{Issuer: "https://user@id.example", Resource: resource}, {Issuer: "https://id.example"},
		{Issuer: "https://id.example", Resource: resource, Scopes: []string{`a"b`}},
	} {
		if _, err := NewOAuth(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestOAuthSubjects(t *testing.T) {
	i := newIssuer(t)
	k := newEC(t, "1")
	i.keys = []any{k.public()}
	file := filepath.Join(t.TempDir(), "keys")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	for _, bad := range []string{"alice", "alice:", ":key", "a:key\na:other", "a:two words", `{"a":5}`, `{"a":""}`, `{`} {
		write(bad)
		if _, err := NewSubjectKeys(file, log); err == nil || strings.Contains(err.Error(), "other") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	write("# keys\nurn:user:alice:sk_a\nbob:sk_b\n")
	keys, err := NewSubjectKeys(file, log)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOAuth(OAuthConfig{Issuer: i.URL, Resource: resource, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	who := func(sub string) (Caller, *Refusal) { return ask(o, sign(t, k, i.good(map[string]any{"sub": sub}))) }
	if c, refusal := who("urn:user:alice"); refusal != nil || c.Key != "sk_a" || strings.Contains(fmt.Sprintf("%v %+v %#v", c, c, c), "sk_a") {
		t.Errorf("got %v, %v", c, refusal)
	}
	if _, refusal := who("mallory"); refusal == nil || refusal.Status != 403 || strings.Contains(refusal.Challenge, "error=") {
		t.Errorf("an unmapped subject: %+v", refusal)
	}
	write(`{"mallory": "sk_m"}`)
	keys.file.checked = time.Time{}
	if c, refusal := who("mallory"); refusal != nil || c.Key != "sk_m" {
		t.Errorf("got %v, %v", c, refusal)
	}
}

func TestOAuthMetadata(t *testing.T) {
	o, err := NewOAuth(OAuthConfig{Issuer: "https://id.example", Resource: resource, Scopes: []string{"mcp:use"}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	o.MetadataHandler().ServeHTTP(w, httptest.NewRequest("GET", metadataPath+"/mcp", nil))
	var meta struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &meta); err != nil || meta.Resource != resource || len(meta.Servers) != 1 || meta.Servers[0] != "https://id.example" || len(meta.Scopes) != 1 {
		t.Errorf("%v: %s", err, w.Body)
	}
	if w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("got %v", w.Header())
	}
	for method, want := range map[string]int{"OPTIONS": 204, "POST": 405} {
		w := httptest.NewRecorder()
		o.MetadataHandler().ServeHTTP(w, httptest.NewRequest(method, metadataPath, nil))
		if w.Code != want {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

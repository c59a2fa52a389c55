package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeIssuer is an authorization server on a real socket.
type fakeIssuer struct {
	t      *testing.T
	server *httptest.Server
	url    string
	keys   map[string]crypto.Signer // by kid; what kind follows from its name

	mu        sync.Mutex
	published []string // kids
	down      bool
	raw       []json.RawMessage                             // further keys of the set
	handler   func(http.ResponseWriter, *http.Request) bool // true: it answered
	count     int                                           // of requests for the keys
}

func newFakeIssuer(t *testing.T, path string, kids ...string) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{t: t, keys: map[string]crypto.Signer{}, published: kids}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	f.url = f.server.URL + path
	for _, kid := range kids {
		f.addKey(kid)
	}
	return f
}

func (f *fakeIssuer) addKey(kid string) {
	f.t.Helper()
	var key crypto.Signer
	var err error
	switch {
	case kid == "ec384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case kid == "ec521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case strings.HasPrefix(kid, "ec"):
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case strings.HasPrefix(kid, "ed"):
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case kid == "weak":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.keys[kid] = key
}

// change does something while no request is being answered.
func (f *fakeIssuer) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeIssuer) fetches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *fakeIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	isKeys := r.URL.Path == "/keys"
	if isKeys {
		f.count++
	}
	switch {
	case f.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case f.handler != nil && f.handler(w, r):
	case isKeys:
		all := append([]json.RawMessage{}, f.raw...)
		for _, kid := range f.published {
			jwk := jose.JSONWebKey{Key: f.keys[kid].Public(), KeyID: kid, Use: "sig"}
			switch kid {
			case "encrypts":
				jwk.Use = "enc"
			case "signs-rs512":
				jwk.Algorithm = "RS512"
			}
			b, err := json.Marshal(jwk)
			if err != nil {
				f.t.Error(err)
			}
			all = append(all, b)
		}
		writeJSON(w, map[string]any{"keys": all})
	case f.server.URL+r.URL.Path == f.url+"/.well-known/openid-configuration":
		writeJSON(w, map[string]any{"issuer": f.url, "jwks_uri": f.server.URL + "/keys", "token_endpoint": "https://tokens.example.org/t"})
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (f *fakeIssuer) newOAuth(t *testing.T, cfg OAuthConfig, p pace) *OAuth {
	t.Helper()
	cfg.Issuer, cfg.Audience, cfg.Resource = f.url, testAudience, testAudience
	o, err := newOAuth(t.Context(), cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// claims are good ones with changes; one to nil leaves the claim out.
func (f *fakeIssuer) claims(changes map[string]any) []byte {
	f.t.Helper()
	all := map[string]any{"iss": f.url, "sub": "alice", "aud": testAudience, "scope": "mcp read", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(all)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *fakeIssuer) sign(kid string, alg jose.SignatureAlgorithm, changes map[string]any) string {
	f.t.Helper()
	return f.signAs(kid, kid, alg, changes)
}

// signAs signs with one key under the kid of another.
func (f *fakeIssuer) signAs(key, kid string, alg jose.SignatureAlgorithm, changes map[string]any) string {
	f.t.Helper()
	return f.compact(key, kid, alg, f.claims(changes), nil)
}

func (f *fakeIssuer) signPayload(kid string, alg jose.SignatureAlgorithm, payload []byte) string {
	f.t.Helper()
	return f.compact(kid, kid, alg, payload, nil)
}

func (f *fakeIssuer) signHeader(kid string, alg jose.SignatureAlgorithm, changes map[string]any, name jose.HeaderKey, value any) string {
	f.t.Helper()
	return f.compact(kid, kid, alg, f.claims(changes), map[jose.HeaderKey]any{name: value})
}

func (f *fakeIssuer) compact(key, kid string, alg jose.SignatureAlgorithm, payload []byte, header map[jose.HeaderKey]any) string {
	f.t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: f.keys[key], KeyID: kid}}, options)
	if err != nil {
		f.t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := jws.CompactSerialize()
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func hs256(t *testing.T, key, payload []byte) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	s := encode([]byte(`{"alg":"HS256","kid":"rsa"}`)) + "." + encode(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s))
	return s + "." + encode(mac.Sum(nil))
}

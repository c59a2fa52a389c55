package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func status(o *OAuth, token string) int {
	_, err := o.Authenticate(request(authzHeader, "Bearer "+token))
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal.Status
	}
	return http.StatusOK
}

// await asks until an outcome that only the key set's goroutine can bring about.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// eager asks an issuer for every unknown key, and often when it fails.
var eager = pace{refresh: time.Hour, minBackoff: time.Millisecond, maxBackoff: 5 * time.Millisecond}

func TestUnknownKeyIsFetched(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa1")
	f.addKey("ec2")
	o := f.newOAuth(t, OAuthConfig{}, eager)
	old, young := f.sign("rsa1", jose.RS256, nil), f.sign("ec2", jose.ES256, nil)
	if a, b := status(o, old), status(o, young); a != 200 || b != 401 {
		t.Fatalf("before the rotation: got %d and %d, want 200 and 401", a, b)
	}
	f.change(func() { f.published = []string{"ec2"} })
	if a, b := status(o, young), status(o, old); a != 200 || b != 401 {
		t.Errorf("after the rotation: got %d and %d, want 200 and 401", a, b)
	}
	f.addKey("ec3")
	f.change(func() { f.published = []string{"ec3"} })
	if got := status(o, f.signAs("ec3", "", jose.ES256, nil)); got != 200 {
		t.Errorf("after a rotation, without kid: got %d", got)
	}
	before := f.fetches()
	foreign := f.signAs("rsa1", "x", jose.RS256, map[string]any{"iss": "https://other.example"})
	if got := status(o, foreign); got != 401 || f.fetches() != before {
		t.Errorf("a token of another issuer: got %d and %d fetches, want 401 and none", got, f.fetches()-before)
	}
}

func TestKeysAreRefreshedInTheBackground(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa1")
	o := f.newOAuth(t, OAuthConfig{}, pace{refresh: 5 * time.Millisecond, unknown: time.Hour, minBackoff: time.Millisecond, maxBackoff: time.Millisecond})
	token := f.sign("rsa1", jose.RS256, nil)
	if got := status(o, token); got != 200 {
		t.Fatalf("got %d", got)
	}
	f.change(func() { f.published = nil })
	await(t, "a key that the issuer withdrew is refused", func() bool { return status(o, token) == 401 })
}

func TestOutageKeepsKnownKeys(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa1")
	f.addKey("rsa2")
	var log safeBuffer
	o := f.newOAuth(t, OAuthConfig{Log: slog.New(slog.NewTextHandler(&log, nil))}, eager)
	known, unknown := f.sign("rsa1", jose.RS256, nil), f.sign("rsa2", jose.RS256, nil)
	if got := status(o, known); got != 200 {
		t.Fatalf("got %d", got)
	}
	f.change(func() { f.down = true })
	if a, b := status(o, unknown), status(o, known); a != 503 || b != 200 {
		t.Errorf("during an outage: got %d for an unknown and %d for a known key, want 503 and 200", a, b)
	}
	before := f.fetches()
	refusal := refusalOf(t, o, unknown)
	if refusal.Status != 503 || refusal.RetryAfter != time.Second || refusal.Challenge != "" || refusal.Message == "" {
		t.Errorf("during an outage: got %#v, want 503 and to retry after 1s", refusal)
	}
	f.change(func() { f.down, f.published = false, []string{"rsa1", "rsa2"} })
	await(t, "the keys are fetched after an outage", func() bool { return status(o, unknown) == 200 })
	if f.fetches() != before+1 {
		t.Errorf("%d requests for keys, want none in the outage, for want of discovery, and one after it", f.fetches()-before)
	}
	if s := log.String(); strings.Count(s, "level=ERROR") != 1 || strings.Count(s, "were fetched") != 2 {
		t.Errorf("an outage is not logged once, and its end once:\n%s", s)
	}
}

func TestStartWithTheIssuerDown(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa")
	f.down = true
	o := f.newOAuth(t, OAuthConfig{}, eager)
	token := f.sign("rsa", jose.RS256, nil)
	if got := status(o, token); got != 503 {
		t.Errorf("got %d, want 503", got)
	}
	f.change(func() { f.down = false })
	await(t, "tokens are taken once the issuer is up", func() bool { return status(o, token) == 200 })
}

func TestRetryAfterFollowsTheBackoff(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa")
	f.down = true
	o := f.newOAuth(t, OAuthConfig{}, pace{time.Hour, 0, 30 * time.Second, 30 * time.Second})
	if got := refusalOf(t, o, f.sign("rsa", jose.RS256, nil)); got.Status != 503 || got.RetryAfter != 30*time.Second {
		t.Errorf("got %#v, want 503 and 30s", got)
	}
}

// Many callers with an unknown key make for one fetch; those who leave, and the
// end of the server, end the wait.
func TestOneFetchAtATime(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa")
	entered, release := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(release) })
	f.handler = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/keys" {
			entered <- struct{}{}
			<-release
		}
		return false
	}
	ctx, stop := context.WithCancel(t.Context())
	o, err := newOAuth(ctx, OAuthConfig{Issuer: f.url, Audience: testAudience, Resource: testAudience}, standardPace)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	token := f.sign("rsa", jose.RS256, nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = o.Authenticate(request(authzHeader, "Bearer "+token).WithContext(gone))
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Status != 503 {
		t.Errorf("a caller who left: got %v, want 503", err)
	}
	got := make(chan int, 20)
	for range 10 {
		go func() { got <- status(o, token) }()
	}
	release <- struct{}{}
	for range 10 {
		if s := <-got; s != 200 {
			t.Errorf("got %d", s)
		}
	}
	if n := f.fetches(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	stop()
	o.keys.state.Store(&keyState{next: make(chan struct{})}) // as if nothing had been fetched yet
	if got := status(o, token); got != 503 {
		t.Errorf("after the end: got %d, want 503", got)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	const oidc, rfc8414 = "/realms/a/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/realms/a"
	big := strings.Repeat(" ", maxDocument+1)
	for _, c := range []struct {
		name   string
		answer func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool
		want   string // empty: it works
	}{
		{"RFC 8414 alone", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case oidc:
				http.NotFound(w, r)
			case rfc8414:
				writeJSON(w, map[string]any{"issuer": f.url, "jwks_uri": f.server.URL + "/keys"})
			default:
				return false
			}
			return true
		}, ""},
		{"OpenID Connect behind the well-known part", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case oidc, rfc8414:
				http.NotFound(w, r)
			case "/.well-known/openid-configuration/realms/a":
				writeJSON(w, map[string]any{"issuer": f.url, "jwks_uri": f.server.URL + "/keys"})
			default:
				return false
			}
			return true
		}, ""},
		{"a byte order mark", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, "\ufeff")
			if r.URL.Path == oidc {
				writeJSON(w, map[string]any{"issuer": f.url, "jwks_uri": f.server.URL + "/keys"})
			}
			return r.URL.Path == oidc
		}, ""},
		{"redirect on the same host", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == oidc {
				http.Redirect(w, r, "/moved", http.StatusFound)
			} else if r.URL.Path == "/moved" {
				writeJSON(w, map[string]any{"issuer": f.url, "jwks_uri": f.server.URL + "/keys"})
			}
			return r.URL.Path != "/keys"
		}, ""},
		{"neither", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, rfc8414 + " answered 404"},
		{"another issuer", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			writeJSON(w, map[string]any{"issuer": f.url + "/", "jwks_uri": f.server.URL + "/keys"})
			return true
		}, "it must be exactly"},
		{"http jwks_uri", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			writeJSON(w, map[string]any{"issuer": f.url, "jwks_uri": "http://issuer.example/keys"})
			return true
		}, "http://issuer.example/keys must be an https URL"},
		{"no jwks_uri", func(f *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			writeJSON(w, map[string]any{"issuer": f.url})
			return true
		}, "is not a URL with a host"},
		{"http redirect", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://issuer.example/x", http.StatusFound)
			return true
		}, "the redirect http://issuer.example/x must be an https URL"},
		{"redirects without end", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}, "more than 3 redirects"},
		{"not JSON", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool { fmt.Fprint(w, "<html>"); return true }, "invalid character"},
		{"endless", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool { fmt.Fprint(w, big); return true }, "has more than 1048576 bytes"},
		{"cut off", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
			return true
		}, "unexpected EOF"},
		{"keys that are none", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/keys" {
				fmt.Fprint(w, "{}")
			}
			return r.URL.Path == "/keys"
		}, "is not a JWK set"},
		{"keys that are down", func(_ *fakeIssuer, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/keys" {
				http.Error(w, "", 500)
			}
			return r.URL.Path == "/keys"
		}, "/keys answered 500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeIssuer(t, "/realms/a", "ec")
			f.handler = func(w http.ResponseWriter, r *http.Request) bool { return c.answer(f, w, r) }
			keys, err := newIssuer(f.url, nil).fetchKeys(t.Context())
			if c.want == "" && (err != nil || len(keys) != 1) {
				t.Errorf("got %d keys, %v", len(keys), err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestOneBadKeyDoesNotCostTheOthers(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "ec", "weak", "encrypts")
	private, err := json.Marshal(jose.JSONWebKey{Key: f.keys["ec"], KeyID: "private"})
	if err != nil {
		t.Fatal(err)
	}
	f.raw = []json.RawMessage{
		[]byte(`{"kty":"OKP","crv":"X448","kid":"new","x":"AAAA"}`), []byte(`{"kty":"oct","kid":"o","k":"c2VjcmV0"}`),
		[]byte(`{"kty":"RSA"}`), []byte(`"x"`), []byte(`null`), private,
	}
	keys, err := newIssuer(f.url, http.DefaultClient).fetchKeys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].KeyID != "ec" {
		t.Errorf("got %d keys, %v; want the one that can be used", len(keys), err)
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("a client that was given is changed")
	}

	f.change(func() { f.published = nil })
	var log safeBuffer
	o := f.newOAuth(t, OAuthConfig{Log: slog.New(slog.NewTextHandler(&log, nil))}, standardPace)
	if got := status(o, f.sign("ec", jose.ES256, nil)); got != 401 || !strings.Contains(log.String(), "has no usable key") {
		t.Errorf("without a usable key: got %d and the log\n%s", got, &log)
	}
}

func TestSignInURLs(t *testing.T) {
	t.Parallel()
	o := newFakeIssuer(t, "", "rsa").newOAuth(t, OAuthConfig{}, standardPace)
	<-o.keys.state.Load().next
	if got := o.SignInURLs(); !slices.Contains(got, "https://tokens.example.org/t") {
		t.Error(got)
	}
}

package auth

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	testAudience = "https://mcp.example/mcp"
	authzHeader  = "Authorization"
)

func refusalOf(t *testing.T, a Authenticator, token string) *Refusal {
	t.Helper()
	caller, err := a.Authenticate(request(authzHeader, "Bearer "+token))
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || caller.Name != "" || caller.Key != "" {
		t.Fatalf("got %v, %v; want a refusal", caller, err)
	}
	return refusal
}

func TestOAuthTakes(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "/realms/a", "rsa", "ec", "ec384", "ec521", "ed")
	o := f.newOAuth(t, OAuthConfig{Scopes: []string{"mcp"}}, standardPace)
	for _, c := range []struct {
		name   string
		token  string
		sub    string
		scopes string
	}{
		{"RS256", f.sign("rsa", jose.RS256, nil), "alice", "mcp read"},
		{"PS512", f.sign("rsa", jose.PS512, nil), "alice", "mcp read"},
		{"ES256", f.sign("ec", jose.ES256, nil), "alice", "mcp read"},
		{"ES384", f.sign("ec384", jose.ES384, nil), "alice", "mcp read"},
		{"ES512", f.sign("ec521", jose.ES512, nil), "alice", "mcp read"},
		{"EdDSA", f.sign("ed", jose.EdDSA, nil), "alice", "mcp read"},
		{"no kid", f.signAs("rsa", "", jose.RS256, nil), "alice", "mcp read"},
		{"audiences", f.sign("rsa", jose.RS256, map[string]any{"aud": []string{"other", testAudience}}), "alice", "mcp read"},
		{"scp", f.sign("rsa", jose.RS256, map[string]any{"scope": nil, "scp": "mcp x"}), "alice", "mcp x"},
		{"list of scp", f.sign("rsa", jose.RS256, map[string]any{"scope": nil, "scp": []string{"x", "mcp"}}), "alice", "x mcp"},
		{"subject in another case too", f.sign("rsa", jose.RS256, map[string]any{"\u017fub": "bob"}), "alice", "mcp read"},
		{"odd subject", f.sign("rsa", jose.RS256, map[string]any{"sub": "auth0|a/b\n\"ä"}), "auth0%7Ca%2Fb%0A%22%C3%A4", "mcp read"},
		{"longest subject", f.sign("rsa", jose.RS256, map[string]any{"sub": strings.Repeat("s", maxSubject)}), strings.Repeat("s", maxSubject), "mcp read"},
		{"expired within the leeway", f.sign("rsa", jose.RS256, map[string]any{"exp": time.Now().Unix() - 10}), "alice", "mcp read"},
		{"from a clock ahead", f.sign("rsa", jose.RS256, map[string]any{"nbf": time.Now().Unix() + 10, "iat": time.Now().Unix() + 10}), "alice", "mcp read"},
	} {
		got, err := o.Authenticate(request(authzHeader, "Bearer "+c.token))
		if want := o.namePrefix + c.sub; err != nil || got.Name != want || got.Key != "" || strings.Join(got.Scopes, " ") != c.scopes {
			t.Errorf("%s: got %v with scopes %q, error %v; want %s with %s", c.name, got, got.Scopes, err, want, c.scopes)
		}
	}
	if len(o.namePrefix) != len("oauth:01234567:") {
		t.Errorf("names begin with %s", o.namePrefix)
	}
}

func TestOAuthRefuses(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "rsa", "ec", "ec384", "weak", "signs-rs512", "encrypts")
	o := f.newOAuth(t, OAuthConfig{Scopes: []string{"mcp", "write"}}, standardPace)
	full := map[string]any{"scope": "mcp write"}
	with := func(name string, value any) string {
		return f.sign("rsa", jose.RS256, map[string]any{"scope": "mcp write", name: value})
	}
	if _, err := o.Authenticate(request(authzHeader, "Bearer "+f.sign("rsa", jose.RS256, full))); err != nil {
		t.Fatal(err)
	}
	good := f.sign("rsa", jose.RS256, full)
	other := newFakeIssuer(t, "", "rsa") // another key under the same kid
	other.url = f.url

	// The attack on verifiers that let the token choose: HMAC keyed by the public key.
	public := f.keys["rsa"].(*rsa.PrivateKey).Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: public})
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	payload := strings.Split(good, ".")[1]
	none := encode([]byte(`{"alg":"none","kid":"rsa"}`)) + "." + payload + "."

	const notJWT = "is not a JWT signed with"
	for _, c := range []struct{ name, token, want string }{
		{"not a JWT", "opaque", notJWT},
		{"alg none", none, notJWT},
		{"HS256 keyed with the DER of the public key", hs256(t, der, f.claims(full)), notJWT},
		{"HS256 keyed with the JWK", hs256(t, jwk, f.claims(full)), notJWT},
		{"no signature", good[:strings.LastIndex(good, ".")+1], "signature of the access token is wrong"},
		{"signed by another", other.sign("rsa", jose.RS256, full), "signature of the access token is wrong"},
		{"other payload", strings.Replace(good, payload, encode([]byte(`{"iss":"`+f.url+`","sub":"root"}`)), 1), "signature of the access token is wrong"},
		{"unknown kid", f.signAs("rsa", "unknown", jose.RS256, full), "not signed with a key of its issuer"},
		{"weak RSA key", f.sign("weak", jose.RS256, full), "not signed with a key of its issuer"},
		{"key for encryption", f.sign("encrypts", jose.RS256, full), "not signed with a key of its issuer"},
		{"key for another algorithm", f.sign("signs-rs512", jose.RS256, full), "not signed with a key of its issuer"},
		{"curve of another algorithm", f.signAs("ec", "ec384", jose.ES256, full), "not signed with a key of its issuer"},
		{"EC algorithm with the kid of an RSA key", f.signAs("ec", "rsa", jose.ES256, full), "not signed with a key of its issuer"},
		{"kid of a key of another kind", f.signAs("rsa", "ec", jose.RS256, full), "not signed with a key of its issuer"},
		{"critical header", f.signHeader("rsa", jose.RS256, full, "crit", []string{"x"}), "critical headers"},
		{"wrong issuer", with("iss", f.url+"/"), "was not issued by"},
		{"no issuer", with("iss", nil), "was not issued by"},
		{"wrong audience", with("aud", "other"), "not for the audience"},
		{"wrong audiences", with("aud", []string{"other", testAudience + "/x"}), "not for the audience"},
		{"no audience", with("aud", nil), "not for the audience"},
		{"audience of a wrong type", with("aud", 5), "claim aud of the access token has the wrong type"},
		{"expired", with("exp", time.Now().Unix()-31), "has expired"},
		{"no expiry", with("exp", nil), "no claim exp"},
		{"expiry of a wrong type", with("exp", "soon"), "claim exp of the access token has the wrong type"},
		{"expiry in another case", f.sign("rsa", jose.RS256, map[string]any{"exp": nil, "EXP": time.Now().Unix() + 60}), "no claim exp"},
		{"issuer in another case", f.sign("rsa", jose.RS256, map[string]any{"iss": "https://other.example", "i\u017f\u017f": f.url}), "was not issued by"},
		{"not yet valid", with("nbf", time.Now().Unix()+60), "claim nbf"},
		{"from the future", with("iat", time.Now().Unix()+60), "claim iat"},
		{"no subject", with("sub", nil), "no claim sub"},
		{"empty subject", with("sub", ""), "no claim sub"},
		{"long subject", with("sub", strings.Repeat("s", maxSubject+1)), "more than 255 bytes"},
		{"subject that is no text", with("sub", "a\xff"), "not UTF-8 text"},
		{"claims that are no object", f.signPayload("rsa", jose.RS256, []byte("[]")), "is not a JSON object"},
	} {
		got := refusalOf(t, o, c.token)
		head := challenge + `, resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp", error="invalid_token", error_description="`
		if got.Status != 401 || !strings.Contains(got.Message, c.want) || !strings.HasPrefix(got.Challenge, head) || !strings.HasSuffix(got.Challenge, `", scope="mcp write"`) {
			t.Errorf("%s: got %#v; want 401 with %s", c.name, got, c.want)
		}
		if strings.Contains(fmt.Sprintf("%#v", got), payload[:20]) {
			t.Errorf("%s: the refusal shows the token", c.name)
		}
	}
	if n := f.fetches(); n != 1 {
		t.Errorf("bad tokens made the keys be fetched %d times within %v, want once", n, standardPace.unknown)
	}

	got := refusalOf(t, o, strings.Repeat("x", maxCredential+1))
	if got.Status != 400 {
		t.Errorf("oversized token: got %#v", got)
	}
	_, err = o.Authenticate(request())
	missing, ok := errors.AsType[*Refusal](err)
	if want := challenge + `, resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp", scope="mcp write"`; !ok || missing.Status != 401 || missing.Challenge != want {
		t.Errorf("no token: got %#v, want 401 with %s", err, want)
	}
	got = refusalOf(t, o, f.sign("rsa", jose.RS256, map[string]any{"scope": "mcp writer"}))
	if got.Status != 403 || got.Message != "the access token does not have the scope write" || !strings.Contains(got.Challenge, `error="insufficient_scope"`) || !strings.Contains(got.Challenge, `scope="mcp write"`) {
		t.Errorf("too few scopes: got %#v", got)
	}
}

func TestOAuthMapsSubjects(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	write(t, file, "alice:key-of-alice\n")
	keys, err := NewSubjectKeys(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeIssuer(t, "", "ec")
	strict := f.newOAuth(t, OAuthConfig{Keys: keys}, standardPace)
	open := f.newOAuth(t, OAuthConfig{Keys: keys, AllowUnmapped: true}, standardPace)
	alice, bob := f.sign("ec", jose.ES256, nil), f.sign("ec", jose.ES256, map[string]any{"sub": "bob"})
	for _, c := range []struct {
		o          *OAuth
		token, key string
	}{{strict, alice, "key-of-alice"}, {open, alice, "key-of-alice"}, {open, bob, ""}} {
		got, err := c.o.Authenticate(request(authzHeader, "Bearer "+c.token))
		if err != nil || got.Key != c.key {
			t.Errorf("got %v with the right key: %v, error %v", got, got.Key == c.key, err)
		}
	}
	got := refusalOf(t, strict, bob)
	if got.Status != http.StatusForbidden || strings.Contains(got.Challenge, "error") || !strings.Contains(got.Challenge, "resource_metadata=") {
		t.Errorf("unmapped: got %#v, want 403 without an error code", got)
	}

	var all bytes.Buffer
	caller, err := strict.Authenticate(request(authzHeader, "Bearer "+alice))
	if err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&all, nil)).Info("x", "caller", caller, "keys", keys)
	for _, v := range []any{caller, keys, *keys, keys.file.Get()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&all, verb, v)
		}
	}
	for _, s := range []string{"key-of-alice", fmt.Sprintf("%x", "key-of-alice"), alice} {
		if strings.Contains(all.String(), s) {
			t.Errorf("%s is shown in %s", s, &all)
		}
	}
}

func TestOAuthConfigRefused(t *testing.T) {
	t.Parallel()
	good := OAuthConfig{Issuer: "https://issuer.example", Audience: "a", Resource: "https://mcp.example/mcp"}
	for _, c := range []struct {
		change func(*OAuthConfig)
		want   string
	}{
		{func(c *OAuthConfig) { c.Issuer = "" }, "the issuer must be a URL"},
		{func(c *OAuthConfig) { c.Issuer = "http://issuer.example" }, "the issuer http://issuer.example must be an https URL"},
		{func(c *OAuthConfig) { c.Issuer = "http://localhost.evil.example" }, "must be an https URL"},
		{func(c *OAuthConfig) { c.Issuer = "https://u:secret@issuer.example" }, "the issuer must be a URL without user"},
		{func(c *OAuthConfig) { c.Issuer += "?x" }, "the issuer must be a URL without user, query"},
		{func(c *OAuthConfig) { c.Issuer = "https://issuer.example/a b" }, "the issuer must be a URL"},
		{func(c *OAuthConfig) { c.Resource = "/mcp" }, "the resource must be a URL"},
		{func(c *OAuthConfig) { c.Resource += "#x" }, "the resource must be a URL without"},
		{func(c *OAuthConfig) { c.Scopes = []string{"ok", `a"b`} }, "scope 2 is not one word"},
		{func(c *OAuthConfig) { c.Scopes = []string{"a b"} }, "scope 1 is not one word"},
		{func(c *OAuthConfig) { c.Scopes = []string{""} }, "scope 1 is not one word"},
	} {
		cfg := good
		c.change(&cfg)
		if _, err := NewOAuth(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: got %v, want %s", cfg, err, c.want)
		}
	}
}

func TestAudienceIsTheResourceUnlessSaid(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, "", "ec")
	o, err := NewOAuth(t.Context(), OAuthConfig{Issuer: f.url, Resource: testAudience})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := status(o, f.sign("ec", jose.ES256, nil)), status(o, f.sign("ec", jose.ES256, map[string]any{"aud": ""})); a != 200 || b != 401 {
		t.Errorf("got %d for the resource and %d for an empty audience, want 200 and 401", a, b)
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	if got, want := quoted("a\"\\\r\nä b"), `"a????? b"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

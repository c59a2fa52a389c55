package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openclaw-mcp/internal/filewatch"
)

const (
	aliceToken = "alice-token-0123456789"
	bobToken   = "bob-token-0123456789"
	bobKey     = "oc_key:of-bob"
)

func request(headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "/mcp?access_token="+aliceToken, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	write(t, file, "# ours\n\nbob:"+bobToken+":"+bobKey+"\n")
	tokens, err := NewTokens("alice:"+aliceToken, file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	keys := NewKeys("")
	const authz = "Authorization"
	for _, c := range []struct {
		name      string
		a         Authenticator
		headers   []string
		caller    string // empty: refused
		key       string
		status    int
		challenge string
	}{
		{"token", tokens, []string{authz, "Bearer " + aliceToken}, "token:alice", "", 0, ""},
		{"token of the file", tokens, []string{authz, "bEARER  " + bobToken}, "token:bob", bobKey, 0, ""},
		{"none, but in the URL", tokens, nil, "", "", 401, challenge},
		{"no token after the scheme", tokens, []string{authz, "Bearer "}, "", "", 401, challenge},
		{"other scheme", tokens, []string{authz, "Basic " + aliceToken}, "", "", 401, challenge},
		{"wrong", tokens, []string{authz, "Bearer " + aliceToken + "x"}, "", "", 401, challenge + `, error="invalid_token"`},
		{"prefix", tokens, []string{authz, "Bearer " + aliceToken[:16]}, "", "", 401, challenge + `, error="invalid_token"`},
		{"two words", tokens, []string{authz, "Bearer " + aliceToken + " x"}, "", "", 400, challenge + `, error="invalid_request"`},
		{"line break", tokens, []string{authz, "Bearer x\r\nX-Evil: y"}, "", "", 400, challenge + `, error="invalid_request"`},
		{"not ASCII", tokens, []string{authz, "Bearer ä"}, "", "", 400, challenge + `, error="invalid_request"`},
		{"two headers", tokens, []string{authz, "Bearer " + aliceToken, authz, "Bearer " + bobToken}, "", "", 400, challenge + `, error="invalid_request"`},
		{"oversized", tokens, []string{authz, "Bearer " + strings.Repeat("x", maxCredential+1)}, "", "", 400, challenge + `, error="invalid_request"`},
		{"key", keys, []string{KeyHeader, bobKey}, nameOfKey(bobKey), bobKey, 0, ""},
		{"key as bearer", keys, []string{authz, "Bearer " + bobKey}, nameOfKey(bobKey), bobKey, 0, ""},
		{"key both ways", keys, []string{authz, "Bearer " + bobKey, KeyHeader, bobKey}, nameOfKey(bobKey), bobKey, 0, ""},
		{"two keys", keys, []string{authz, "Bearer other", KeyHeader, bobKey}, "", "", 400, challenge + `, error="invalid_request"`},
		{"key header twice", keys, []string{KeyHeader, bobKey, KeyHeader, bobKey}, "", "", 400, challenge + `, error="invalid_request"`},
		{"no key", keys, nil, "", "", 401, challenge},
		{"empty key", keys, []string{KeyHeader, ""}, "", "", 401, challenge},
		{"key of two words", keys, []string{KeyHeader, "a b"}, "", "", 400, challenge + `, error="invalid_request"`},
		{"long key", keys, []string{KeyHeader, strings.Repeat("k", maxKey+1)}, "", "", 400, challenge + `, error="invalid_request"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.a.Authenticate(request(c.headers...))
			if c.caller != "" {
				if err != nil || got.Name != c.caller || got.Key != c.key {
					t.Fatalf("got %q with the right key: %v, error %v; want %q", got.Name, got.Key == c.key, err, c.caller)
				}
				return
			}
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok || refusal.Status != c.status || refusal.Challenge != c.challenge || got.Name != "" || got.Key != "" {
				t.Fatalf("got %v, %#v; want status %d and challenge %s", got, err, c.status, c.challenge)
			}
			if all := fmt.Sprintf("%#v", refusal); strings.Contains(all, aliceToken[:10]) || strings.Contains(all, bobKey) {
				t.Errorf("the refusal shows what was sent: %s", all)
			}
		})
	}
}

func TestTokensRefusedAtStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	const hidden = "hidden-hidden-hidden"
	for _, c := range []struct{ entries, file, want string }{
		{"", "# none\n", "there is no token"},
		{hidden, "", "entry 1 must have the form name:TOKEN"},
		{"alice:short", "", "entry 1 has a token of 5 characters; it must have 16 to 16384"},
		{"a b:" + hidden, "", "entry 1 has an invalid name"},
		{"alice:" + hidden + "!", "", "entry 1 has a token with an invalid character"},
		{"alice:" + hidden + ":key", "", "entry 1 has a third part"},
		{"a:" + hidden + ",b:" + hidden, "", "entry 2 has the same token as a"},
		{"a:" + hidden + ",a:" + hidden + "2", "", "entry 2 repeats the name a"},
		{"a:" + hidden, "\nb:" + hidden, "line 2 has the same token as a"},
		{"", "a:" + hidden + ":", "line 1 has an invalid OpenClaw key"},
		{"", "a:" + hidden + ":x y", "line 1 has an invalid OpenClaw key"},
		{"", strings.Repeat("#", filewatch.MaxSize+1), "has more than 1048576 bytes"},
	} {
		write(t, file, c.file)
		_, err := NewTokens(c.entries, file, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q and %.40q: got %v, want %s", c.entries, c.file, err, c.want)
		}
	}
	for _, path := range []string{filepath.Join(filepath.Dir(file), "missing"), filepath.Dir(file)} {
		if _, err := NewTokens("", path, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestTokensFileIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, tokensFileIsReadAgain)
}

func tokensFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	write(t, file, "alice:"+aliceToken)
	var logged bytes.Buffer
	tokens, err := NewTokens("", file, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	known := func(token string) bool {
		time.Sleep(filewatch.Interval)
		_, err := tokens.Authenticate(request("Authorization", "Bearer "+token))
		return err == nil
	}
	errorsLogged := func() int { return strings.Count(logged.String(), "level=ERROR") }

	same := strings.Replace(aliceToken, "0", "9", 1)
	write(t, file, "alice:"+same) // of the same size, at about the same time
	if known(aliceToken) || !known(same) {
		t.Error("a changed token is not taken up")
	}
	write(t, file, "alice:"+aliceToken+"\nbroken")
	again := known(same) // a second look logs nothing more
	if !known(same) || !again || known(aliceToken) || errorsLogged() != 1 {
		t.Errorf("a broken file changes the tokens, or is not logged once:\n%s", &logged)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	again = known(same)
	if !known(same) || !again || errorsLogged() != 2 {
		t.Errorf("a missing file changes the tokens, or is not logged once:\n%s", &logged)
	}
	write(t, file, "bob:"+bobToken)
	if !known(bobToken) || known(same) || !strings.Contains(logged.String(), "can be used again") {
		t.Errorf("a file that is back is not taken up:\n%s", &logged)
	}
	write(t, file, "# nobody\n")
	if known(bobToken) {
		t.Error("a file without tokens does not revoke them")
	}
	if strings.Contains(logged.String(), "oken-0") {
		t.Errorf("the log shows a token:\n%s", &logged)
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	write(t, file, "bob:"+bobToken+":"+bobKey)
	tokens, err := NewTokens("alice:"+aliceToken, file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	caller := Caller{Name: "token:bob", Key: bobKey}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "caller", caller)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "caller", caller)
	var all strings.Builder
	all.WriteString(log.String())
	for _, v := range []any{caller, &caller, []Caller{caller}, tokens, *tokens, tokens.file.Get()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			all.WriteString(fmt.Sprintf(verb, v))
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(string(b))
	}
	for _, s := range []string{aliceToken, bobToken, bobKey, fmt.Sprintf("%x", bobKey)} {
		if strings.Contains(all.String(), s) {
			t.Errorf("%s is shown in %s", s, all.String())
		}
	}
	if !strings.Contains(all.String(), "token:bob") {
		t.Errorf("the name is not shown in %s", all.String())
	}
}

// Whatever the header: no panic, and a token is one bounded printable word.
func FuzzBearer(f *testing.F) {
	for _, s := range []string{"", "Bearer", "Bearer x", "bearer  a.b.c ", "Basic x", "Bearer a b", "Bearer \r\n", "Bearer \xff", "Bearer\tx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, refusal := bearer(http.Header{"Authorization": {value}})
		if refusal != nil && (token != "" || refusal.Status != 400 || !isWord(strings.ReplaceAll(refusal.Challenge, " ", ""))) {
			t.Errorf("%q: token and refusal %v", value, refusal)
		}
		if len(token) > maxCredential || !isWord(token) || !strings.Contains(value, token) {
			t.Errorf("%q gives the token %q", value, token)
		}
	})
}

func TestRefusalAnswer(t *testing.T) {
	h := http.Header{}
	r := &Refusal{Status: 503, Challenge: "Bearer", RetryAfter: 1500 * time.Millisecond}
	if status := r.Answer(h); status != 503 || h.Get("WWW-Authenticate") != "Bearer" || h.Get("Retry-After") != "2" {
		t.Errorf("status %d, %v", status, h)
	}
	h = http.Header{}
	if (&Refusal{Status: 401}).Answer(h); len(h) > 0 {
		t.Errorf("set %v", h)
	}
}

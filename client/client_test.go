package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNormalizeBase(t *testing.T) {
	for in, want := range map[string]string{
		"":                              DefaultBaseURL,
		"https://example.com":           "https://example.com/api",
		"https://example.com///":        "https://example.com/api",
		"https://example.com/api":       "https://example.com/api",
		"https://example.com/api/":      "https://example.com/api",
		" http://localhost:8080/x ":     "http://localhost:8080/x/api",
		"http://[::1]:9/api":            "http://[::1]:9/api",
		"ftp://example.com":             "",
		"example.com":                   "",
		"https://":                      "",
		"https://u:p@example.com":       "",
		"https://example.com?key=1":     "",
		"https://example.com/#fragment": "",
		"https://exa mple.com":          "",
	} {
		c, err := New(nil, in, "k")
		if (err == nil) != (want != "") {
			t.Errorf("%q: got error %v", in, err)
		}
		if err == nil && c.BaseURL() != want {
			t.Errorf("%q: got %q, want %q", in, c.BaseURL(), want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error shows credentials: %v", in, err)
		}
	}
}

func TestKeyNeverPrints(t *testing.T) {
	for _, key := range []string{"secret\nkey", "secret key", "sécret", "secret\x00"} {
		if _, err := New(nil, "", key); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("key %q: got %v", key, err)
		}
	}
	c, err := New(nil, "http://localhost", testKey)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "client", c, "value", *c, "key", c.core.key)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "client", c, "value", *c, "key", c.core.key)
	asJSON, _ := json.Marshal(map[string]any{"c": c, "k": c.core.key})
	log.Write(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+verb+verb+verb+verb+"\n", c, *c, c.core.key, *c.core, c.core.http)
		fmt.Fprintf(&log, verb+verb+"\n", *c.Chat, struct{ k secret }{c.core.key})
	}
	hex := fmt.Sprintf("%x", testKey)
	if s := log.String(); strings.Contains(s, "sk_live") || strings.Contains(s, hex) {
		t.Errorf("the key shows in: %s", s)
	}
	if got := fmt.Sprintf("%v", c); got != "client(http://localhost/api)" {
		t.Errorf("got %q", got)
	}
}

func TestDiscover(t *testing.T) {
	var paths []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path+r.Header.Get("Authorization"))
		if r.URL.Path != "/api" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"name":"OpenClaw"}`)
	})
	d, err := c.Discover(t.Context())
	if err != nil || d.Name != "OpenClaw" || !slices.Equal(paths, []string{"/api/", "/api"}) {
		t.Errorf("got %+v, %v over %v", d, err, paths)
	}
	c = serve(t, answer(404, "application/json", `{"message":"nothing here"}`))
	if _, err := c.Discover(t.Context()); wantError(t, err).Message != "nothing here" {
		t.Errorf("got %v", err)
	}
	c = serve(t, answer(200, "text/html", "<!DOCTYPE html><title>Home</title>"))
	if _, err := c.Discover(t.Context()); !strings.Contains(wantError(t, err).Message, "a web page, not the API's: Home") {
		t.Errorf("got %v", err)
	}
}

func TestRequestsSent(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(b))
		if r.Header.Get("Authorization") != "Bearer "+testKey || r.Header.Get("User-Agent") != "test/1" {
			t.Errorf("%s: headers %v", got, r.Header)
		}
		_, _ = io.WriteString(w, `{"id":"x","status":"ready","reply":"Hi","items":[]}`)
	}, WithUserAgent("test/1"))
	ctx := t.Context()
	for _, tt := range []struct {
		want string
		call func() error
	}{
		{"GET /api/instances", func() error { _, err := c.Instances.List(ctx); return err }},
		{"POST /api/instances {}", func() error { _, err := c.Instances.Create(ctx, CreateInstanceRequest{}); return err }},
		{`POST /api/instances {"invite_code":"c"}`, func() error {
			_, err := c.Instances.Create(ctx, CreateInstanceRequest{InviteCode: "c"})
			return err
		}},
		{"POST /api/instances/i/reboot {}", func() error { _, err := c.Instances.Reboot(ctx, "i"); return err }},
		{"POST /api/instances/i/shutdown {}", func() error { _, err := c.Instances.Shutdown(ctx, "i"); return err }},
		{"GET /api/instances/i/chat/sessions", func() error { _, err := c.Chat.Sessions(ctx, "i"); return err }},
		{`POST /api/instances/i/chat/sessions {"title":"T"}`, func() error { _, err := c.Chat.CreateSession(ctx, "i", "T"); return err }},
		{`POST /api/instances/i/chat {"message":"M"}`, func() error { _, err := c.Chat.Send(ctx, "i", SendRequest{Message: "M"}); return err }},
		{`POST /api/instances/i/chat {"message":"M","session_id":"s"}`, func() error {
			_, err := c.Chat.Send(ctx, "i", SendRequest{Message: "M", SessionID: "s"})
			return err
		}},
		{"GET /api/instances/i/chat/messages", func() error { _, err := c.Chat.Messages(ctx, "i", MessagesQuery{}); return err }},
		{"GET /api/instances/i/chat/messages?limit=5&session_id=s%2B1&tail=true", func() error {
			_, err := c.Chat.Messages(ctx, "i", MessagesQuery{SessionID: "s+1", Tail: true, Limit: 5})
			return err
		}},
		{"GET /api/instances/i/files?path=%2Fworkspace", func() error { _, err := c.Files.List(ctx, "i", "/workspace"); return err }},
		{"GET /api/instances/i/files", func() error { _, err := c.Files.List(ctx, "i", ""); return err }},
		{"GET /api/instances/i/files/read?path=a+b%26c", func() error { _, err := c.Files.Read(ctx, "i", "a b&c", 0); return err }},
	} {
		got = ""
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
		if got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestStatusFallback(t *testing.T) {
	for _, status := range []int{404, 405, 501, 200, 204} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/status") {
				w.WriteHeader(status)
				if status == 200 {
					_, _ = io.WriteString(w, `{"ok":true}`)
				}
				return
			}
			_, _ = io.WriteString(w, `{"id":"i","status":"ready"}`)
		})
		if i, err := c.Instances.Status(t.Context(), "i"); err != nil || i.State != StateReady {
			t.Errorf("%d: got %+v, %v", status, i, err)
		}
	}
	c := serve(t, answer(403, "application/json", `{"error":"Forbidden"}`))
	if _, err := c.Instances.Status(t.Context(), "i"); wantError(t, err).Status != 403 {
		t.Errorf("got %v", err)
	}
}

// TestOutcomes holds what a POST that got no answer is said to have done.
func TestOutcomes(t *testing.T) {
	create := func(c *Client, ctx context.Context) *Error {
		_, err := c.Instances.Create(ctx, CreateInstanceRequest{})
		return wantError(t, err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for _, url := range []string{"http://" + closed.Addr().String(), "http://openclaw.invalid"} {
		if e := create(dial(t, url), t.Context()); e.Outcome != OutcomeNotSent {
			t.Errorf("nobody there: got %v, outcome %q", e, e.Outcome)
		}
	}
	tls := httptest.NewUnstartedServer(answer(200, "", `{"id":"x"}`))
	tls.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	if e := create(dial(t, tls.URL), t.Context()); e.Outcome != OutcomeNotSent {
		t.Errorf("untrusted certificate: got %v, outcome %q", e, e.Outcome)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	c := serve(t, answer(200, "", `{"id":"x"}`))
	if e := create(c, done); e.Outcome != OutcomeNotSent || !errors.Is(e, context.Canceled) {
		t.Errorf("cancelled before: got %v, outcome %q", e, e.Outcome)
	}

	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	drop := func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"id":`)
	}
	slow := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond) // the pace of a body that never ends
		}
	}
	// Long enough for a busy machine to send the request within it.
	brief := WithTimeouts(Timeouts{Create: time.Second, Read: time.Second})
	for name, tt := range map[string]struct {
		h       http.HandlerFunc
		want    string
		timeout bool
	}{
		"hangs":       {hang, "no complete answer within 1s", true},
		"slow body":   {slow, "no complete answer within 1s", true},
		"dropped":     {drop, "closed without an answer", false},
		"cut":         {cut, "broke off", false},
		"wrong shape": {answer(200, "application/json", `{"color":"red"}`), `"color"`, false},
		"not JSON":    {answer(200, "text/plain", "fine"), "not JSON", false},
		"error":       {answer(200, "application/json", `{"error":"no luck"}`), "no luck", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var options []Option
			if tt.timeout {
				options = append(options, brief)
			}
			c := serve(t, tt.h, options...)
			if e := create(c, t.Context()); e.Outcome != OutcomeUnknown || e.Timeout() != tt.timeout || !strings.Contains(e.Error(), tt.want) {
				t.Errorf("POST %s: got %v (outcome %q, timeout %v), want %q", name, e, e.Outcome, e.Timeout(), tt.want)
			}
			_, err := c.Instances.Get(t.Context(), "i")
			if e := wantError(t, err); e.Outcome != "" || !strings.Contains(e.Error(), tt.want) {
				t.Errorf("GET %s: got %v (outcome %q), want %q", name, e, e.Outcome, tt.want)
			}
		})
	}
	c = serve(t, hang)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if e := create(c, ctx); e.Outcome != OutcomeUnknown || !strings.Contains(e.Message, "the caller's deadline") {
		t.Errorf("caller's deadline: got %v, outcome %q", e, e.Outcome)
	}
}

func TestAnswerLimit(t *testing.T) {
	c := serve(t, answer(200, "application/json", `{"id":"`+strings.Repeat("x", 100)+`"}`), WithMaxAnswer(50))
	if _, err := c.Instances.Get(t.Context(), "i"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestRedirects(t *testing.T) {
	var stolen string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen += r.Header.Get("Authorization") + "visited"
	}))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, other.URL+"/secret-path?key="+r.Header.Get("Authorization"), status)
		})
		_, err := c.Instances.Get(t.Context(), "i")
		e := wantError(t, err)
		if e.Status != status || !strings.Contains(e.Message, "redirects to "+other.URL) || strings.Contains(e.Error(), "secret-path") {
			t.Errorf("GET %d: got %v", status, e)
		}
		_, err = c.Instances.Create(t.Context(), CreateInstanceRequest{})
		want := OutcomeRejected
		if status == 302 || status == 303 {
			want = OutcomeUnknown
		}
		if e := wantError(t, err); e.Outcome != want {
			t.Errorf("POST %d: got %v, outcome %q, want %q", status, e, e.Outcome, want)
		}
	}
	for _, target := range []string{other.URL + "/v2/api", "https://example.com/api"} { // the base URL that would be right
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target+strings.TrimPrefix(r.URL.Path, "/api")+"?key=k", http.StatusPermanentRedirect)
		})
		_, err := c.Instances.Reboot(t.Context(), "i")
		if e := wantError(t, err); e.Outcome != OutcomeRejected || !strings.Contains(e.Message, "redirects to "+target+",") {
			t.Errorf("got %v, outcome %q", e, e.Outcome)
		}
	}
	secure := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := secure.Instances.Create(t.Context(), CreateInstanceRequest{})
	if e := wantError(t, err); e.Outcome != OutcomeRejected || !strings.Contains(e.Message, "a POST to "+strings.Replace(secure.BaseURL(), "http:", "https:", 1)+" and nothing was sent there") {
		t.Errorf("got %v, outcome %q", e, e.Outcome)
	}
	if stolen != "" {
		t.Errorf("the other host got %q", stolen)
	}
	posts := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
			http.Redirect(w, r, r.URL.Path+"/", http.StatusTemporaryRedirect)
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/moved") {
			http.Redirect(w, r, r.URL.Path+"/moved", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, `{"id":"`+r.Header.Get("Authorization")[:6]+`"}`)
	})
	if i, err := c.Instances.Get(t.Context(), "i"); err != nil || i.ID != "Bearer" {
		t.Errorf("a GET within the host: got %+v, %v", i, err)
	}
	if _, err := c.Instances.Create(t.Context(), CreateInstanceRequest{}); err == nil || posts != 1 {
		t.Errorf("a POST within the host: sent %d times, %v", posts, err)
	}
}

// The key follows a redirect only to the same service.
func TestSameService(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"http://a.example/x", "http://a.example/y", true}, {"http://a.example/x", "https://A.example/x", true}, {"http://a.example:80/x", "https://a.example:443/x", true},
		{"http://a.example:8080/x", "https://a.example:8080/x", true}, {"https://a.example/x", "https://a.example:443/y", true}, {"http://[::1]/x", "https://[::1]/x", true},
		{"http://a.example/x", "https://a.example:8443/x", false}, {"http://a.example:8080/x", "https://a.example/x", false}, {"http://a.example:8080/x", "https://a.example:8443/x", false},
		{"http://a.example/x", "http://a.example:8080/x", false}, {"https://a.example/x", "http://a.example/x", false}, {"https://a.example/x", "https://a.example:80/x", false},
		{"http://a.example/x", "https://b.example/x", false}, {"http://a.example/x", "https://u@a.example/x", false}, {"http://a.example/x", "ftp://a.example/x", false},
	} {
		from, err1 := url.Parse(tt.from)
		to, err2 := url.Parse(tt.to)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if got := sameService(from, to); got != tt.want {
			t.Errorf("%s to %s: got %v", tt.from, tt.to, got)
		}
	}
}

func TestDebugLog(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := serve(t, answer(200, "application/json", `{"reply":"the reply"}`), WithLogger(logger))
	_, _ = c.Chat.Send(t.Context(), "my-instance", SendRequest{Message: "the message"})
	_, _ = c.Files.Read(t.Context(), "my-instance", "/the/path", 0)
	s := log.String()
	for _, want := range []string{`op="POST /instances/{id}/chat"`, "status=200", "attempt=1", "took="} {
		if !strings.Contains(s, want) {
			t.Errorf("%s is missing in %s", want, s)
		}
	}
	for _, leak := range []string{"the reply", "the message", "/the/path", "my-instance", "sk_live"} {
		if strings.Contains(s, leak) {
			t.Errorf("%q is logged: %s", leak, s)
		}
	}
}

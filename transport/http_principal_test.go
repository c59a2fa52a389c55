package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"openclaw-mcp/internal/secret"
)

// byName authenticates callers by a header that names them.
func byName(r *http.Request) (Principal, error) {
	switch name := r.Header.Get("X-Name"); name {
	case "":
		return Principal{}, refusal{401, "WWW-Authenticate", `Bearer realm="test"`, "say who you are"}
	case "mallory":
		return Principal{}, refusal{403, "", "", "not you"}
	case "later":
		return Principal{}, refusal{503, "Retry-After", "2", "later"}
	case "broken":
		return Principal{}, errors.New("the secret of the store")
	default:
		return Principal{Name: name, Key: secret.Text("key of " + name)}, nil
	}
}

// refusal is a Refusal that sets one header.
type refusal struct {
	status              int
	header, value, text string
}

func (r refusal) Error() string { return r.text }

func (r refusal) Answer(h http.Header) int {
	if r.header != "" {
		h.Set(r.header, r.value)
	}
	return r.status
}

func as(name string) http.Header { return http.Header{"X-Name": {name}} }

// initializeAs begins a session of a caller.
func initializeAs(t *testing.T, srv httpServer, name string) *httpClient {
	t.Helper()
	c := newHTTPClient(t, srv, "")
	h := c.status(t, "initialize", "POST", string(encodeRequest(t, legacy, "0", "initialize", initParams)), as(name), 200)
	c.version, c.session = legacy, h.Get("Mcp-Session-Id")
	return c
}

func TestHTTPRefusals(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{Authenticate: byName})
	c := newHTTPClient(t, srv, "")
	if h := c.status(t, "nobody", "POST", ping, nil, 401, "say who you are"); h.Get("WWW-Authenticate") != `Bearer realm="test"` {
		t.Errorf("got %v", h)
	}
	c.status(t, "GET", "GET", "", nil, 401)
	c.status(t, "DELETE", "DELETE", "", nil, 401)
	c.status(t, "the wrong one", "POST", ping, as("mallory"), 403, "not you")
	if h := c.status(t, "not now", "POST", ping, as("later"), 503); h.Get("Retry-After") != "2" {
		t.Errorf("got %v", h)
	}
	res := c.do(t, t.Context(), "POST", []byte(ping), as("broken"))
	body := make([]byte, 1000)
	n, _ := res.Body.Read(body)
	closeBody(res)
	if res.StatusCode != 401 || strings.Contains(string(body[:n]), "secret") {
		t.Errorf("%d: %s", res.StatusCode, body[:n])
	}
}

// A session belongs to whoever began it; any server with the same keys serves
// it, until it is ended or too old.
func TestHTTPSessionIDs(t *testing.T) {
	first := newHTTPServer(t, newFixture(), HTTPOptions{Authenticate: byName})
	second := newHTTPServer(t, newFixture(), HTTPOptions{Authenticate: byName})
	a := initializeAs(t, first, "a")
	a.status(t, "its own", "POST", ping, as("a"), 200)
	other20 := "x"
	if a.session[20] == 'x' {
		other20 = "y"
	}
	for name, try := range map[string]string{
		"stolen": a.session, "cut": a.session[:len(a.session)-2], "guessed": "mcp_" + strings.Repeat("A", 60),
		"changed": a.session[:20] + other20 + a.session[21:], "long": "mcp_" + strings.Repeat("A", 10_000),
	} {
		thief := &httpClient{url: a.url, version: legacy, session: try, http: a.http}
		thief.status(t, name, "POST", ping, as("b"), 404)
		thief.status(t, name, "GET", "", as("b"), 404)
		thief.status(t, name, "DELETE", "", as("b"), 404)
		if name != "stolen" {
			thief.status(t, name, "POST", ping, as("a"), 404)
		}
	}
	// Another replica knows what the session can do, and answers in its version.
	other := &httpClient{url: second.url, version: legacy, session: a.session, http: a.http}
	other.status(t, "another replica", "POST", ping, as("a"), 200)
	s := second.sessions[sessionKey{"a", a.session}]
	if s == nil || s.caps.Elicitation == nil || s.version != legacy || !s.revived {
		t.Errorf("taken up as %+v", s)
	}
	other.status(t, "lost subscriptions", "GET", "", http.Header{"X-Name": {"a"}, "Last-Event-Id": {"4"}}, 404, "initialize again")
	// A caller whose key has changed begins anew: nothing goes on with the old one.
	rotated := NewHTTP(newFixture().server, HTTPOptions{})
	sid, err := rotated.ids.seal(Principal{Name: "a", Key: "old"}, sessionState{started: time.Now(), protocol: legacy})
	if err != nil {
		t.Fatal(err)
	}
	if rotated.revive(t.Context(), Principal{Name: "a", Key: "old"}, sid) == nil || rotated.find(Principal{Name: "a", Key: "new"}, sid) != nil {
		t.Error("a session outlives its caller's key")
	}
	a.status(t, "DELETE", "DELETE", "", as("a"), 204)
	a.status(t, "ended", "POST", ping, as("a"), 404)
	old, err := first.ids.seal(Principal{Name: "a", Key: "key of a"}, sessionState{started: time.Now().Add(-25 * time.Hour), protocol: legacy})
	if err != nil {
		t.Fatal(err)
	}
	aged := &httpClient{url: first.url, version: legacy, session: old, http: a.http}
	aged.status(t, "too old", "POST", ping, as("a"), 404)
}

// Equal request ids and crossed cancels of two principals never meet, in
// either era.
func TestHTTPPrincipalsApart(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{Authenticate: byName})
	for _, era := range []string{legacy, modern} {
		t.Run(era, func(t *testing.T) {
			clients := map[string]*httpClient{}
			for _, name := range []string{"a", "b"} {
				c := newHTTPClient(t, srv, "")
				if era == legacy {
					c = initializeAs(t, srv, name)
				}
				c.version = era
				clients[name] = c
			}
			results := make(map[string]chan string)
			for name, c := range clients {
				results[name] = make(chan string, 1)
				body := encodeRequest(t, era, "1", "tools/call", params{"name": "block", "arguments": params{"name": name}})
				go func() {
					res, err := c.http.Do(c.request(context.Background(), "POST", body, as(name)))
					if err != nil {
						results[name] <- err.Error()
						return
					}
					defer closeBody(res)
					readMessages(t, res, func(m wireMsg) { results[name] <- m.text() })
				}()
				recv(t, f.started, "the call")
			}
			cancel := func(name, session string) {
				c := &httpClient{url: clients[name].url, version: era, session: session, http: clients[name].http}
				body := encodeRequest(t, era, "", "notifications/cancelled", params{"requestId": 1, "reason": "by " + name})
				closeBody(c.do(t, t.Context(), "POST", body, as(name)))
			}
			cancel("b", clients["a"].session) // crossed: with the other's session
			select {
			case got := <-f.hooks:
				if era == legacy {
					t.Fatalf("a foreign cancel arrived: %s", got)
				}
				// In the modern era there is no session: b cancelled its own call.
				if got != "b: by b" {
					t.Fatalf("got %q", got)
				}
			case <-time.After(100 * time.Millisecond):
				if era == modern {
					t.Fatal("b's own cancel did not arrive")
				}
				cancel("b", clients["b"].session)
				if got := recv(t, f.hooks, "b's cancel"); got != "b: by b" {
					t.Errorf("got %q", got)
				}
			}
			if b := recv(t, f.ended, "b's call"); b.name != "b" || b.cause != ErrCancelled {
				t.Errorf("ended is %+v", b)
			}
			cancel("a", clients["a"].session)
			if got := recv(t, f.hooks, "a's cancel"); got != "a: by a" {
				t.Errorf("got %q", got)
			}
			recv(t, f.ended, "a's call")
		})
	}
}

// Two principals with equal ids hammer one server: each gets its own answers
// and its own progress, and nothing of the other's.
func TestHTTPPrincipalsHammer(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{Authenticate: byName})
	var wg sync.WaitGroup
	for _, name := range []string{"alice", "bob"} {
		for _, era := range []string{legacy, modern} {
			c := newHTTPClient(t, srv, "")
			if era == legacy {
				c = initializeAs(t, srv, name)
			}
			c.version = era
			for worker := range 4 {
				wg.Go(func() {
					for i := range 100 {
						id := fmt.Sprint(worker*1000 + i)
						body := encodeRequest(t, era, id, "tools/call", params{
							"name": "progress", "arguments": params{"name": name, "n": 3}, "_meta": params{"progressToken": json.RawMessage(id)},
						})
						res := c.do(t, context.Background(), "POST", body, as(name))
						n := 0
						readMessages(t, res, func(m wireMsg) {
							n++
							if m.Method != "" && (m.Params.Message == nil || !strings.HasPrefix(*m.Params.Message, name+" ")) {
								t.Errorf("%s got %+v", name, m.Params)
							}
						})
						closeBody(res)
						if n != 4 {
							t.Errorf("%s got %d messages", name, n)
						}
					}
				})
			}
		}
	}
	wg.Wait()
}

func TestHTTPLimits(t *testing.T) {
	f := newFixture()
	limited := make(chan struct{}, 100)
	srv := newHTTPServer(t, f, HTTPOptions{Authenticate: byName, Concurrency: 1, Watch: &Watch{Limited: func() { limited <- struct{}{} }}})
	c := newHTTPClient(t, srv, "")
	c.version = modern
	body := string(encodeRequest(t, modern, "1", "tools/call", params{"name": "block", "arguments": params{"name": "x"}}))
	second := strings.Replace(body, `"id":1`, `"id":"second"`, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		closeBody(c.do(t, context.Background(), "POST", []byte(body), as("a")))
	}()
	recv(t, f.started, "the call")
	if h := c.status(t, "a second at once", "POST", second, as("a"), 429, `"jsonrpc"`, `"id":"second"`, "too many requests"); h.Get("Retry-After") != "1" {
		t.Errorf("got %v", h)
	}
	recv(t, limited, "the count")
	c.status(t, "somebody else", "POST", string(encodeRequest(t, modern, "1", "tools/list", nil)), as("b"), 200)
	c.status(t, "too long to be read", "POST", strings.Replace(second, `"x"`, `"`+strings.Repeat("x", smallMessage)+`"`, 1), as("a"), 429, `"id":null`)
	// What makes room is let through.
	c.status(t, "a cancel", "POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"enough"}}`, as("a"), 202)
	f.mustEnd(t, "x", ErrCancelled)
	<-done
	c.status(t, "afterwards", "POST", string(encodeRequest(t, modern, "1", "tools/list", nil)), as("a"), 200)
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10, 0)
		for i := range 20 { // two seconds' worth
			leave, _ := l.enter("a")
			if leave == nil {
				t.Fatalf("request %d was refused", i)
			}
			leave()
		}
		if leave, wait := l.enter("a"); leave != nil || wait != 100*time.Millisecond {
			t.Errorf("wait %s", wait)
		}
		time.Sleep(100 * time.Millisecond)
		if leave, _ := l.enter("a"); leave == nil {
			t.Error("the allowance does not grow")
		} else {
			leave()
		}
		l.take("a", 45) // which others let in
		if leave, wait := l.enter("a"); leave != nil || wait != 4600*time.Millisecond {
			t.Errorf("with a debt: wait %s", wait)
		}
		time.Sleep(2 * time.Minute)
		if l.enter("b"); len(l.callers) != 1 {
			t.Errorf("%d callers are kept", len(l.callers))
		}
	})
}

func TestHTTPOrigins(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{
		AllowedHosts: []string{"mcp.example.com"}, AllowedOrigins: []string{"https://app.example.com", "vscode-webview://of-ours"},
	})
	c := newHTTPClient(t, srv, modern)
	list := string(encodeRequest(t, modern, "1", "tools/list", nil))
	for name, tt := range map[string]struct {
		host, origin string
		want         int
	}{
		"a loopback name":       {"localhost:8080", "", 200},
		"an allowed name":       {"mcp.example.com", "", 200},
		"with a port":           {"MCP.example.com:443", "", 200},
		"another name":          {"evil.example", "", 403},
		"an allowed page":       {"", "https://app.example.com", 200},
		"a page of this server": {"mcp.example.com", "https://mcp.example.com", 200},
		"a page of the machine": {"", "http://localhost:3000", 200},
		"another page":          {"", "https://evil.example", 403},
		"an app of the machine": {"", "evil://127.0.0.1", 403},
		"an extension":          {"", "chrome-extension://localhost", 403},
		"another scheme":        {"mcp.example.com", "evil://mcp.example.com", 403},
		"an allowed webview":    {"", "vscode-webview://of-ours", 200},
		"no page":               {"", "null", 403},
	} {
		h := http.Header{}
		if tt.host != "" {
			h["Host"] = []string{tt.host}
		}
		if tt.origin != "" {
			h["Origin"] = []string{tt.origin}
		}
		got := c.status(t, name, "POST", list, h, tt.want)
		if allow := got.Get("Access-Control-Allow-Origin"); tt.want == 200 && allow != tt.origin {
			t.Errorf("%s: allowed is %q", name, allow)
		}
	}
	h := c.status(t, "preflight", "OPTIONS", "", http.Header{
		"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"POST"},
		"Access-Control-Request-Headers": {"authorization, mcp-param-region, evil\theader"},
	}, 204)
	allowed := strings.ToLower(h.Get("Access-Control-Allow-Headers"))
	for _, want := range []string{"authorization", "mcp-session-id", "mcp-method", "mcp-name", "mcp-protocol-version", "last-event-id", "mcp-param-region"} {
		if !strings.Contains(allowed, want) {
			t.Errorf("%s may not be sent", want)
		}
	}
	if h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || strings.Contains(allowed, "evil") {
		t.Errorf("got %v", h)
	}
	c.status(t, "preflight of another page", "OPTIONS", "", http.Header{
		"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"},
	}, 403)
}

func TestSecretsDoNotPrint(t *testing.T) {
	p := Principal{Name: "a", Key: "hunter2"}
	j, _ := json.Marshal(p)
	if all := fmt.Sprintf("%v %+v %#v %s %s", p, p, p, p.Key, j); strings.Contains(all, "hunter2") {
		t.Error(all)
	}
}

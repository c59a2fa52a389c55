package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// callersByName takes callers by the name in a header, as long as they are not revoked.
type callersByName struct {
	mu      sync.Mutex
	revoked map[string]int // the status that they are refused with
}

type refusedWith int

func (r refusedWith) Error() string              { return "refused" }
func (r refusedWith) Answer(http.Header) (s int) { return int(r) }

func (b *callersByName) check(r *http.Request) (Principal, error) {
	name := r.Header.Get("Test-Caller")
	b.mu.Lock()
	defer b.mu.Unlock()
	if status := b.revoked[name]; status != 0 {
		return Principal{}, refusedWith(status)
	}
	return Principal{Name: name, Key: "k"}, nil
}

func (b *callersByName) revoke(name string, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.revoked == nil {
		b.revoked = make(map[string]int)
	}
	b.revoked[name] = status
}

func from(name string) http.Header { return http.Header{"Test-Caller": {name}} }

// newSessionOf is a legacy client of a caller.
func newSessionOf(t testing.TB, s httpServer, name string) *httpClient {
	t.Helper()
	c := newHTTPClient(t, s, "")
	res := c.do(t, t.Context(), http.MethodPost, encodeRequest(t, legacy, "0", "initialize", initParams), from(name))
	closeBody(res)
	c.version, c.session = legacy, res.Header.Get("Mcp-Session-Id")
	if c.session == "" {
		t.Fatalf("initialize: status %d", res.StatusCode)
	}
	return c
}

// However many sessions one caller begins, the others keep theirs, with what they
// watch.
func TestHTTPSessionsOfACrowd(t *testing.T) {
	u, who := newUpdates(), &callersByName{}
	srv := watchedHTTP(t, u, HTTPOptions{Authenticate: who.check, MaxSessions: 20, MaxShare: 15})
	alice := newSessionOf(t, srv, "alice")
	subscribe := string(encodeRequest(t, legacy, "1", "resources/subscribe", params{"uri": "a"}))
	alice.status(t, "subscribe", "POST", subscribe, from("alice"), 200)
	for range 100 {
		newSessionOf(t, srv, "mallory")
	}
	if n := srv.Sessions(); n > 16 {
		t.Errorf("%d sessions are kept", n)
	}
	for i := range 30 { // as many callers as there may be sessions, and more
		newSessionOf(t, srv, fmt.Sprint("one of many ", i/2))
	}
	if n := srv.Sessions(); n > 20 {
		t.Errorf("%d sessions are kept", n)
	}
	if srv.sessions[sessionKey{"alice", alice.session}] == nil {
		t.Error("the crowd threw out another caller's session")
	}
	alice.status(t, "the session goes on", "POST", ping, from("alice"), 200)
}

// Callers that share what they may take, such as all whose key nobody knows, share
// sessions, too.
func TestHTTPSharedShare(t *testing.T) {
	who := &callersByName{}
	srv := newHTTPServer(t, newFixture(), HTTPOptions{Authenticate: who.check, MaxSessions: 20, MaxShare: 5, Concurrency: 2,
		Share: func(_ *http.Request, p Principal) string {
			if strings.HasPrefix(p.Name, "invented") {
				return "nobody"
			}
			return p.Name
		}})
	alice := newSessionOf(t, srv, "alice")
	for i := range 50 {
		newSessionOf(t, srv, fmt.Sprint("invented ", i))
	}
	if n := srv.Sessions(); n != 6 {
		t.Errorf("%d sessions are kept", n)
	}
	if srv.sessions[sessionKey{"alice", alice.session}] == nil {
		t.Error("the crowd threw out another caller's session")
	}
}

// What one caller's streams keep for being read again does not cost another caller
// its own.
func TestHTTPReplayOfACrowd(t *testing.T) {
	t.Parallel()
	who := &callersByName{}
	srv := newHTTPServer(t, newFixture(), HTTPOptions{Authenticate: who.check})
	finished := func(c *httpClient, name string, size int) (last string) {
		body := encodeRequest(t, legacy, `"`+name+`"`, "tools/call", params{"name": "progress", "arguments": params{"name": strings.Repeat("x", size), "n": 3}, "_meta": params{"progressToken": 1}})
		res := c.do(t, t.Context(), http.MethodPost, body, from(name))
		defer closeBody(res)
		return readEvents(t, bufio.NewReader(res.Body), -1)[2].id
	}
	before := replayTotal.Load()
	alice := newSessionOf(t, srv, "alice")
	last := finished(alice, "alice", 10)
	for range 3 {
		mallory := newSessionOf(t, srv, "mallory")
		for range 60 {
			finished(mallory, "mallory", 80<<10)
		}
	}
	if kept := replayTotal.Load() - before; kept > replayMine+1<<20 {
		t.Errorf("%d bytes are kept of one caller", kept)
	}
	h := from("alice")
	h.Set("Last-Event-Id", last)
	res := alice.do(t, t.Context(), http.MethodGet, nil, h)
	defer closeBody(res)
	if res.StatusCode != 200 || len(readEvents(t, bufio.NewReader(res.Body), 1)) != 1 {
		t.Errorf("alice's stream can't be read again: status %d", res.StatusCode)
	}
}

// What a caller has open ends when it may not call any more: calls, streams, listens.
// While nobody can tell, it goes on; others' goes on in any case.
func TestHTTPRevoked(t *testing.T) {
	u, who := newUpdates(), &callersByName{}
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{Options: Options{Subscriber: u}, Authenticate: who.check, Heartbeat: 20 * time.Millisecond})
	defer close(f.release)
	open := func(name string) (ended map[string]chan string, session string) {
		ended = make(map[string]chan string)
		stream := func(what, method string, c *httpClient, body []byte) {
			ch := make(chan string, 1)
			ended[what] = ch
			res := c.do(t, context.Background(), method, body, from(name))
			go func() {
				defer res.Body.Close()
				var all strings.Builder
				for r := bufio.NewScanner(res.Body); r.Scan(); {
					if !strings.HasPrefix(r.Text(), ":") {
						all.WriteString(r.Text())
					}
				}
				ch <- all.String()
			}()
		}
		old := newSessionOf(t, srv, name)
		old.status(t, "subscribe", "POST", string(encodeRequest(t, legacy, "1", "resources/subscribe", params{"uri": name})), from(name), 200)
		stream("GET", http.MethodGet, old, nil)
		block := params{"name": "block", "arguments": params{"name": name}}
		stream("legacy call", http.MethodPost, old, encodeRequest(t, legacy, "2", "tools/call", block))
		recv(t, f.started, "the call")
		recent := newHTTPClient(t, srv, modern)
		stream("modern call", http.MethodPost, recent, encodeRequest(t, modern, "3", "tools/call", block))
		recv(t, f.started, "the call")
		stream("listen", http.MethodPost, recent, encodeRequest(t, modern, "4", "subscriptions/listen", params{
			"notifications": params{"resourceSubscriptions": []string{name + "'s listen"}}}))
		u.await(t, name+"'s listen", 1)
		return ended, old.session
	}
	alice, _ := open("alice")
	mallory, session := open("mallory")
	who.revoke("alice", http.StatusServiceUnavailable)
	who.revoke("mallory", http.StatusUnauthorized)
	for what, ch := range mallory {
		text := recv(t, ch, "the end of "+what)
		if strings.Contains(what, "call") && (!strings.Contains(text, "authorization has ended") || strings.Contains(text, "result")) {
			t.Errorf("%s ends with %q", what, text)
		}
	}
	for range 2 {
		if b := recv(t, f.ended, "the end of a call"); b.name != "mallory" || b.cause != ErrUnauthorized {
			t.Errorf("the call of %s ended by %v", b.name, b.cause)
		}
	}
	u.await(t, "mallory's listen", 0)
	srv.EndAll(Principal{Name: "mallory", Key: "k"})
	u.await(t, "mallory", 0)
	who.revoke("mallory", 0)
	back := &httpClient{url: srv.url, version: legacy, session: session, http: http.DefaultClient}
	back.status(t, "the session of a revoked caller", "POST", ping, from("mallory"), 404)
	for what, ch := range alice {
		select {
		case text := <-ch:
			t.Errorf("alice's %s ended: %q", what, text)
		default:
		}
	}
	who.revoke("alice", http.StatusForbidden)
	for what, ch := range alice {
		recv(t, ch, "the end of alice's "+what)
	}
}

// A body that does not come does not keep its connection, whatever was answered, and
// what is answered arrives. A body that comes late, but comes, is read.
func TestGuardBodies(t *testing.T) {
	read := make(chan error, 1)
	srv := httptest.NewServer(GuardBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			_, err := bufio.NewReader(r.Body).ReadString('!')
			read <- err
		}
		w.WriteHeader(http.StatusTeapot)
	}), 50*time.Millisecond))
	defer srv.Close()
	for _, path := range []string{"/refused", "/read"} {
		body := make(blockedReader)
		res, err := http.Post(srv.URL+path, "application/json", body)
		close(body)
		if err != nil || res.StatusCode != http.StatusTeapot || res.Header.Get("Connection") == "keep-alive" || !res.Close {
			t.Fatalf("%s: %v, %+v", path, err, res)
		}
		closeBody(res)
	}
	if err := recv(t, read, "the end of a body"); err == nil {
		t.Error("a body that never came was read")
	}
	http.DefaultClient.CloseIdleConnections()
}

// A client that reads nothing does not keep its connection. One whose answer takes longer
// to make than it may to be read gets it all the same.
func TestGuardWrites(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	wrote := make(chan error, 1)
	srv := httptest.NewServer(Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			<-time.After(3 * limit)
			_, _ = io.WriteString(w, "late")
			return
		}
		var err error
		for range 1000 {
			if _, err = w.Write(make([]byte, 1<<20)); err != nil {
				break
			}
		}
		wrote <- err
	}), time.Minute, limit))
	defer srv.Close()
	for range 2 { // on the same connection
		res, err := http.Get(srv.URL + "/late")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "late" || err != nil {
			t.Errorf("a late answer: %q, %v", b, err)
		}
		closeBody(res)
	}
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := recv(t, wrote, "the end of an answer"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an answer that nobody reads ends with %v", err)
	}
}

// blockedReader is a body that does not come until it is closed.
type blockedReader chan struct{}

func (r blockedReader) Read([]byte) (int, error) {
	<-r
	return 0, context.Canceled
}

package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/fleet"
)

// joinedServers gives servers that share a fleet.
func joinedServers(t *testing.T, f *fixture, n int, opts HTTPOptions) (servers []httpServer) {
	t.Helper()
	return serversOf(t, f, n, opts, fleet.Alone())
}

func serversOf(t *testing.T, f *fixture, n int, opts HTTPOptions, shared fleet.Fleet) (servers []httpServer) {
	t.Helper()
	t.Cleanup(func() { _ = shared.Close() })
	opts.Authenticate = isAlice
	opts.Fleet = func(p Principal) (fleet.Fleet, error) { return fleet.Sealed(shared, string(p.Key), p.Name) }
	for range n {
		servers = append(servers, newHTTPServer(t, f, opts))
	}
	return servers
}

// joined gives servers that share a fleet, and a client of one session at each.
func joined(t *testing.T, f *fixture, n int, opts HTTPOptions) (servers []httpServer, clients []*httpClient) {
	t.Helper()
	servers = joinedServers(t, f, n, opts)
	return servers, clientsOf(t, servers)
}

func clientsOf(t *testing.T, servers []httpServer) (clients []*httpClient) {
	t.Helper()
	for _, srv := range servers {
		if len(clients) == 0 {
			clients = append(clients, newHTTPClient(t, srv, legacy))
			continue
		}
		clients = append(clients, &httpClient{url: srv.url, version: legacy, session: clients[0].session, http: clients[0].http})
	}
	return clients
}

// slow is a fleet in which news takes its time.
type slow struct{ fleet.Fleet }

func (f slow) Hear(topic string, h func([]byte)) (func(), error) {
	return f.Fleet.Hear(topic, func(b []byte) { time.AfterFunc(claimTime*3/2, func() { h(b) }) })
}

// A cancel stops its call also where the server that has it hears of it late.
func TestHTTPCancelLate(t *testing.T) {
	f := newFixture()
	clients := clientsOf(t, serversOf(t, f, 2, HTTPOptions{}, slow{fleet.Alone()}))
	go func() {
		body := encodeRequest(t, legacy, "1", "tools/call", params{"name": "block", "arguments": params{"name": "wanted"}})
		if res, err := clients[0].http.Do(clients[0].request(context.Background(), http.MethodPost, body, nil)); err == nil {
			closeBody(res)
		}
	}()
	recv(t, f.started, "the call")
	closeBody(clients[1].do(t, t.Context(), http.MethodPost, cancelOf(t, legacy, "1", "stop"), nil))
	if got := recv(t, f.hooks, "the cancel"); got != "wanted: stop" {
		t.Errorf("cancelled is %q", got)
	}
	close(f.release)
}

func cancelOf(t *testing.T, version, id, reason string) []byte {
	return encodeRequest(t, version, "", "notifications/cancelled", params{"requestId": json.RawMessage(id), "reason": reason})
}

// A cancel stops the call that it means, wherever it arrives; where it may mean one of
// several, it stops none.
func TestHTTPCancelElsewhere(t *testing.T) {
	for _, era := range []string{legacy, modern} {
		t.Run(era, func(t *testing.T) {
			f := newFixture()
			servers, clients := joined(t, f, 3, HTTPOptions{})
			begin := func(at int, id, name string) {
				c := *clients[at]
				if c.version = era; era == modern {
					c.session = ""
				}
				body := encodeRequest(t, era, id, "tools/call", params{"name": "block", "arguments": params{"name": name}})
				go func() {
					res, err := c.http.Do(c.request(context.Background(), http.MethodPost, body, nil))
					if err == nil {
						closeBody(res)
					}
				}()
				if got := recv(t, f.started, "the call"); got != name {
					t.Fatalf("began %q", got)
				}
			}
			cancelAt := func(at int, id, reason string) {
				c := *clients[at]
				if c.version = era; era == modern {
					c.session = ""
				}
				closeBody(c.do(t, t.Context(), http.MethodPost, cancelOf(t, era, id, reason), nil))
			}
			clients[2].status(t, "a request, so that the third has the caller, too", "POST", ping, nil, 200)
			begin(0, "1", "wanted")
			begin(0, "2", "other")
			cancelAt(1, "1", "stop")
			if got := recv(t, f.hooks, "the cancel"); got != "wanted: stop" {
				t.Errorf("cancelled is %q", got)
			}
			if b := recv(t, f.ended, "the call"); b.name != "wanted" || b.cause != ErrCancelled {
				t.Errorf("ended is %+v", b)
			}
			if era == modern {
				// Another client's call, at another server, is like the first one's.
				begin(1, "2", "like it")
				key := callID{scopeOf(t, servers[0], "2"), "2"}
				for _, srv := range servers {
					srv.cancelAt(srv.peers.get(Principal{Name: "alice", Key: "key"}), key, "which?")
				}
			}
			close(f.release)
			for range map[string]int{legacy: 1, modern: 2}[era] {
				if b := recv(t, f.ended, "the rest"); b.cause != nil {
					t.Errorf("ended is %+v", b)
				}
			}
		})
	}
}

// What one server lets in, the others take from their allowance, which does not grow in
// the time of this test. It takes one request.
func TestHTTPRateEverywhere(t *testing.T) {
	servers := joinedServers(t, newFixture(), 3, HTTPOptions{Rate: 1e-6})
	list := string(encodeRequest(t, modern, "1", "tools/list", nil))
	tokens := func(i int) float64 {
		l := servers[i].limiter
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.of("alice").tokens.Tokens()
	}
	for i, srv := range servers {
		srv.peers.get(Principal{Name: "alice", Key: "key"}) // as a server that had an earlier request
		if got := tokens(i); got != 1 {
			t.Fatalf("server %d begins with %v", i, got)
		}
	}
	newHTTPClient(t, servers[0], modern).status(t, "the first", "POST", list, nil, 200)
	for end := time.Now().Add(patience); tokens(1) > 0.5 || tokens(2) > 0.5; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the others never heard of it")
		}
	}
	for _, srv := range servers {
		newHTTPClient(t, srv, modern).status(t, "the next", "POST", list, nil, 429)
	}
}

// scopeOf finds the scope of a server's call.
func scopeOf(t *testing.T, srv httpServer, id string) string {
	t.Helper()
	srv.inflight.mu.Lock()
	defer srv.inflight.mu.Unlock()
	for key := range srv.inflight.calls {
		if key.id == id {
			return key.scope
		}
	}
	t.Fatalf("there is no call %s", id)
	return ""
}

// The answer to a question counts at whichever server it arrives.
func TestHTTPAnswerAtAnother(t *testing.T) {
	_, clients := joined(t, newFixture(), 2, HTTPOptions{})
	res := clients[0].do(t, t.Context(), http.MethodPost, toolCallOf(t, "5", "elicit", nil), nil)
	defer func() { _ = res.Body.Close() }()
	r := bufio.NewReader(res.Body)
	question := readEvent(t, readEvents(t, r, 1)[0])
	answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"action":"accept","content":{"color":"blue"}}}`, question.ID)
	clients[1].status(t, "an answer", "POST", answer, nil, 202)
	if m := readEvent(t, readEvents(t, r, 1)[0]); string(m.ID) != "5" || !strings.Contains(m.Result.Content[0].Text, "blue") {
		t.Errorf("got %+v", m)
	}
	clients[1].status(t, "an answer that comes twice", "POST", answer, nil, 202)
}

// A question that nobody answers ends, and the client is told.
func TestHTTPAskFor(t *testing.T) {
	f := newFixture()
	c := newHTTPClient(t, newHTTPServer(t, f, HTTPOptions{Options: Options{AskFor: 20 * time.Millisecond}}), legacy)
	res := c.do(t, t.Context(), http.MethodPost, toolCallOf(t, "5", "elicit", nil), nil)
	defer func() { _ = res.Body.Close() }()
	events := readEvents(t, bufio.NewReader(res.Body), -1)
	if len(events) != 3 {
		t.Fatalf("got %v", events)
	}
	question := readEvent(t, events[0])
	if m := readEvent(t, events[1]); m.Method != "notifications/cancelled" || !strings.Contains(events[1].data, string(question.ID)) {
		t.Errorf("got %s", events[1].data)
	}
	if m := readEvent(t, events[2]); string(m.ID) != "5" || !strings.HasPrefix(m.Result.Content[0].Text, "cancel") {
		t.Errorf("got %s", events[2].data)
	}
}

// A session that was ended at one server has ended at all.
func TestHTTPDeleteElsewhere(t *testing.T) {
	servers, clients := joined(t, newFixture(), 3, HTTPOptions{})
	clients[1].status(t, "at a server that knows it by now", "POST", ping, nil, 200)
	clients[0].status(t, "DELETE", "DELETE", "", nil, 204)
	for deadline := time.After(patience); servers[1].Sessions() > 0; time.Sleep(time.Millisecond) {
		select {
		case <-deadline:
			t.Fatal("the other server goes on with the session")
		default:
		}
	}
	for i, c := range clients { // the third one hears of the session only now
		c.status(t, fmt.Sprint("server ", i), "POST", ping, nil, 404, "initialize again")
	}
}

// A stream is read on at another server while its own one lives: byte for byte, and
// the call goes on where it is. When that server is gone, the call is gone on with.
func TestHTTPRelay(t *testing.T) {
	f, y := newFixture(), &relay{first: make(chan string), later: make(chan string)}
	f.server.AddTool(mcp.NewTool("say"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return say(ctx, y.first, 0)
	})
	servers, clients := joined(t, f, 2, HTTPOptions{Resume: y.resume})
	said := func(r *bufio.Reader, word string) sseEvent {
		t.Helper()
		for {
			e := readEvents(t, r, 1)[0]
			if readEvent(t, e).Params.Meta.Text == word {
				return e
			}
		}
	}
	begin := func(id string) sseEvent {
		res := clients[0].do(t, t.Context(), http.MethodPost, toolCallOf(t, id, "say", nil), nil)
		t.Cleanup(func() { _ = res.Body.Close() })
		go func() { y.first <- "one " }()
		return said(bufio.NewReader(res.Body), "one ")
	}
	// The one that has the stream lives on.
	res := clients[1].resumed(t, t.Context(), begin("1").id)
	defer func() { _ = res.Body.Close() }()
	there := bufio.NewReader(res.Body)
	y.first <- "two "
	two := said(there, "two ")
	again := clients[0].resumed(t, t.Context(), two.id) // the id is good at both
	defer func() { _ = again.Body.Close() }()
	y.first <- "three "
	here := bufio.NewReader(again.Body)
	said(here, "three ")
	close(y.first)
	if m := readEvent(t, readEvents(t, here, 1)[0]); string(m.ID) != "1" || m.Result.Content[0].Text != "all 3 words" || y.resumed.Load() != 0 {
		t.Errorf("a call whose process lives was gone on with %d times, and ends with %+v", y.resumed.Load(), m)
	}
	y.first = make(chan string)
	// It is gone in the middle.
	res = clients[1].resumed(t, t.Context(), begin("2").id)
	defer func() { _ = res.Body.Close() }()
	there = bufio.NewReader(res.Body)
	y.first <- "two "
	said(there, "two ")
	servers[0].peers.close()
	go func() { y.later <- "three "; close(y.later) }()
	said(there, "three ")
	for {
		if m := readEvent(t, readEvents(t, there, 1)[0]); m.Method == "" {
			if string(m.ID) != "2" || m.Result.Content[0].Text != "all 3 words" {
				t.Errorf("got %+v", m)
			}
			break
		}
	}
	close(y.first)
}

// What a session subscribed to at one server is announced on its stream at another, also
// where the stream comes later, and until it unsubscribes at a third.
func TestHTTPSubscribeElsewhere(t *testing.T) {
	u := newUpdates()
	f := newFixture()
	f.server = newWatched().server
	_, clients := joined(t, f, 3, HTTPOptions{Options: Options{Subscriber: u}})
	clients[0].subscribe(t, "resources/subscribe", "a")
	stream := clients[1].listenGet(t, t.Context(), "")
	mustUpdate(t, stream, "a", "") // what happened in between is not known
	u.update("a")
	mustUpdate(t, stream, "a", "")
	clients[2].subscribe(t, "resources/subscribe", "b")
	mustUpdate(t, stream, "b", "")
	u.await(t, "b", 2)
	u.update("b")
	mustUpdate(t, stream, "b", "")
	clients[0].subscribe(t, "resources/unsubscribe", "b") // which it does not watch itself
	u.await(t, "b", 1)
	u.update("b")
	u.update("a")
	mustUpdate(t, stream, "a", "")
	clients[0].subscribe(t, "resources/unsubscribe", "a")
	u.await(t, "a", 0)
}

// A client that comes back with an event of a server that is gone gets its updates at
// another one: it need not begin anew.
func TestHTTPStreamAfterSubscriberIsGone(t *testing.T) {
	u := newUpdates()
	f := newFixture()
	f.server = newWatched().server
	servers, clients := joined(t, f, 2, HTTPOptions{Options: Options{Subscriber: u}})
	clients[0].subscribe(t, "resources/subscribe", "a")
	ctx, hangUp := context.WithCancel(t.Context())
	stream := clients[0].listenGet(t, ctx, "")
	u.update("a")
	mustUpdate(t, stream, "a", "")
	hangUp()
	for range stream {
	}
	if err := servers[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream = clients[1].listenGet(t, t.Context(), eventID("sOFTHEFIRST", 1, ""))
	mustUpdate(t, stream, "a", "")
	u.update("a")
	mustUpdate(t, stream, "a", "")
}

// away is a fleet whose engine can't be reached.
type away struct{}

func (away) Serve(string, fleet.Handler) (func(), error) { return nil, fleet.ErrAway }
func (away) Ask(context.Context, string, []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(nil, fleet.ErrAway) }
}
func (away) Hear(string, func([]byte)) (func(), error) { return nil, fleet.ErrAway }
func (away) Tell(string, []byte) error                 { return fleet.ErrAway }
func (away) Find(context.Context, string) (fleet.Fact, bool, error) {
	return fleet.Fact{}, false, fleet.ErrAway
}
func (away) Create(context.Context, string, []byte) (fleet.Fact, bool, error) {
	return fleet.Fact{}, false, fleet.ErrAway
}
func (away) Change(context.Context, fleet.Fact, []byte) (fleet.Fact, error) {
	return fleet.Fact{}, fleet.ErrAway
}
func (away) Forget(context.Context, fleet.Fact) error { return fleet.ErrAway }
func (away) Close() error                             { return nil }

// While the engine is away, each server does what it can alone, and refuses the answer
// that it can't pass on.
func TestHTTPPeersAway(t *testing.T) {
	u, f, y := newUpdates(), newFixture(), &relay{first: make(chan string), later: make(chan string)}
	f.server.AddTool(mcp.NewTool("say"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return say(ctx, y.first, 0)
	})
	alone := func(Principal) (fleet.Fleet, error) { return away{}, nil }
	one, two := replicas(t, f, HTTPOptions{Options: Options{Subscriber: u}, Fleet: alone, Resume: y.resume})
	two.status(t, "an answer for another server", "POST", `{"jsonrpc":"2.0","id":"openclaw-x","result":{"action":"accept"}}`, nil, 503, "send it again")
	// A call of this server is cancelled, in both eras.
	for _, era := range []string{legacy, modern} {
		c := *one
		if c.version = era; era == modern {
			c.session = ""
		}
		ended := make(chan bool, 1)
		go func() {
			defer func() { ended <- true }()
			closeBody(c.do(t, t.Context(), http.MethodPost, encodeRequest(t, era, "1", "tools/call", params{"name": "block", "arguments": params{"name": era}}), nil))
		}()
		recv(t, f.started, "the call")
		closeBody(c.do(t, t.Context(), http.MethodPost, cancelOf(t, era, "1", "stop"), nil))
		if got := recv(t, f.hooks, "the cancel"); got != era+": stop" {
			t.Errorf("cancelled is %q", got)
		}
		recv(t, ended, "the end of the call's stream")
	}
	// A stream is gone on with from what its events carry.
	go func() { y.first <- "one " }()
	res := one.do(t, t.Context(), http.MethodPost, toolCallOf(t, "2", "say", nil), nil)
	defer func() { _ = res.Body.Close() }()
	r, last := bufio.NewReader(res.Body), ""
	for text := ""; text != "one "; {
		e := readEvents(t, r, 1)[0]
		text, last = readEvent(t, e).Params.Meta.Text, e.id
	}
	again := two.resumed(t, t.Context(), last)
	close(y.later)
	events := readEvents(t, bufio.NewReader(again.Body), -1)
	_ = again.Body.Close()
	if m := readEvent(t, events[len(events)-1]); string(m.ID) != "2" || m.Result.Content[0].Text != "all 1 words" {
		t.Errorf("got %+v", m)
	}
	two.status(t, "the lost subscriptions of another server", "GET", "", http.Header{"Last-Event-Id": {"sOTHER-4"}}, 404, "initialize again")
	one.status(t, "DELETE", "DELETE", "", nil, 204)
	one.status(t, "the ended session", "POST", ping, nil, 404)
	close(y.first)
}

// While the engine is away, each server limits by itself, and keeps nothing to tell later.
func TestHTTPRateAway(t *testing.T) {
	alone := func(Principal) (fleet.Fleet, error) { return away{}, nil }
	list := string(encodeRequest(t, modern, "1", "tools/list", nil))
	for range 2 {
		srv := newHTTPServer(t, newFixture(), HTTPOptions{Rate: 1e-6, Authenticate: isAlice, Fleet: alone})
		c := newHTTPClient(t, srv, modern)
		c.status(t, "the first", "POST", list, nil, 200)
		c.status(t, "the next", "POST", list, nil, 429)
		left := func() int {
			srv.untold.mu.Lock()
			defer srv.untold.mu.Unlock()
			return len(srv.untold.of)
		}
		for end := time.Now().Add(patience); left() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it keeps what it could not tell")
			}
		}
	}
}

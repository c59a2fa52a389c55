package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// post sends a request over HTTP and gives the messages of the answer.
func (c *httpClient) post(t testing.TB, ctx context.Context, id, method string, p params, header http.Header) <-chan rawMsg {
	t.Helper()
	ch := make(chan rawMsg, 64)
	req := c.request(ctx, http.MethodPost, encodeRequest(t, c.version, id, method, p), header)
	if c.version == modern && method == "resources/read" {
		req.Header.Set("Mcp-Name", p["uri"].(string))
	}
	go c.stream(t, ctx, req, ch)
	return ch
}

// listenGet opens the session's stream.
func (c *httpClient) listenGet(t testing.TB, ctx context.Context, lastEvent string) <-chan rawMsg {
	t.Helper()
	ch := make(chan rawMsg, 64)
	req := c.request(ctx, http.MethodGet, nil, nil)
	if lastEvent != "" {
		req.Header.Set("Last-Event-ID", lastEvent)
	}
	go c.stream(t, ctx, req, ch)
	return ch
}

func (c *httpClient) stream(t testing.TB, ctx context.Context, req *http.Request, ch chan<- rawMsg) {
	defer close(ch)
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s: %v", req.Method, err)
		}
		return
	}
	defer closeBody(res)
	r := bufio.NewReader(res.Body)
	for {
		line, err := r.ReadBytes('\n')
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok && bytes.HasPrefix(line, []byte("{")) {
			data, ok = line, true
		}
		if ok {
			var m rawMsg
			if err := json.Unmarshal(data, &m); err != nil {
				t.Errorf("%q: %v", data, err)
			}
			ch <- m
		}
		if err != nil {
			return
		}
	}
}

func watchedHTTP(t testing.TB, u *updates, opts HTTPOptions) httpServer {
	opts.Subscriber = u
	return newHTTPServer(t, newWatched(), opts)
}

func (c *httpClient) subscribe(t testing.TB, method, uri string) {
	t.Helper()
	if m := recv(t, c.post(t, t.Context(), "1", method, params{"uri": uri}, nil), method); string(m.Result) != "{}" {
		t.Fatalf("%s %s: got %+v", method, uri, m)
	}
}

func TestHTTPLegacySubscribe(t *testing.T) {
	u := newUpdates()
	srv := watchedHTTP(t, u, HTTPOptions{})
	one, other := newHTTPClient(t, srv, legacy), newHTTPClient(t, srv, legacy)
	// What happens while no stream is open is told when one is.
	one.subscribe(t, "resources/subscribe", "a")
	one.subscribe(t, "resources/subscribe", "b")
	u.update("a")
	u.update("a")
	ctx, hangUp := context.WithCancel(t.Context())
	stream := one.listenGet(t, ctx, "")
	mustUpdate(t, stream, "a", "")
	otherStream := other.listenGet(t, t.Context(), "")
	other.subscribe(t, "resources/subscribe", "b")
	u.update("b")
	mustUpdate(t, stream, "b", "")
	mustUpdate(t, otherStream, "b", "")
	u.update("a")
	mustUpdate(t, stream, "a", "")

	// A stream that broke off is made up for: what came behind the last event
	// that the client has is told again.
	hangUp()
	for range stream {
	}
	waitClosed(t, srv, one)
	u.update("b")
	stream = one.listenGet(t, t.Context(), eventID(srv.sessions[sessionKey{Local.Name, one.session}].subs.stream, 2, ""))
	got := []string{recv(t, stream, "an update").Params.URI, recv(t, stream, "an update").Params.URI}
	if slices.Sort(got); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
	mustUpdate(t, otherStream, "b", "")

	one.subscribe(t, "resources/unsubscribe", "b")
	u.await(t, "b", 1)
	u.update("b")
	mustUpdate(t, otherStream, "b", "")
	one.status(t, "DELETE", "DELETE", "", nil, 204)
	u.await(t, "a", 0)
	if err := srv.Close(t.Context()); err != nil {
		t.Error(err)
	}
	u.await(t, "b", 0)
}

// waitClosed waits until the server noticed that a client's stream is gone.
func waitClosed(t testing.TB, srv httpServer, c *httpClient) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		srv.mu.Lock()
		s := srv.sessions[sessionKey{Local.Name, c.session}]
		srv.mu.Unlock()
		s.streams.mu.Lock()
		n := s.streams.count
		s.streams.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatal("the stream stays open")
		}
	}
}

// Nothing is watched for a client that can't be told for long; when it comes
// back, it is told to look itself.
func TestHTTPPark(t *testing.T) {
	u := newUpdates()
	srv := watchedHTTP(t, u, HTTPOptions{ParkAfter: 20 * time.Millisecond})
	c := newHTTPClient(t, srv, legacy)
	c.subscribe(t, "resources/subscribe", "a")
	u.await(t, "a", 0) // no stream was ever opened
	for range 2 {
		ctx, hangUp := context.WithCancel(t.Context())
		stream := c.listenGet(t, ctx, "")
		mustUpdate(t, stream, "a", "")
		u.await(t, "a", 1)
		u.update("a")
		mustUpdate(t, stream, "a", "")
		hangUp()
		u.await(t, "a", 0)
	}
	c.subscribe(t, "resources/unsubscribe", "a")
}

// Sessions that end in whatever way watch nothing any more.
func TestHTTPSessionEndStopsWatching(t *testing.T) {
	u := newUpdates()
	srv := watchedHTTP(t, u, HTTPOptions{MaxSessions: 1})
	first := newHTTPClient(t, srv, legacy)
	first.subscribe(t, "resources/subscribe", "a")
	second := newHTTPClient(t, srv, legacy)
	u.await(t, "a", 0)
	second.subscribe(t, "resources/subscribe", "b")
	srv.mu.Lock()
	s := srv.sessions[sessionKey{Local.Name, second.session}]
	srv.mu.Unlock()
	s.mu.Lock()
	s.lastUsed = s.lastUsed.Add(-2 * time.Hour)
	s.mu.Unlock()
	second.status(t, "expired", "POST", ping, nil, 404)
	u.await(t, "b", 0)
	if err := s.subscriptions(u, newWatchCount()).subscribe(t.Context(), "c"); err == nil {
		t.Error("an ended session subscribes")
	}
}

func TestHTTPListen(t *testing.T) {
	u := newUpdates()
	srv := watchedHTTP(t, u, HTTPOptions{Heartbeat: time.Millisecond})
	c := newHTTPClient(t, srv, modern)
	listen := func(ctx context.Context, id string, uris ...string) <-chan rawMsg {
		ch := c.post(t, ctx, id, "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": uris}}, nil)
		if ack := recv(t, ch, "the acknowledgement"); ack.Method != "notifications/subscriptions/acknowledged" {
			t.Fatalf("got %+v", ack)
		}
		return ch
	}
	ctx, hangUp := context.WithCancel(t.Context())
	one, two, three := listen(ctx, "1", "a"), listen(t.Context(), `"2"`, "a", "b"), listen(t.Context(), "3", "c")
	u.update("a")
	mustUpdate(t, one, "a", "1")
	mustUpdate(t, two, "a", `"2"`)
	hangUp()
	u.await(t, "a", 1)
	c.notify(t, "notifications/cancelled", params{"requestId": 3})
	u.await(t, "c", 0)
	if m, ok := <-three; ok {
		t.Errorf("a cancelled request is answered: %+v", m)
	}
	u.update("b")
	mustUpdate(t, two, "b", `"2"`)
	jsonOnly := http.Header{"Accept": {"application/json"}}
	if m := recv(t, c.post(t, t.Context(), "4", "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{"d"}}}, jsonOnly), "the error"); m.Error == nil {
		t.Errorf("got %+v", m)
	}
	u.await(t, "d", 0)
	if err := srv.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if m := recv(t, two, "the result"); string(m.ID) != `"2"` || m.Result == nil {
		t.Errorf("got %+v", m)
	}
	u.await(t, "a", 0)
}

// A listen stream on which nothing happens is kept alive.
func TestHTTPListenHeartbeat(t *testing.T) {
	srv := watchedHTTP(t, newUpdates(), HTTPOptions{Heartbeat: time.Millisecond})
	c := newHTTPClient(t, srv, modern)
	ctx, hangUp := context.WithCancel(t.Context())
	body := encodeRequest(t, modern, "1", "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{"a"}}})
	res := c.do(t, ctx, "POST", body, nil)
	pings := 0
	for lines := bufio.NewScanner(res.Body); pings < 3 && lines.Scan(); {
		if lines.Text() == ": ping" {
			pings++
		}
	}
	if pings < 3 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d pings of a %s", pings, res.Header.Get("Content-Type"))
	}
	hangUp()
	_ = res.Body.Close()
}

// Errors of handlers have their own codes.
func TestErrorCodes(t *testing.T) {
	srv := watchedHTTP(t, newUpdates(), HTTPOptions{})
	for version, want := range map[string]int{legacy: mcp.RESOURCE_NOT_FOUND, modern: mcp.INVALID_PARAMS} {
		c := newHTTPClient(t, srv, version)
		for uri, want := range map[string]int{"bad": want, "worse": mcp.INTERNAL_ERROR, "none": want} {
			m := recv(t, c.post(t, t.Context(), "1", "resources/read", params{"uri": uri}, nil), uri)
			if m.Error == nil || m.Error.Code != want {
				t.Errorf("%s %s: got %+v", version, uri, m.Error)
			}
			if uri == "bad" && (m.Error.Message != "no such resource" || m.Error.Data == nil) {
				t.Errorf("%s: got %+v", version, m.Error)
			}
		}
		if m := recv(t, c.post(t, t.Context(), "1", "subscriptions/listen", params{}, nil), "listen"); m.Error == nil {
			t.Errorf("%s: got %+v", version, m)
		}
	}
	c := newHTTPClient(t, srv, modern)
	if m := recv(t, c.post(t, t.Context(), "1", "resources/subscribe", params{"uri": "a"}, nil), "subscribe"); m.Error == nil || m.Error.Code != mcp.METHOD_NOT_FOUND {
		t.Errorf("got %+v", m)
	}
}

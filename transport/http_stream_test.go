package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A result that comes alone is plain JSON; what has to be said before it makes
// an event stream of the answer.
func TestHTTPAnswerForm(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{})
	for _, version := range []string{legacy, modern} {
		c := newHTTPClient(t, srv, version)
		for _, tt := range []struct {
			accept   string
			n        int
			wantType string
			messages int
		}{
			{"application/json, text/event-stream", 0, "application/json", 1},
			{"application/json, text/event-stream", 2, "text/event-stream", 3},
			{"application/json", 2, "application/json", 1},
		} {
			body := encodeRequest(t, version, "1", "tools/call", params{
				"name": "progress", "arguments": params{"n": tt.n}, "_meta": params{"progressToken": 1},
			})
			res := c.do(t, t.Context(), "POST", body, http.Header{"Accept": {tt.accept}})
			n := 0
			readMessages(t, res, func(wireMsg) { n++ })
			closeBody(res)
			if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != tt.wantType || n != tt.messages {
				t.Errorf("%s, %d notifications, Accept %s: status %d, %s with %d messages", version, tt.n, tt.accept, res.StatusCode, got, n)
			}
		}
	}
}

// A silent call is kept alive by comments.
func TestHTTPHeartbeat(t *testing.T) {
	f := newFixture()
	c := newHTTPClient(t, newHTTPServer(t, f, HTTPOptions{Heartbeat: time.Millisecond}), modern)
	body := encodeRequest(t, modern, "1", "tools/call", params{"name": "block"})
	res := c.do(t, t.Context(), "POST", body, nil)
	defer closeBody(res)
	lines := bufio.NewScanner(res.Body)
	for range 3 {
		if !lines.Scan() || lines.Text() != ": ping" || !lines.Scan() || lines.Text() != "" {
			t.Fatalf("got %q", lines.Text())
		}
	}
	close(f.release)
	for lines.Scan() && (lines.Text() == "" || lines.Text() == ": ping") {
	}
	if lines.Text() != "event: message" || !lines.Scan() || !strings.Contains(lines.Text(), "released") {
		t.Errorf("got %q", lines.Text())
	}
	for lines.Scan() {
		if lines.Text() != "" {
			t.Errorf("%q behind the result", lines.Text())
		}
	}
}

// Time-outs of the http.Server are for slow requests, not for slow answers.
func TestHTTPOutlivesServerTimeouts(t *testing.T) {
	const timeout = 20 * time.Millisecond
	f := newFixture()
	h := NewHTTP(f.server, HTTPOptions{Heartbeat: timeout / 4})
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = timeout, timeout
	srv.Start()
	defer srv.Close()
	c := newHTTPClient(t, httpServer{h, srv.URL}, legacy)
	get := c.do(t, t.Context(), "GET", nil, nil)
	post := c.do(t, t.Context(), "POST", encodeRequest(t, legacy, "1", "tools/call", params{"name": "block", "arguments": params{"name": "a"}}), nil)
	for _, res := range []*http.Response{get, post} {
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		for range 24 { // twelve comments: three time-outs
			if !lines.Scan() {
				t.Fatalf("broke off: %v", lines.Err())
			}
		}
	}
	close(f.release)
	f.mustEnd(t, "a", nil)
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A client that does not read is let go, and costs the others nothing.
func TestHTTPSlowReader(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{WriteLimit: 100 * time.Millisecond})
	good := newHTTPClient(t, srv, modern)
	slow := newHTTPClient(t, srv, modern)
	req := slow.request(t.Context(), "POST", encodeRequest(t, modern, "1", "tools/call", params{
		"name": "flood", "arguments": params{"name": "slow", "size": 100_000}, "_meta": params{"progressToken": 1},
	}), nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	recv(t, f.started, "the call")
	for n := 0; ; n++ {
		if m := result(t, call(t, good, fmt.Sprint(n), "echo", params{"text": "x"})); m.text() != "x" {
			t.Fatalf("another client got %+v", m)
		}
		if len(f.ended) > 0 {
			break
		}
	}
	f.mustEnd(t, "slow", ErrDisconnected)
	if len(f.hooks) > 0 {
		t.Error("the hook was called")
	}
}

// One that reads a large answer slowly but steadily is not let go, though the
// whole takes longer than the limit of one write.
func TestHTTPSteadyReader(t *testing.T) {
	t.Parallel()
	const size, limit = 32 << 20, 2 * time.Second
	c := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{WriteLimit: limit}), modern)
	res := c.do(t, t.Context(), "POST", encodeRequest(t, modern, "1", "tools/call", params{"name": "big", "arguments": params{"n": size}}), nil)
	defer closeBody(res)
	total, steps := int64(0), time.NewTicker(limit/10)
	defer steps.Stop()
	for range 30 { // three limits
		<-steps.C
		n, _ := io.CopyN(io.Discard, res.Body, size/40)
		total += n
	}
	n, err := io.Copy(io.Discard, res.Body)
	if total += n; err != nil || total < size {
		t.Errorf("read %d bytes, %v", total, err)
	}
}

// The question to a legacy client's user goes out on the request's own stream;
// a modern client is asked by the result, and calls again.
func TestElicitation(t *testing.T) {
	forAll(t, func(t *testing.T, co combination) {
		c := co.connect(t, newFixture())
		if co.version == modern {
			if m := result(t, call(t, c, "1", "elicit", nil)); m.Result.ResultType != "input_required" {
				t.Errorf("got %+v", m)
			}
			m := result(t, c.start(t, "2", "tools/call", params{
				"name": "elicit", "requestState": "state",
				"inputResponses": params{"color": params{"action": "accept", "content": params{"color": "red"}}},
			}))
			if m.text() != "accept map[color:red]" {
				t.Errorf("got %+v", m)
			}
			return
		}
		for _, tt := range []struct{ answer, want string }{
			{`"result":{"action":"accept","content":{"color":"red"}},"error":null`, "accept map[color:red]"},
			{`"result":{"action":"decline"}`, "decline <nil>"},
			{`"error":{"code":-1,"message":"no user here"}`, "cancel <nil>"},
		} {
			ch := call(t, c, "1", "elicit", nil)
			questions := ch
			if s, ok := c.(*stdioClient); ok {
				questions = s.other
			}
			q := recv(t, questions, "the question")
			if q.Method != "elicitation/create" {
				t.Fatalf("got %+v", q)
			}
			answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, q.ID, tt.answer)
			switch c := c.(type) {
			case *stdioClient:
				c.send(t, answer+"\n")
			case *httpClient:
				c.notifyBody(t, []byte(answer))
			}
			m := result(t, ch)
			if !strings.HasSuffix(m.text(), tt.want) {
				t.Errorf("%s: got %q", tt.answer, m.text())
			}
		}
	})
}

// Who can't be asked is not waited for: the answer is "cancel" at once.
func TestElicitationImpossible(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{})
	c := newHTTPClient(t, srv, legacy)
	body := string(encodeRequest(t, legacy, "1", "tools/call", params{"name": "elicit"}))
	c.status(t, "a client without event streams", "POST", body, http.Header{"Accept": {"application/json"}}, 200, "cancel")

	ctx, hangUp := context.WithCancel(t.Context())
	ch := c.startCtx(t, ctx, "2", "tools/call", params{"name": "elicit"})
	recv(t, ch, "the question")
	hangUp()
	for range ch {
	}
	if err := srv.Close(t.Context()); err != nil {
		t.Errorf("a client that is gone is waited for: %v", err)
	}
}

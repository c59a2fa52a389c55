package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/secret"
)

// sseEvent is one event as it stood on the wire.
type sseEvent struct{ id, data string }

// readEvents reads n events of a stream, or all of it where n is negative.
func readEvents(t testing.TB, r *bufio.Reader, n int) (events []sseEvent) {
	t.Helper()
	var e sseEvent
	for n != len(events) {
		line, err := r.ReadString('\n')
		if err != nil {
			if n >= 0 {
				t.Fatalf("the stream ended after %d of %d events: %v", len(events), n, err)
			}
			return events
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" && e.id != "":
			events = append(events, e)
			e = sseEvent{}
		case strings.HasPrefix(line, "id: "):
			e.id = line[4:]
		case strings.HasPrefix(line, "data: "):
			e.data = line[6:]
		}
	}
	return events
}

// resumed opens a stream again behind an event.
func (c *httpClient) resumed(t testing.TB, ctx context.Context, last string) *http.Response {
	t.Helper()
	res := c.do(t, ctx, http.MethodGet, nil, http.Header{"Last-Event-Id": {last}})
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	return res
}

// A call whose stream broke after any of its events goes on, and a client that
// comes back gets everything behind the last event that it has, once.
func TestHTTPResume(t *testing.T) {
	const n = 20
	for cut := 1; cut <= n; cut += 3 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			srv := newHTTPServer(t, f, HTTPOptions{})
			c := newHTTPClient(t, srv, legacy)
			ctx, hangUp := context.WithCancel(t.Context())
			body := encodeRequest(t, legacy, "7", "tools/call", params{
				"name": "block", "arguments": params{"name": "b"}, "_meta": params{"progressToken": 7},
			})
			started := make(chan *http.Response)
			go func() { started <- c.do(t, ctx, http.MethodPost, body, nil) }()
			call := <-f.calls
			for i := range cut {
				if err := call.Progress(fmt.Sprint("word ", i)); err != nil {
					t.Fatal(err)
				}
			}
			res := <-started
			events := readEvents(t, bufio.NewReader(res.Body), cut)
			hangUp()
			_ = res.Body.Close()
			for i := cut; i < n; i++ { // while nobody listens
				if err := call.Progress(fmt.Sprint("word ", i)); err != nil {
					t.Fatal(err)
				}
			}
			again := c.resumed(t, t.Context(), events[cut-1].id)
			defer closeBody(again)
			close(f.release)
			events = append(events, readEvents(t, bufio.NewReader(again.Body), -1)...)
			if len(events) != n+1 {
				t.Fatalf("%d events", len(events))
			}
			for i, e := range events[:n] {
				if !strings.Contains(e.data, fmt.Sprintf(`"word %d"`, i)) {
					t.Errorf("event %d is %s", i, e.data)
				}
			}
			if !strings.Contains(events[n].data, "released") {
				t.Errorf("the result is %s", events[n].data)
			}
			// The end can be read again, too: it may have been lost on the way.
			once := c.resumed(t, t.Context(), events[n-1].id)
			defer closeBody(once)
			if last := readEvents(t, bufio.NewReader(once.Body), -1); len(last) != 1 || last[0] != events[n] {
				t.Errorf("read again, the end is %v", last)
			}
		})
	}
}

// What runs ahead of a client that is away waits for it, within bounds, and is
// given up when it does not come back.
func TestHTTPResumeBounds(t *testing.T) {
	t.Parallel()
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{ResumeFor: 2 * time.Second})
	c := newHTTPClient(t, srv, legacy)
	lose := func(name string) (*Call, *replay, string) {
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		started := make(chan *http.Response)
		go func() {
			started <- c.do(t, ctx, http.MethodPost, encodeRequest(t, legacy, `"`+name+`"`, "tools/call", params{
				"name": "block", "arguments": params{"name": name}, "_meta": params{"progressToken": name},
			}), nil)
		}()
		call := recv(t, f.calls, "the call")
		recv(t, f.started, "the call")
		if err := call.Progress("first"); err != nil {
			t.Fatal(err)
		}
		res := <-started
		last := readEvents(t, bufio.NewReader(res.Body), 1)[0].id
		_ = res.Body.Close()
		hangUp()
		seen, _ := parseEventID(last)
		rp, _ := srv.sessions[sessionKey{Local.Name, c.session}].replays.get(seen)
		for rp.out.Load() != nil {
			time.Sleep(time.Millisecond)
		}
		return call, rp, last
	}
	_, _, last := lose("away")
	if b := recv(t, f.ended, "the end of a call whose client stays away"); b.cause != ErrDisconnected {
		t.Errorf("it ended by %v", b.cause)
	}
	c.status(t, "too late", "GET", "", http.Header{"Last-Event-Id": {last}}, 400, "can't be resumed", "wait_run")

	call, rp, last := lose("back")
	const n, size = 400, 4000
	sent := make(chan error, 1)
	go func() {
		var err error
		for range n {
			if err = call.Progress(strings.Repeat("x", size)); err != nil {
				break
			}
		}
		sent <- err
	}()
	for full := false; !full; time.Sleep(time.Millisecond) {
		rp.mu.Lock()
		full = rp.bytes > replayAhead
		rp.mu.Unlock()
	}
	again := c.resumed(t, t.Context(), last)
	events := readEvents(t, bufio.NewReader(again.Body), n) // much more than was kept
	for i, e := range events {
		if ref, ok := parseEventID(e.id); !ok || ref.seq != int64(i)+2 || len(e.data) < size {
			t.Fatalf("event %d is %s of %d bytes", i, e.id, len(e.data))
		}
	}
	if err := recv(t, sent, "the end of the flood"); err != nil {
		t.Error(err)
	}
	rp.mu.Lock()
	if rp.bytes > replayKeep+2*size {
		t.Errorf("%d bytes are kept", rp.bytes)
	}
	rp.mu.Unlock()
	_ = again.Body.Close()
	// With a result that nobody could be given, the stream ends, too.
	close(f.release)
	recv(t, f.ended, "the end of the call")
}

// A second connection takes a stream over from a first one that hangs.
func TestHTTPResumeTakesOver(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{Heartbeat: 20 * time.Millisecond})
	c := newHTTPClient(t, srv, "")
	newest := maps.Clone(initParams)
	newest["protocolVersion"] = mcp.ProtocolVersion20251125
	h := c.status(t, "initialize", "POST", string(encodeRequest(t, legacy, "0", "initialize", newest)), nil, 200)
	c.version, c.session = mcp.ProtocolVersion20251125, h.Get("Mcp-Session-Id")
	body := encodeRequest(t, legacy, "7", "tools/call", params{
		"name": "block", "arguments": params{"name": "b"}, "_meta": params{"progressToken": 7},
	})
	// Before there is anything to say, the client is given an id to come back with:
	// an id alone, since some clients parse the data of every event.
	res := c.do(t, t.Context(), http.MethodPost, body, nil)
	var seen bytes.Buffer
	first := readEvents(t, bufio.NewReader(io.TeeReader(res.Body, &seen)), 1)
	if !strings.HasPrefix(seen.String(), "id: "+first[0].id+"\n\n") || strings.Contains(seen.String(), "data") {
		t.Errorf("the stream begins with %q", seen.String())
	}
	second := c.resumed(t, t.Context(), first[0].id)
	defer closeBody(second)
	call := recv(t, f.calls, "the call")
	if err := call.Progress("hello"); err != nil {
		t.Fatal(err)
	}
	if e := readEvents(t, bufio.NewReader(second.Body), 1); !strings.Contains(e[0].data, "hello") {
		t.Errorf("got %v", e)
	}
	_ = res.Body.Close()
	close(f.release)
}

// An event's id is good for its own stream alone. That of another process, which
// shares the session, or of another session or caller, is refused; it never gives
// what another call said.
func TestHTTPResumeElsewhere(t *testing.T) {
	who := func(r *http.Request) (Principal, error) {
		name := cmp.Or(r.Header.Get("Test-Caller"), "alice")
		return Principal{Name: name, Key: secret.Text("key of " + name)}, nil
	}
	f := newFixture()
	one, two := newHTTPServer(t, f, HTTPOptions{Authenticate: who}), newHTTPServer(t, f, HTTPOptions{Authenticate: who})
	defer close(f.release)
	// begin starts a call that has said something, and gives the id of that event.
	begin := func(c *httpClient, secret string, header http.Header) string {
		body := encodeRequest(t, legacy, "7", "tools/call", params{
			"name": "block", "arguments": params{"name": secret}, "_meta": params{"progressToken": 7},
		})
		started := make(chan *http.Response)
		go func() { started <- c.do(t, t.Context(), http.MethodPost, body, header) }()
		if err := recv(t, f.calls, "the call").Progress(secret); err != nil {
			t.Fatal(err)
		}
		res := recv(t, started, "the stream")
		t.Cleanup(func() { _ = res.Body.Close() })
		return readEvents(t, bufio.NewReader(res.Body), 1)[0].id
	}
	a := newHTTPClient(t, one, legacy)
	mine := begin(a, "of the first process", nil)
	elsewhere := &httpClient{url: two.url, version: legacy, session: a.session, http: a.http}
	begin(elsewhere, "of the second process", nil)
	other := newHTTPClient(t, one, legacy)
	begin(other, "of another session", nil)
	first := func(id string) string { stream, _, _ := strings.Cut(id, "-"); return stream + "-0" }
	for _, id := range []string{mine, first(mine)} {
		last := http.Header{"Last-Event-Id": {id}}
		elsewhere.status(t, "another process", "GET", "", last, 400, "can't be resumed")
		other.status(t, "another session", "GET", "", last, 400, "can't be resumed")
		last.Set("Test-Caller", "bob")
		a.status(t, "another caller", "GET", "", last, 404)
	}
}

// A client's answer to a question of one process is no answer to another's.
func TestHTTPAnswerElsewhere(t *testing.T) {
	who := func(*http.Request) (Principal, error) { return Principal{Name: "alice", Key: "k"}, nil }
	f := newFixture()
	withElicitation := maps.Clone(initParams)
	withElicitation["capabilities"] = params{"elicitation": params{}}
	var session string
	ask := func(srv httpServer) (*httpClient, *bufio.Reader, string) {
		c := newHTTPClient(t, srv, "")
		c.version = legacy
		if session == "" {
			session = c.status(t, "initialize", "POST", string(encodeRequest(t, legacy, "0", "initialize", withElicitation)), nil, 200).Get("Mcp-Session-Id")
		}
		c.session = session
		res := c.do(t, t.Context(), http.MethodPost, encodeRequest(t, legacy, "1", "tools/call", params{"name": "elicit"}), nil)
		t.Cleanup(func() { _ = res.Body.Close() })
		r := bufio.NewReader(res.Body)
		var question struct{ ID string }
		if err := json.Unmarshal([]byte(readEvents(t, r, 1)[0].data), &question); err != nil || question.ID == "" {
			t.Fatalf("no question: %v", err)
		}
		return c, r, question.ID
	}
	_, _, one := ask(newHTTPServer(t, f, HTTPOptions{Authenticate: who}))
	c, stream, two := ask(newHTTPServer(t, f, HTTPOptions{Authenticate: who}))
	answer := func(id, color string) {
		c.status(t, "an answer", "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"action":"accept","content":{"color":%q}}}`, id, color), nil, 202)
	}
	answer(one, "red")
	answer(two, "blue")
	if e := readEvents(t, stream, 1)[0]; !strings.Contains(e.data, "blue") {
		t.Errorf("the answer to another question counts: %s", e.data)
	}
}

func FuzzEventID(f *testing.F) {
	f.Add("1-1")
	f.Add("rABC-0")
	f.Add("-")
	f.Fuzz(func(t *testing.T, s string) {
		if ref, ok := parseEventID(s); ok && (ref.stream == "" || ref.seq < 0 || ref.whole != s) {
			t.Errorf("%q is %+v", s, ref)
		}
	})
}

// A stream that has ended can be read again, and holds no more than its events: not the call.
func TestEndedStreamLetsCallGo(t *testing.T) {
	all := &replays{share: new(replayShare)}
	defer all.end()
	web := httptest.NewRecorder()
	out := &postStream{w: web, rc: http.NewResponseController(web)}
	gone := make(chan struct{})
	func() {
		call := new(Call)
		runtime.AddCleanup(call, func(gone chan struct{}) { close(gone) }, gone)
		out.call = call
		out.open = func() *replay {
			return all.add(out, func() { call.wasCancelled() }, func(bool) string { call.wasCancelled(); return "" })
		}
		for _, end := range []func([]byte) error{out.send, func(b []byte) error { return out.finish(b, http.StatusOK) }} {
			if err := end([]byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-gone:
			if r := out.currentReplay(); len(r.events) != 2 {
				t.Errorf("%d events are kept", len(r.events))
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the call is held")
}

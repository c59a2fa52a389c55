package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
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
		stream, _, _ := parseEventID(last)
		rp := srv.sessions[sessionKey{Local.Name, c.session}].replays.get(stream)
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
		if _, seq, ok := parseEventID(e.id); !ok || seq != int64(i)+2 || len(e.data) < size {
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
	// Before there is anything to say, the client is given an id to come back with.
	res := c.do(t, t.Context(), http.MethodPost, body, nil)
	first := readEvents(t, bufio.NewReader(res.Body), 1)
	if first[0].data != "" {
		t.Errorf("the first event is %q", first[0].data)
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

func FuzzEventID(f *testing.F) {
	f.Add("1-1")
	f.Add("zz-0")
	f.Add("-")
	f.Fuzz(func(t *testing.T, s string) {
		stream, seq, ok := parseEventID(s)
		if ok && (stream <= 0 || seq < 0) {
			t.Errorf("%q is %d, %d", s, stream, seq)
		}
	})
}

package transport

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestHTTPSessionEnds(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{})
	c, other := newHTTPClient(t, srv, legacy), newHTTPClient(t, srv, legacy)
	c.status(t, "DELETE", "DELETE", "", nil, 204)
	c.status(t, "DELETE again", "DELETE", "", nil, 404)
	c.status(t, "POST", "POST", ping, nil, 404)
	other.status(t, "another session", "POST", ping, nil, 200)
}

// A failed initialize gives no session.
func TestHTTPFailedInitialize(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{})
	c := newHTTPClient(t, srv, "")
	h := c.status(t, "initialize", "POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":5}`, nil, 200, `"error"`)
	if h.Get("Mcp-Session-Id") != "" || len(srv.sessions) > 0 {
		t.Error("a session was made")
	}
}

func TestHTTPSessionExpires(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{SessionIdle: time.Hour})
	idle, busy := newHTTPClient(t, srv, legacy), newHTTPClient(t, srv, legacy)
	call(t, busy, "7", "block", nil)
	recv(t, f.started, "the call")
	for _, s := range srv.sessions { // as if two hours had passed
		s.mu.Lock()
		s.lastUsed = s.lastUsed.Add(-2 * time.Hour)
		s.mu.Unlock()
	}
	idle.status(t, "idle", "POST", ping, nil, 404)
	busy.status(t, "with a call in flight", "POST", ping, nil, 200)
	close(f.release)
}

func TestHTTPMaxSessions(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{MaxSessions: 2})
	busy, idle := newHTTPClient(t, srv, legacy), newHTTPClient(t, srv, legacy)
	call(t, busy, "7", "block", nil)
	recv(t, f.started, "the call")
	third := newHTTPClient(t, srv, legacy)
	if n := len(srv.sessions); n != 2 {
		t.Errorf("%d sessions are kept", n)
	}
	idle.status(t, "the longest idle", "POST", ping, nil, 200) // its id says all that there is to it
	busy.status(t, "the busy one", "POST", ping, nil, 200)
	third.status(t, "the new one", "POST", ping, nil, 200)
	close(f.release)
}

// The GET stream stays open, is kept alive, and ends with the server or its
// session.
func TestHTTPGetStream(t *testing.T) {
	for _, end := range []string{"Close", "DELETE", "client"} {
		srv := newHTTPServer(t, newFixture(), HTTPOptions{Heartbeat: time.Millisecond})
		c := newHTTPClient(t, srv, legacy)
		ctx, hangUp := context.WithCancel(t.Context())
		res := c.do(t, ctx, "GET", nil, nil)
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" || res.StatusCode != 200 {
			t.Errorf("status %d, %s", res.StatusCode, got)
		}
		lines := bufio.NewScanner(res.Body)
		for range 6 {
			if !lines.Scan() || (lines.Text() != "" && !strings.HasPrefix(lines.Text(), ": ")) {
				t.Errorf("got %q, %v", lines.Text(), lines.Err())
			}
		}
		switch end {
		case "Close":
			if err := srv.Close(t.Context()); err != nil {
				t.Error(err)
			}
		case "DELETE":
			c.status(t, end, "DELETE", "", nil, 204)
		case "client":
			hangUp()
		}
		for lines.Scan() {
		}
		if err := lines.Err(); (err != nil) != (end == "client") {
			t.Errorf("%s: the stream ended with %v", end, err)
		}
		_ = res.Body.Close()
		hangUp()
	}
}

// Close lets calls hand over what they have, and refuses new ones.
func TestHTTPClose(t *testing.T) {
	for _, version := range []string{legacy, modern} {
		f := newFixture()
		srv := newHTTPServer(t, f, HTTPOptions{})
		c := newHTTPClient(t, srv, version)
		ch := call(t, c, "1", "block", params{"name": "a"})
		recv(t, f.started, "a")
		if err := srv.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		f.mustEnd(t, "a", ErrDraining)
		if m := result(t, ch); m.text() != ErrDraining.Error() {
			t.Errorf("got %+v", m)
		}
		if h := c.status(t, "afterwards", "POST", ping, nil, 503); h.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

// Close does not wait forever for a call that takes no notice.
func TestHTTPCloseGivesUp(t *testing.T) {
	h := NewHTTP(newFixture().server, HTTPOptions{})
	h.active.enter()
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("enough"))
	if err := h.Close(ctx); err == nil || err.Error() != "enough" {
		t.Errorf("got %v", err)
	}
	h.active.leave()
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("got %v", err)
	}
}

// An id that is in flight in a session can't be used twice in it.
func TestHTTPDuplicateID(t *testing.T) {
	f := newFixture()
	c := newHTTPClient(t, newHTTPServer(t, f, HTTPOptions{}), legacy)
	call(t, c, "1", "block", nil)
	recv(t, f.started, "the call")
	c.status(t, "again", "POST", ping, nil, http.StatusBadRequest, "in flight already", "-32600")
	close(f.release)
}

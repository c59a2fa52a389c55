package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"openclaw-mcp/internal/rfb/rfbtest"
)

// socket is the service's side of a desktop's socket as a stream, with messages
// of at most so many bytes.
type socket struct {
	ctx   context.Context
	ws    *websocket.Conn
	split int
	in    io.Reader
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.in == nil {
			_, r, err := s.ws.Reader(s.ctx)
			if err != nil {
				return 0, io.EOF
			}
			s.in = r
		}
		n, err := s.in.Read(p)
		if errors.Is(err, io.EOF) {
			s.in, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (s *socket) Write(p []byte) (int, error) {
	for part := range slices.Chunk(p, s.split) {
		if err := s.ws.Write(s.ctx, websocket.MessageBinary, part); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// offer serves a desktop. before is called with each open socket first, and says
// whether it goes on.
func offer(t *testing.T, s *rfbtest.Server, split int, before func(*http.Request, *websocket.Conn) bool) (*Client, *[]string) {
	t.Helper()
	var mu sync.Mutex
	var offered []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+testKey {
			t.Errorf("the key is sent as %q", got)
		}
		if r.URL.Path != "/api/instances/i1/vnc/ws" {
			t.Errorf("the path is %s", r.URL.Path)
		}
		mu.Lock()
		offered = append(offered, r.Header.Get("Sec-WebSocket-Protocol"))
		mu.Unlock()
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		if before == nil || before(r, ws) {
			_ = s.Serve(&socket{ctx: context.Background(), ws: ws, split: split})
		}
	})
	return c, &offered
}

func TestDesktop(t *testing.T) {
	for _, split := range []int{1 << 20, 5, 1} {
		for _, password := range []string{"", "s3cret"} {
			s := rfbtest.New(160, 96)
			s.Encoding, s.Password = rfbtest.ZRLE, password
			c, _ := offer(t, s, split, nil)
			conn, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{Password: "s3cret"})
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := conn.Snapshot().Image, s.Screen(); string(got.Pix) != string(want.Pix) {
				t.Errorf("split %d, password %q: another picture", split, password)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestDesktopPassword(t *testing.T) {
	s := rfbtest.New(8, 8)
	s.Password = "right"
	c, _ := offer(t, s, 99, nil)
	for password, want := range map[string]string{"": "none is set", "wrong": "wrong password"} {
		_, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{Password: password})
		if e := wantError(t, err); e.Code != CodeDesktopPassword || !strings.Contains(e.Message, want) {
			t.Errorf("%q: got %v", password, e)
		}
	}
}

// A socket that opens and leads to no desktop.
func TestDesktopFails(t *testing.T) {
	closing := func(code int, reason string) func(*http.Request, *websocket.Conn) bool {
		return func(_ *http.Request, ws *websocket.Conn) bool {
			_ = ws.Close(websocket.StatusCode(code), reason)
			return false
		}
	}
	saying := func(kind websocket.MessageType, text string) func(*http.Request, *websocket.Conn) bool {
		return func(r *http.Request, ws *websocket.Conn) bool {
			_ = ws.Write(r.Context(), kind, []byte(text))
			_, _, _ = ws.Reader(context.Background()) // until the client leaves
			return false
		}
	}
	for name, c := range map[string]struct {
		before   func(*http.Request, *websocket.Conn) bool
		status   int
		contains []string
		attempts int
	}{
		"1008":     {closing(1008, "not for you "+testKey), 0, []string{"not for you ***", "close code 1008"}, 2},
		"1011":     {closing(1011, "sandbox is down"), 0, []string{"sandbox is down", "close code 1011"}, 1},
		"4401":     {closing(4401, "bad key"), 401, []string{"bad key", "close code 4401", "HTTP 401"}, 1},
		"4404":     {closing(4404, ""), 404, []string{"close code 4404"}, 1},
		"1000":     {closing(1000, "bye"), 0, []string{"bye", "close code 1000"}, 2},
		"text":     {saying(websocket.MessageText, `{"error":"no_desktop","message":"There is no desktop: `+`"}`), 0, []string{"no_desktop", "There is no desktop"}, 1},
		"text key": {saying(websocket.MessageText, "no "+testKey), 0, []string{"no ***"}, 1},
		"garbage":  {saying(websocket.MessageBinary, "SSH-2.0-OpenSSH_9\r\n"), 0, []string{"does not greet", "SSH-2.0"}, 2},
		"half":     {closing(1001, ""), 0, []string{"close code 1001"}, 2},
		"dropped": {func(_ *http.Request, ws *websocket.Conn) bool {
			_ = ws.Write(context.Background(), websocket.MessageBinary, []byte("RFB 00"))
			_ = ws.CloseNow()
			return false
		}, 0, []string{"hung up", "broke off"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			client, offered := offer(t, rfbtest.New(4, 4), 99, c.before)
			_, err := client.Desktop.Connect(t.Context(), "i1", DesktopOptions{})
			e := wantError(t, err)
			found := false
			for _, part := range c.contains {
				found = found || strings.Contains(e.Error(), part)
				if name != "dropped" && !strings.Contains(e.Error(), part) {
					t.Errorf("%q is not in %v", part, e)
				}
			}
			if !found || e.Status != c.status || strings.Contains(e.Error(), testKey) {
				t.Errorf("got %v", e)
			}
			if len(*offered) != c.attempts {
				t.Errorf("subprotocols offered: %q", *offered)
			}
		})
	}
}

func TestDesktopBinary(t *testing.T) {
	s := rfbtest.New(8, 8)
	s.Password = "pw"
	c, offered := offer(t, s, 99, func(r *http.Request, ws *websocket.Conn) bool {
		if ws.Subprotocol() != "binary" {
			_ = ws.Close(websocket.StatusProtocolError, "binary only")
			return false
		}
		return true
	})
	conn, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	// Once known, it is not guessed again.
	if want := []string{"", "binary", "binary"}; !slices.Equal(*offered, want) {
		t.Errorf("offered %q, want %q", *offered, want)
	}
}

func TestDesktopRefused(t *testing.T) {
	for _, status := range []int{401, 403, 404, 409, 502, 503, 500, 400, 200, 302} {
		calls := 0
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			if status == 302 {
				w.Header().Set("Location", "https://elsewhere.example/x")
			}
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":"slug","message":"because %s"}`, strings.ReplaceAll(strings.ReplaceAll(testKey, `\`, `\\`), `"`, `\"`))
		})
		_, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{})
		e := wantError(t, err)
		if e.Status != status || status >= 400 && !strings.Contains(e.Error(), "because ***") || strings.Contains(e.Error(), testKey) {
			t.Errorf("%d: got %v", status, e)
		}
		if want := map[bool]int{false: 1, true: 2}[status == 400 || status == 200]; calls != want {
			t.Errorf("%d: %d attempts, want %d", status, calls, want)
		}
	}
}

func TestDesktopSilent(t *testing.T) {
	c, offered := offer(t, rfbtest.New(4, 4), 99, func(_ *http.Request, ws *websocket.Conn) bool {
		_, _, _ = ws.Reader(context.Background())
		return false
	})
	_, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{Patience: 20 * time.Millisecond})
	if e := wantError(t, err); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(e.Message, "said nothing within 20ms") || len(*offered) != 2 {
		t.Errorf("got %v after %q", e, *offered)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Desktop.Connect(ctx, "i1", DesktopOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Desktop.Connect(t.Context(), "..", DesktopOptions{}); wantError(t, err).Outcome != OutcomeNotSent {
		t.Errorf("got %v", err)
	}
}

// A connection that breaks later says so as an *Error, too.
func TestDesktopEnds(t *testing.T) {
	drop := make(chan struct{})
	s := rfbtest.New(64, 64)
	c, _ := offer(t, s, 99, func(_ *http.Request, ws *websocket.Conn) bool {
		go func() {
			<-drop
			_ = ws.Close(4404, "the instance is gone")
		}()
		return true
	})
	conn, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(drop)
	<-conn.Done()
	if e := wantError(t, conn.Refresh(t.Context())); e.Status != 404 || !strings.Contains(e.Error(), "the instance is gone") {
		t.Errorf("got %v", e)
	}
	_ = conn.Close()
}

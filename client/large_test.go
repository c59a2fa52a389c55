package client

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// Large answers wait for each other, and a caller that gives up does not take anything.
func TestLargeAnswersShare(t *testing.T) {
	asked := make(chan struct{}, 1)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.WriteString(w, "["+strings.Repeat(" ", 2*smallAnswer)+`{"id":"i1"}]`)
	})
	if err := largeStock.take(t.Context(), largeAnswers); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Instances.List(ctx); done <- err }()
	<-asked
	cancel()
	if err := <-done; err == nil {
		t.Error("an answer was read for which there was no room")
	}
	go func() { _, err := c.Instances.List(t.Context()); done <- err }()
	<-asked
	select {
	case err := <-done:
		t.Errorf("an answer did not wait: %v", err)
	default:
	}
	largeStock.give(largeAnswers)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if largeStock.free != largeAnswers {
		t.Errorf("%d bytes are free, of %d", largeStock.free, largeAnswers)
	}
}

// Small answers need no room of large ones, and come one after the other where there is none for
// them. Those that another client holds up, and short ones, do not wait at all.
func TestSmallAnswersShare(t *testing.T) {
	const size = 1 << 20
	release := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"content":"`+strings.Repeat("x", size))
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/api/instances/slow/files/read" {
			<-release
		}
		_, _ = io.WriteString(w, `"}`)
	}
	short := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"id":"i1"}]`) }
	greedy, other, brief := serve(t, handler), serve(t, handler), serve(t, short)
	const calls = 2 * smallAnswers / size
	done := make(chan error, calls)
	for range calls {
		go func() { _, err := greedy.Files.Read(t.Context(), "slow", "/f", 0); done <- err }()
	}
	for taken := false; !taken; { // until they have all that they may
		runtime.Gosched()
		turnStock.mu.Lock()
		taken = turnStock.free == 0
		turnStock.mu.Unlock()
	}
	if _, err := other.Files.Read(t.Context(), "i1", "/f", 0); err != nil {
		t.Errorf("another client: %v", err)
	}
	if _, err := brief.Instances.List(t.Context()); err != nil {
		t.Errorf("a short answer: %v", err)
	}
	close(release)
	for range calls {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for name, s := range map[string]struct {
		stock *stock
		all   int
	}{"small": {smallStock, smallAnswers}, "turns": {turnStock, smallTurns}, "large": {largeStock, largeAnswers}, "of a client": {greedy.core.small, smallShare}} {
		if s.stock.free != s.all {
			t.Errorf("%s: %d are free, of %d", name, s.stock.free, s.all)
		}
	}
}

// What comes over HTTP/2 before somebody reads it is bounded, too: the client tells the service.
func TestUnreadAnswers(t *testing.T) {
	settled := make(chan uint32, 1)
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
		defer func() { _ = conn.Close() }()
		_, _ = io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface)))
		f, err := http2.NewFramer(conn, conn).ReadFrame()
		if s, ok := f.(*http2.SettingsFrame); ok {
			size, _ := s.Value(http2.SettingInitialWindowSize)
			settled <- size
			return
		}
		t.Errorf("the connection begins with %v, %v", f, err)
		settled <- 0
	}}
	srv.StartTLS()
	defer srv.Close()
	tr := NewTransport()
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	c, err := New(&http.Client{Transport: tr}, srv.URL, "key", WithRetry(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Instances.List(t.Context()); err == nil {
		t.Error("there was an answer")
	}
	if size := <-settled; size != maxUnread {
		t.Errorf("%d bytes of each answer may be unread, want %d", size, maxUnread)
	}
}

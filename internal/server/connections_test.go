package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Connections that send no whole request push each other out, whatever is missing of it, and
// nothing else: not what is being served, nor who comes from the same address and does not dawdle.
func TestConnectionsThatWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	release := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drop" {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		_, _ = io.Copy(w, r.Body)
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/long" {
			<-release
			_, _ = io.WriteString(w, " and bye")
		}
	}))
	const waiting = 4
	boundConnections(srv.Config, 16, waiting, waiting)
	srv.Start()
	defer srv.Close()
	post := func(path string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+path, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
		if err != nil {
			t.Fatalf("a good client: %v", err)
		}
		return res
	}
	long := post("/long")
	defer func() { _ = long.Body.Close() }()
	for name, sent := range map[string]string{
		"nothing": "", "half a header": "POST /drop HTTP/1.1\r\nHost: x\r\nA: ", "no body": "POST /drop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
		"no second request": "GET /drop HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		var all []net.Conn
		for range 3 * waiting {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(conn, sent)
			all = append(all, conn)
			if name == "no second request" {
				if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
					t.Errorf("%s: %q, %v", name, line, err)
				}
			}
		}
		// Which ones are pushed out depends on whose bytes the server reads first.
		gone := make(chan struct{}, len(all))
		for _, conn := range all {
			go func() {
				if _, err := io.Copy(io.Discard, conn); err == nil || !strings.Contains(err.Error(), "timeout") {
					gone <- struct{}{}
				}
			}()
		}
		for n := range 2 * waiting {
			select {
			case <-gone:
			case <-ctx.Done():
				t.Fatalf("%s: only %d connections of %d were pushed out", name, n, len(all))
			}
		}
		res := post("/")
		if b, err := io.ReadAll(res.Body); string(b) != "hello" {
			t.Errorf("%s: a good client got %q, %v", name, b, err)
		}
		_ = res.Body.Close()
	}
	close(release)
	if b, err := io.ReadAll(long.Body); string(b) != "hello and bye" {
		t.Errorf("what was being served: %q, %v", b, err)
	}
}

// Where everything is being served, one connection too many is closed, until another one has gone.
func TestConnectionsInAll(t *testing.T) {
	t.Parallel()
	const most = 4
	begun, release := make(chan struct{}, most), make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-release
	}))
	boundConnections(srv.Config, most, 100, 100)
	srv.Start()
	defer srv.Close()
	get := func() error {
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(srv.URL)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	done := make(chan error, most)
	for range most {
		go func() { done <- get() }()
		<-begun
	}
	if get() == nil {
		t.Error("one connection too many was served")
	}
	close(release)
	for range most {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for end := time.Now().Add(20 * time.Second); get() != nil; {
		if time.Now().After(end) {
			t.Fatal("nobody is served any more")
		}
	}
}

//go:build e2e

package hostile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// shortLines are headers that just fit, and take as much memory as they can.
func shortLines(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "a%d:\r\n", i)
	}
	return b.String()
}

// Connections whose requests never come whole take little memory and few descriptors, from one
// address and in whatever state they are left. Good clients are served meanwhile, from the same
// address: it may be that of a proxy. 4,000 of them once took as many descriptors, and 1 GB.
func TestFloodOfConnections(t *testing.T) {
	const flood = 4000
	for name, request := range map[string]string{
		"headers": "POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + shortLines(15<<10),
		"body":    "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nAuthorization: Bearer " + tokenOf("mallory") + "\r\n" + shortLines(14<<10) + "\r\n{",
		"idle":    "GET /mcp HTTP/1.1\r\nHost: localhost\r\n" + shortLines(14<<10) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serveTwo(t, instances(anyKey))
			alice := named(t, s, "alice")
			served := func() {
				t.Helper()
				if status, text := alice.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
					t.Errorf("a good client: %d, %.300s", status, text)
				}
				alice.http.CloseIdleConnections() // and comes again
			}
			before := s.descriptors(t)
			end, what := alice.listen(t, "openclaw://instances")
			if end == nil {
				t.Fatal(what)
			}
			defer end()
			var mu sync.Mutex
			var open []net.Conn
			defer func() {
				for _, conn := range open {
					_ = conn.Close()
				}
			}()
			for range flood / 500 {
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						for range 50 {
							conn, err := net.Dial("tcp", address(s.url))
							if err != nil {
								t.Error(err)
								return
							}
							_, _ = io.WriteString(conn, request) // it may be pushed out meanwhile
							mu.Lock()
							open = append(open, conn)
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				served()
			}
			t.Logf("%d MiB, %d descriptors", s.memory(t), s.descriptors(t)-before)
			if m := s.memory(t); m > 300 {
				t.Errorf("it took %d MiB", m)
			}
			if n := s.descriptors(t) - before; n > 2600 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
}

// The headers of what is being served share a bounded room: 2,000 streams with as many headers as
// fit once took 400 MiB. Beyond that, a request with such headers is refused, and others are not.
func TestFloodOfHeaders(t *testing.T) {
	s := serveTwo(t, instances(anyKey))
	alice, mallory := named(t, s, "alice"), named(t, s, "mallory")
	for i := range 1500 {
		mallory.header.Set(fmt.Sprint("A", i), "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := request(t, modern, "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{"openclaw://instances"}}})
	var mu sync.Mutex
	open, refused := 0, 0
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 200 {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header = headers(modern, "subscriptions/listen", "")
				maps.Copy(r.Header, mallory.header)
				res, err := mallory.http.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if res.StatusCode == http.StatusOK {
					open++
					mu.Unlock()
					continue // its body stays open
				}
				refused++
				mu.Unlock()
				if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(b, []byte("memory")) {
					t.Errorf("status %d, %.300s", res.StatusCode, b)
				}
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	t.Logf("%d streams are open, %d were refused, %d MiB", open, refused, s.memory(t))
	if m := s.memory(t); m > 200 {
		t.Errorf("it took %d MiB", m)
	}
	if status, text := alice.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
		t.Errorf("another caller: %d, %.300s", status, text)
	}
	if status, text := named(t, s, "mallory").call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
		t.Errorf("the same caller, with few headers: %d, %.300s", status, text)
	}
}

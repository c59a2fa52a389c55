//go:build e2e

package hostile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Invented keys lock nobody out, neither who is known nor a newcomer with a good key.
// 1,000 of them once did, for ten minutes.
func TestInventedKeys(t *testing.T) {
	t.Parallel()
	s := serve(t, "OPENCLAW_API_BASE_URL="+service(t, instances(func(key string) bool { return strings.HasPrefix(key, "good") })),
		"OPENCLAW_MCP_AUTH=key")
	known := newCaller(t, s.url, "X-Openclaw-Api-Key", "good-known")
	served := func(who string, c *caller) {
		t.Helper()
		if status, text := c.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
			t.Errorf("%s: status %d, %s", who, status, text)
		}
	}
	served("a known caller", known)
	session := known.initialize(t)
	before := s.descriptors(t)
	const invented = 1500
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := worker; i < invented; i += 16 {
				c := newCaller(t, s.url, "X-Openclaw-Api-Key", fmt.Sprint("invented-", i))
				c.http = known.http
				if status, text := c.call(t, "list_instances", nil); status != 200 || strings.Contains(text, "i1") {
					t.Errorf("an invented key: status %d, %s", status, text)
				}
				c.initialize(t)
				if i%100 == 0 {
					served("a newcomer in the crowd", newCaller(t, s.url, "X-Openclaw-Api-Key", fmt.Sprint("good-", i)))
				}
			}
		})
	}
	wg.Wait()
	served("a known caller, after the crowd", known)
	served("a newcomer, after the crowd", newCaller(t, s.url, "X-Openclaw-Api-Key", "good-new"))
	h := headers(legacy, "", "")
	h.Set("Mcp-Session-Id", session)
	if status, text, _ := known.answer(t, http.MethodPost, h, request(t, legacy, "tools/list", nil)); status != 200 {
		t.Errorf("the session of a known caller: status %d, %s", status, text)
	}
	known.http.CloseIdleConnections()
	eventually(t, "few descriptors are open", func() bool { return s.descriptors(t) <= before+40 })
}

// Nothing is left of callers with an invented key, whatever they began: the memory of
// many is that of few. Each of them once left some 15 KiB for ever.
func TestInventedKeysLeaveNothing(t *testing.T) {
	s := serve(t, "OPENCLAW_API_BASE_URL="+service(t, instances(func(string) bool { return false })), "OPENCLAW_MCP_AUTH=key")
	known := newCaller(t, s.url)
	crowd := func(from, to int) int {
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := from + worker; i < to; i += 8 {
					c := newCaller(t, s.url, "X-Openclaw-Api-Key", fmt.Sprint("invented-", i))
					c.http = known.http
					switch i % 4 {
					case 0:
						c.call(t, "list_runs", nil)
					case 1:
						c.call(t, "exec_command", params{"instance": "i1", "command": "true"})
					case 2:
						c.call(t, "send_chat_message", params{"instance": "i1", "message": "hello"})
					case 3:
						c.call(t, "take_screenshot", params{"instance": "i1"})
					}
				}
			})
		}
		wg.Wait()
		return s.memory(t)
	}
	few := crowd(0, 1500)
	many := crowd(1500, 8000)
	t.Logf("%d MiB after 1500 callers, %d after 8000", few, many)
	if many > few+few/2 {
		t.Errorf("%d MiB after 1500 callers, %d after 8000", few, many)
	}
}

// What a caller has open ends soon after its token is revoked: its streams, what it
// listens to, and the run that is followed with its key. Another caller's goes on.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	testRevoked(t, serveRevocable, func(name string) []string { return []string{"Authorization", "Bearer " + tokenOf(name)} })
}

// The like where callers bring their own keys, and the service takes one no more. It says
// so when it is next asked.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	header := func(name string) []string { return []string{"X-Openclaw-Api-Key", "key-of-" + name} }
	testRevoked(t, func(t testing.TB, handler http.HandlerFunc) revocable {
		var refused sync.Map
		s := serve(t, "OPENCLAW_MCP_AUTH=key", "OPENCLAW_MCP_SOFT_DEADLINE=1s", "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
			if _, no := refused.Load(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); no {
				instances(func(string) bool { return false })(w, r)
				return
			}
			handler(w, r)
		}))
		return revocable{s, func(name string) {
			refused.Store("key-of-"+name, true)
			if _, text := newCaller(t, s.url, header(name)...).call(t, "list_instances", nil); !strings.Contains(text, "no such key") {
				t.Errorf("the service refused a key: %s", text)
			}
		}}
	}, header)
}

func testRevoked(t *testing.T, serve func(testing.TB, http.HandlerFunc) revocable, header func(name string) []string) {
	var mu sync.Mutex
	followed := make(map[string]context.Context) // streams of replies, by the caller's key
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case strings.HasSuffix(r.URL.Path, "/chat/stream"):
			mu.Lock()
			followed[key] = r.Context()
			mu.Unlock()
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"type\":\"delta\",\"text\":\"words \"}\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case strings.Contains(r.URL.Path, "/chat/"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages":[],"sessions":[],"events":[],"session":{"id":"main"},"id":"main"}`)
		default:
			instances(anyKey)(w, r)
		}
	})
	var streams sync.Map
	open := func(name string) *caller {
		c := newCaller(t, s.url, header(name)...)
		stream := func(what, method string, h http.Header, body []byte) {
			res, err := c.do(method, h, bytes.NewReader(body))
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%s: %v, %v", what, res, err)
			}
			if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
				t.Fatalf("%s does not begin: %v", what, err)
			}
			ended := make(chan struct{})
			streams.Store(name+": "+what, ended)
			t.Cleanup(func() { _ = res.Body.Close(); <-ended })
			go func() {
				_, _ = io.Copy(io.Discard, res.Body)
				close(ended)
			}()
		}
		session := c.initialize(t)
		h := headers(legacy, "", "")
		h.Set("Mcp-Session-Id", session)
		stream("GET", http.MethodGet, h, nil)
		stream("listen", http.MethodPost, headers(modern, "subscriptions/listen", ""), request(t, modern, "subscriptions/listen", params{
			"notifications": params{"resourceSubscriptions": []string{"openclaw://instances/i1/sessions/main/messages"}}}))
		if status, text := c.call(t, "send_chat_message", params{"instance": "i1", "message": "hello"}); status != 200 || !strings.Contains(text, "running") {
			t.Fatalf("a chat that goes on: %d, %s", status, text)
		}
		return c
	}
	open("alice")
	open("bob")
	s.revoke("alice")
	over := func(what string) bool {
		ended, _ := streams.Load(what)
		select {
		case <-ended.(chan struct{}):
			return true
		default:
			return false
		}
	}
	for _, what := range []string{"alice: GET", "alice: listen"} {
		eventually(t, what+" ends", func() bool { return over(what) })
	}
	mu.Lock()
	alice, bob := followed["key-of-alice"], followed["key-of-bob"]
	mu.Unlock()
	if alice == nil || bob == nil {
		t.Fatal("no reply is followed")
	}
	eventually(t, "alice's run is not followed any more", func() bool { return alice.Err() != nil })
	if over("bob: GET") || over("bob: listen") || bob.Err() != nil {
		t.Error("what bob has open ended, too")
	}
}

func tokenOf(name string) string { return name + "-0123456789abcdef" }

// revocable is a server with a token and a key for alice and for bob.
type revocable struct {
	*server
	revoke func(name string)
}

func serveRevocable(t testing.TB, handler http.HandlerFunc) revocable {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	write := func(names ...string) {
		var b strings.Builder
		for _, name := range names {
			fmt.Fprintf(&b, "%s:%s:key-of-%[1]s\n", name, tokenOf(name))
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice", "bob")
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, handler),
		"OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS_FILE="+file, "OPENCLAW_MCP_SOFT_DEADLINE=1s")
	return revocable{s, func(name string) {
		rest := []string{"alice", "bob"}
		if rest[0] == name {
			write(rest[1])
		} else {
			write(rest[0])
		}
	}}
}

//go:build e2e

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// serveTwo serves alice and mallory, who share the server's key.
func serveTwo(t testing.TB, up http.HandlerFunc, env ...string) *server {
	t.Helper()
	return serve(t, append(env, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, up), "OPENCLAW_MCP_AUTH=token",
		"OPENCLAW_MCP_TOKENS=alice:"+tokenOf("alice")+",mallory:"+tokenOf("mallory"))...)
}

func named(t testing.TB, s *server, name string) *caller {
	return newCaller(t, s.url, "Authorization", "Bearer "+tokenOf(name))
}

// patient is a service whose agent answers each message once it may: a message that ends
// in an exclamation mark at once, and the others when release is closed.
type patient struct {
	release chan struct{}
	open    atomic.Int64 // messages without an answer
}

func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch at := strings.TrimPrefix(r.URL.Path, "/api/instances/i1"); at {
	case "/chat/stream":
		var body struct{ Message string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": open\n\n")
		_ = http.NewResponseController(w).Flush()
		if !strings.HasSuffix(body.Message, "!") {
			p.open.Add(1)
			defer p.open.Add(-1)
			select {
			case <-p.release:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = fmt.Fprintf(w, "event: delta\ndata: {\"delta\":%q}\n\nevent: done\ndata: {}\n\n", "answer to "+body.Message[:min(20, len(body.Message))])
	case "/chat/messages", "/chat/sessions":
		_, _ = io.WriteString(w, "[]")
	default:
		instances(anyKey)(w, r)
	}
}

// runOf is the handle of a run in an answer.
func runOf(answer string) string {
	_, rest, _ := strings.Cut(answer, "run_")
	end := strings.IndexFunc(rest, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		return ""
	}
	return "run_" + rest[:end]
}

func message(text, session string) params {
	return params{"instance": "i1", "session": session, "message": text, "wait_seconds": 0, "if_busy": "send"}
}

// One caller has only so many replies under way. Beyond that it is told so, nothing that
// is under way is lost, and another caller notices nothing. 3,000 messages once were
// 3,000 streams.
func TestFloodOfRuns(t *testing.T) {
	t.Parallel()
	const limit, flood = 20, 200
	up := &patient{release: make(chan struct{})}
	s := serveTwo(t, up.ServeHTTP, fmt.Sprint("OPENCLAW_MCP_RUNS=", limit))
	alice, mallory := named(t, s, "alice"), named(t, s, "mallory")
	if _, text := alice.call(t, "send_chat_message", message("hello!", "a")); !strings.Contains(text, "run_") {
		t.Fatalf("the first message: %s", text)
	}
	before := s.descriptors(t)
	var mu sync.Mutex
	var begun []string
	var wg sync.WaitGroup
	for worker := range 10 {
		wg.Go(func() {
			for i := range flood / 10 {
				_, text := mallory.call(t, "send_chat_message", message(fmt.Sprint("message ", worker, " ", i), fmt.Sprint("s", worker)))
				switch run := runOf(text); {
				case run != "":
					mu.Lock()
					begun = append(begun, run)
					mu.Unlock()
				case !strings.Contains(text, fmt.Sprintf("too many runs are under way: %d", limit)) || !strings.Contains(text, "nothing was begun"):
					t.Errorf("beyond the limit: %s", text)
				}
			}
		})
	}
	wg.Wait()
	if len(begun) != limit {
		t.Fatalf("%d runs were begun, and %d are allowed", len(begun), limit)
	}
	eventually(t, "each has its stream", func() bool { return up.open.Load() == limit })
	if _, text := alice.call(t, "send_chat_message", params{"instance": "i1", "session": "a", "message": "and now!"}); !strings.Contains(text, "answer to and now!") {
		t.Errorf("another caller: %s", text)
	}
	if _, text := mallory.call(t, "cancel_run", params{"run": begun[0]}); !strings.Contains(text, "cancelled") {
		t.Errorf("a cancel at the limit: %s", text)
	}
	_, text := mallory.call(t, "send_chat_message", message("one more", "s0"))
	if runOf(text) == "" {
		t.Errorf("one was cancelled, and no other could be begun: %s", text)
	}
	close(up.release)
	for _, run := range begun[1:] {
		if _, text := mallory.call(t, "wait_run", params{"runs": []string{run}}); !strings.Contains(text, "answer to message") {
			t.Errorf("a run that was under way: %s", text)
		}
	}
	mallory.http.CloseIdleConnections()
	// Connections to the service are kept for a while.
	eventually(t, "few descriptors are open", func() bool { return s.descriptors(t) <= before+limit+20 })
}

// Long messages that wait are bounded together. They once took all memory there was.
func TestFloodOfLongMessages(t *testing.T) {
	up := &patient{release: make(chan struct{})}
	s := serveTwo(t, up.ServeHTTP)
	mallory := named(t, s, "mallory")
	long := strings.Repeat("words ", 6_000_000) // 34 MiB
	begun := 0
	var refusal string
	for i := range 12 {
		_, text := mallory.call(t, "send_chat_message", params{"instance": "i1", "session": "s", "message": fmt.Sprint(i, long), "wait_seconds": 0})
		if runOf(text) != "" {
			begun++
		} else {
			refusal = text
		}
	}
	t.Logf("%d were begun, %d MiB; %s", begun, s.memory(t), refusal)
	if begun < 1 || begun > 4 || !strings.Contains(refusal, "take as much memory as they may") {
		t.Errorf("%d of 12 long messages were taken; %s", begun, refusal)
	}
	if _, text := named(t, s, "alice").call(t, "send_chat_message", params{"instance": "i1", "session": "a", "message": "hello!"}); !strings.Contains(text, "answer to hello!") {
		t.Errorf("another caller: %s", text)
	}
	close(up.release)
}

// listening is a listen stream that is open; what is the answer where it is not.
func (c *caller) listen(t testing.TB, uris ...string) (end func(), what string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(request(t, modern, "subscriptions/listen", params{
		"notifications": params{"resourceSubscriptions": uris}})))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = headers(modern, "subscriptions/listen", "")
	maps.Copy(r.Header, c.header)
	res, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	end = func() { cancel(); _ = res.Body.Close() }
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		b, _ := io.ReadAll(res.Body)
		end()
		return nil, string(b)
	}
	var first [4096]byte
	n, err := res.Body.Read(first[:])
	for err == nil && !bytes.Contains(first[:n], []byte("acknowledged")) && n < len(first) {
		var more int
		more, err = res.Body.Read(first[n:])
		n += more
	}
	if err != nil && !errors.Is(err, io.EOF) || !bytes.Contains(first[:n], []byte("acknowledged")) {
		end()
		return nil, fmt.Sprintf("%s (%v)", first[:n], err)
	}
	return end, ""
}

// Streams that one caller listens to are bounded, leave nothing behind, and take nothing
// from another one.
func TestFloodOfListens(t *testing.T) {
	const limit = 300
	s := serveTwo(t, instances(anyKey), fmt.Sprint("OPENCLAW_MCP_CONCURRENCY=", limit))
	alice, mallory := named(t, s, "alice"), named(t, s, "mallory")
	before := s.descriptors(t)
	var memory []int
	for range 3 {
		var ends []func()
		refused := 0
		for range limit + 20 {
			switch end, what := mallory.listen(t, "openclaw://instances"); {
			case end != nil:
				ends = append(ends, end)
			case strings.Contains(what, "too many requests"):
				refused++
			default:
				t.Fatalf("a listen stream: %s", what)
			}
		}
		if len(ends) != limit || refused != 20 {
			t.Errorf("%d streams are open, %d were refused", len(ends), refused)
		}
		if end, what := alice.listen(t, "openclaw://instances"); end == nil {
			t.Errorf("another caller's stream: %s", what)
		} else {
			end()
		}
		memory = append(memory, s.memory(t))
		for _, end := range ends {
			end()
		}
		mallory.http.CloseIdleConnections()
		eventually(t, "the streams are closed", func() bool { return s.descriptors(t) <= before+8 })
	}
	t.Logf("%v MiB", memory)
	// Calls whose connection was lost can be cancelled for some seconds yet.
	if memory[2] > memory[0]+memory[0]/2 {
		t.Errorf("it took %v MiB, more each time", memory)
	}
}

// files names n files of an instance.
func files(from, n int) (uris []string) {
	for i := range n {
		uris = append(uris, fmt.Sprint("openclaw://instances/i1/files/f", from+i))
	}
	return uris
}

// What one caller watches is bounded: in one session, in all of them, and what the service
// is asked about for it. Another caller's goes on, and what is given back can be used again.
func TestFloodOfSubscriptions(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := serveTwo(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/files") {
			asked.Add(1)
			_, _ = io.WriteString(w, "[]")
			return
		}
		instances(anyKey)(w, r)
	})
	alice, mallory := named(t, s, "alice"), named(t, s, "mallory")
	before := s.descriptors(t)
	var ends []func()
	open := func(uris []string, want string) {
		t.Helper()
		end, what := mallory.listen(t, uris...)
		if want == "" && end == nil || want != "" && !strings.Contains(what, want) {
			t.Errorf("want %q, got %.300s", want, what)
		}
		if end != nil {
			ends = append(ends, end)
		}
	}
	open(files(0, 1001), "1000 subscriptions are open already")
	open(files(0, 1000), "")
	open(files(1000, 1), "1000 resources are watched for this caller, which is the limit")
	for range 4 {
		open(files(0, 1000), "")
	}
	open(files(0, 1), "5000 resources and tasks are watched in all sessions and streams of this caller")
	if end, what := alice.listen(t, files(5000, 10)...); end == nil {
		t.Errorf("another caller: %s", what)
	} else {
		end()
	}
	session := mallory.initialize(t)
	subscribe := func(uri string) string {
		h := headers(legacy, "", "")
		h.Set("Mcp-Session-Id", session)
		_, text, _ := mallory.answer(t, http.MethodPost, h, request(t, legacy, "resources/subscribe", params{"uri": uri}))
		return text
	}
	if text := subscribe(files(0, 1)[0]); !strings.Contains(text, "5000 resources and tasks") {
		t.Errorf("a session beside the streams: %s", text)
	}
	for _, end := range ends {
		end()
	}
	mallory.http.CloseIdleConnections()
	eventually(t, "the streams are closed", func() bool { return s.descriptors(t) <= before+8 })
	eventually(t, "a session may watch again", func() bool { return strings.Contains(subscribe(files(0, 1)[0]), `"result"`) })
	if m := s.memory(t); m > 300 {
		t.Errorf("it took %d MiB", m)
	}
	t.Logf("%d MiB, and %d questions", s.memory(t), asked.Load())
}

// What clients say of themselves is not kept: 1,200 sessions, each of whose
// initialize is as large as it may be, once took 1.6 GB.
func TestFloodOfLargeSessions(t *testing.T) {
	s := serveTwo(t, instances(anyKey))
	mallory := named(t, s, "mallory")
	fat := "[" + strings.Repeat("[],", 20_000) + "[]]"
	text := strings.Repeat("x", 60_000)
	for _, said := range []string{
		`"capabilities":{"experimental":{"a":` + fat + `}},"clientInfo":{"name":"m","version":"1"}`,
		`"capabilities":{"extensions":{"a":{"b":` + fat + `}}},"clientInfo":{"name":"m","version":"1"}`,
		`"capabilities":{"extensions":{"` + text + `":{}}},"clientInfo":{"name":"m","version":"1"}`,
		`"capabilities":{},"clientInfo":{"name":"` + text + `","version":"1"}`,
	} {
		body := []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + legacy + `",` + said + `}}`)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 75 {
					if status, text, _ := mallory.answer(t, http.MethodPost, headers("", "", ""), body); status != http.StatusOK {
						t.Errorf("status %d, %.300s", status, text)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	t.Logf("%d MiB", s.memory(t))
	if m := s.memory(t); m > 250 {
		t.Errorf("it took %d MiB", m)
	}
}

// A subscription keeps nothing of the request that made it: 2,000 with large headers once
// took 220 MB.
func TestSubscriptionsKeepNoRequests(t *testing.T) {
	s := serveTwo(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/files") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "[]")
			return
		}
		instances(anyKey)(w, r)
	})
	mallory := named(t, s, "mallory")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			h := headers(legacy, "", "")
			h.Set("Mcp-Session-Id", mallory.initialize(t))
			h.Set("X-Fill", strings.Repeat("x", 12_000))
			for _, uri := range files(0, 500) {
				if status, text, _ := mallory.answer(t, http.MethodPost, h, request(t, legacy, "resources/subscribe", params{"uri": uri})); status != 200 || !strings.Contains(text, `"result"`) {
					t.Errorf("status %d, %.300s", status, text)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d MiB", s.memory(t))
	if m := s.memory(t); m > 120 {
		t.Errorf("it took %d MiB", m)
	}
}

// A request's headers have room for what is needed, and not for more: nobody knows who they are
// from before they have all come, and short lines take much more in memory.
func TestLongHeaders(t *testing.T) {
	s := serveTwo(t, instances(anyKey))
	c := named(t, s, "alice")
	for size, want := range map[int]int{12 << 10: 200, 24 << 10: 431, 60 << 10: 431} {
		h := headers(legacy, "", "")
		h.Set("Authorization", "Bearer "+tokenOf("alice"))
		for i := range size / 1024 {
			h.Add("Cookie", fmt.Sprint(i, "=", strings.Repeat("x", 1000)))
		}
		if status, text, _ := c.answer(t, http.MethodPost, h, request(t, legacy, "initialize", params{"protocolVersion": legacy, "capabilities": params{}, "clientInfo": params{"name": "t", "version": "1"}})); status != want {
			t.Errorf("headers of %d bytes: %d, %.200s", size, status, text)
		}
	}
}

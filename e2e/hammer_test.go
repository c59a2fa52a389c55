//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

var hammerRequests = flag.Int("hammer", 6000, "requests of TestHammer")

// Two callers hammer one server, in both eras, with equal request ids, each
// other's session, crossed cancels and GETs without a session: not one byte of
// the other's arrives.
func TestHammer(t *testing.T) {
	up := newUpstream(t, emulatortest.Options{Keys: []string{"sk_live_second"}})
	second, err := up.AddInstance("sk_live_second")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("alice:"+aliceToken+":"+up.key+"\nbob:"+bobToken+":sk_live_second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, url := launchHTTP(t, []string{"OPENCLAW_API_KEY=unused", "OPENCLAW_API_BASE_URL=" + up.url, "OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS_FILE=" + file})
	own := map[string]string{"alice": up.instance, "bob": second}
	token := map[string]string{"alice": aliceToken, "bob": bobToken}
	other := map[string]string{"alice": "bob", "bob": "alice"}
	sessions, handles := map[string]string{}, map[string]string{}
	for name := range own {
		s := callerOf(t, p, url, legacy, bearer(token[name]))
		sessions[name] = s.wire.(*httpWire).session
		handles[name] = s.ok(t, "exec_command", params{"command": "echo " + name + " owns this; sleep 600", "background": true}).str("run")
		defer s.call(t, "cancel_run", params{"run": handles[name]})
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	var done, leaked atomic.Int64
	var wg sync.WaitGroup
	statuses := make([]atomic.Int64, 600)
	for worker := range 16 {
		name := []string{"alice", "bob"}[worker%2]
		foe := other[name]
		w := &httpWire{url: url, http: &http.Client{Transport: tr}, always: bearer(token[name])}
		wg.Go(func() {
			for i := 0; done.Add(1) <= int64(*hammerRequests); i++ {
				era := []string{legacy, modern}[i/2%2]
				req := httpWire{version: era, url: w.url, http: w.http, always: w.always}
				method, session, id := http.MethodPost, "", fmt.Sprint(i%3)
				if era == legacy {
					session = sessions[name]
					id = fmt.Sprintf(`"%d-%d"`, worker, i)
				}
				body := encodeRequest(t, era, id, "tools/call", params{"name": "list_instances", "arguments": params{}, "_meta": params{"progressToken": 1}})
				header := params{}
				switch i % 8 {
				case 1:
					body = encodeRequest(t, era, id, "tools/call", params{"name": "wait_run", "arguments": params{"runs": []string{handles[foe]}, "wait_seconds": 0}})
				case 2: // the other's session
					if era == legacy {
						session = sessions[foe]
					}
				case 3: // a crossed cancel
					body = encodeRequest(t, era, "", "notifications/cancelled", params{"requestId": i % 3})
					if era == legacy {
						session = sessions[foe]
					}
				case 4: // a stream of nobody, or of the other
					era, method, body = legacy, http.MethodGet, nil
					req.version = legacy
					session = []string{"", sessions[foe], "mcp_" + strings.Repeat("A", 64)}[i/8%3]
					header["Accept"] = "text/event-stream"
					header["Last-Event-ID"] = fmt.Sprintf("%d-1", i%5+1)
				case 5:
					body = encodeRequest(t, era, id, "resources/read", params{"uri": "openclaw://instances/" + own[foe]})
				}
				req.session = session
				res := req.do(t, t.Context(), method, body, header)
				got, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode > 0 {
					statuses[res.StatusCode].Add(1)
				}
				text := strings.ReplaceAll(string(got), "openclaw://instances/"+own[foe], "") // it named that itself
				if strings.Contains(text, own[foe]) || strings.Contains(text, foe+" owns this") {
					leaked.Add(1)
					t.Errorf("%s got something of %s: status %d, %s", name, foe, res.StatusCode, shorten(string(got), 400))
				}
			}
		})
	}
	wg.Wait()
	var summary []string
	for code := range statuses {
		if n := statuses[code].Load(); n > 0 {
			summary = append(summary, fmt.Sprintf("%d: %d", code, n))
		}
	}
	t.Logf("%d requests, %d leaks; statuses %s", *hammerRequests, leaked.Load(), strings.Join(summary, ", "))
	if statuses[200].Load() == 0 || statuses[404].Load() == 0 || statuses[500].Load() > 0 {
		t.Errorf("statuses are %v", summary)
	}
}

// Many open streams and many chats at once, with a reader among them that reads
// nothing: all others get every word.
func TestManyStreams(t *testing.T) {
	streams, chats := 400, 40
	if fullLoad() {
		streams, chats = 2000, 200
	}
	words := make([]string, 40)
	for i := range words {
		words[i] = fmt.Sprintf("word%d ", i)
	}
	up := newUpstream(t, emulatortest.Options{Agent: emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for _, w := range words {
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: w}); err != nil {
				return err
			}
		}
		return nil
	})})
	p, url := launchHTTP(t, up.env("OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS=alice:"+aliceToken+",bob:"+bobToken))
	tr := &http.Transport{MaxIdleConnsPerHost: 1024}
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := callerOf(t, p, url, legacy, bearer(aliceToken))
	session := s.wire.(*httpWire).session
	var open atomic.Int64
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			w := &httpWire{version: legacy, url: url, session: session, http: &http.Client{Transport: tr}, always: bearer(aliceToken)}
			res := w.do(t, ctx, http.MethodGet, nil, params{"Accept": "text/event-stream", "Content-Type": ""})
			defer res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("a stream: status %d", res.StatusCode)
				return
			}
			r := bufio.NewReader(res.Body)
			if _, err := r.ReadString('\n'); err == nil {
				open.Add(1)
			}
			for {
				if _, err := r.ReadString('\n'); err != nil {
					return
				}
			}
		})
	}
	eventually(t, "all streams are open", func() bool { return open.Load() == int64(streams) })
	// Somebody who asks much and reads nothing.
	slow, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	ask := encodeRequest(t, modern, "1", "tools/list", nil)
	request := fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Protocol-Version: %s\r\nMcp-Method: tools/list\r\nContent-Length: %d\r\n\r\n%s", bobToken, modern, len(ask), ask)
	_ = slow.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for {
		if _, err := slow.Write([]byte(request)); err != nil {
			if ne := net.Error(nil); !errors.As(err, &ne) || !ne.Timeout() {
				t.Fatal(err)
			}
			break // the server has stopped reading what nobody takes the answers of
		}
	}
	began := time.Now()
	var talks sync.WaitGroup
	for i := range chats {
		talks.Go(func() {
			era := []string{legacy, modern}[i%2]
			who := callerOf(t, p, url, era, bearer(aliceToken))
			c := who.begin(t, "send_chat_message", params{"message": fmt.Sprintf("talk %d", i), "session": who.ok(t, "create_chat_session", nil).str("session")})
			r := c.result(t)
			if want := strings.TrimSpace(strings.Join(words, "")); strings.TrimSpace(r.str("reply")) != want {
				t.Errorf("chat %d answers %q", i, r.Text)
			}
			if got := r.streamed(); !strings.Contains(got, strings.TrimSpace(strings.Join(words, ""))) {
				t.Errorf("chat %d streamed %q", i, got)
			}
		})
	}
	talks.Wait()
	t.Logf("%d chats beside %d streams and a slow reader took %s", chats, streams, time.Since(began).Round(time.Millisecond))
	cancel()
	wg.Wait()
}

// fullLoad reports whether the test was asked for at its full size.
func fullLoad() bool { return *hammerRequests > 100_000 }

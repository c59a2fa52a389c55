//go:build e2e && linux

package hostile

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	soak  = flag.Duration("soak", 20*time.Second, "how long TestSoak lasts; 10m is the real one")
	slack = flag.Duration("slack", time.Second, "what the p99 of the honest callers may have beyond twice the quiet one")
)

// All attackers at once beside two honest callers, whose calls stay quick; memory
// stays bounded, and no descriptor is left over.
func TestSoak(t *testing.T) {
	var revoked sync.Map
	var reboots, commands, confirmations atomic.Int64
	known := instances(func(key string) bool {
		_, gone := revoked.Load(key)
		return !gone && strings.HasPrefix(key, "good")
	})
	upstream := service(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.Header.Get("Authorization"), "-of-the-service"):
			large(w, r)
			return
		case strings.HasSuffix(r.URL.Path, "/reboot"):
			reboots.Add(1)
		case strings.HasSuffix(r.URL.Path, "/terminal/exec"):
			commands.Add(1)
		default:
			known(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	// The attackers compute on this machine, too, and so may others: what a call takes
	// meanwhile is measured at a server beside it that nobody attacks.
	var servers [2]*server
	for i := range servers {
		servers[i] = serve(t, "OPENCLAW_API_BASE_URL="+upstream, "OPENCLAW_MCP_AUTH=key", "OPENCLAW_MCP_CONFIRM=ask")
	}
	s := servers[0]
	p99 := func(end time.Time) (p99s [len(servers)]time.Duration) {
		var mu sync.Mutex
		var took [len(servers)][]time.Duration
		var wg sync.WaitGroup
		for i, s := range servers {
			for _, key := range []string{"good-alice", "good-bob"} {
				c := newCaller(t, s.url, "X-Openclaw-Api-Key", key)
				wg.Go(func() {
					for time.Now().Before(end) {
						began := time.Now()
						status, text := c.call(t, "list_instances", nil)
						if status != 200 || !strings.Contains(text, "i1") {
							t.Errorf("an honest caller: status %d, %s", status, text)
						}
						mu.Lock()
						took[i] = append(took[i], time.Since(began))
						mu.Unlock()
						time.Sleep(10 * time.Millisecond) // the pace of a caller
					}
					c.http.CloseIdleConnections()
				})
			}
		}
		wg.Wait()
		for i := range took {
			slices.Sort(took[i])
			if len(took[i]) == 0 {
				t.Fatal("no honest call was made")
			}
			p99s[i] = took[i][len(took[i])*99/100]
		}
		return p99s
	}
	quiet := p99(time.Now().Add(*soak / 4))
	before := s.descriptors(t)
	end := time.Now().Add(*soak)
	stop := make(chan struct{})
	var attackers sync.WaitGroup
	attack := func(every time.Duration, once func(i int)) {
		attackers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(every):
					once(i)
				}
			}
		})
	}
	mallory := newCaller(t, s.url, "X-Openclaw-Api-Key", "good-mallory")
	post := func(c *caller, h http.Header, body []byte) {
		res, err := c.do(http.MethodPost, h, bytes.NewReader(body))
		if err != nil {
			return // cut off while sending
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	attack(5*time.Millisecond, func(i int) { // keys that somebody made up
		c := newCaller(t, s.url, "X-Openclaw-Api-Key", fmt.Sprint("invented-", i))
		c.http = mallory.http
		post(c, headers(modern, "tools/call", "list_instances"), request(t, modern, "tools/call", params{"name": "list_instances", "arguments": params{}}))
	})
	attack(5*time.Millisecond, func(int) { // sessions
		post(mallory, headers("", "", ""), request(t, legacy, "initialize", params{
			"protocolVersion": legacy, "clientInfo": params{"name": "m", "version": "1"}, "capabilities": params{}}))
	})
	attack(20*time.Millisecond, func(int) { // bodies that do not come
		_, _ = raw(address(s.url), []byte("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"), 10*time.Second)
		_, _ = raw(address(s.admin), []byte("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"), 10*time.Second)
	})
	bombs := [][]byte{bomb("_meta", 1_000_000), bomb("arguments", 1_000_000), bomb("other", 90_000), bomb("names", 50_000)}
	attack(500*time.Millisecond, func(i int) {
		post(mallory, headers(legacy, "", ""), bombs[i%len(bombs)])
	})
	attack(100*time.Millisecond, func(i int) { // callers whose key is revoked while they listen
		key := fmt.Sprint("good-passing-", i)
		c := newCaller(t, s.url, "X-Openclaw-Api-Key", key)
		c.http = mallory.http
		if status, text := c.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
			t.Errorf("a caller whose key is good: status %d, %s", status, text)
		}
		res, err := c.do(http.MethodPost, headers(modern, "subscriptions/listen", ""), bytes.NewReader(request(t, modern, "subscriptions/listen", params{
			"notifications": params{"toolsListChanged": true}})))
		if err != nil || res.StatusCode != 200 {
			t.Errorf("a listen stream: %v, %v", res, err)
			return
		}
		revoked.Store(key, true)
		c.call(t, "list_instances", nil)
		attackers.Go(func() { // which ends by itself
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		})
	})
	attack(20*time.Millisecond, func(i int) { // limits of a gateway, and the client's own copy
		h := headers(modern, "tools/call", "exec_command")
		h["X-Mcp-Readonly"] = [][]string{{"true", "false"}, {"false", "true"}, {"false,true"}, {"", "no"}}[i%4]
		post(mallory, h, request(t, modern, "tools/call", params{"name": "exec_command", "arguments": params{"instance": "i1", "command": "true"}}))
	})
	attack(50*time.Millisecond, func(int) { // one confirmation, spelt in several ways
		_, text := mallory.call(t, "reboot_instance", params{"instance": "i1"})
		m := confirmation.FindStringSubmatch(text)
		if m == nil {
			t.Errorf("no confirmation in %s", text)
			return
		}
		confirmations.Add(1)
		for _, spelling := range []string{m[1], m[1], " " + m[1], m[1] + "=", m[1] + "\n"} {
			mallory.call(t, "reboot_instance", params{"instance": "i1", "confirm": spelling})
		}
	})
	attack(2*time.Second, func(i int) { // answers as large as they may be
		c := newCaller(t, s.url, "X-Openclaw-Api-Key", []string{"zip", "many", "base64"}[i%3]+"-of-the-service")
		c.http = mallory.http
		c.call(t, []string{"exec_command", "read_chat_history"}[i%2], []params{{"instance": "i1", "command": "true"}, {"instance": "i1", "session": "s1"}}[i%2])
	})
	loud := p99(end)
	close(stop)
	attackers.Wait()
	mallory.http.CloseIdleConnections()
	t.Logf("p99 of the honest callers: %v in quiet, %v under attack, %v meanwhile at the other server; %d MiB at most", quiet, loud[0], loud[1], s.memory(t))
	if loud[0] > 2*loud[1]+*slack {
		t.Errorf("p99 of the honest callers: %v under attack, %v at a server that nobody attacked", loud[0], loud[1])
	}
	if r, c := reboots.Load(), confirmations.Load(); r > c || c == 0 {
		t.Errorf("%d confirmations were good for %d reboots", c, r)
	}
	if n := commands.Load(); n > 0 {
		t.Errorf("%d commands ran for callers that may only read", n)
	}
	if m := s.memory(t); m > 300 {
		t.Errorf("it took %d MiB", m)
	}
	eventually(t, "no descriptor is left over", func() bool { return s.descriptors(t) <= before+8 })
}

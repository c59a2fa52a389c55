//go:build e2e && linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// natsServer starts a real nats-server and gives its address.
func natsServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	var log bytes.Buffer
	cmd := exec.Command("nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", t.TempDir())
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("this needs nats-server (apt-get install nats-server): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "nats-server listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return "nats://" + address
}

// replicas starts servers that NATS joins, and gives a client of one session at each.
func replicas(t *testing.T, up *upstream, n int, more ...string) (procs []*process, clients []*httpWire) {
	t.Helper()
	env := up.env(append([]string{"OPENCLAW_MCP_NATS_URL=" + natsServer(t)}, more...)...)
	for range n {
		p, url := launchHTTP(t, env)
		procs = append(procs, p)
		if len(clients) == 0 {
			clients = append(clients, newHTTPWire(t, url, legacy))
		} else {
			clients = append(clients, clients[0].at(url))
		}
	}
	return procs, clients
}

// status sends a message and wants this status.
func (w *httpWire) status(t *testing.T, method, body string, want int) (answer string) {
	t.Helper()
	res := w.do(t, t.Context(), method, []byte(body), nil)
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != want {
		t.Errorf("%s %s: status %d, want %d: %s", method, body, res.StatusCode, want, b)
	}
	return string(b)
}

// A cancel that reaches another replica stops the command; a session that is ended at
// one has ended at all.
func TestReplicasCancelAndDelete(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	_, clients := replicas(t, up, 3)
	for _, era := range []string{legacy, modern} {
		line := newLifeline(t, up, "cancelled-"+era)
		at := func(i int) *httpWire {
			c := clients[i].at(clients[i].url)
			if c.version = era; era == modern {
				c.session = ""
			}
			return c
		}
		ch := at(0).start(t, `"c"`, "tools/call", params{
			"name": "exec_command", "arguments": params{"command": "exec 3>" + line.name + "; sleep 1000"}, "_meta": params{"progressToken": "c"},
		})
		line.open(t)
		at(1).notify(t, "notifications/cancelled", params{"requestId": "c", "reason": "the user said stop"})
		line.cut(t)
		for range ch { // no answer comes, but an end does
		}
		clients[0].open.Wait()
	}
	clients[2].status(t, "POST", string(encodeRequest(t, legacy, "1", "tools/list", nil)), 200)
	clients[1].status(t, "DELETE", "", 204)
	list := string(encodeRequest(t, legacy, "2", "tools/list", nil))
	clients[1].status(t, "POST", list, 404)
	for _, c := range []*httpWire{clients[0], clients[2]} {
		eventually(t, "the session has ended at the other replicas, too", func() bool {
			res := c.do(t, t.Context(), "POST", []byte(list), nil)
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			return res.StatusCode == http.StatusNotFound
		})
	}
}

// A caller that asks three replicas in turn is let in as often as by a single one.
func TestReplicasRate(t *testing.T) {
	t.Parallel()
	const (
		rate   = 10.0
		enough = 80 // takes six seconds
	)
	up := newUpstream(t, emulatortest.Options{})
	env := up.env("OPENCLAW_MCP_NATS_URL="+natsServer(t), fmt.Sprint("OPENCLAW_MCP_RATE_LIMIT=", rate))
	var clients []*httpWire
	for range 3 {
		_, url := launchHTTP(t, env)
		clients = append(clients, newHTTPWire(t, url, modern))
	}
	list := encodeRequest(t, modern, "1", "tools/list", nil)
	var let, refused int
	var longest time.Duration // between two answers
	began := time.Now()
	last := began
	for turn := 0; let < enough; turn++ {
		if turn > 100_000 {
			t.Fatalf("%d of %d requests were let in", let, turn)
		}
		res := clients[turn%3].do(t, t.Context(), "POST", list, nil)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		now := time.Now()
		longest, last = max(longest, now.Sub(last)), now
		switch res.StatusCode {
		case http.StatusOK:
			let++
		case http.StatusTooManyRequests:
			refused++
		default:
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	want := rate * (2 + last.Sub(began).Seconds()) // the burst, and what came since
	t.Logf("%d were let in, %d refused; the limit is %.0f", let, refused, want)
	if refused == 0 || float64(let) > 1.2*want {
		t.Errorf("%d were let in, %d refused; the limit is %.0f", let, refused, want)
	}
	// Whoever asks rarely can't get all that it may.
	if longest < time.Second && float64(let) < 0.8*want {
		t.Errorf("only %d were let in; the limit is %.0f", let, want)
	}
}

// A stream is read on at another replica while its own lives, and goes on there when
// that one is killed.
func TestReplicasStream(t *testing.T) {
	t.Parallel()
	words := make(chan string)
	up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
	procs, clients := replicas(t, up, 2)
	posted := make(chan *eventStream, 1)
	go func() { posted <- clients[0].post(t, "9", "send_chat_message", params{"message": "a long task"}) }()
	words <- "one "
	e := recv(t, posted, "the stream")
	defer func() { e.close() }()
	if !e.until(t, "one") {
		t.Fatal("the stream ended")
	}
	e.resume(t, clients[1])
	words <- "two "
	if !e.until(t, "two") { // live, though the history has nothing of it yet
		t.Fatalf("the relayed stream ended; in all it says %q", e.text.String())
	}
	procs[0].kill(t) // in the middle of the relay: the connection stays
	words <- "three"
	close(words)
	if !e.until(t, "") {
		t.Fatalf("no answer came; in all it says %q", e.text.String())
	}
	r := e.answer(t)
	if got := e.text.String(); got != "one two three" || r.str("reply") != got || r.str("status") != "completed" {
		t.Errorf("the progress says %q and the result %s", got, r.Text)
	}
	if n := up.userMessages(r.str("session")); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
}

// A user's answer counts at whichever replica it arrives, and a confirmation once in all.
func TestReplicasConfirm(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	const endpoint = "POST /instances/{instance}/reboot"
	_, clients := replicas(t, up, 3, "OPENCLAW_MCP_CONFIRM=ask")
	// A client that can't ask is given a token.
	reboot := func(at int, args params) string {
		m := answer(t, clients[at].start(t, "1", "tools/call", params{"name": "reboot_instance", "arguments": args}))
		return string(m.Result)
	}
	token := regexp.MustCompile(`confirm: \\"([^"\\]+)\\"`).FindStringSubmatch(reboot(0, params{}))
	if token == nil || up.Calls(endpoint) != 0 {
		t.Fatal("no token was given, or the file was deleted without one")
	}
	if got := reboot(1, params{"confirm": token[1]}); strings.Contains(got, `"isError":true`) {
		t.Errorf("at another replica: %s", got)
	}
	for at := range clients {
		if got := reboot(at, params{"confirm": token[1]}); !strings.Contains(got, "used before") {
			t.Errorf("a second time: %s", got)
		}
	}
	if n := up.Calls(endpoint); n != 1 {
		t.Errorf("rebooted %d times", n)
	}
	// One that can is asked.
	asking := clients[0].at(clients[0].url)
	asking.session = ""
	p := initializeParams()
	p["capabilities"] = params{"elicitation": params{}}
	res := asking.do(t, t.Context(), "POST", encodeRequest(t, legacy, "0", "initialize", p), nil)
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	asking.session = res.Header.Get("Mcp-Session-Id")
	res = asking.do(t, t.Context(), "POST", encodeRequest(t, legacy, "5", "tools/call", params{"name": "reboot_instance", "arguments": params{}}), nil)
	defer func() { _ = res.Body.Close() }()
	r := bufio.NewReader(res.Body)
	next := func() (m struct {
		ID     json.RawMessage
		Method string
		Result json.RawMessage
	}) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(data), &m); err != nil {
					t.Fatal(err)
				}
				return m
			}
		}
	}
	question := next()
	if question.Method != "elicitation/create" {
		t.Fatalf("got %+v", question)
	}
	elsewhere := asking.at(clients[2].url)
	elsewhere.status(t, "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"action":"accept","content":{"confirm":true}}}`, question.ID), 202)
	if m := next(); string(m.ID) != "5" || up.Calls(endpoint) != 2 {
		t.Errorf("rebooted %d times; the answer is %s", up.Calls(endpoint), m.Result)
	}
}

// What was subscribed to at one replica is announced on the stream at another, also
// after the first is gone; the runs of one are listed at the other.
func TestReplicasSubscribe(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	procs, clients := replicas(t, up, 2)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	uri := "openclaw://instances/" + up.instance + "/files/workspace/watched"
	file := filepath.Join(up.Workspace(up.instance), "watched")
	if err := os.WriteFile(file, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if m := answer(t, clients[0].start(t, "1", "resources/subscribe", params{"uri": uri})); m.Error != nil {
		t.Fatalf("subscribe: %+v", m.Error)
	}
	res := clients[1].do(t, ctx, "GET", nil, params{"Accept": "text/event-stream"})
	defer func() { _ = res.Body.Close() }()
	r := bufio.NewReader(res.Body)
	updated := func() {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, "data: ") && strings.Contains(line, "notifications/resources/updated") && strings.Contains(line, uri) {
				return
			}
		}
	}
	updated() // what happened in between is not known
	m := answer(t, clients[0].start(t, "2", "tools/call", params{"name": "exec_command", "arguments": params{"command": "sleep 1000", "background": true}}))
	if m.Error != nil {
		t.Fatal(m.Error)
	}
	eventually(t, "the other replica lists the run", func() bool {
		m := answer(t, clients[1].start(t, "3", "tools/call", params{"name": "list_runs", "arguments": params{}}))
		return strings.Contains(string(m.Result), "sleep 1000")
	})
	procs[0].kill(t)
	if err := os.WriteFile(file, []byte("two, and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	updated()
}

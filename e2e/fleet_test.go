//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// What processes of one caller know of each other: over stdio by files, over HTTP by
// NATS.

// fleetOf gives what starts processes that share an engine.
type fleetOf func(t *testing.T, up *upstream) (another func() *session)

// fleets are the engines.
var fleets = map[string]fleetOf{
	"files": func(t *testing.T, up *upstream) func() *session {
		dir, n := t.TempDir(), 0
		return func() *session {
			n++
			return combinations[n%2].connect(t, up.env("OPENCLAW_MCP_STATE_DIR="+dir))
		}
	},
	"NATS": func(t *testing.T, up *upstream) func() *session {
		url, n := startNATS(t).url, 0
		return func() *session {
			n++
			return combinations[2+n%2].connect(t, up.env("OPENCLAW_MCP_NATS_URL="+url))
		}
	},
}

// nats is a real nats-server, which keeps its facts when it is killed.
type nats struct {
	url, config string
	cmd         *exec.Cmd
}

func startNATS(t *testing.T) *nats {
	t.Helper()
	if _, err := exec.LookPath("nats-server"); err != nil {
		t.Fatal("this needs nats-server: apt-get install nats-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := ln.Addr().String(), t.TempDir()
	_ = ln.Close()
	n := &nats{url: "nats://" + addr, config: filepath.Join(dir, "nats.conf")}
	if err := os.WriteFile(n.config, fmt.Appendf(nil, "listen: %s\njetstream: {store_dir: %q, max_file: 100MB}\n", addr, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	t.Cleanup(n.kill)
	return n
}

func (n *nats) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command("nats-server", "-c", n.config)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nats-server takes connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "nats://"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (n *nats) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

// eachFleet runs a test over each engine.
func eachFleet(t *testing.T, test func(t *testing.T, start fleetOf)) {
	t.Parallel()
	for name, start := range fleets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

// A message with a key that another process repeats is sent once, and joined: while
// the first process lives, when it is killed in the middle, and after the end.
func TestFleetKey(t *testing.T) {
	eachFleet(t, func(t *testing.T, start fleetOf) {
		words := make(chan string)
		up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words), Heartbeat: 200 * time.Millisecond})
		another := start(t, up)
		a, b := another(), another()
		message := params{"message": "do it once", "idempotency_key": "k", "wait_seconds": 1}
		first := a.begin(t, "send_chat_message", message)
		words <- "one "
		session := first.result(t).str("session")
		message["wait_seconds"] = 50
		joined := b.begin(t, "send_chat_message", message)
		for joined.progress(t).Params.Meta.Text != "one " { // live, from the first process
		}
		a.proc.kill(t)
		c := another()
		again := c.begin(t, "send_chat_message", message)
		words <- "two"
		close(words)
		for _, call := range []*call{joined, again} {
			r := call.result(t)
			if r.str("status") != "completed" || strings.TrimSpace(r.str("reply")) != "one two" || !strings.Contains(r.Text, "nothing was sent again") {
				t.Errorf("got %s", r.Text)
			}
		}
		if r := another().call(t, "send_chat_message", params{"message": "another", "idempotency_key": "k"}); !r.IsError || !strings.Contains(r.Text, "idempotency_key was used before") {
			t.Errorf("another message with the key: %s", r.Text)
		}
		if r := another().ok(t, "send_chat_message", message); strings.TrimSpace(r.str("reply")) != "one two" {
			t.Errorf("after the end: %s", r.Text)
		}
		if n := up.userMessages(session); n != 1 {
			t.Errorf("the message was sent %d times", n)
		}
	})
}

// A process that is killed before the message is out has not sent it; the next one
// does.
func TestFleetKilledBeforeSending(t *testing.T) {
	eachFleet(t, func(t *testing.T, start fleetOf) {
		words := make(chan string)
		up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words), Heartbeat: 200 * time.Millisecond})
		another := start(t, up)
		a, b, c := another(), another(), another()
		ahead := a.begin(t, "send_chat_message", params{"message": "ahead", "wait_seconds": 1})
		words <- "ahead"
		session := ahead.result(t).str("session")
		message := params{"message": "queued", "session": session, "idempotency_key": "k", "wait_seconds": 0}
		if r := b.ok(t, "send_chat_message", message); r.str("status") != "running" {
			t.Fatalf("got %s", r.Text)
		}
		b.proc.kill(t)
		message["wait_seconds"] = 50
		repeated := c.begin(t, "send_chat_message", message)
		close(words) // every reply ends at once now
		if r := repeated.result(t); r.str("status") != "completed" {
			t.Errorf("got %s", r.Text)
		}
		if n := up.userMessages(session); n != 2 {
			t.Errorf("%d messages were sent", n)
		}
	})
}

// The same message without a key joins the reply that another process has under way.
func TestFleetSameMessage(t *testing.T) {
	eachFleet(t, func(t *testing.T, start fleetOf) {
		words := make(chan string)
		up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
		another := start(t, up)
		a, b := another(), another()
		message := params{"message": "once", "wait_seconds": 50}
		first := a.begin(t, "send_chat_message", message)
		words <- "one "
		first.progress(t)
		second := b.begin(t, "send_chat_message", message)
		for second.progress(t).Params.Meta.Text != "one " {
		}
		close(words)
		r := first.result(t)
		for _, r := range []result{r, second.result(t)} {
			if r.str("status") != "completed" || strings.TrimSpace(r.str("reply")) != "one" {
				t.Errorf("got %s", r.Text)
			}
		}
		if n := up.userMessages(r.str("session")); n != 1 {
			t.Errorf("the message was sent %d times", n)
		}
	})
}

// First messages of several processes at once go to one session.
func TestFleetFirstSession(t *testing.T) {
	eachFleet(t, func(t *testing.T, start fleetOf) {
		up := newUpstream(t, emulatortest.Options{})
		another := start(t, up)
		var all []*session
		for range 3 {
			all = append(all, another())
		}
		var wg sync.WaitGroup
		sessions := make([]string, len(all))
		for i, s := range all {
			call := s.begin(t, "send_chat_message", params{"message": "hello from " + string(rune('a'+i))})
			wg.Go(func() { sessions[i] = call.result(t).str("session") })
		}
		wg.Wait()
		for _, s := range sessions {
			if s == "" || s != sessions[0] {
				t.Errorf("the sessions are %q", sessions)
			}
		}
		if n := up.Calls("POST /instances/{instance}/chat/sessions"); n != 1 {
			t.Errorf("%d sessions were made", n)
		}
	})
}

// A session that one process has busy is busy for the other.
func TestFleetBusy(t *testing.T) {
	eachFleet(t, func(t *testing.T, start fleetOf) {
		words := make(chan string)
		up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
		another := start(t, up)
		a, b := another(), another()
		first := a.begin(t, "send_chat_message", params{"message": "first", "wait_seconds": 1})
		words <- "one"
		session := first.result(t).str("session")
		if r := b.call(t, "send_chat_message", params{"message": "rejected", "session": session, "if_busy": "reject"}); !r.IsError || !strings.Contains(r.Text, "nothing was sent") {
			t.Errorf("if_busy reject: %s", r.Text)
		}
		if r := b.ok(t, "send_chat_message", params{"message": "queued", "session": session, "if_busy": "queue", "wait_seconds": 0}); r.str("status") != "running" {
			t.Errorf("if_busy queue: %s", r.Text)
		}
		if n := up.userMessages(session); n != 1 {
			t.Errorf("%d messages were sent while the first reply came", n)
		}
		close(words)
		eventually(t, "the queued message is sent", func() bool { return up.userMessages(session) == 2 })
	})
}

// A plain command whose process is killed before it answers is found again by who
// repeats the call; so is one with a key, at any time.
func TestFleetCommand(t *testing.T) {
	eachFleet(t, func(t *testing.T, start fleetOf) {
		up := newUpstream(t, emulatortest.Options{})
		another := start(t, up)
		file := func(name string) string { return filepath.Join(up.Workspace(up.instance), name) }
		ran := func(name string, n int) func() bool {
			return func() bool {
				b, _ := os.ReadFile(file(name))
				return string(b) == strings.Repeat("ran\n", n)
			}
		}
		for name, key := range map[string]params{"plain": {}, "keyed": {"idempotency_key": "k"}} {
			args := params{"command": "echo ran >>" + name + "; while [ ! -e go-" + name + " ]; do sleep 0.05; done; echo done"}
			maps.Copy(args, key)
			a := another()
			a.begin(t, "exec_command", args)
			eventually(t, name+": the command runs", ran(name, 1))
			a.proc.kill(t)
			call := another().begin(t, "exec_command", args)
			if err := os.WriteFile(file("go-"+name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := call.result(t); r.str("status") != "completed" || r.str("stdout") != "done\n" || !strings.Contains(r.Text, "nothing was started again") {
				t.Errorf("%s: got %s", name, r.Text)
			}
			if !ran(name, 1)() {
				t.Errorf("%s: it ran twice", name)
			}
			// Answered, the plain one is a new command; the key goes on.
			want := 2
			if key["idempotency_key"] != nil {
				want = 1
			}
			if r := another().ok(t, "exec_command", args); r.str("stdout") != "done\n" || !ran(name, want)() {
				t.Errorf("%s: called again, it did not run %d times: %s", name, want, r.Text)
			}
		}
	})
}

// A state folder that can't be used is said once, and the server works.
func TestFleetNoStateFolder(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := connect(t, up.env("OPENCLAW_MCP_STATE_DIR="+file))
	if r := s.ok(t, "send_chat_message", params{"message": "hello", "idempotency_key": "k"}); r.str("status") != "completed" {
		t.Errorf("got %s", r.Text)
	}
	if n := strings.Count(s.proc.stderr.String(), "OPENCLAW_MCP_STATE_DIR"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, s.proc.stderr)
	}
}

// While NATS is away, plain calls and messages without a key go on, and one with a key is
// refused with the word that nothing was sent. When it is back, it is sent.
func TestFleetAway(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	n := startNATS(t)
	s := combinations[3].connect(t, up.env("OPENCLAW_MCP_NATS_URL="+n.url, "OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	session := s.ok(t, "send_chat_message", params{"message": "hello", "idempotency_key": "first"}).str("session")
	n.kill()
	s.proc.stderr.match(t, regexp.MustCompile("NATS can't be reached"))
	s.ok(t, "list_instances", nil)
	s.ok(t, "exec_command", params{"command": "true"})
	s.ok(t, "send_chat_message", params{"message": "without a key"})
	keyed := params{"message": "with a key", "idempotency_key": "k"}
	if r := s.call(t, "send_chat_message", keyed); !r.IsError || !strings.Contains(r.Text, "idempotency_key") || !strings.Contains(r.Text, "Repeat: safe") {
		t.Errorf("with a key: %s", r.Text)
	}
	if n := up.userMessages(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
	if _, ready := adminPage(t, s.proc, "/readyz"); strings.TrimSpace(ready) != "ready" {
		t.Errorf("readyz says %q", ready)
	}
	if _, metrics := adminPage(t, s.proc, "/metrics"); !strings.Contains(metrics, "openclaw_mcp_fleet_up 0") || !strings.Contains(metrics, `openclaw_mcp_fleet_facts_total{op="create",outcome="away"}`) {
		t.Errorf("the metrics do not say that NATS is away")
	}
	n.start(t)
	eventually(t, "a message with a key is sent", func() bool { return !s.call(t, "send_chat_message", keyed).IsError })
	if n := up.userMessages(session); n != 3 {
		t.Errorf("%d messages were sent", n)
	}
	if _, metrics := adminPage(t, s.proc, "/metrics"); !strings.Contains(metrics, "openclaw_mcp_fleet_up 1") {
		t.Errorf("the metrics do not say that NATS is back")
	}
}

// What NATS can't be used for is known at the start.
func TestFleetNATSRefused(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	n := startNATS(t)
	creds := filepath.Join(t.TempDir(), "creds")
	if err := os.WriteFile(creds, []byte("no credentials"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := execute(t, up.env("OPENCLAW_MCP_NATS_URL="+n.url, "OPENCLAW_MCP_NATS_CREDS="+creds), "--http", "127.0.0.1:0")
	if code != 2 || !strings.Contains(stderr, "OPENCLAW_MCP_NATS_URL can't be used") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// doctor tries what processes share, and says what came of it.
func TestFleetDoctor(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	n := startNATS(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env  []string
		want string
		code int
	}{
		"files":  {nil, "ok .*shared work.*folder .*and its answer", 0},
		"broken": {[]string{"OPENCLAW_MCP_STATE_DIR=" + file}, "warning .*shared work.*can't be used", 1},
		"NATS":   {[]string{"OPENCLAW_MCP_HTTP=127.0.0.1:0", "OPENCLAW_MCP_NATS_URL=" + n.url}, "ok .*shared work.*NATS, 1 cop.*and its answer", 0},
		"away":   {[]string{"OPENCLAW_MCP_HTTP=127.0.0.1:0", "OPENCLAW_MCP_NATS_URL=nats://127.0.0.1:1"}, "warning .*shared work.*can't be reached", 1},
	} {
		code, stdout, stderr := execute(t, up.env(tt.env...), "doctor", "--no-chat", "--no-exec", "--no-sockets")
		if code != tt.code || !regexp.MustCompile(tt.want).MatchString(stdout) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
	}
}

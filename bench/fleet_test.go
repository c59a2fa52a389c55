package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

var scale = flag.Bool("scale", false, "measure several replicas and write the tables of docs/scale.md")

// newNATS starts a nats-server that has each fact on the disk before it says so, as
// docs/scale.md wants it, and gives its address.
func newNATS(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	dir := tb.TempDir()
	always := "sync_interval: always"
	if out, _ := exec.Command("nats-server", "--version").Output(); regexp.MustCompile(`v2\.[0-9]\.`).Match(out) {
		always = "" // older ones don't know it
	}
	config := dir + "/nats.conf"
	text := fmt.Sprintf("listen: %s\njetstream: {store_dir: %q, max_file: 1GB, %s}\n", address, dir, always)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("nats-server", "-c", config)
	if err := cmd.Start(); err != nil {
		tb.Fatalf("this needs nats-server (apt-get install nats-server): %v", err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return "nats://" + address
		}
		if time.Now().After(end) {
			tb.Fatalf("nats-server does not listen: %v", err)
		}
	}
}

// newSlowService is the embedded service, which takes a while to answer, and whose agent
// has one word.
func newSlowService(tb testing.TB, delay time.Duration) *service {
	tb.Helper()
	agent := emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: "done"})
	})
	srv, err := emulator.New(emulator.Options{Keys: []string{apiKey}, Agent: agent})
	if err != nil {
		tb.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		srv.ServeHTTP(w, r)
	}))
	tb.Cleanup(func() {
		_ = srv.Close()
		web.CloseClientConnections()
		web.Close()
	})
	id, err := srv.AddInstance(apiKey)
	if err != nil {
		tb.Fatal(err)
	}
	return &service{url: web.URL, instance: id, workspace: srv.Workspace(id)}
}

// newSession makes a chat session.
func (s *service) newSession(tb testing.TB) string {
	tb.Helper()
	answer, err := s.fetch("POST", "/chat/sessions", []byte("{}"))
	if err != nil {
		tb.Fatal(err)
	}
	var made struct{ ID string }
	if err := json.Unmarshal(answer, &made); err != nil {
		tb.Fatal(err)
	}
	return made.ID
}

var terminalHandle = regexp.MustCompile(`"terminal":"([^"]+)"`)

// openTerminal opens a terminal and gives its handle.
func openTerminal(tb testing.TB, l link) string {
	tb.Helper()
	answer, err := l.ask(call("open_terminal", "{}"))
	if err != nil {
		tb.Fatal(err)
	}
	handle := terminalHandle.FindSubmatch(answer)
	if handle == nil {
		tb.Fatalf("there is no handle in %.500s", answer)
	}
	return string(handle[1])
}

func readTerminal(handle string) request {
	return call("read_terminal", fmt.Sprintf(`{"terminal":%q}`, handle))
}

// send is a message, with a key where there is one.
func send(session, message, key string) request {
	if key != "" {
		key = fmt.Sprintf(`,"idempotency_key":%q`, key)
	}
	return call("send_chat_message", fmt.Sprintf(`{"message":%q,"session":%q%s}`, message, session, key))
}

// fleetRequests counts what a process has asked of the fleet, by its metrics.
func (p *process) fleetRequests(tb testing.TB) (n float64) {
	tb.Helper()
	res, err := http.Get(p.admin + "/metrics")
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(name, "openclaw_mcp_fleet_facts_total{") || strings.HasPrefix(name, "openclaw_mcp_fleet_asks_total{") {
			n += number(tb, value)
		}
	}
	return n
}

// elsewhere compares calls that need other replicas with the same ones that don't. They
// take turns, some calls of one kind after the other.
func elsewhere(t *testing.T) (table string) {
	const rounds, inRound, bar, barKeyed = 40, 10, 2.5, 1.6
	s, w := newSlowService(t, 0), ways[3]
	env := []string{"OPENCLAW_MCP_NATS_URL=" + newNATS(t), withMetrics}
	alone, a, b := startOurs(t, s, w, withMetrics), startOurs(t, s, w, env...), startOurs(t, s, w, env...)
	atAlone, atA, atB := alone.links(t, w, 1)[0], a.links(t, w, 1)[0], b.links(t, w, 1)[0]
	read := readTerminal(openTerminal(t, atA))
	took, asked := map[string]durations{}, map[string]float64{}
	sent := 0
	ask := func(name string, p *process, l link, next func() request) {
		before := p.fleetRequests(t)
		for range inRound {
			r := next()
			began := time.Now()
			if _, err := l.ask(r); err != nil {
				t.Fatal(err)
			}
			took[name] = append(took[name], time.Since(began))
		}
		time.Sleep(100 * time.Millisecond) // what it notes at the end of a run
		asked[name] += p.fleetRequests(t) - before
	}
	reading := func() request { return read }
	sending := func(key bool) func() request {
		return func() request { // to a session of its own: its history is short, and nobody waits there
			sent++
			message := fmt.Sprint("message ", sent)
			if !key {
				return send(s.newSession(t), message, "")
			}
			return send(s.newSession(t), message, fmt.Sprint("key ", sent))
		}
	}
	for i := range rounds + 1 {
		if i == 1 { // the first round does what is done only once
			clear(took)
			clear(asked)
		}
		ask("read", a, atA, reading)
		ask("read elsewhere", b, atB, reading)
		ask("alone", alone, atAlone, sending(false))
		ask("plain", a, atA, sending(false))
		ask("keyed", a, atA, sending(true))
	}
	table = "| call | median | times | asks and facts |\n|---|---:|---:|---:|\n"
	row := func(what, name, beside string, bar float64) {
		times := took[name].at(0.5) / took[beside].at(0.5)
		table += fmt.Sprintf("| %s | %.2f ms | %.2f | %.1f |\n", what, took[name].at(0.5), times, asked[name]/(rounds*inRound))
		if times > bar {
			t.Errorf("%s takes %.2f times as long, want at most %.1f", what, times, bar)
		}
	}
	row("`read_terminal` at the terminal's replica", "read", "read", 1)
	row("… at another one", "read elsewhere", "read", bar)
	row("`send_chat_message` without NATS", "alone", "alone", 1)
	row("… with NATS", "plain", "alone", 10)
	row("… and an `idempotency_key`, beside the one with NATS", "keyed", "plain", barKeyed)
	return table
}

// TestScale measures several replicas, if asked to by -scale, and writes docs/scale.md.
func TestScale(t *testing.T) {
	if !*scale {
		t.Skip("-scale is not set; make scale sets it")
	}
	const path = "../docs/scale.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{}
	for name, measure := range map[string]func(*testing.T) string{"Elsewhere": elsewhere, "Scaling": scaling} {
		t.Run(name, func(t *testing.T) {
			tables[name] = measure(t)
			t.Log("\n" + tables[name])
		})
	}
	filled, missing := fill(string(page), tables)
	if t.Failed() || len(missing) > 0 {
		t.Fatalf("%s stays as it is; it lacks %v", path, missing)
	}
	if err := os.WriteFile(path, []byte(filled), 0o644); err != nil {
		t.Fatal(err)
	}
}

//go:build e2e && linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const serviceKey = "sk_live_of_a_chaos_test"

// quietLog is for servers whose connections break all the time.
var quietLog = stdlog.New(discard{}, "", 0)

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// world is a deployment under fire: the service, NATS, the replicas, the proxy, and
// what was seen of them.
type world struct {
	t         testing.TB
	service   *emulatortest.Server
	instance  string
	workspace string
	nats      []*natsServer
	replicas  []*replica
	proxy     *proxy

	// seen is called with each request that a replica sends to the service, before it
	// is served and after; it may kill the replica.
	seen atomic.Pointer[func(r *replica, req *http.Request, after bool)]

	disturbed atomic.Int64
	away      atomic.Bool // NATS is, for some replica: then cancels and confirmations are each replica's own

	mu         sync.Mutex
	messages   map[string]int // by mark, how often the service got it
	violations []string
	troubles   map[string]int
	counts     map[string]int
	slowest    map[string]time.Duration
	left       []string // marks of commands that must not be there at the end
	lost       int      // terminals
	blind      int      // lines whose effect did not come in time
}

var sentence = regexp.MustCompile(`^(mark-\S+-) say (\d+) words$`)

// replyTo is what the agent says to a message.
func replyTo(message string) string {
	m := sentence.FindStringSubmatch(message)
	if m == nil {
		return "?"
	}
	n, _ := strconv.Atoi(m[2])
	words := []string{m[1]}
	for i := range n {
		words = append(words, fmt.Sprintf("word%d", i))
	}
	return strings.Join(words, " ")
}

// newWorld starts a service, nats servers (0: no NATS at all) and replicas.
func newWorld(t testing.TB, natsServers, replicas int) *world {
	t.Helper()
	w := &world{t: t, messages: make(map[string]int), troubles: make(map[string]int), counts: make(map[string]int), slowest: make(map[string]time.Duration)}
	agent := emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		if m := sentence.FindStringSubmatch(turn.Message); m != nil {
			w.mu.Lock()
			w.messages[m[1]]++
			w.mu.Unlock()
		}
		for i, word := range strings.SplitAfter(replyTo(turn.Message), " ") {
			if i > 0 {
				select {
				case <-time.After(40 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: word}); err != nil {
				return err
			}
		}
		return nil
	})
	var err error
	w.service, err = emulatortest.New(emulatortest.Options{Keys: []string{serviceKey}, Agent: agent, Sandbox: emulator.SandboxOff, Shell: "dash", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.service.Close(); err != nil {
			t.Errorf("closing the service: %v", err)
		}
	})
	if w.instance, err = w.service.AddInstance(serviceKey); err != nil {
		t.Fatal(err)
	}
	w.workspace = w.service.Workspace(w.instance)
	if natsServers > 0 {
		w.nats = newNATS(t, natsServers)
	}
	for i := range replicas {
		w.replicas = append(w.replicas, w.newReplica(i))
	}
	for _, r := range w.replicas {
		r.start()
		t.Cleanup(r.end)
	}
	w.awaitServing()
	w.proxy = newProxy(t, w.replicas)
	return w
}

func (w *world) newReplica(i int) *replica {
	r := &replica{t: w.t, name: fmt.Sprintf("replica%d", i), port: freePort(w.t), log: &log{}}
	server := &http.Server{ErrorLog: quietLog, Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if f := w.seen.Load(); f != nil {
			(*f)(r, req, false)
			defer (*f)(r, req, true)
		}
		w.service.ServeHTTP(rw, req)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	w.t.Cleanup(func() { _ = server.Close() })
	r.env = []string{"OPENCLAW_API_KEY=" + serviceKey, "OPENCLAW_API_BASE_URL=http://" + l.Addr().String() + "/api",
		"OPENCLAW_MCP_STRUCTURED=true", "OPENCLAW_MCP_LOG_LEVEL=debug"}
	if w.nats != nil {
		r.link = newLink(w.t, w.nats)
		r.env = append(r.env, "OPENCLAW_MCP_NATS_URL="+r.link.url(), fmt.Sprintf("OPENCLAW_MCP_NATS_REPLICAS=%d", len(w.nats)))
	}
	return r
}

func (w *world) awaitServing() {
	w.t.Helper()
	end := time.Now().Add(patience)
	for _, r := range w.replicas {
		for !r.serving() {
			if time.Now().After(end) {
				w.t.Fatalf("%s does not serve:\n%s", r.name, shorten(r.log.String()))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (w *world) violation(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.violations, text) {
		w.violations = append(w.violations, text)
	}
}

// trouble counts an outcome that was no success, which chaos may cause.
func (w *world) trouble(mark string, o outcome) {
	text := strings.ReplaceAll(o.String(), mark, "MARK")
	text, _, _ = strings.Cut(text, "\n")
	text = regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "N")
	if len(text) > 160 {
		text = text[:160]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles[text]++
}

func (w *world) count(what string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
	w.slowest[what] = max(w.slowest[what], took)
}

func (w *world) leave(mark string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = append(w.left, mark)
}

func (w *world) lostTerminal(outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
}

func (w *world) unseen(string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blind++
}

// sent is how often the service got a message.
func (w *world) sent(mark string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages[mark]
}

// lines is how often a file of the workspace has a mark.
func (w *world) lines(file, mark string) int {
	b, err := os.ReadFile(filepath.Join(w.workspace, file))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), mark+"\n")
}

// processes are the long commands whose arguments have a mark.
func (w *world) processes(mark string) (pids []int) {
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.t.Error(err)
	}
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), mark) && strings.Contains(string(b), "sleep 3600") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func (w *world) running(mark string) bool { return len(w.processes(mark)) > 0 }

// endCommands ends those that nobody cancelled in the end: a call that loses its
// connection does not stop its command.
func (w *world) endCommands() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, mark := range w.left {
		for _, pid := range w.processes(mark) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				w.t.Error(err)
			}
		}
	}
}

func (w *world) disturbances() int64 { return w.disturbed.Load() }

// report fails the test for what must not be, and logs the rest.
func (w *world) report() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, n := range w.counts {
		w.t.Logf("%-20s %4d, slowest %v", what, n, w.slowest[what].Round(10*time.Millisecond))
	}
	for what, n := range w.troubles {
		w.t.Logf("%4d times: %s", n, what)
	}
	deaths := 0
	for _, r := range w.replicas {
		deaths += int(r.deaths.Load())
		for _, bad := range []string{"panic", "fatal error:"} {
			if strings.Contains(r.log.String(), bad) {
				w.t.Errorf("the log of %s has %q", r.name, bad)
			}
		}
	}
	w.t.Logf("%d messages, %d deaths, %d terminals lost, %d lines not seen in time", len(w.messages), deaths, w.lost, w.blind)
	for _, v := range w.violations {
		w.t.Errorf("VIOLATION %s", v)
	}
	if len(w.violations) > 0 {
		for _, r := range w.replicas {
			path := filepath.Join(os.TempDir(), "chaos-"+r.name+".log")
			_ = os.WriteFile(path, []byte(r.log.String()), 0o600)
		}
	}
}

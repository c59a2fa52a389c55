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

	"openclaw-mcp/e2e/program"
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
	dir       string // of the service
	instance  string
	common    string // a chat session of all callers
	workspace string
	screen    *screen
	nats      []*natsServer
	replicas  []*replica
	proxy     *proxy
	// Or processes over stdio, which share a folder, and may copy files of another one.
	pipes       []*pipe
	state, root string

	dumped sync.Once

	seen atomic.Pointer[func(v victim, p place)] // it may kill whoever has come to a place

	calmed    chan struct{} // nothing more happens to anybody
	tidied    time.Time     // when what is left over began to be looked for
	disturbed atomic.Int64
	missed    atomic.Bool // somebody may have called NATS in vain
	away      atomic.Bool // NATS is, for some replica: then cancels and confirmations are each replica's own

	mu         sync.Mutex
	messages   map[string]int // by mark, how often the service got it
	violations []string
	troubles   map[string]int
	counts     map[string]int
	slowest    map[string]time.Duration
	left       []string // marks of commands that must not be there at the end
	sessions   []string // of chats
	unanswered int      // openings of terminals
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

// victim is a process of ours.
type victim interface {
	signal(s syscall.Signal)
}

func (w *world) reached(v victim, p place) {
	if f := w.seen.Load(); f != nil {
		(*f)(v, p)
	}
}

// newWorld starts a service, nats servers (0: no NATS at all) and replicas (0: processes
// over stdio, each of which its client starts).
func newWorld(t testing.TB, natsServers, replicas int) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), screen: newScreen(t), calmed: make(chan struct{}), messages: make(map[string]int), troubles: make(map[string]int), counts: make(map[string]int), slowest: make(map[string]time.Duration)}
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
	w.service, err = emulatortest.New(emulatortest.Options{Keys: []string{serviceKey}, Agent: agent, Sandbox: emulator.SandboxOff, Shell: "dash", VNC: w.screen.address, Dir: w.dir})
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
	w.common = w.createSession()
	if replicas == 0 {
		w.state, w.root = t.TempDir(), t.TempDir()
		return w
	}
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
	w.greet()
	w.proxy = newProxy(t, w.replicas)
	return w
}

func (w *world) newReplica(i int) *replica {
	r := &replica{t: w.t, name: fmt.Sprintf("replica%d", i), port: freePort(w.t), admin: fmt.Sprintf("127.0.0.1:%d", freePort(w.t)), log: &program.Log{}}
	reached := func(p place) { w.reached(r, p) }
	server := &http.Server{ErrorLog: quietLog, Handler: w.serveTo(reached)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	w.t.Cleanup(func() { _ = server.Close() })
	r.env = append(w.environment(l.Addr()), "OPENCLAW_MCP_ADMIN="+r.admin)
	if w.nats != nil {
		r.link = newLink(w.t, w.nats, reached)
		r.env = append(r.env, "OPENCLAW_MCP_NATS_URL="+r.link.url(), fmt.Sprintf("OPENCLAW_MCP_NATS_REPLICAS=%d", len(w.nats)))
	}
	return r
}

// serviceURL is the address of the service for all processes: they share work only with those
// that have the same one.
const serviceURL = "http://service.test/api"

// environment is what all processes need, of whom each reaches the service through a proxy of its
// own, which knows who calls.
func (w *world) environment(proxy net.Addr) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "OPENCLAW_API_KEY=" + serviceKey, "OPENCLAW_API_BASE_URL=" + serviceURL,
		"HTTP_PROXY=http://" + proxy.String(), "OPENCLAW_MCP_STRUCTURED=true", "OPENCLAW_MCP_LOG_LEVEL=debug"}
}

// within is the context of one thing to do: however much happens meanwhile, it has to come
// to an end soon after calm has come.
func (w *world) within() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-w.calmed:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(patience):
			w.dump()
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// dump has the replicas write down what they are at, and ends them with that: something has
// not come to an end.
func (w *world) dump() {
	w.dumped.Do(func() {
		for _, r := range w.replicas {
			deaths := r.deaths.Load()
			r.signal(syscall.SIGQUIT)
			for end := time.Now().Add(patience); r.deaths.Load() == deaths && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
			if _, dump, ok := strings.Cut(r.log.String(), "SIGQUIT: quit"); ok {
				w.t.Logf("%s was at:%s", r.name, dump)
			}
		}
	})
}

// spares reports whether somebody else serves if this one is killed: all at once are
// killed by other means.
func (w *world) spares(v victim) bool {
	if len(w.replicas) == 0 {
		return true
	}
	return slices.ContainsFunc(w.replicas, func(r *replica) bool { return r != v && r.serving() })
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
	text := o.String()
	if mark != "" {
		text = strings.ReplaceAll(text, mark, "MARK")
	}
	text = strings.ReplaceAll(text, "\n", " | ")
	text = regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "N")
	if len(text) > 300 {
		text = text[:300]
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

// speaksIn notes a chat session.
func (w *world) speaksIn(session string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, session)
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
			group, err := syscall.Getpgid(pid)
			if err == nil {
				err = syscall.Kill(-group, syscall.SIGKILL)
			}
			if err != nil && !errors.Is(err, syscall.ESRCH) {
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
	// Who says "unclear" to everything is never wrong, and of no use.
	if vague, whole := w.counts["chat unclear"], w.counts["chat completed"]; vague > 2 && vague > whole/5 {
		w.t.Errorf("VIOLATION I2: %d messages ended unclear, beside %d replies", vague, whole)
	}
	for what, n := range w.troubles {
		w.t.Logf("%4d times: %s", n, what)
	}
	logs := make(map[string]string)
	deaths := 0
	for _, r := range w.replicas {
		deaths += int(r.deaths.Load())
		logs[r.name] = r.log.String()
	}
	for _, p := range w.pipes {
		deaths += int(p.deaths.Load())
		logs[p.name] = p.log.String()
	}
	for name, text := range logs {
		for _, bad := range []string{"panic", "fatal error:"} {
			if strings.Contains(text, bad) {
				w.t.Errorf("the log of %s has %q", name, bad)
			}
		}
	}
	w.t.Logf("%d messages, %d deaths, %d terminals lost, %d lines not seen in time", len(w.messages), deaths, w.lost, w.blind)
	for _, p := range w.screen.astray() {
		w.t.Errorf("VIOLATION I4: a click at %v, where no caller clicked", p)
	}
	for _, v := range w.violations {
		w.t.Errorf("VIOLATION %s", v)
	}
	if len(w.violations) > 0 {
		for name, text := range logs {
			_ = os.WriteFile(filepath.Join(os.TempDir(), "chaos-"+w.t.Name()+"-"+name+".log"), []byte(text), 0o600)
		}
	}
}

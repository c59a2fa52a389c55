package terminals

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const (
	testKey  = "sk_live_terminals"
	endpoint = "GET /instances/{instance}/terminal/ws"
)

// bench is a manager before the embedded service.
type bench struct {
	*testing.T
	service  *emulatortest.Server
	conns    *connections
	client   *client.Client
	instance string
	*Manager
}

// connections can be broken all at once.
type connections struct {
	net.Listener
	mu   sync.Mutex
	list []net.Conn
}

func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.list = append(c.list, conn)
	}
	return conn, err
}

func (c *connections) breakAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.list {
		_ = conn.Close()
	}
	c.list = nil
}

// breakAll breaks all connections. Requests don't try those that are left over.
func (b *bench) breakAll() {
	b.conns.breakAll()
	b.client.CloseIdleConnections()
}

func newBench(t *testing.T, o emulatortest.Options, cfg Config) *bench {
	t.Helper()
	service, err := emulatortest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(service)
	b := &bench{T: t, service: service, conns: &connections{Listener: web.Listener}}
	web.Listener = b.conns
	web.Start()
	t.Cleanup(func() {
		if err := service.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	if b.instance, err = service.AddInstance(testKey); err != nil {
		t.Fatal(err)
	}
	if b.client, err = client.New(nil, web.URL, testKey, client.WithRetry(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.CloseIdleConnections)
	b.Manager = b.manager(cfg)
	return b
}

// without is the PATH of an instance that has not these programs.
func without(t *testing.T, programs ...string) string {
	t.Helper()
	path, remove, err := emulatortest.PathWithout(programs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	return path
}

// plain is the PATH of an instance that has nothing to keep a shell.
func plain(t *testing.T) string { return without(t, keepers...) }

var keepers = []string{"tmux", "abduco", "dtach", "screen"}

func (b *bench) manager(cfg Config) *Manager {
	b.Helper()
	cfg.Client, cfg.APIKey = b.client, testKey
	if cfg.Principal == "" {
		cfg.Principal = "p"
	}
	m, err := NewManager(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	return m
}

func (b *bench) open() (string, Session) {
	b.Helper()
	handle, s, err := b.Open(b.Context(), b.instance, 80, 24)
	if err != nil {
		b.Fatal(err)
	}
	return handle, s
}

// write types a line and waits for a pattern.
func (b *bench) write(s Session, text, pattern string) View {
	b.Helper()
	v, err := s.Write(b.Context(), Input{Text: text, Keys: []string{"enter"}}, Wait{Pattern: pattern, For: 2 * time.Minute})
	if err != nil || v.Ended != EndPattern {
		b.Fatalf("%q: %v, %+v", pattern, err, v)
	}
	return v
}

// status waits for a terminal to be in a status.
func (b *bench) status(s Session, want Status) View {
	b.Helper()
	v, err := s.Read(b.Context(), Query{Part: PartScreen, Wait: Wait{Pattern: "never ever", For: 2 * time.Minute}})
	if err != nil || v.Status != want {
		b.Fatalf("%v, %+v", err, v)
	}
	return v
}

func TestHandles(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{}, Config{})
	handle, s := b.open()
	if found, instance, err := b.Find(" " + handle + "\n"); err != nil || found != s || instance != b.instance {
		t.Errorf("%v, %q, %v", found, instance, err)
	}
	if len(handle) > 150 {
		t.Errorf("the handle has %d characters", len(handle))
	}
	if _, instance, err := b.manager(Config{}).Find(handle); err != nil || instance != b.instance {
		t.Errorf("in another process: %v", err)
	}
	if _, _, err := b.manager(Config{Principal: "other"}).Find(handle); !errors.Is(err, ErrHandle) {
		t.Errorf("of another caller: %v", err)
	}
	other, err := newSealer("another key", "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"", "term_", "run_x", handle + "A", handle[:len(handle)-2], strings.ToUpper(handle), "term_" + strings.Repeat("A", 2000),
		other.seal(handleState{owner: b.owner, id: strings.Repeat("x", idLength)})} {
		if _, _, err := b.Find(h); !errors.Is(err, ErrHandle) {
			t.Errorf("%q: %v", h, err)
		}
	}
	if _, _, err := b.Find(b.sealer.seal(handleState{owner: b.owner, id: newID(), instance: "i"})); !errors.Is(err, ErrGone) {
		t.Errorf("of a terminal that is forgotten: %v", err)
	}
}

func TestLimitAndEnd(t *testing.T) {
	b := newBench(t, emulatortest.Options{}, Config{Limit: 2})
	first, s := b.open()
	b.open()
	if _, _, err := b.Open(t.Context(), b.instance, 80, 24); !errors.Is(err, ErrLimit) {
		t.Errorf("%v", err)
	}
	b.write(s, "echo last-$((1+1))", "last-2")
	_, err := s.Write(t.Context(), Input{Text: "exit 4\n"}, Wait{For: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if v := b.status(s, StatusExited); v.ExitCode == nil || *v.ExitCode != 4 || !strings.Contains(v.Text, "last-2") {
		t.Errorf("%+v", v)
	}
	var ended *EndedError
	if _, err := s.Write(t.Context(), Input{Text: "x"}, Wait{}); !errors.As(err, &ended) || ended.Status != StatusExited {
		t.Errorf("%v", err)
	}
	for range 2 { // make it forget the first
		_, s := b.open()
		if _, err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s, _, err = b.Find(first)
	if err != nil {
		t.Fatal(err)
	}
	// The exit code is still known in the instance.
	if _, err := s.Read(t.Context(), Query{}); !errors.As(err, &ended) || !strings.Contains(err.Error(), "exit code 4") {
		t.Errorf("%v", err)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{Path: plain(t)}, Config{Idle: 300 * time.Millisecond})
	_, s := b.open()
	// Output is no call: nobody needs what nobody reads.
	if _, err := s.Write(t.Context(), Input{Text: "while :; do echo x; sleep 0.05; done\n"}, Wait{}); err != nil {
		t.Fatal(err)
	}
	if v := b.status(s, StatusClosed); !strings.Contains(v.Reason, "without a call") {
		t.Errorf("%+v", v)
	}
	await(t, func() bool { return b.service.OpenTerminals() == 0 })
}

func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came")
		}
	}
}

func TestShutdown(t *testing.T) {
	b := newBench(t, emulatortest.Options{Path: plain(t)}, Config{})
	handle, s := b.open()
	b.open()
	b.Manager.Close()
	await(t, func() bool { return b.service.OpenTerminals() == 0 })
	if _, _, err := b.Find(handle); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	if _, err := s.Write(t.Context(), Input{Text: "x"}, Wait{}); err == nil {
		t.Error("it can still be typed into")
	}
	if _, _, err := b.Open(t.Context(), b.instance, 80, 24); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	for _, family := range []client.TerminalFamily{client.TerminalTyped, client.TerminalMixed} {
		t.Run(string(family), func(t *testing.T) {
			b := newBench(t, emulatortest.Options{TerminalGrace: time.Minute, Terminal: emulatortest.TerminalFamily(family), Path: plain(t)}, Config{})
			handle, s := b.open()
			b.write(s, "x=kept", `[#$] $`)
			b.breakAll()
			await(t, func() bool { return b.service.Calls(endpoint) == 2 })
			b.write(s, "echo $x-$x", "^kept-kept$")
			v, err := s.Read(t.Context(), Query{Part: PartScreen})
			if err != nil || v.Status != StatusOpen || !strings.Contains(v.Text, "x=kept") {
				t.Errorf("%v, %+v", err, v)
			}
			if found, _, err := b.Find(handle); err != nil || found != s {
				t.Errorf("%v", err)
			}
			if n := b.service.Calls(endpoint); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// Where the service can't give the shell back, that is said, and nothing is
// typed into another one.
func TestLost(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]emulatortest.Options{
		"no names": {},
		"T2":       {Terminal: emulatortest.TerminalT2},
		"refused": {TerminalGrace: time.Minute, Faults: []emulatortest.Fault{
			{Endpoint: endpoint, Call: 1}, {Endpoint: endpoint, Status: 503, Body: `{"message":"asleep"}`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o.Path = plain(t)
			b := newBench(t, o, Config{})
			_, s := b.open()
			b.write(s, "echo before-$((1+1))", "before-2")
			b.breakAll()
			v := b.status(s, StatusLost)
			if !strings.Contains(v.Reason, "the shell was lost") || !strings.Contains(v.Text, "before-2") {
				t.Errorf("%+v", v)
			}
			var ended *EndedError
			if _, err := s.Write(t.Context(), Input{Text: "rm -rf *\n"}, Wait{}); !errors.As(err, &ended) || ended.Status != StatusLost {
				t.Errorf("%v", err)
			}
			if name == "refused" && !strings.Contains(v.Reason, "asleep") {
				t.Errorf("the reason is %q", v.Reason)
			}
			await(t, func() bool { return b.service.OpenTerminals() == 0 })
		})
	}
}

// A cursor ahead of the output leaves nothing out of what comes next.
func TestCursorAhead(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{}, Config{})
	_, s := b.open()
	b.write(s, "echo one-$((1+1))", "^one-2$")
	v, err := s.Read(t.Context(), Query{Part: PartNew, Cursor: 1 << 40})
	if err != nil || v.Text != "" || v.Cursor >= 1<<40 || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "before cursor 1099511627776") {
		t.Errorf("%v, %+v", err, v)
	}
	b.write(s, "echo two-$((1+1))", "^two-2$")
	for _, from := range []int64{-1, v.Cursor} {
		if v, err := s.Read(t.Context(), Query{Part: PartNew, Cursor: from}); err != nil || !strings.Contains(v.Text, "two-2") {
			t.Errorf("from %d: %v, %+v", from, err, v)
		}
	}
}

// A flood goes through in bounded memory, and the newest of it can be read.
func TestFlood(t *testing.T) {
	t.Parallel()
	const size = floodSize
	for _, family := range []client.TerminalFamily{client.TerminalTyped, client.TerminalRaw} {
		t.Run(string(family), func(t *testing.T) {
			b := newBench(t, emulatortest.Options{Terminal: emulatortest.TerminalFamily(family), Faults: []emulatortest.Fault{
				{Endpoint: endpoint, Socket: &emulatortest.SocketFault{Flood: size}},
			}}, Config{Family: family})
			_, s := b.open()
			var peak uint64
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			v := View{}
			for v.Ended != EndPattern {
				var mem runtime.MemStats
				runtime.ReadMemStats(&mem)
				peak = max(peak, mem.HeapInuse)
				var err error
				v, err = s.Read(ctx, Query{Part: PartScreen, Wait: Wait{Pattern: `[#$] $`, For: 200 * time.Millisecond}})
				if err != nil {
					t.Fatal(err)
				}
			}
			if peak > 64<<20 {
				t.Errorf("%d MB of heap", peak>>20)
			}
			fresh, err := s.Read(ctx, Query{Part: PartNew, Cursor: 0, Limit: 1000})
			if err != nil || fresh.Dropped < size-3*maxLog || !fresh.More || !strings.Contains(fresh.Text, "lazy dog") {
				t.Errorf("%v, %d dropped, more %v, %q", err, fresh.Dropped, fresh.More, fresh.Text)
			}
			b.write(s, "echo still-$((1+1))", "^still-2$")
			t.Logf("peak heap %d MB", peak>>20)
		})
	}
}

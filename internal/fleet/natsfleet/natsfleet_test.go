package natsfleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/fleettest"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real nats-server with JetStream.
type server struct {
	t    *testing.T
	conf string
	url  string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// newServer starts a server; more is for its configuration.
func newServer(t *testing.T, more string) *server {
	t.Helper()
	if _, err := exec.LookPath("nats-server"); err != nil {
		t.Fatal("this needs nats-server: apt-get install nats-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	dir := t.TempDir()
	s := &server{t: t, conf: filepath.Join(dir, "nats.conf"), url: "nats://" + addr}
	conf := fmt.Sprintf("listen: %s\njetstream: {store_dir: %q, max_file: 100MB}\n%s", addr, dir, more)
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("nats-server", "-c", s.conf)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "nats-server", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "nats://"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) config() Config { return Config{URL: s.url, Prefix: "openclaw", Replicas: 1} }

func open(t *testing.T, cfg Config) *Fleet {
	t.Helper()
	cfg.RequestTime = patience // a busy machine is not NATS that is away
	f, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s never came", what)
		}
	}
}

// permissions are those that the documentation has a user of NATS be given.
const permissions = `
authorization: { users: [ { user: claw, password: secret, permissions: {
  publish: ["openclaw.>", "_INBOX_openclaw.>", "$JS.API.STREAM.CREATE.KV_openclaw_day", "$JS.API.STREAM.UPDATE.KV_openclaw_day", "$JS.API.STREAM.MSG.GET.KV_openclaw_day", "$KV.openclaw_day.>"]
  subscribe: ["openclaw.>", "_INBOX_openclaw.>"]
} } ] }
`

// TestNATS has two replicas do what every engine has to, with no more rights than the
// documentation says.
func TestNATS(t *testing.T) {
	n := 0
	s := newServer(t, strings.ReplaceAll(permissions, "openclaw", "t"))
	url := strings.Replace(s.url, "nats://", "nats://claw:secret@", 1)
	fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
		n++
		// Each has its own names, so that they share no facts.
		both := [2]fleet.Fleet{}
		for i := range both {
			sealed, err := fleet.Sealed(open(t, Config{URL: url, Prefix: "t", Replicas: 1}), fmt.Sprint("key", n), "alice")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sealed.Close() })
			both[i] = sealed
		}
		return both[0], both[1]
	})
	s.kill() // its log is whole, and nobody writes it any more
	if log := s.log.String(); strings.Contains(log, "iolation") {
		t.Errorf("the server says:\n%s", log)
	}
}

// TestNATSPlain does the same unsealed.
func TestNATSPlain(t *testing.T) {
	s, n := newServer(t, ""), 0
	fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
		n++
		cfg := s.config()
		cfg.Prefix = fmt.Sprint("t", n)
		return open(t, cfg), open(t, cfg)
	})
}

// A replica that is killed in the middle of an answer, or stops, is lost; before one, it
// is gone.
func TestReplicaKilled(t *testing.T) {
	s := newServer(t, "")
	a, b := open(t, s.config()), open(t, s.config())
	begun := make(chan struct{}, 1)
	if _, err := a.Serve("x", func(ctx context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error)
	go func() {
		_, err := fleettest.All(b.Ask(t.Context(), "x", nil))
		answer <- err
	}()
	<-begun
	a.nc.Close() // as the kernel does for who is killed
	if err := <-answer; !errors.Is(err, fleet.ErrLost) {
		t.Errorf("got %v", err)
	}
	if _, err := fleettest.All(b.Ask(t.Context(), "x", nil)); !errors.Is(err, fleet.ErrGone) {
		t.Errorf("got %v", err)
	}
}

// An answer ends when its asker is killed, also where it waits until more may be sent, or has
// nothing to say; and when the asker is there, and takes nothing.
func TestAskerGone(t *testing.T) {
	s := newServer(t, "")
	for name, tt := range map[string]struct {
		parts int
		kill  bool
	}{
		"killed, many parts": {10 * credit, true},
		"killed, none":       {0, true},
		"stopped":            {10 * credit, false},
	} {
		a, b := open(t, s.config()), open(t, s.config())
		a.stalled = time.Millisecond
		if tt.kill {
			a.stalled = patience
		}
		begun, ended := make(chan struct{}), make(chan error, 1)
		stop, err := a.Serve("x", func(ctx context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
			close(begun)
			for range tt.parts {
				if err := part([]byte("a part")); err != nil {
					ended <- err
					return nil, err
				}
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		var asker sync.WaitGroup
		asker.Go(func() {
			for range b.Ask(ctx, "x", nil) {
				<-over // it reads one part
			}
		})
		<-begun
		if tt.kill {
			b.nc.Close() // as the kernel does for who is killed
		}
		select {
		case err := <-ended:
			if stalled := errors.Is(err, errStalled); stalled == tt.kill {
				t.Errorf("%s: the answer ended: %v", name, err)
			}
		case <-time.After(2 * patience):
			t.Errorf("%s: the answer goes on", name)
		}
		leave()
		close(over)
		asker.Wait()
		stop()
	}
}

// While NATS is away, what needs it says so at once, and what this process serves itself
// goes on. When it comes back, all is as before.
func TestAway(t *testing.T) {
	s := newServer(t, "")
	a, b := open(t, s.config()), open(t, s.config())
	echo := func(_ context.Context, body []byte, part func([]byte) error) ([]byte, error) { return body, nil }
	if _, err := a.Serve("x", echo); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 100)
	if _, err := a.Hear("x", func(body []byte) { heard <- string(body) }); err != nil {
		t.Fatal(err)
	}
	fact, _, err := a.Create(t.Context(), "x", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	eventually(t, "its end to be noticed", func() bool { return !a.Connected() && !b.Connected() })
	began := time.Now()
	if _, err := fleettest.All(b.Ask(t.Context(), "x", nil)); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("ask: %v", err)
	}
	if _, _, err := b.Create(t.Context(), "y", nil); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("create: %v", err)
	}
	if _, err := b.Change(t.Context(), fact, nil); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("change: %v", err)
	}
	if err := b.Forget(t.Context(), fact); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("forget: %v", err)
	}
	if _, _, err := b.Find(t.Context(), "x"); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("find: %v", err)
	}
	if err := a.Tell("x", []byte("here")); !errors.Is(err, fleet.ErrAway) || <-heard != "here" {
		t.Errorf("tell: %v", err)
	}
	if got, err := fleettest.All(a.Ask(t.Context(), "x", []byte("own"))); err != nil || got != "own" {
		t.Errorf("its own: %q, %v", got, err)
	}
	if _, err := b.Serve("late", echo); err != nil {
		t.Errorf("serve: %v", err)
	}
	if took := time.Since(began); took > requestTime {
		t.Errorf("it took %s to say so", took)
	}
	s.start()
	eventually(t, "NATS again", func() bool {
		got, err := fleettest.All(b.Ask(t.Context(), "x", []byte("again")))
		return err == nil && got == "again"
	})
	eventually(t, "what was served meanwhile", func() bool {
		got, err := fleettest.All(a.Ask(t.Context(), "late", []byte("late")))
		return err == nil && got == "late"
	})
	eventually(t, "the facts", func() bool { _, err := b.Change(t.Context(), fact, []byte("2")); return err == nil })
	eventually(t, "news", func() bool { _ = b.Tell("x", []byte("again")); return len(heard) > 0 })
}

// A replica starts while NATS is away, and joins when it comes.
func TestStartsAlone(t *testing.T) {
	s := newServer(t, "")
	s.kill()
	f := open(t, s.config())
	if _, _, err := f.Create(t.Context(), "x", nil); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("create: %v", err)
	}
	s.start()
	eventually(t, "the connection", func() bool { _, _, err := f.Create(t.Context(), "x", nil); return err == nil })
}

// What trying again does not change ends the start.
func TestRefused(t *testing.T) {
	s := newServer(t, strings.ReplaceAll(permissions, "claw, password: secret", "someone, password: else"))
	for name, change := range map[string]func(*Config){
		"credentials": func(*Config) {},
		"file":        func(c *Config) { c.Creds = filepath.Join(t.TempDir(), "none") },
		"URL":         func(c *Config) { c.URL = "nats://127.0.0.1:x" },
	} {
		cfg := s.config()
		if change(&cfg); name == "file" {
			cfg.URL = newServer(t, "").url
		}
		if f, err := Open(cfg); err == nil {
			_ = f.Close()
			t.Errorf("%s: it was taken", name)
		}
	}
}

// Another number of copies changes the bucket that is there.
func TestReplicasSetting(t *testing.T) {
	s := newServer(t, "")
	a := open(t, s.config())
	if _, _, err := a.Create(t.Context(), "x", []byte("1")); err != nil {
		t.Fatal(err)
	}
	cfg := s.config()
	cfg.Replicas = 3 // one server can't
	b := open(t, cfg)
	if _, _, err := b.Create(t.Context(), "y", nil); !errors.Is(err, fleet.ErrAway) || !strings.Contains(err.Error(), "JetStream") {
		t.Errorf("got %v", err)
	}
}

// Package runstest is what the tests of all kinds of runs share: an upstream on
// a socket, and agents and progress that they can look into.
package runstest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// Endpoints, as the emulator's faults and counts name them.
const (
	StreamEndpoint   = "POST /instances/{instance}/chat/stream"
	MessagesEndpoint = "GET /instances/{instance}/chat/messages"
	ExecEndpoint     = "POST /instances/{instance}/terminal/exec"
)

// Key is the API key of the tests.
const Key = "sk_live_test"

// Upstream is a service on a socket, with an instance and a client.
type Upstream struct {
	*testing.T
	Srv    *emulatortest.Server
	Web    *httptest.Server
	Client *client.Client
	ID     string       // of the instance
	Fleet  fleet.Fleet  // what its managers share; nil: nothing
	Texts  *runs.Budget // what its managers share; nil: each has its own
}

// Start starts a service; proxy, which may be nil, comes between it and the
// client.
func Start(t *testing.T, opts emulatortest.Options, proxy func(http.Handler) http.Handler) *Upstream {
	t.Helper()
	srv, err := emulatortest.New(settings(opts))
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = srv
	if proxy != nil {
		h = proxy(srv)
	}
	w := &Upstream{T: t, Srv: srv, Web: httptest.NewServer(h)}
	w.Client, err = client.New(nil, w.Web.URL, Key, client.WithRetry(2, 5*time.Millisecond, 20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if w.ID, err = srv.AddInstance(Key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		w.Client.CloseIdleConnections()
		w.Web.Close()
	})
	return w
}

// Manager makes a manager, which stands for another process.
func (w *Upstream) Manager(key, principal string) *runs.Manager {
	w.Helper()
	cfg := runs.Config{Client: w.Client, APIKey: key, Principal: principal, StallAfter: 5 * time.Minute, Texts: w.Texts}
	if w.Fleet != nil {
		for name, part := range map[string]*fleet.Fleet{principal: &cfg.Fleet, "\x00all": &cfg.OfKey} {
			f, err := fleet.Sealed(w.Fleet, key, name)
			if err != nil {
				w.Fatal(err)
			}
			w.Cleanup(func() { _ = f.Close() })
			*part = f
		}
	}
	m, err := runs.NewManager(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(m.Close)
	return m
}

// Done waits for the end of a run, also of one that stalls.
func (w *Upstream) Done(r runs.Run, p runs.Progress) *runs.Update {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Minute)
	defer cancel()
	for {
		u, err := r.Wait(ctx, runs.UntilDone, 0, p)
		switch {
		case err != nil:
			w.Fatal(err)
		case u.Status.Over():
			return u
		case ctx.Err() != nil:
			w.Fatalf("the run is still %s; its reply is %q, its notes %q", u.Status, u.Text, u.Notes)
		}
	}
}

// Open opens a handle.
func (w *Upstream) Open(m *runs.Manager, handle string) runs.Run {
	w.Helper()
	r, err := m.Open(handle)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// Now reads a run as it stands.
func Now(t testing.TB, r runs.Run) *runs.Update {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u, err := r.Wait(ctx, runs.UntilDone, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Wrapped changes the commands that reach the upstream.
func Wrapped(change func(string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				var body map[string]any
				if err := json.NewDecoder(r.Body).Decode(&body); err == nil {
					body["command"] = change(body["command"].(string))
				}
				raw, _ := json.Marshal(body)
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(raw))), int64(len(raw))
			}
			next.ServeHTTP(rw, r)
		})
	}
}

// Gated is an agent that answers every message with itself, once let go.
func Gated(gate <-chan struct{}) emulator.Agent {
	return emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: "re: "}); err != nil {
			return err
		}
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: turn.Message})
	})
}

// Line is a line, and how much of the text came before it.
type Line struct {
	At   int
	Text string
}

// Record is a Progress that keeps what it is told.
type Record struct {
	mu    sync.Mutex
	text  strings.Builder
	now   string
	Lines []Line
}

// Text notes a stretch of text.
func (r *Record) Text(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(s)
}

// Line notes a line.
func (r *Record) Line(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Lines = append(r.Lines, Line{r.text.Len(), s})
}

// Now notes how a line stands.
func (r *Record) Now(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = line
}

// Open is how the line stood last that was being written.
func (r *Record) Open() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Joined is all of the text.
func (r *Record) Joined() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// Has reports whether a line holds part.
func (r *Record) Has(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.Lines {
		if strings.Contains(l.Text, part) {
			return true
		}
	}
	return false
}

// Eventually waits for a condition.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// Script is an agent that always says the same, with a word of each kind.
func Script(texts ...string) emulator.Agent {
	return emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		tool := &emulator.ToolCall{ID: "t1", Name: "exec", Args: map[string]any{"command": "ls -l"}}
		for i, s := range texts {
			if i == 1 {
				_ = emit(emulator.AgentEvent{Kind: emulator.Status, Text: "thinking"})
				_ = emit(emulator.AgentEvent{Kind: emulator.ToolStart, Tool: tool})
				tool.Result = "total 0"
				_ = emit(emulator.AgentEvent{Kind: emulator.ToolEnd, Tool: tool})
			}
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: s}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Fed is an agent that says what a channel brings, until it is closed.
func Fed(words <-chan string) emulator.Agent {
	return emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for {
			select {
			case s, ok := <-words:
				if !ok {
					return nil
				}
				if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: s}); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// Outcome is what an error says of the request's effect.
func Outcome(err error) client.Outcome {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return ""
}

// Main fails a package when a test leaves a goroutine behind: a run that is
// followed for ever, a stream not closed. It gives the exit code, and says on
// stderr what was left.
func Main(m *testing.M, stderr io.Writer) int {
	// Most of these tests wait far more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "10"); err != nil {
		panic(err)
	}
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = fmt.Fprintln(stderr, err)
		code = 1
	}
	return code
}

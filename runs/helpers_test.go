package runs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

const (
	streamEndpoint   = "POST /instances/{instance}/chat/stream"
	messagesEndpoint = "GET /instances/{instance}/chat/messages"
	execEndpoint     = "POST /instances/{instance}/terminal/exec"
	testKey          = "sk_live_test"
)

// quick is the timing of tests: the same order of things, in less time.
var quick = timing{
	pollMin: 5 * time.Millisecond, pollMax: 100 * time.Millisecond,
	settle: 60 * time.Millisecond, appear: 600 * time.Millisecond, lag: 300 * time.Millisecond, unclear: time.Second,
	patience: 2 * time.Second, giveUp: time.Minute, idle: time.Minute,
}

// world is an upstream on a socket, with an instance and a manager.
type world struct {
	*testing.T
	srv *emulator.Server
	web *httptest.Server
	c   *client.Client
	m   *Manager
	id  string
}

func start(t *testing.T, opts emulator.Options) *world {
	t.Helper()
	return startBehind(t, opts, func(h http.Handler) http.Handler { return h })
}

// startBehind puts something between the client and the upstream.
func startBehind(t *testing.T, opts emulator.Options, proxy func(http.Handler) http.Handler) *world {
	t.Helper()
	srv, err := emulator.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, srv: srv, web: httptest.NewServer(proxy(srv))}
	w.c, err = client.New(nil, w.web.URL, testKey, client.WithRetry(2, 5*time.Millisecond, 20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if w.id, err = srv.AddInstance(testKey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		w.c.CloseIdleConnections()
		w.web.Close()
	})
	w.m = w.manager(testKey, "")
	return w
}

// manager gives another process, so to speak.
func (w *world) manager(key, principal string) *Manager {
	w.Helper()
	m, err := NewManager(Config{Client: w.c, APIKey: key, Principal: principal, StallAfter: 30 * time.Second})
	if err != nil {
		w.Fatal(err)
	}
	m.timing = quick
	w.Cleanup(m.Close)
	return m
}

func (w *world) session() string {
	w.Helper()
	s, err := w.c.Chat.CreateSession(w.Context(), w.id, "")
	if err != nil {
		w.Fatal(err)
	}
	return s.ID
}

func (w *world) send(req ChatRequest) *Run {
	w.Helper()
	if req.Instance == "" {
		req.Instance = w.id
	}
	if req.Message == "" {
		req.Message = "hello"
	}
	r, joined, err := w.m.SendChat(w.Context(), req)
	if err != nil || joined != "" {
		w.Fatalf("got joined %q, %v", joined, err)
	}
	return r
}

// done waits for the end of a run, also one that stalls.
func (w *world) done(r *Run, p Progress) *Update {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for {
		u, err := r.Wait(ctx, UntilDone, 0, p)
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

func (w *world) open(m *Manager, handle string) *Run {
	w.Helper()
	r, err := m.Open(handle)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// users counts the messages of the user that arrived in a session.
func (w *world) users(session string) int {
	n := 0
	for _, m := range w.srv.Messages(w.id, session) {
		if m.Role == "user" {
			n++
		}
	}
	return n
}

// record is a Progress that keeps what it is told.
type record struct {
	mu    sync.Mutex
	text  strings.Builder
	lines []line
}

func (r *record) Text(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(s)
}

func (r *record) Line(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line{r.text.Len(), s})
}

func (r *record) joined() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) has(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if strings.Contains(l.text, part) {
			return true
		}
	}
	return false
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// script is an agent that always says the same, with a word of each kind.
func script(texts ...string) emulator.Agent {
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

// fed is an agent that says what a channel brings, until it is closed.
func fed(words <-chan string) emulator.Agent {
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

// outcome is what an error says of the request's effect.
func outcome(err error) client.Outcome {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return ""
}

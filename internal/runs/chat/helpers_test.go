package chat

import (
	"net/http"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

const (
	streamEndpoint   = runstest.StreamEndpoint
	messagesEndpoint = runstest.MessagesEndpoint
	testKey          = runstest.Key
)

var (
	eventually = runstest.Eventually
	script     = runstest.Script
	fed        = runstest.Fed
	gated      = runstest.Gated
	outcome    = runstest.Outcome
)

type record = runstest.Record

// quick is the timing of tests: the same order of things, in less time.
var quick = timing{
	pollMin: 5 * time.Millisecond, pollMax: 100 * time.Millisecond,
	settle: 60 * time.Millisecond, glance: 60 * time.Millisecond, brief: 60 * time.Millisecond, old: 10 * time.Minute, appear: 600 * time.Millisecond, lag: 300 * time.Millisecond, unclear: time.Second,
	patience: 20 * time.Second, giveUp: time.Minute, idle: time.Minute, tick: 20 * time.Millisecond,
}

// process is what a process of this program has of chats.
type process struct {
	*runs.Manager
	chat *Service
}

// world is an upstream and a process.
type world struct {
	*runstest.Upstream
	m *process
}

func start(t *testing.T, opts emulatortest.Options) *world {
	t.Helper()
	return startBehind(t, opts, nil)
}

// startBehind puts something between the client and the upstream.
func startBehind(t *testing.T, opts emulatortest.Options, proxy func(http.Handler) http.Handler) *world {
	t.Helper()
	w := &world{Upstream: runstest.Start(t, opts, proxy)}
	w.m = w.process(testKey, "")
	return w
}

func (w *world) process(key, principal string) *process {
	w.Helper()
	m := w.Manager(key, principal)
	p := &process{Manager: m, chat: New(m)}
	p.chat.timing = quick
	return p
}

func (w *world) session() string {
	w.Helper()
	s, err := w.Client.Chat.CreateSession(w.Context(), w.ID, "")
	if err != nil {
		w.Fatal(err)
	}
	return s.ID
}

func (w *world) send(req Request) runs.Run {
	w.Helper()
	if req.Instance == "" {
		req.Instance = w.ID
	}
	if req.Message == "" {
		req.Message = "hello"
	}
	r, joined, err := w.m.chat.Send(w.Context(), req)
	if err != nil || joined != "" {
		w.Fatalf("got joined %q, %v", joined, err)
	}
	return r
}

func (w *world) open(m *process, handle string) runs.Run {
	w.Helper()
	return w.Open(m.Manager, handle)
}

// users counts the messages of the user that arrived in a session.
func (w *world) users(session string) int {
	n := 0
	for _, m := range w.Srv.Messages(w.ID, session) {
		if m.Role == "user" {
			n++
		}
	}
	return n
}

// tools is what an update says of the tools that the agent used.
func tools(u *runs.Update) []client.ToolCall {
	list, _ := u.Result.([]client.ToolCall)
	return list
}

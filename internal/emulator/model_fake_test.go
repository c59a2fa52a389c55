package emulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const modelKey = "sk-of-the-model"

// chatRequest is a request to the model, as it went over the wire.
type chatRequest struct {
	Model    string
	Stream   bool
	Messages []chatMessage
	Tools    []struct {
		Function struct{ Name string }
	}

	auth string
}

type chatMessage struct {
	Role       string
	Content    string
	ToolCallID string `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string
		Function struct{ Name, Arguments string }
	} `json:"tool_calls"`
}

// fakeModel is an OpenAI-compatible service that answers by a script: one entry
// for each request. Past its end the last is repeated.
type fakeModel struct {
	url    string
	script []http.HandlerFunc
	models string

	mu       sync.Mutex
	requests []chatRequest
	lists    int
}

func newFakeModel(t *testing.T, script ...http.HandlerFunc) *fakeModel {
	t.Helper()
	f := &fakeModel{script: script, models: `{"data":[{"id":"nomic-embed-text"},{"id":"first-model"},{"id":"second"}]}`}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		f.lists++
		f.mu.Unlock()
		io.WriteString(w, f.models)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var req chatRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Errorf("a request to the model: %v", err)
		}
		req.auth = r.Header.Get("Authorization")
		f.mu.Lock()
		n := min(len(f.requests), len(f.script)-1)
		f.requests = append(f.requests, req)
		f.mu.Unlock()
		f.script[n](w, r)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func (f *fakeModel) asked() []chatRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// agent makes the agent that asks the model.
func (f *fakeModel) agent(t *testing.T, change func(*emulator.ModelOptions)) emulator.Agent {
	t.Helper()
	opts := emulator.ModelOptions{URL: f.url, Model: "m", Key: modelKey, Backoff: time.Millisecond}
	if change != nil {
		change(&opts)
	}
	a, err := emulator.ModelAgent(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// events answers with server-sent events of these data.
func events(data ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, d := range data {
			fmt.Fprintf(w, "data: %s\n\n", d)
			http.NewResponseController(w).Flush()
		}
	}
}

// says is a whole streamed answer.
func says(words ...string) http.HandlerFunc {
	data := []string{`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`}
	for _, w := range words {
		data = append(data, `{"choices":[{"index":0,"delta":{"content":`+toJSON(w)+`},"finish_reason":null}]}`)
	}
	return events(append(data, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`, `{"choices":[],"usage":{"total_tokens":3}}`, "[DONE]")...)
}

// calls is a streamed answer that uses a tool, its arguments cut in the middle.
func calls(id, name string, args map[string]any) http.HandlerFunc {
	text := toJSON(args)
	part := func(s string) string {
		return `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":` + toJSON(s) + `}}]}}]}`
	}
	return events(
		`{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"`+id+`","type":"function","function":{"name":"`+name+`","arguments":""}}]}}]}`,
		part(text[:len(text)/2]), part(text[len(text)/2:]),
		`{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`, "[DONE]")
}

func refuses(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// breaks ends the connection in mid-answer.
func breaks(data ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		events(data...)(w, r)
		panic(http.ErrAbortHandler)
	}
}

// spoken is a reply as the chat stream brought it.
type spoken struct {
	words  []string
	status []string
	tools  []emulator.ToolCall // as they ended
	kinds  []emulator.AgentEventKind
	err    error
}

func (s spoken) text() string { return strings.Join(s.words, "") }

// hear has an agent answer within an instance, and gives what it does.
func hear(t *testing.T, agent emulator.Agent, messages ...string) spoken {
	t.Helper()
	var s spoken
	f := start(t, emulatortest.Options{Agent: emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		s = spoken{}
		s.err = agent.Reply(ctx, turn, func(ev emulator.AgentEvent) error {
			s.kinds = append(s.kinds, ev.Kind)
			switch ev.Kind {
			case emulator.Text:
				s.words = append(s.words, ev.Text)
			case emulator.Status:
				s.status = append(s.status, ev.Text)
			case emulator.ToolEnd:
				s.tools = append(s.tools, *ev.Tool)
			}
			return emit(ev)
		})
		return s.err
	})})
	for _, m := range messages {
		f.do("POST", f.in("/chat"), toJSON(map[string]any{"message": m}))
	}
	return s
}

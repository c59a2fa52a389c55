package emulator_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

// Words come as the model says them, and the request is what such a service
// expects.
func TestModelStreams(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, says("Hel", "lo, ", "wörld"))
	got := hear(t, f.agent(t, nil), "hi")
	if want := []string{"Hel", "lo, ", "wörld"}; got.err != nil || !slices.Equal(got.words, want) {
		t.Errorf("got %q, %v; want %q", got.words, got.err, want)
	}
	req := f.asked()[0]
	if req.Model != "m" || !req.Stream || req.auth != "Bearer "+modelKey {
		t.Errorf("the request: %+v", req)
	}
	var tools []string
	for _, tool := range req.Tools {
		tools = append(tools, tool.Function.Name)
	}
	if want := []string{"run_command", "read_file", "write_file", "list_files"}; !slices.Equal(tools, want) {
		t.Errorf("tools %q, want %q", tools, want)
	}
	if m := req.Messages; len(m) != 2 || m[0].Role != "system" || m[1].Role != "user" || m[1].Content != "hi" {
		t.Errorf("messages: %+v", m)
	}
}

// Services differ in what they answer; all of these say "Hello".
func TestModelVariants(t *testing.T) {
	t.Parallel()
	raw := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
	}
	for name, answer := range map[string]http.HandlerFunc{
		"no stream":          raw(`{"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}`),
		"no stream, blanks":  raw("\n  " + `{"choices":[{"message":{"content":"Hello"}}]}`),
		"no finish_reason":   events(`{"choices":[{"delta":{"content":"Hel"}}]}`, `{"choices":[{"delta":{"content":"lo"}}]}`),
		"no DONE":            events(`{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}`),
		"broken after all":   breaks(`{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}`),
		"no space":           raw("data:{\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\r\n\r\ndata:[DONE]\r\n\r\n"),
		"comments and names": raw(": ping\n\nevent: message\nid: 1\ndata: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n: ping\n\ndata: [DONE]\n\n"),
		"no last blank line": raw("data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}"),
		"parts":              events(`{"choices":[{"delta":{"content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}}]}`, "[DONE]"),
		"null error":         events(`{"choices":[{"delta":{"content":"Hello"}}],"error":null}`, "[DONE]"),
		"reasoning":          events(`{"choices":[{"delta":{"reasoning_content":"hm"}}]}`, `{"choices":[{"delta":{"reasoning":"hm"}}]}`, `{"choices":[{"delta":{"content":"Hello"}}]}`, "[DONE]"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, answer)
			got := hear(t, f.agent(t, nil), "hi")
			if got.err != nil || got.text() != "Hello" || len(f.asked()) != 1 {
				t.Errorf("got %q, %v after %d requests", got.text(), got.err, len(f.asked()))
			}
			if name == "reasoning" && !slices.Equal(got.status, []string{"Thinking"}) {
				t.Errorf("status %q", got.status)
			}
		})
	}
}

// A tool's work is real, its events reach the stream, and its result the model.
func TestModelTools(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t,
		calls("call_1", "write_file", map[string]any{"path": "/workspace/dir/a.txt", "content": "one\ntwo\n"}),
		calls("call_1", "run_command", map[string]any{"command": "cat dir/a.txt; echo oops >&2; exit 3"}),
		calls("call_2", "read_file", map[string]any{"path": "dir/a.txt", "offset": 4}),
		calls("", "list_files", map[string]any{}),
		says("Done."))
	got := hear(t, f.agent(t, nil), "write it")
	if got.err != nil || got.text() != "Done." {
		t.Fatalf("got %q, %v", got.text(), got.err)
	}
	for i, want := range []struct {
		name, result string
		failed       bool
	}{
		{"write_file", "Wrote 8 bytes to /workspace/dir/a.txt", false},
		{"run_command", "exit code: 3\nstdout:\none\ntwo\n\nstderr:\noops", true},
		{"read_file", "two\n", false},
		{"list_files", "- dir/", false},
	} {
		tool := got.tools[i]
		if tool.Name != want.name || !strings.Contains(tool.Result, want.result) || tool.IsError != want.failed {
			t.Errorf("tool %d: %+v, want %+v", i, tool, want)
		}
	}
	want := []emulator.AgentEventKind{emulator.ToolStart, emulator.ToolUpdate, emulator.ToolEnd}
	if !slices.Equal(got.kinds[:3], want) {
		t.Errorf("events %v", got.kinds)
	}
	// Each result follows its call, under its id.
	last := f.asked()[4].Messages
	if len(last) != 10 {
		t.Fatalf("%d messages in the last request: %+v", len(last), last)
	}
	for i := 2; i < len(last); i += 2 {
		call, result := last[i], last[i+1]
		if call.Role != "assistant" || len(call.ToolCalls) != 1 || result.Role != "tool" || result.ToolCallID != call.ToolCalls[0].ID || result.ToolCallID == "" {
			t.Errorf("messages %d: %+v, %+v", i, call, result)
		}
	}
}

// Calls come in many forms; all of these write x into f.
func TestModelCallForms(t *testing.T) {
	t.Parallel()
	const args = `"{\"path\":\"f\",\"content\":\"x\"}"`
	call := func(body string) string { return `{"choices":[{"delta":{"tool_calls":[` + body + `]}}]}` }
	for name, answer := range map[string]http.HandlerFunc{
		"one chunk":     events(call(`{"index":0,"id":"a","function":{"name":"write_file","arguments":` + args + `}}`)),
		"no index":      events(call(`{"id":"a","function":{"name":"write_file","arguments":"{\"path\":\"f\","}}`), call(`{"function":{"arguments":"\"content\":\"x\"}"}}`), "[DONE]"),
		"repeated name": events(call(`{"index":0,"id":"a","function":{"name":"write_file","arguments":"{\"path\":\"f\","}}`), call(`{"index":0,"id":"a","function":{"name":"write_file","arguments":"\"content\":\"x\"}"}}`), "[DONE]"),
		"split name":    events(call(`{"index":0,"id":"a","function":{"name":"write_"}}`), call(`{"index":0,"function":{"name":"file","arguments":`+args+`}}`), "[DONE]"),
		"object":        events(call(`{"function":{"name":"write_file","arguments":{"path":"f","content":"x"}}}`), "[DONE]"),
		"message":       events(`{"choices":[{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"write_file","arguments":` + args + `}}]}}]}`),
		"finish stop":   events(call(`{"index":0,"id":"a","function":{"name":"write_file","arguments":`+args+`}}`), `{"choices":[{"delta":{},"finish_reason":"stop"}]}`),
		"two of index 0": events(call(`{"index":0,"id":"b","function":{"name":"list_files","arguments":"{}"}}`),
			call(`{"index":0,"id":"a","function":{"name":"write_file","arguments":`+args+`}}`), "[DONE]"),
		"two without a name": events(call(`{"function":{"name":"list_files","arguments":"{}"}},{"function":{"name":"write_file","arguments":` + args + `}}`)),
		"two interleaved": events(call(`{"index":0,"id":"b","function":{"name":"list_files","arguments":""}},{"index":1,"id":"a","function":{"name":"write_file","arguments":""}}`),
			call(`{"index":1,"function":{"arguments":`+args+`}},{"index":0,"function":{"arguments":"{}"}}`), "[DONE]"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, answer, says("ok"))
			got := hear(t, f.agent(t, nil), "go")
			want := 1
			if strings.HasPrefix(name, "two") {
				want = 2
			}
			if got.err != nil || got.text() != "ok" || len(got.tools) != want {
				t.Fatalf("got %q, %v, %+v", got.text(), got.err, got.tools)
			}
			if last := got.tools[want-1]; last.IsError || last.Result != "Wrote 1 bytes to /workspace/f." {
				t.Errorf("got %+v", last)
			}
		})
	}
}

// What a tool cannot do is told to the model, and ends nothing.
func TestModelToolErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args, want string
	}{
		{"nonsense", `{}`, `no tool "nonsense"; there are run_command`},
		{"run_command", `{"command":`, "not a JSON object"},
		{"run_command", `[1]`, "not a JSON object"},
		{"run_command", `{}`, "needs a command"},
		{"run_command", `{"command":5}`, "wrong arguments"},
		{"run_command", `{"command":"true","timeout_seconds":0}`, "from 1 to 600"},
		{"run_command", `{"command":"sleep 60","timeout_seconds":1}`, "exit code: 124\nIt was killed after 1s"},
		{"read_file", `{}`, "needs a path"},
		{"read_file", `{"path":"no"}`, "No such file or directory: /workspace/no"},
		{"read_file", `{"path":"/etc/passwd"}`, "under /workspace"},
		{"read_file", `{"path":"."}`, "not a regular file"},
		{"read_file", `{"path":"x","offset":-1}`, "from 0 on"},
		{"write_file", `{"path":"a"}`, "needs path and content"},
		{"write_file", `{"path":"../a","content":""}`, "under /workspace"},
		{"write_file", `{"path":"/workspace","content":""}`, "is a directory"},
		{"list_files", `{"path":"no"}`, "No such file"},
	} {
		t.Run(tt.name+tt.args, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, events(`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"`+tt.name+`","arguments":`+toJSON(tt.args)+`}}]}}]}`), says("ok"))
			got := hear(t, f.agent(t, nil), "go")
			if got.err != nil || got.text() != "ok" || len(got.tools) != 1 {
				t.Fatalf("got %q, %v, %+v", got.text(), got.err, got.tools)
			}
			messages := f.asked()[1].Messages
			told := messages[len(messages)-1].Content
			if !got.tools[0].IsError || !strings.Contains(told, tt.want) || !strings.Contains(told, got.tools[0].Result) {
				t.Errorf("the model is told %q, the stream %+v; want %q", told, got.tools[0], tt.want)
			}
		})
	}
}

// Results are bounded, and say what is left out.
func TestModelBounds(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t,
		calls("a", "run_command", map[string]any{"command": "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done > big; cat big"}),
		calls("b", "read_file", map[string]any{"path": "big"}),
		calls("c", "read_file", map[string]any{"path": "big", "offset": 1 << 30}),
		says("ok"))
	got := hear(t, f.agent(t, nil), "go")
	if got.err != nil || len(got.tools) != 3 {
		t.Fatalf("%v, %+v", got.err, got.tools)
	}
	for i, want := range [][]string{
		{"line 0\n", "bytes left out)", "line 19999\n"}, {"line 0\n", "go on with offset 16384"}, {"nothing beyond"},
	} {
		r := got.tools[i].Result
		if len(r) > 17<<10 {
			t.Errorf("result %d has %d bytes", i, len(r))
		}
		for _, w := range want {
			if !strings.Contains(r, w) {
				t.Errorf("result %d lacks %q", i, w)
			}
		}
	}
}

// Before anything was said, what passes by itself is tried again.
func TestModelRetries(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.HandlerFunc{
		"429":        refuses(429, `{"error":{"message":"slow down"}}`),
		"500":        refuses(500, "oops"),
		"503":        refuses(503, `{"error":"loading model"}`),
		"broken":     breaks(),
		"empty":      events(),
		"half":       breaks(`{"choices":[{"delta":{"role":"assistant"}}]}`),
		"in stream":  events(`{"error":{"code":503,"message":"overloaded"}}`),
		"no content": refuses(200, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, first, first, says("ok"))
			got := hear(t, f.agent(t, nil), "hi")
			if got.err != nil || got.text() != "ok" || len(f.asked()) != 3 {
				t.Errorf("got %q, %v after %d requests", got.text(), got.err, len(f.asked()))
			}
			if len(got.status) != 2 || !strings.Contains(got.status[0], "Trying again in") {
				t.Errorf("status %q", got.status)
			}
			f = newFakeModel(t, first)
			if got = hear(t, f.agent(t, nil), "hi"); got.err == nil || len(f.asked()) != 3 {
				t.Errorf("for ever: %v after %d requests", got.err, len(f.asked()))
			}
		})
	}
}

// Retry-After is obeyed, which the default pause of an hour here would not be.
func TestModelRetryAfter(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(429)
	}, says("ok"))
	begin := time.Now()
	got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Backoff = time.Hour }), "hi")
	if took := time.Since(begin); got.text() != "ok" || took < time.Second {
		t.Errorf("got %q, %v after %s", got.text(), got.err, took)
	}
}

// What does not pass is an error at once that says what to do, without the key.
func TestModelErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   []string
		said   string
	}{
		{"key", refuses(401, `{"error":{"message":"Incorrect API key: `+modelKey+`"}}`), []string{"401", "Incorrect API key: ***", "OPENCLAW_LOCAL_MODEL_KEY"}, ""},
		{"no model", refuses(404, `{"error":{"message":"model 'm' not found"}}`), []string{"404", "model 'm' not found", "OPENCLAW_LOCAL_MODEL"}, ""},
		{"bad request", refuses(400, `{"message":"context too long"}`), []string{"400", "context too long"}, ""},
		{"long", refuses(400, strings.Repeat("x", 9000)), []string{"400", "xxx …"}, ""},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/v1", http.StatusTemporaryRedirect)
		}, []string{"307", "https://elsewhere.example/v1", "OPENCLAW_LOCAL_MODEL_URL"}, ""},
		{"in stream", events(`{"choices":[{"delta":{"content":"Hel"}}]}`, `{"error":{"message":"GPU lost","code":500}}`), []string{"broke off", "GPU lost"}, "Hel"},
		{"error text", events(`{"error":"no memory"}`), []string{"no memory"}, ""},
		{"broken", breaks(`{"choices":[{"delta":{"content":"Hel"}}]}`), []string{"broke off"}, "Hel"},
		{"not JSON", events(`{"choices":[{"delta":{"content":"Hel"}}]}`, `{"choi`), []string{"not JSON"}, "Hel"},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>login</html>") }, []string{"web page", "OPENCLAW_LOCAL_MODEL_URL"}, ""},
		{"nothing", says(""), []string{"answered with nothing"}, ""},
		{"filter", events(`{"choices":[{"delta":{},"finish_reason":"content_filter"}]}`), []string{"content_filter"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, tt.answer)
			got := hear(t, f.agent(t, nil), "hi")
			if got.err == nil || got.text() != tt.said {
				t.Fatalf("got %q, %v", got.text(), got.err)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.err.Error(), want) {
					t.Errorf("%q lacks %q", got.err, want)
				}
			}
			if text := got.err.Error(); strings.Contains(text, modelKey) || len(text) > 1000 {
				t.Errorf("the error tells too much: %q", text)
			}
			if n := len(f.asked()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Without a name the service's first model answers; embedding models cannot.
func TestModelDefault(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, says("ok"))
	unnamed := func(o *emulator.ModelOptions) { o.Model = "" }
	got := hear(t, f.agent(t, unnamed), "one", "two")
	if reqs := f.asked(); got.err != nil || len(reqs) != 2 || reqs[1].Model != "first-model" || f.lists != 1 {
		t.Errorf("%v, %+v, %d lists", got.err, reqs, f.lists)
	}
	f = newFakeModel(t, says("ok"))
	f.models = `{"data":[]}`
	if got = hear(t, f.agent(t, unnamed), "hi"); got.err == nil || !strings.Contains(got.err.Error(), "OPENCLAW_LOCAL_MODEL") || !strings.Contains(got.err.Error(), f.url) {
		t.Errorf("none: %v", got.err)
	}
	f.models = `<html>`
	if got = hear(t, f.agent(t, unnamed), "hi"); got.err == nil || !strings.Contains(got.err.Error(), "OpenAI-compatible") {
		t.Errorf("no JSON: %v", got.err)
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	gone := &fakeModel{url: srv.URL}
	if got = hear(t, gone.agent(t, unnamed), "hi"); got.err == nil || !strings.Contains(got.err.Error(), "cannot be reached") || !strings.Contains(got.err.Error(), "refused") {
		t.Errorf("gone: %v", got.err)
	}
}

// A URL is taken as people have it at hand.
func TestModelURL(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "/", "/v1", "/v1/", "/v1/chat/completions"} {
		f := newFakeModel(t, says("ok"))
		if got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.URL += suffix }), "hi"); got.text() != "ok" {
			t.Errorf("%q: %v", suffix, got.err)
		}
	}
	for _, wrong := range []string{"", "localhost:1", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://a b"} {
		if _, err := emulator.ModelAgent(emulator.ModelOptions{URL: wrong}); err == nil || !strings.Contains(err.Error(), "http or https") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// Steps, time and the answer's own length are limits that are told.
func TestModelLimits(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, calls("a", "list_files", nil))
	got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Steps = 3 }), "go")
	if got.err != nil || len(f.asked()) != 3 || !strings.Contains(got.text(), "stopped after 3 steps") {
		t.Errorf("steps: %q, %v after %d requests", got.text(), got.err, len(f.asked()))
	}
	f = newFakeModel(t, events(`{"choices":[{"delta":{"content":"and so"},"finish_reason":"length"}]}`))
	if got = hear(t, f.agent(t, nil), "go"); got.err != nil || !strings.HasPrefix(got.text(), "and so\n\n(") {
		t.Errorf("length: %q, %v", got.text(), got.err)
	}
	f = newFakeModel(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	got = hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Timeout = 50 * time.Millisecond }), "go")
	if got.err == nil || !strings.Contains(got.err.Error(), "within 50ms") {
		t.Errorf("time: %v", got.err)
	}
}

// A model that knows no tools answers without them.
func TestModelWithoutTools(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, refuses(400, `{"error":{"message":"m does not support tools"}}`), says("ok"))
	got := hear(t, f.agent(t, nil), "hi")
	if reqs := f.asked(); got.text() != "ok" || len(reqs) != 2 || len(reqs[1].Tools) != 0 || len(got.status) != 1 {
		t.Errorf("got %q, %v, %q, %+v", got.text(), got.err, got.status, reqs)
	}
}

// The session's history is told, tools and failures included, and the oldest of
// it left out when it grows too long.
func TestModelHistory(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, says("first"), calls("x", "run_command", map[string]any{"command": "echo hi"}), says("second"),
		refuses(400, "no"), says("third"))
	hear(t, f.agent(t, nil), "m1", "m2", "m3", "m4")
	reqs := f.asked()
	var got []string
	for _, m := range reqs[len(reqs)-1].Messages[1:] {
		text := m.Role + ":" + m.Content
		if len(m.ToolCalls) > 0 {
			text += m.ToolCalls[0].Function.Name + m.ToolCalls[0].Function.Arguments
		}
		got = append(got, strings.TrimSpace(strings.ReplaceAll(text, "\n", " ")))
	}
	want := []string{"user:m1", "assistant:first", "user:m2", `assistant:run_command{"command":"echo hi"}`, "tool:exit code: 0 stdout: hi",
		"assistant:second", "user:m3", "assistant: (This reply failed: the model service answered 400 Bad Request: no)", "user:m4"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// What was written to a file is not told again in full.
	f = newFakeModel(t, calls("x", "write_file", map[string]any{"path": "big.txt", "content": strings.Repeat("0123456789", 5000)}), says("ok"))
	hear(t, f.agent(t, nil), "write", "and now")
	told := f.asked()[2].Messages
	if args := told[2].ToolCalls[0].Function.Arguments; len(told) != 6 || len(args) > 1000 || !strings.Contains(args, `"path":"big.txt"`) || !strings.Contains(args, "left out") {
		t.Errorf("%d messages; the old call is told as %q", len(told), args)
	}
	// Nor what is long without a long text in it.
	f = newFakeModel(t, calls("x", "nonsense", map[string]any{"list": make([]int, 5000)}), says("ok"))
	hear(t, f.agent(t, nil), "write", "and now")
	if args := f.asked()[2].Messages[2].ToolCalls[0].Function.Arguments; args != `{"note":"left out to save room"}` {
		t.Errorf("the old call is told as %.100q", args)
	}

	f = newFakeModel(t, says("ok"))
	long := strings.Repeat("word ", 1000)
	hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Context = 13000 }), "1 "+long, "2 "+long, "3 "+long)
	last := f.asked()[2].Messages
	if len(last) != 4 || !strings.Contains(last[0].Content, "left out") || last[1].Content != "2 "+long || last[3].Content != "3 "+long {
		t.Errorf("%d messages: %.300s", len(last), toJSON(last))
	}
}

// Within one turn, too, old results give way.
func TestModelTurnBudget(t *testing.T) {
	t.Parallel()
	var script []http.HandlerFunc
	for range 8 {
		script = append(script, calls("a", "run_command", map[string]any{"command": "head -c 9000 /dev/zero | tr '\\0' x"}))
	}
	f := newFakeModel(t, append(script, says("ok"))...)
	if got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Context = 30000 }), "go"); got.err != nil {
		t.Fatal(got.err)
	}
	last := f.asked()[8].Messages
	if n := len(toJSON(last)); n > 40000 || len(last) != 18 {
		t.Errorf("%d messages, %d bytes", len(last), n)
	}
	if first, newest := last[3].Content, last[17].Content; !strings.Contains(first, "left out") || len(newest) < 9000 {
		t.Errorf("the first result has %d bytes, the newest %d", len(first), len(newest))
	}
}

// Stopping the instance stops the reply, in mid-answer and in mid-command.
func TestModelCancelled(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"answer": func(w http.ResponseWriter, r *http.Request) {
			events(`{"choices":[{"delta":{"content":"Well"}}]}`)(w, r)
			<-r.Context().Done()
		},
		"command": calls("a", "run_command", map[string]any{"command": "touch begun; sleep 600"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := newFakeModel(t, answer)
			f := start(t, emulator.Options{Agent: model.agent(t, nil)})
			reply := f.stream("POST", f.in("/chat/stream"), `{"message":"go"}`)
			if name == "answer" {
				for ev, ok := reply.next(); ok && !strings.Contains(ev.data, "Well"); ev, ok = reply.next() {
				}
			} else {
				eventually(t, "the command", func() bool {
					_, err := os.Stat(filepath.Join(f.srv.Workspace(f.id), "begun"))
					return err == nil
				})
			}
			f.want(200, "POST", f.in("/shutdown"), "")
			rest := fmt.Sprint(reply.all())
			if !strings.Contains(rest, "stopped during the reply") {
				t.Errorf("the stream ends with %s", rest)
			}
			if n := len(model.asked()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The agent also ends by itself when its context does.
func TestModelContext(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, refuses(503, ""))
	ctx, cancel := context.WithCancel(t.Context())
	agent := f.agent(t, func(o *emulator.ModelOptions) { o.Backoff = time.Hour })
	err := agent.Reply(ctx, emulator.Turn{Message: "hi"}, func(emulator.AgentEvent) error {
		cancel()
		return nil
	})
	if err == nil || len(f.asked()) != 1 {
		t.Errorf("%v after %d requests", err, len(f.asked()))
	}
}

// A part of a file ends between two characters, so that the next goes on there.
func TestModelReadsWholeCharacters(t *testing.T) {
	t.Parallel()
	const content = 16<<10 - 1 // bytes before the first character of three
	f := newFakeModel(t,
		calls("a", "write_file", map[string]any{"path": "f", "content": strings.Repeat("x", content) + "€€"}),
		calls("b", "read_file", map[string]any{"path": "f"}),
		calls("c", "read_file", map[string]any{"path": "f", "offset": content}),
		says("ok"))
	got := hear(t, f.agent(t, nil), "go")
	if got.err != nil || len(got.tools) != 3 {
		t.Fatalf("%v, %+v", got.err, got.tools)
	}
	if r := got.tools[1].Result; !strings.HasSuffix(r, fmt.Sprintf("x\n(6 bytes more; go on with offset %d)", content)) {
		t.Errorf("the first part ends with %q", r[len(r)-80:])
	}
	if r := got.tools[2].Result; r != "€€" {
		t.Errorf("the second part is %q", r)
	}
}

// A message that waits for its turn is no history of the ones before it.
func TestHistoryOfQueuedMessages(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}, 3), make(chan struct{})
	told := make(chan []string, 3)
	f := start(t, emulator.Options{Agent: emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		var history []string
		for _, m := range turn.History {
			history = append(history, m.Text)
		}
		told <- history
		begun <- struct{}{}
		select {
		case <-goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit(text("to " + turn.Message))
	})})
	var replies []*sse
	for i, m := range []string{"one", "two", "three"} {
		replies = append(replies, f.stream("POST", f.in("/chat/stream"), toJSON(map[string]any{"message": m})))
		if i == 0 {
			<-begun
		}
	}
	close(goOn)
	for _, r := range replies {
		r.all()
	}
	for _, want := range [][]string{nil, {"one", "to one"}, {"one", "two", "to one", "to two"}} {
		if got := <-told; !slices.Equal(got, want) {
			t.Errorf("the history is %q, want %q", got, want)
		}
	}
}

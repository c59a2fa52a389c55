package emulator_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

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

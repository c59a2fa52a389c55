package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// combination is a transport and an era.
type combination struct {
	name, era string
	http      bool
}

var combinations = []combination{
	{"stdio_legacy", legacy, false}, {"stdio_modern", modern, false},
	{"http_legacy", legacy, true}, {"http_modern", modern, true},
}

// each runs a test on every combination, all at once.
func each(t *testing.T, test func(t *testing.T, c combination)) {
	for _, c := range combinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// session is a connected client that knows the server's tools.
type session struct {
	wire
	proc  *process
	tools map[string]*listedTool
	ids   atomic.Int64
}

// listedTool is a tool as tools/list shows it.
type listedTool struct {
	Name, Title, Description string
	InputSchema              json.RawMessage
	OutputSchema             json.RawMessage
	Annotations              map[string]bool

	input, output *jsonschema.Schema
}

// connect starts a binary and connects to it.
func (c combination) connect(t testing.TB, env []string, args ...string) *session {
	t.Helper()
	if c.http {
		p, url := launchHTTP(t, env, args...)
		return newSession(t, p, newHTTPWire(t, url, c.era))
	}
	p := launch(t, env, args...)
	return newSession(t, p, newStdioWire(t, p, c.era))
}

// connect is for tests that any combination serves.
func connect(t testing.TB, env []string, args ...string) *session {
	t.Helper()
	return combinations[1].connect(t, env, args...)
}

func newSession(t testing.TB, p *process, w wire) *session {
	t.Helper()
	s := &session{wire: w, proc: p, tools: make(map[string]*listedTool)}
	var list struct{ Tools []*listedTool }
	if err := json.Unmarshal(s.request(t, "tools/list", nil).Result, &list); err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		tool.input, tool.output = compileSchema(t, tool.Name, tool.InputSchema), compileSchema(t, tool.Name, tool.OutputSchema)
		s.tools[tool.Name] = tool
	}
	return s
}

// compileSchema has a second library's word on a schema.
func compileSchema(t testing.TB, name string, raw json.RawMessage) *jsonschema.Schema {
	t.Helper()
	if raw == nil {
		return nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%s: schema: %v", name, err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///"+name, doc); err != nil {
		t.Fatalf("%s: schema: %v", name, err)
	}
	s, err := c.Compile("mem:///" + name)
	if err != nil {
		t.Fatalf("%s: schema: %v", name, err)
	}
	return s
}

func (s *session) newID() string { return fmt.Sprint(s.ids.Add(1)) }

// request sends a request and waits for its answer.
func (s *session) request(t testing.TB, method string, p params) message {
	t.Helper()
	return answer(t, s.start(t, s.newID(), method, p))
}

// call is a tool call under way.
type call struct {
	s    *session
	tool string
	id   string
	ch   <-chan message
}

// called collects the tools that any test got to do something.
var called sync.Map

// begin calls a tool and asks for progress.
func (s *session) begin(t testing.TB, tool string, args params) *call {
	t.Helper()
	c := &call{s: s, tool: tool, id: s.newID()}
	c.ch = s.start(t, c.id, "tools/call", c.params(args))
	return c
}

func (c *call) params(args params) params {
	if args == nil {
		args = params{}
	}
	return params{"name": c.tool, "arguments": args, "_meta": params{"progressToken": json.RawMessage(c.id)}}
}

// cancel tells the server that the call is given up.
func (c *call) cancel(t testing.TB, reason string) {
	t.Helper()
	c.s.notify(t, "notifications/cancelled", params{"requestId": json.RawMessage(c.id), "reason": reason})
}

// progress waits for the call's next progress notification.
func (c *call) progress(t testing.TB) message {
	t.Helper()
	m := recv(t, c.ch, "progress of "+c.tool)
	if m.Method != "notifications/progress" {
		t.Fatalf("%s ended before there was progress: %s %+v", c.tool, shorten(string(m.Result), 500), m.Error)
	}
	return m
}

// result is what a tool answered.
type result struct {
	Text     string
	IsError  bool
	Data     map[string]any
	raw      json.RawMessage
	progress []message
}

// str gives a text of the structured result, "" where there is none.
func (r result) str(key string) string {
	s, _ := r.Data[key].(string)
	return s
}

// run gives a run of wait_run's or list_runs' structured result.
func (r result) run(i int) result {
	list, _ := r.Data["runs"].([]any)
	if i >= len(list) {
		return result{}
	}
	data, _ := list[i].(map[string]any)
	return result{Text: r.Text, Data: data}
}

// streamed joins the texts that the progress notifications gave programs.
func (r result) streamed() string {
	var b strings.Builder
	for _, m := range r.progress {
		b.WriteString(m.Params.Meta.Text)
	}
	return b.String()
}

// shown is what a person saw of the progress, one message after the other.
func (r result) shown() []string {
	var all []string
	for _, m := range r.progress {
		all = append(all, m.Params.Message)
	}
	return all
}

var spelledCall = regexp.MustCompile(`(\w+) (\{.*)`)

// follow makes the call that a result says goes on.
func (s *session) follow(t testing.TB, r result) result {
	t.Helper()
	m := spelledCall.FindStringSubmatch(r.str("next"))
	if m == nil {
		t.Fatalf("no call is spelled in next, %q; the result is %s", r.str("next"), shorten(r.Text, 500))
	}
	var args params
	if err := json.NewDecoder(strings.NewReader(m[2])).Decode(&args); err != nil {
		t.Fatalf("next is %q: %v", r.str("next"), err)
	}
	return s.ok(t, m[1], args)
}

// call calls a tool and waits for its result.
func (s *session) call(t testing.TB, tool string, args params) result {
	t.Helper()
	return s.begin(t, tool, args).result(t)
}

// ok is call for what must succeed.
func (s *session) ok(t testing.TB, tool string, args params) result {
	t.Helper()
	r := s.call(t, tool, args)
	if r.IsError {
		t.Fatalf("%s %s failed: %s", tool, shorten(fmt.Sprint(args), 500), shorten(r.Text, 2000))
	}
	return r
}

// result waits for the call's result and holds it to what every result keeps:
// progress rises and comes before it, its data is what the tool's output schema
// says, and its text says what the data says.
func (c *call) result(t testing.TB) result {
	t.Helper()
	var r result
	for m := range c.ch {
		if m.Method == "" {
			c.check(t, m, &r)
			if extra, open := <-c.ch; open {
				t.Errorf("%s: behind the result came %+v", c.tool, extra)
			}
			return r
		}
		if n := len(r.progress); m.Method != "notifications/progress" || n > 0 && m.Params.Progress <= r.progress[n-1].Params.Progress {
			t.Errorf("%s: a notification out of order: %+v", c.tool, m)
		}
		r.progress = append(r.progress, m)
	}
	t.Fatalf("%s: no answer", c.tool)
	return r
}

func (c *call) check(t testing.TB, m message, r *result) {
	t.Helper()
	if m.Error != nil {
		t.Fatalf("%s: JSON-RPC error %d: %s", c.tool, m.Error.Code, m.Error.Message)
	}
	var wireResult struct {
		Content           []struct{ Type, Text string }
		IsError           bool
		StructuredContent json.RawMessage
		Meta              struct {
			Facts map[string]any `json:"openclaw-mcp/result"`
		} `json:"_meta"`
	}
	if err := json.Unmarshal(m.Result, &wireResult); err != nil {
		t.Fatalf("%s: %v", c.tool, err)
	}
	r.raw, r.IsError = m.Result, wireResult.IsError
	// One text; what stands behind it adds to it.
	for i, part := range wireResult.Content {
		if (part.Type == "text") != (i == 0) {
			t.Fatalf("%s: part %d of its content is a %q: %s", c.tool, i, part.Type, shorten(string(m.Result), 500))
		}
	}
	if len(wireResult.Content) == 0 || strings.TrimSpace(wireResult.Content[0].Text) == "" {
		t.Fatalf("%s: its content has no text: %s", c.tool, shorten(string(m.Result), 500))
	}
	r.Text = wireResult.Content[0].Text
	if !strings.Contains(r.Text, "refused before it was sent") {
		called.Store(c.tool, true)
	}
	if tool := c.s.tools[c.tool]; tool != nil && tool.output == nil { // results are for models
		r.Data = wireResult.Meta.Facts
		if wireResult.StructuredContent != nil || strings.Contains(string(m.Result), `"resource_link"`) {
			t.Errorf("%s: a result for models has more than text: %s", c.tool, shorten(string(m.Result), 500))
		}
		return
	}
	if wireResult.StructuredContent == nil {
		if !r.IsError {
			t.Errorf("%s: no structured content", c.tool)
		}
		return
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(wireResult.StructuredContent))
	if err != nil {
		t.Fatalf("%s: structured content: %v", c.tool, err)
	}
	if tool := c.s.tools[c.tool]; tool == nil {
		t.Errorf("%s is not listed", c.tool)
	} else if err := tool.output.Validate(doc); err != nil {
		t.Errorf("%s: its result is not what its output schema says: %v\n%s", c.tool, err, shorten(string(wireResult.StructuredContent), 1000))
	}
	r.Data, _ = doc.(map[string]any)
	for _, missing := range absentFrom(r.Text, doc) {
		t.Errorf("%s: the text lacks what the data has, %s; it is:\n%s", c.tool, shorten(missing, 300), shorten(r.Text, 1500))
	}
}

// essential are the keys whose values a client that reads only text needs.
var essential = []string{"id", "run", "next", "reply", "stdout", "stderr", "content", "error", "notes", "note", "session", "path", "status", "text", "name"}

// absentFrom gives the essential texts of data that text does not hold.
func absentFrom(text string, data any) []string {
	var absent []string
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, w := range v {
				walk(k, w)
			}
		case []any:
			for _, w := range v {
				walk(key, w)
			}
		case string:
			if key == "path" {
				v = path.Base(v) // a listed file's is that of the list and its name
			}
			if slices.Contains(essential, key) && !strings.Contains(text, strings.TrimSpace(v)) {
				absent = append(absent, key+": "+v)
			}
		}
	}
	walk("", data)
	return absent
}

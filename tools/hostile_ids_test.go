package tools

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
)

// generous is a service that takes whatever it is asked by for one of its
// instances: UUIDs in every spelling, names in any case, paths that go up.
type generous struct {
	prod string

	mu      sync.Mutex
	reached []string // requests that reached prod
	seen    int      // bytes of all requests' addresses and bodies
}

func (g *generous) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/api/instances" {
		_, _ = w.Write([]byte(`[{"id":"` + g.prod + `","status":"ready"},{"id":"dev-1","status":"ready"}]`))
		return
	}
	decoded, err := url.PathUnescape(r.URL.Path)
	if err != nil {
		decoded = r.URL.Path
	}
	decoded = strings.ToLower(path.Clean(strings.ReplaceAll(decoded, `\`, "/")))
	decoded = strings.NewReplacer("-", "", "{", "", "}", "", "(", "", ")", "", " ", "", "urn:uuid:", "", "\u200b", "").Replace(decoded)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen += len(r.RequestURI)
	if strings.Contains(decoded, strings.ToLower(strings.ReplaceAll(g.prod, "-", ""))) {
		g.reached = append(g.reached, r.Method+" "+r.RequestURI)
	}
	_, _ = w.Write([]byte(`{"id":"` + g.prod + `","status":"ready"}`))
}

func (g *generous) deps(t *testing.T, rails *Rails) *Deps {
	web := httptest.NewServer(g)
	c, err := client.New(nil, web.URL, "key", client.WithRetry(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseIdleConnections()
		web.Close()
	})
	s := NewServices(c, testRuns(t, c))
	return &Deps{
		Services:     func(context.Context) (*Services, error) { return s, nil },
		Rails:        func(context.Context) *Rails { return rails },
		Principal:    func(context.Context) string { return "local" },
		Progress:     func(context.Context, func(int) string) Progress { return silent{} },
		OnCancel:     func(context.Context, func(string)) {},
		Confirm:      NewConfirmer(ConfirmAllow),
		SoftDeadline: 2 * time.Second, MaxResultChars: 20000,
	}
}

// spellings are ways to name an instance that a service might understand.
func spellings(id string) []string {
	bare := strings.ReplaceAll(id, "-", "")
	return []string{
		id, strings.ToUpper(id), strings.ToLower(id), "{" + id + "}", "{" + strings.ToUpper(id) + "}", "(" + id + ")", bare, strings.ToUpper(bare),
		"urn:uuid:" + id, "URN:UUID:" + strings.ToUpper(id), "dev-1/../" + id, `dev-1\..\` + id, "dev-1/../../instances/" + id, "./" + id, id + "/",
		id + "?", id + "?x=1", id + "#", id + "%00", url.PathEscape("dev-1/../" + id), "%2e%2e/" + id, " " + id, id + "\u200b", id + "\x00", id + ";", id + "-", "-" + id,
	}
}

// Rails on instances hold whatever spelling a caller finds for one.
func TestInstanceRailsAndSpelling(t *testing.T) {
	t.Parallel()
	for _, prod := range []string{"3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3F2504E0-4F89-41D3-9A0C-0305E82C3301", "PROD"} {
		for name, rails := range map[string]*Rails{
			"excluded":            {ExcludeInstances: []string{prod}},
			"excluded, otherwise": {ExcludeInstances: []string{strings.ToLower(prod), strings.ToUpper(prod)}},
			"excluded by pattern": {ExcludeInstances: []string{prod[:3] + "*"}},
			"allowed are others":  {Instances: []string{"dev-*"}},
			"by a header":         (&Rails{}).Tighten(&Rails{ExcludeInstances: []string{prod}}),
		} {
			t.Run(prod[:4]+" "+name, func(t *testing.T) {
				t.Parallel()
				g := &generous{prod: prod}
				d := g.deps(t, rails)
				named := NamedInstance(d)
				for i, id := range spellings(prod) {
					for tool, args := range map[string]map[string]any{
						"get_instance": {}, "shutdown_instance": {}, "send_chat_message": {"message": "x"}, "read_chat_history": {}, "exec_command": {"command": "true"},
						"list_files": {"path": "/workspace"}, "write_file": {"path": "/workspace/f", "content": "x"}, "take_screenshot": {},
					} {
						if i > 1 && tool != "exec_command" {
							continue // all tools choose their instance in one way
						}
						args["instance"] = id
						if r := callTool(t, d, tool, args); !r.IsError {
							t.Errorf("%s of %q went through: %s", tool, id, r.Text)
						}
					}
					if named(t.Context(), id) == nil {
						t.Errorf("resources of %q may be read", id)
					}
				}
				if len(g.reached) > 0 {
					t.Errorf("these requests reached it: %q", g.reached)
				}
				if r := callTool(t, d, "get_instance", map[string]any{"instance": "dev-1"}); r.IsError {
					t.Errorf("dev-1 is refused: %s", r.Text)
				}
			})
		}
	}
}

// A UUID that is allowed is allowed in all its spellings.
func TestAllowedUUID(t *testing.T) {
	t.Parallel()
	const id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	for _, r := range []*Rails{{Instances: []string{strings.ToUpper(id)}}, {Instances: []string{"3F2504E0-*"}}, {Instances: []string{"{" + id + "}"}}} {
		for _, spelling := range []string{id, strings.ToUpper(id), strings.ReplaceAll(id, "-", "")} {
			if err := r.instance(spelling); err != nil {
				t.Error(err)
			}
		}
		if r.instance("4"+id[1:]) == nil {
			t.Error("another one is allowed")
		}
	}
}

func callTool(t *testing.T, d *Deps, name string, args map[string]any) Result {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range All() {
		if tool.Name == name {
			return tool.Call(t.Context(), d, raw, Exchange{})
		}
	}
	t.Fatalf("no tool %s", name)
	return Result{}
}

// What is too long to be what it claims to be neither goes upstream nor comes back.
func TestHugeArguments(t *testing.T) {
	t.Parallel()
	g := &generous{prod: "PROD"}
	d := g.deps(t, &Rails{})
	d.SoftDeadline = 50 * time.Millisecond
	huge := strings.Repeat("a", 1<<20)
	for _, tool := range All() {
		if tool.LocalOnly {
			continue // there are none here
		}
		for arg, schema := range tool.Input.Properties {
			var v any = huge
			switch {
			case schema.Type == "array" || len(schema.Types) > 0 && schema.Types[len(schema.Types)-1] == "array":
				v = []string{huge}
			case schema.Type != "string":
				continue
			case arg == "message" && tool.Name == "send_chat_message", arg == "content", arg == "command", arg == "new_text", arg == "old_text":
				continue // these may be long
			}
			args := map[string]any{arg: v}
			for _, need := range tool.Input.Required {
				if args[need] == nil {
					args[need] = "x"
				}
			}
			if _, has := tool.Input.Properties["instance"]; has && args["instance"] == nil {
				args["instance"] = "dev-1"
			}
			if r := callTool(t, d, tool.Name, args); len(r.Text) > 10_000 {
				t.Errorf("%s with a huge %s: the answer has %d bytes: %.300s", tool.Name, arg, len(r.Text), r.Text)
			}
		}
	}
	if g.seen > 100_000 {
		t.Errorf("the addresses of the requests have %d bytes", g.seen)
	}
}

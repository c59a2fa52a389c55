package client

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What an OpenAPI document says, one rule a row.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, doc string
		want      []Endpoint
		problem   string
	}{
		{name: "paths behind /api", doc: `{"paths":{"/api/instances":{"get":{}}}}`, want: []Endpoint{{Method: "GET", Path: "/instances"}}},
		{name: "paths behind a server", doc: `{"servers":[{"url":"https://x.example/api/v2/"}],"paths":{"/instances":{"get":{}}}}`, want: []Endpoint{{Method: "GET", Path: "/v2/instances"}}},
		{name: "paths beside the API", doc: `{"servers":[{"url":"/api"}],"paths":{"/docs":{"servers":[{"url":"/"}],"get":{}}}}`, want: []Endpoint{{Method: "GET", Path: "/../docs"}}},
		{name: "no servers", doc: `{"paths":{"/instances":{"post":{},"summary":"x"}}}`, want: []Endpoint{{Method: "POST", Path: "/instances"}}},
		{name: "parameters of the path and of the method", doc: `{"paths":{"/f":{"parameters":[{"in":"query","name":"a"},{"in":"path","name":"b"}],"get":{"parameters":[{"$ref":"#/p/c"}]}}},"p":{"c":{"in":"query","name":"c","required":true}}}`,
			want: []Endpoint{{Method: "GET", Path: "/f", Query: []string{"a", "c"}, Needs: []string{"c"}}}},
		{name: "fields", doc: `{"paths":{"/f":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/s"}}}}}}},"s":{"required":["a"],"allOf":[{"properties":{"a":{}}},{"properties":{"b":{"properties":{"c":{}}}}}]}}`,
			want: []Endpoint{{Method: "POST", Path: "/f", Fields: []string{"a", "b"}, Needs: []string{"a"}}}},
		{name: "answers", doc: `{"paths":{"/f":{"get":{"responses":{"200":{"content":{"application/json":{"schema":{"type":"array","items":{"properties":{"a":{"properties":{"b":{}}}}}}}}}}}}}}`,
			want: []Endpoint{{Method: "GET", Path: "/f", Answers: []string{"a", "b"}}}},
		{name: "events", doc: `{"paths":{"/f":{"get":{"responses":{"200":{"content":{"text/event-stream":{"itemSchema":{"properties":{"event":{"enum":["x","y"]},"data":{}}}}}}}}}}}`,
			want: []Endpoint{{Method: "GET", Path: "/f", Answers: []string{"data", "event"}, Events: []string{"x", "y"}}}},
		{name: "a schema within itself", doc: `{"paths":{"/f":{"get":{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/s"}}}}}}}},"s":{"properties":{"a":{"$ref":"#/s"}}}}`,
			want: []Endpoint{{Method: "GET", Path: "/f", Answers: []string{"a"}}}},
		{name: "a reference to itself", doc: `{"paths":{"/f":{"get":{"requestBody":{"$ref":"#/r"}}}},"r":{"$ref":"#/r"}}`, want: []Endpoint{{Method: "GET", Path: "/f"}}},
		{name: "another document", doc: `{"hello":1}`, problem: "OpenAPI document"},
		{name: "no JSON", doc: `paths:`, problem: "not JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := serve(t, answer(200, "application/json", tt.doc)).Documents.OpenAPI(t.Context())
			if tt.problem != "" {
				if e := wantError(t, err); !strings.Contains(e.Error(), tt.problem) {
					t.Errorf("got %v, want %q", err, tt.problem)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// The list of endpoints has what the client really sends.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent := map[string]Endpoint{}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		e := Endpoint{Method: r.Method, Path: strings.Replace(strings.TrimPrefix(r.URL.Path, "/api"), "/i1", "/{instance}", 1)}
		for name := range r.URL.Query() {
			e.Query = append(e.Query, name)
		}
		raw, _ := io.ReadAll(r.Body)
		o, _ := asObject(raw)
		e.Fields = sortedKeys(o)
		slices.Sort(e.Query)
		mu.Lock()
		sent[e.Method+" "+e.Path] = e
		mu.Unlock()
		answer(418, "application/json", `{}`)(w, r)
	}, WithRetry(1, 1, 1))
	ctx := t.Context()
	_, _ = c.Discover(ctx)
	_, _ = c.Instances.List(ctx)
	_, _ = c.Instances.Create(ctx, CreateInstanceRequest{InviteCode: "x"})
	_, _ = c.Instances.Get(ctx, "i1")
	_, _ = c.Instances.Status(ctx, "i1")
	_, _ = c.Instances.Reboot(ctx, "i1")
	_, _ = c.Instances.Shutdown(ctx, "i1")
	_, _ = c.Chat.Sessions(ctx, "i1")
	_, _ = c.Chat.CreateSession(ctx, "i1", "x")
	_, _ = c.Chat.Send(ctx, "i1", SendRequest{Message: "x", SessionID: "s"})
	for range c.Chat.Stream(ctx, "i1", SendRequest{Message: "x", SessionID: "s"}) {
	}
	_, _ = c.Chat.Messages(ctx, "i1", MessagesQuery{SessionID: "s", Tail: true, Limit: 1})
	for range c.Chat.Events(ctx, "i1", EventsQuery{SessionID: "s", After: "1"}) {
	}
	_, _ = c.Files.List(ctx, "i1", "/x")
	_, _ = c.Files.Open(ctx, "i1", "/x")
	_ = c.Files.Write(ctx, "i1", "/x", "y")
	_ = c.Files.Upload(ctx, "i1", "/x", "y", "z")
	_ = c.Files.Mkdir(ctx, "i1", "/x")
	_, _ = c.Terminal.Exec(ctx, "i1", ExecRequest{Command: "x", Timeout: 1e9})
	_, _ = c.Terminal.Open(ctx, "i1", TerminalOptions{Session: "s", Family: TerminalFamilies()[0]})
	_, _ = c.Desktop.Connect(ctx, "i1", DesktopOptions{})
	for _, e := range Endpoints() {
		slices.Sort(e.Query)
		slices.Sort(e.Fields)
		got, ok := sent[e.Method+" "+e.Path]
		if !ok || !slices.Equal(got.Query, e.Query) || !slices.Equal(got.Fields, e.Fields) {
			t.Errorf("listed: %+v\nsent:   %+v", e, got)
		}
		delete(sent, e.Method+" "+e.Path)
	}
	for name := range sent {
		t.Errorf("%s is sent, but not listed", name)
	}
}

// answerFields has the names that the decoders look for in answers: this reads
// them out of the source.
func TestKnownFields(t *testing.T) {
	t.Parallel()
	isField := regexp.MustCompile(`^[a-z][A-Za-z0-9]*(_[a-z0-9]+)*$`)
	found := map[string]bool{}
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && isField.MatchString(s) {
				found[s] = true
			}
		}
	}
	readers := []string{"first", "text", "id", "object", "number", "time", "flag"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "openapi") || strings.HasPrefix(file, "documents") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(readers, s.Sel.Name) {
					for _, a := range n.Args {
						add(a)
					}
				}
			case *ast.IndexExpr:
				add(n.Index)
			case *ast.CompositeLit:
				if list, ok := n.Type.(*ast.ArrayType); ok {
					if id, ok := list.Elt.(*ast.Ident); ok && id.Name == "string" {
						for _, e := range n.Elts {
							add(e)
						}
					}
				}
			}
			return true
		})
	}
	var want strings.Builder
	want.WriteString("package client\n\n// answerFields are the names that this client reads in answers, sorted. It is\n// written by: UPDATE_FIELDS=1 go test ./client -run TestKnownFields.\nvar answerFields = []string{\n")
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		want.WriteString("\t" + strconv.Quote(name) + ",\n")
	}
	want.WriteString("}\n")
	const file = "openapi_fields.go"
	if os.Getenv("UPDATE_FIELDS") != "" {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want.String() {
		t.Errorf("%s is not what the decoders read: %s", file, cmp.Diff(string(got), want.String()))
	}
	for _, name := range []string{"id", "sandboxId", "deltaText", "exit_code"} {
		if !KnownField(name) {
			t.Errorf("%s is not known", name)
		}
	}
}

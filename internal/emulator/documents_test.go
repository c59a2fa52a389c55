package emulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/golden"
)

const openAPIFile = "documents/openapi.json"

// The OpenAPI document is valid by the schema that the specification
// publishes (https://spec.openapis.org/oas/3.1/schema/2022-10-07), its own
// schemas are valid JSON Schemas, and both of its forms say the same.
func TestOpenAPI(t *testing.T) {
	raw, err := os.ReadFile("documents/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var fromYAML any
	if err := yaml.Unmarshal(raw, &fromYAML); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, openAPIFile, string(asJSON)+"\n")

	spec, err := os.ReadFile("testdata/openapi-3.1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	addResource(t, c, "https://spec.openapis.org/oas/3.1/schema/2022-10-07", spec)
	schema, err := c.Compile("https://spec.openapis.org/oas/3.1/schema/2022-10-07")
	if err != nil {
		t.Fatal(err)
	}
	doc := unmarshal(t, asJSON)
	if err := schema.Validate(doc); err != nil {
		t.Errorf("the document is not valid: %#v", err)
	}
	d := newDescription(t)
	for path, item := range d.paths {
		for method, op := range object(item) {
			for status, response := range object(object(op)["responses"]) {
				for kind, media := range object(d.resolve(object(response))["content"]) {
					at := pointer("paths", path, method, "responses", status, "content", kind, "schema")
					if _, isRef := object(response)["$ref"]; isRef {
						at = strings.TrimPrefix(object(response)["$ref"].(string), "#") + pointer("content", kind, "schema")
					}
					if _, err := d.schema(at); err != nil {
						t.Errorf("%s %s, %s: %v", method, path, status, err)
					}
					for name := range object(object(media)["x-events"]) {
						if _, err := d.schema(strings.TrimSuffix(at, "/schema") + pointer("x-events", name)); err != nil {
							t.Errorf("%s %s, event %s: %v", method, path, name, err)
						}
					}
				}
			}
		}
	}
}

// A document that contradicts itself would pass as one that nothing contradicts.
func TestDescriptionFindsLies(t *testing.T) {
	d := newDescription(t)
	for _, tt := range []struct {
		name, method, path, kind string
		status                   int
		body, want               string
	}{
		{"all right", "GET", "/api/instances", "application/json; charset=utf-8", 200, `[]`, ""},
		{"an unknown path", "GET", "/api/nothing", "application/json", 200, `[]`, "no such endpoint"},
		{"an unknown status", "GET", "/api/instances", "application/json", 418, `[]`, "status 418"},
		{"another type", "GET", "/api/instances", "text/plain", 200, `[]`, "text/plain"},
		{"another shape", "GET", "/api/instances", "application/json", 200, `{}`, "got object, want array"},
		{"a field too many", "GET", "/api", "application/json", 200, `{"name":"x","resources":{},"more":1}`, "additional properties"},
		{"an unknown event", "POST", "/api/instances/i/chat/stream", "text/event-stream", 200, "event: x\ndata: {}\n\n", `event "x"`},
		{"a wrong event", "POST", "/api/instances/i/chat/stream", "text/event-stream", 200, "event: delta\ndata: {}\n\n", "delta"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := d.check(tt.method, tt.path, tt.status, tt.kind, []byte(tt.body))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// The documents are public, and have an ETag.
func TestDocuments(t *testing.T) {
	f := start(t, emulatortest.Options{Keys: []string{"sk_live_one"}})
	f.key = ""
	api := f.url
	for path, want := range map[string][2]string{
		"/api/openapi.json":                     {"application/json", `"openapi":"3.1.0"`},
		"/api/openapi.yaml":                     {"application/yaml", "openapi: 3.1.0"},
		"/docs":                                 {"text/html", "/api/openapi.json"},
		"/llms-full.md":                         {"text/markdown", "/terminal/exec"},
		"/agent.md":                             {"text/markdown", "/workspace"},
		"/skills/openclaw-api-control/SKILL.md": {"text/markdown", "name: openclaw-api-control"},
	} {
		f.url = strings.TrimSuffix(api, "/api")
		a := f.do("GET", path, "")
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), want[0]) || !strings.Contains(a.body, want[1]) {
			t.Errorf("%s: %d %s\n%.200s", path, a.status, a.header.Get("Content-Type"), a.body)
		}
		r := f.prepare("GET", path, "")
		r.Header.Set("If-None-Match", `"other", W/`+a.header.Get("ETag"))
		resp, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotModified || resp.Header.Get("ETag") != a.header.Get("ETag") {
			t.Errorf("%s with its ETag: %d", path, resp.StatusCode)
		}
	}
}

// description is the OpenAPI document, to check answers by.
type description struct {
	root     map[string]any
	paths    map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

func newDescription(t testing.TB) *description {
	t.Helper()
	raw, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	d := &description{root: object(unmarshal(t, raw)), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.paths = object(d.root["paths"])
	d.compiler.AssertFormat()
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	addResource(t, d.compiler, "openapi.json", raw)
	return d
}

func addResource(t testing.TB, c *jsonschema.Compiler, name string, raw []byte) {
	t.Helper()
	if err := c.AddResource(name, unmarshal(t, raw)); err != nil {
		t.Fatal(err)
	}
}

func unmarshal(t testing.TB, raw []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// object gives v as a JSON object; nil if it is not one.
func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// pointer writes a JSON Pointer (RFC 6901).
func pointer(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return b.String()
}

// resolve follows a reference to a component.
func (d *description) resolve(o map[string]any) map[string]any {
	ref, ok := o["$ref"].(string)
	if !ok {
		return o
	}
	var v any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		v = object(v)[part]
	}
	return object(v)
}

// schema gives the schema at a place of the document.
func (d *description) schema(at string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[at]; s != nil {
		return s, nil
	}
	fragment := strings.NewReplacer("{", "%7B", "}", "%7D").Replace(at)
	s, err := d.compiler.Compile("openapi.json#" + fragment)
	if err == nil {
		d.schemas[at] = s
	}
	return s, err
}

// operation finds the endpoint of a request.
func (d *description) operation(method, path string) (at string, op map[string]any) {
	path = strings.TrimPrefix(path, "/api")
	if path == "" {
		path = "/"
	}
	got := strings.Split(path, "/")
	for template, item := range d.paths {
		parts := strings.Split(template, "/")
		fits := len(parts) == len(got)
		for i := 0; fits && i < len(parts); i++ {
			fits = parts[i] == got[i] || parts[i] == "{instance}" && got[i] != ""
		}
		if fits {
			method = strings.ToLower(method)
			return pointer("paths", template, method), object(object(item)[method])
		}
	}
	return "", nil
}

// check says what is wrong with an answer by the document.
func (d *description) check(method, path string, status int, contentType string, body []byte) error {
	at, op := d.operation(method, path)
	if op == nil {
		// What is not described must be refused.
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusServiceUnavailable {
			return nil
		}
		return fmt.Errorf("no such endpoint, but status %d", status)
	}
	code := strconv.Itoa(status)
	response := object(object(op["responses"])[code])
	if response == nil {
		return fmt.Errorf("status %d", status)
	}
	at += pointer("responses", code)
	if ref, ok := response["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
		response = d.resolve(response)
	}
	content := object(response["content"])
	if content == nil {
		if len(body) > 0 {
			return fmt.Errorf("status %d has a body", status)
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || content[kind] == nil {
		return fmt.Errorf("status %d has type %q", status, contentType)
	}
	at += pointer("content", kind)
	switch kind {
	case "application/json":
		return d.validate(at+"/schema", body)
	case "text/event-stream":
		return d.checkEvents(at, object(object(content[kind])["x-events"]), body)
	}
	return nil
}

func (d *description) checkEvents(at string, known map[string]any, body []byte) error {
	for block := range strings.SplitSeq(string(body), "\n\n") {
		name, data := "", ""
		for line := range strings.Lines(block) {
			line = strings.TrimSuffix(line, "\n")
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				name = v
			} else if v, ok := strings.CutPrefix(line, "data: "); ok {
				data += v
			}
		}
		if name == "" && data == "" {
			continue // a comment
		}
		if known[name] == nil {
			return fmt.Errorf("event %q", name)
		}
		if err := d.validate(at+pointer("x-events", name), []byte(data)); err != nil {
			return fmt.Errorf("event %s: %w", name, err)
		}
	}
	return nil
}

func (d *description) validate(at string, body []byte) error {
	s, err := d.schema(at)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// maxChecked is how much of an answer is kept to be checked.
const maxChecked = 4 << 20

// checked has each answer of a service checked by its own OpenAPI document.
func checked(t testing.TB) func(http.Handler) http.Handler {
	d := newDescription(t)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				next.ServeHTTP(w, r)
				return
			}
			k := &recorded{ResponseWriter: w, status: http.StatusOK}
			path := r.URL.Path
			next.ServeHTTP(k, r)
			if k.cut || !k.began && r.Context().Err() != nil {
				return // too large, or nobody waited for it
			}
			if err := d.check(r.Method, path, k.status, k.contentType, k.body.Bytes()); err != nil {
				t.Errorf("%s %s: the answer is not as openapi.yaml says: %v\n%.500s", r.Method, path, err, k.body.Bytes())
			}
		})
	}
}

// recorded passes an answer on, and keeps it.
type recorded struct {
	http.ResponseWriter
	status      int
	contentType string
	began, cut  bool
	body        bytes.Buffer
}

func (k *recorded) Unwrap() http.ResponseWriter { return k.ResponseWriter }

func (k *recorded) WriteHeader(status int) {
	k.status, k.began = status, true
	k.contentType = k.Header().Get("Content-Type") // before a dialect makes another of it
	k.ResponseWriter.WriteHeader(status)
}

func (k *recorded) Write(p []byte) (int, error) {
	if !k.began {
		k.WriteHeader(http.StatusOK)
	}
	if k.body.Len()+len(p) > maxChecked {
		k.cut = true
	} else {
		k.body.Write(p)
	}
	return k.ResponseWriter.Write(p)
}

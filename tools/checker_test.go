package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// Every tool's schema is one, its defaults fit it, and what it allows is what a
// library for all of JSON Schema finds in it.
func TestEveryChecker(t *testing.T) {
	values := []any{nil, true, false, "", " ", "x", "auto", "base64", "overwrite", "é", strings.Repeat("é", 200), strings.Repeat("é", 201),
		strings.Repeat("x", 1<<17), 0.0, 1.0, -1.0, 1.5, 0.05, 3600.0, 3601.0, 1e6, 1e15, 1e300, -1e300, []any{}, []any{"x"}, []any{1.0}, []any{"x", nil},
		slices.Repeat([]any{"x"}, 9), slices.Repeat([]any{"x"}, 2000), map[string]any{}, map[string]any{"a": 1.0}}
	for _, tool := range All() {
		if _, err := tool.Input.CloneSchemas().Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true}); err != nil {
			t.Errorf("%s: %v", tool.Name, err)
		}
		for _, f := range tool.checker.fields {
			if tool.Input.Properties[f.name] == nil {
				t.Errorf("%s has a field %q that is no argument", tool.Name, f.name)
			}
		}
		for name, s := range tool.Input.Properties {
			r, err := s.CloneSchemas().Resolve(nil)
			if err != nil {
				t.Fatalf("%s: %s: %v", tool.Name, name, err)
			}
			for _, v := range slices.Concat(values, s.Enum) {
				if got, want := fits(s, v), r.Validate(v) == nil; got != want {
					t.Errorf("%s: %s: %.40v is allowed: %v, want %v", tool.Name, name, v, got, want)
				}
			}
			for _, bound := range []*float64{s.Minimum, s.Maximum} {
				for _, d := range []float64{-1, 0, 1} {
					if bound == nil {
						continue
					}
					if got, want := fits(s, *bound+d), r.Validate(*bound+d) == nil; got != want {
						t.Errorf("%s: %s: %v is allowed: %v, want %v", tool.Name, name, *bound+d, got, want)
					}
				}
			}
		}
	}
}

// Arguments come as encoding/json reads them, with defaults where none are given.
func TestDecode(t *testing.T) {
	type embedded struct {
		Big *int64 `json:"big,omitempty"`
	}
	type in struct {
		Text  string   `json:"text"`
		Count int64    `json:"count,omitempty"`
		On    bool     `json:"on,omitempty"`
		List  []string `json:"list,omitempty"`
		embedded
	}
	c := newArgumentChecker(inputSchema[in](Spec{Props: map[string]Prop{"count": {Default: 7}, "list": {Default: []string{"d"}}}}), nil, reflect.TypeFor[in]())
	for _, raw := range []string{
		`{"text":"plain"}`, ` {"text" : "a\n\"b\" \ud83d\ude00 \u00e9 \ud800", "count":3, "on":true, "list":["x","y\t"]} `,
		`{"text":"","big":9007199254740993,"count":null}`, `{"\u0074ext":"escaped key"}`, "{\"text\":\"\xff\"}",
	} {
		want := in{Count: 7, List: []string{"d"}}
		if strings.Contains(raw, `"list"`) {
			want.List = nil
		}
		if err := json.Unmarshal([]byte(raw), &want); err != nil {
			t.Fatal(err)
		}
		var got in
		if err := c.decode(json.RawMessage(raw), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v (%v), want %+v", raw, got, err, want)
		}
	}
	for raw, want := range map[string]string{
		`[]`: "must be a JSON object", `{"text":"a"`: "must be a JSON object", `"text"`: "must be a JSON object", `{"text":"a"} x`: "must be a JSON object",
		`{}`: `argument "text" is missing; it must be a string`, `null`: `argument "text" is missing`, ``: `argument "text" is missing`,
		`{"text":null}`: `argument "text" must be a string; got null`, `{"text":1e400}`: `argument "text" has a number that is too large: 1e400`,
		`{"text":1,"Text":"x","count":1.5}`: "unknown argument \"Text\"; allowed are: big, count, list, on, text\nargument \"count\" must be an integer; got 1.5\nargument \"text\" must be a string; got 1",
		`{"text":"a","count":1e30}`:         `argument "count" has a number that is too large: 1e30`,
		`{"text":"a","\u0074ext":"b"}`:      `argument "text" is given twice`,
	} {
		var got in
		var bad *argumentError
		if err := c.decode(json.RawMessage(raw), &got); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}

// What only says where or how is short, and no error is long.
func TestLongArguments(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	long := strings.Repeat("\u202e", 1<<20)
	many := args{}
	for i := range 1000 {
		many[fmt.Sprintf("unknown%03d", i)] = i
	}
	for name, tt := range map[string]struct {
		tool string
		in   args
		want string
	}{
		"path":  {"read_file", args{"path": "/workspace/" + long}, `argument "path" has 3145741 bytes; it may have 65536`},
		"glob":  {"list_files", args{"path": "d", "glob": long}, `argument "glob" has`},
		"name":  {"read_file", args{"path": "f", long: 1}, `unknown argument "`},
		"names": {"read_file", many, "there may be more"},
		"wrong": {"write_file", args{"path": "f", "content": []string{long}}, `argument "content" must be a string`},
		"enum":  {"write_file", args{"path": "f", "content": "x", "mode": long}, `argument "mode" has`},
	} {
		if r := b.try(tt.tool, tt.in); !r.IsError || !strings.Contains(r.Text, tt.want) || len(r.Text) > 8000 {
			t.Errorf("%s: %d bytes, %.300s", name, len(r.Text), r.Text)
		}
	}
}

// Gemini CLI's own argument is no mistake, whatever it holds; any other is.
func TestGeminiOrderIsIgnored(t *testing.T) {
	i := slices.IndexFunc(All(), func(tool *Tool) bool { return tool.Name == "list_instances" })
	c := All()[i].checker
	var in struct{}
	if err := c.decode(json.RawMessage(`{"wait_for_previous": true}`), &in); err != nil {
		t.Error(err)
	}
	err := c.decode(json.RawMessage(`{"wait_for_previous": true, "wait_for_next": true}`), &in)
	if err == nil || !strings.Contains(err.Error(), `"wait_for_next"`) || strings.Contains(err.Error(), "wait_for_previous") {
		t.Errorf("got %v", err)
	}
}

package tools

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

// Some clients refuse every tool for one whose schema has an object without
// properties, or a list that does not say of what.
func TestSchemasAreWhole(t *testing.T) {
	t.Parallel()
	var walk func(where string, schema map[string]any)
	walk = func(where string, schema map[string]any) {
		properties, has := schema["properties"].(map[string]any)
		if schema["type"] == "array" {
			items, ok := schema["items"].(map[string]any)
			if !ok {
				t.Errorf("%s: a list of what? %v", where, schema)
			}
			walk(where+"[]", items)
		}
		for name, p := range properties {
			walk(where+"."+name, p.(map[string]any))
		}
		if schema["type"] == "object" && !has && !nested(where) {
			t.Errorf("%s: an object without properties: %v", where, schema)
		}
	}
	for _, tool := range All() {
		d := tool.Definition()
		for kind, raw := range map[string]json.RawMessage{"input": d.RawInputSchema, "output": d.RawOutputSchema} {
			var schema map[string]any
			if err := json.Unmarshal(raw, &schema); err != nil {
				t.Fatal(err)
			}
			walk(tool.Name+" "+kind, schema)
		}
	}
}

// nested reports whether a place is inside of a schema: what results hold there is
// not spelled out.
func nested(where string) bool {
	for _, r := range where {
		if r == '.' || r == '[' {
			return true
		}
	}
	return false
}

type lenientIn struct {
	Count *int     `json:"count,omitempty" jsonschema:"x"`
	Ratio float64  `json:"ratio,omitempty" jsonschema:"x"`
	Yes   bool     `json:"yes,omitempty" jsonschema:"x"`
	Words []string `json:"words,omitempty" jsonschema:"x"`
	Marks []int    `json:"marks,omitempty" jsonschema:"x"`
	Text  string   `json:"text,omitempty" jsonschema:"x"`
}

// What can mean but one thing is taken for that; all else is refused as before.
func TestLenientArguments(t *testing.T) {
	t.Parallel()
	s := inputSchema[lenientIn](Spec{Name: "t", Props: map[string]Prop{"count": between(1, 100)}})
	c := newArgumentChecker(s, nil, reflect.TypeFor[lenientIn]())
	show := func(in lenientIn) string {
		count := 0
		if in.Count != nil {
			count = *in.Count
		}
		return fmt.Sprintf("%d %g %v %q %v %q", count, in.Ratio, in.Yes, in.Words, in.Marks, in.Text)
	}
	for raw, want := range map[string]string{
		`{"count":5.0}`:             `5 0 false [] [] ""`,
		`{"count":5e1}`:             `50 0 false [] [] ""`,
		`{"count":"5"}`:             `5 0 false [] [] ""`,
		`{"count":" 5.0 "}`:         `5 0 false [] [] ""`,
		`{"ratio":"0.5"}`:           `0 0.5 false [] [] ""`,
		`{"yes":"true"}`:            `0 0 true [] [] ""`,
		`{"words":"[\"a\",\"b\"]"}`: `0 0 false ["a" "b"] [] ""`,
		`{"marks":[1.0,2]}`:         `0 0 false [] [1 2] ""`,
		`{"marks":"[1, 2.0]"}`:      `0 0 false [] [1 2] ""`,
		`{"text":"5"}`:              `0 0 false [] [] "5"`,
		`{"text":"[1]"}`:            `0 0 false [] [] "[1]"`,
	} {
		var in lenientIn
		if err := c.decode(json.RawMessage(raw), &in); err != nil || show(in) != want {
			t.Errorf("%s: %v, %s; want %s", raw, err, show(in), want)
		}
	}
	for _, raw := range []string{
		`{"count":5.5}`, `{"count":"5.5"}`, `{"count":"101"}`, `{"count":""}`, `{"count":"five"}`, `{"count":"\"5\""}`, `{"count":true}`,
		`{"yes":"yes"}`, `{"yes":1}`, `{"yes":"1"}`, `{"words":"a"}`, `{"words":"[1]"}`, `{"marks":"[1.5]"}`, `{"text":5}`, `{"words":{"0":"a"}}`,
	} {
		var in lenientIn
		if err := c.decode(json.RawMessage(raw), &in); err == nil {
			t.Errorf("%s is taken for %s", raw, show(in))
		}
	}
}

package tools

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The checkers are made at a tool's first call; that each can be made is shown
// here.
func TestEveryCheckerCanBeMade(t *testing.T) {
	for _, tool := range All() {
		c := tool.checker()
		if got, want := len(c.props), len(tool.Input.Properties); got != want {
			t.Errorf("%s checks %d arguments, want %d", tool.Name, got, want)
		}
		for _, f := range c.fields {
			if c.props[f.name] == nil {
				t.Errorf("%s has a field %q that is no argument", tool.Name, f.name)
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
	c, err := newArgumentChecker(inputSchema[in](Spec{Props: map[string]Prop{"count": {Default: 7}, "list": {Default: []string{"d"}}}}), reflect.TypeFor[in]())
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{
		`{"text":"plain"}`, ` {"text" : "a\n\"b\" \ud83d\ude00 \u00e9 \ud800", "count":3, "on":true, "list":["x","y\t"]} `,
		`{"text":"","big":9007199254740993,"count":null}`, `{"text":"first","text":"last"}`, `{"\u0074ext":"escaped key"}`, "{\"text\":\"\xff\"}",
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
		`{"text":null}`: `argument "text" must be a string; got null`, `{"text":1e400}`: `argument "text" can't be read`,
		`{"text":1,"Text":"x","count":1.5}`: "unknown argument \"Text\"; allowed are: big, count, list, on, text\nargument \"count\" must be an integer; got 1.5\nargument \"text\" must be a string; got 1",
		`{"text":"a","count":1e30}`:         `argument "count" can't be read`,
	} {
		var got in
		var bad *argumentError
		if err := c.decode(json.RawMessage(raw), &got); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}

// Gemini CLI's own argument is no mistake, whatever it holds; any other is.
func TestGeminiOrderIsIgnored(t *testing.T) {
	i := slices.IndexFunc(All(), func(tool *Tool) bool { return tool.Name == "list_instances" })
	c := All()[i].checker()
	var in struct{}
	if err := c.decode(json.RawMessage(`{"wait_for_previous": true}`), &in); err != nil {
		t.Error(err)
	}
	err := c.decode(json.RawMessage(`{"wait_for_previous": true, "wait_for_next": true}`), &in)
	if err == nil || !strings.Contains(err.Error(), `"wait_for_next"`) || strings.Contains(err.Error(), "wait_for_previous") {
		t.Errorf("got %v", err)
	}
}

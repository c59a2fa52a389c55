package client

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonSeeds are spelt in every way that JSON allows, and in some that it does
// not.
var jsonSeeds = []string{
	`{}`, ` { } `, `[]`, "\n[\t]\r", `{"a":1}`, `{"a" : -1.5e3 , "b":[1, {"c":"]}"} ,"x"],"d":null}`,
	`{"a":1,"a":2}`, `{"a\n":1}`, `{"\u0061":1,"a":2}`, `{"ключ":"значение"}`, "{\"\xff\":1}", "{\"a\":\"\xff\"}",
	`{"a":"\""}`, `{"a":"\\"}`, `{"a":"\\\""}`, `{"a":{"b":{"c":[[[]]]}}}`, `[1,"two",{"three":3},[4],true,false,null]`,
	`[ 1 , 2 ]`, `{"":""}`, `{"a":tru}`, `{"a":1,}`, `[1,]`, `{"a":1}x`, `{"a":"` + "\n" + `"}`, `{"a":"\ud83e"}`, `{"a":"\ud83e\udd9e"}`,
	`"x"`, `""`, `"\u00e9"`, `"é"`, "\"\xff\"", `"a"b"`, `"`, `"\"`, `1`, ``, `{`, `[`, ` "x" `, `{"a":` + strings.Repeat("[", 12000) + strings.Repeat("]", 12000) + `}`,
}

// asObject, asArray, asString and isJSON agree with encoding/json on whatever
// comes, and leave it as it is.
func FuzzJSON(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		if isJSON(raw) != json.Valid(raw) || (syntaxProblem(raw) == "") != json.Valid(raw) {
			t.Fatalf("isJSON(%q) is %v, and syntaxProblem says %q", raw, isJSON(raw), syntaxProblem(raw))
		}
		var o map[string]json.RawMessage
		wantOK := kindOf(raw) == '{' && json.Unmarshal(raw, &o) == nil
		got, ok := asObject(raw)
		if ok != wantOK {
			t.Fatalf("asObject(%q) reports %v, want %v", raw, ok, wantOK)
		}
		if ok && !maps.EqualFunc(got, o, equalBytes) {
			t.Errorf("asObject(%q) gives %s, want %s", raw, got, o)
		}
		var a []json.RawMessage
		wantOK = kindOf(raw) == '[' && json.Unmarshal(raw, &a) == nil
		items, ok := asArray(raw)
		if ok != wantOK {
			t.Fatalf("asArray(%q) reports %v, want %v", raw, ok, wantOK)
		}
		if ok && !slices.EqualFunc(items, a, equalBytes) {
			t.Errorf("asArray(%q) gives %s, want %s", raw, items, a)
		}
		var s string
		wantOK = kindOf(raw) == '"' && json.Unmarshal(raw, &s) == nil
		if text, ok := asString(raw); ok != wantOK || ok && text != s {
			t.Errorf("asString(%q) gives %q, %v; want %q, %v", raw, text, ok, s, wantOK)
		}
		if !bytes.Equal(raw, before) {
			t.Errorf("%q was changed to %q", before, raw)
		}
	})
}

func equalBytes(a jsontext.Value, b json.RawMessage) bool { return bytes.Equal(a, b) }

// What is wrong with an answer is said without quoting it.
func TestSyntaxProblem(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                  "",
		` [1] `:                    "",
		`{"a":secret}`:             "broken JSON at byte 5",
		"{\"a\":\"x\ny\"}":         "broken JSON at byte 7",
		`{"a":"secret`:             "broken JSON: it breaks off after 12 bytes",
		`{"a":1} {"b":2}`:          "broken JSON: more follows its end at byte 7",
		"{\"a\":1,\"a\":\"\xff\"}": "",
	} {
		if got := syntaxProblem([]byte(text)); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

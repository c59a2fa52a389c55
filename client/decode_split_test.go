package client

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// splitSeeds are spelt in every way that JSON allows, and in some that it does
// not.
var splitSeeds = []string{
	`{}`, ` { } `, `[]`, "\n[\t]\r", `{"a":1}`, `{"a" : -1.5e3 , "b":[1, {"c":"]}"} ,"x"],"d":null}`,
	`{"a":1,"a":2}`, `{"a\n":1}`, `{"\u0061":1,"a":2}`, `{"ключ":"значение"}`, "{\"\xff\":1}", "{\"a\":\"\xff\"}",
	`{"a":"\""}`, `{"a":"\\"}`, `{"a":"\\\""}`, `{"a":{"b":{"c":[[[]]]}}}`, `[1,"two",{"three":3},[4],true,false,null]`,
	`[ 1 , 2 ]`, `{"":""}`, `{"a":tru}`, `{"a":1,}`, `[1,]`, `{"a":1}x`, `{"a":"` + "\n" + `"}`, `{"a":"\ud83e"}`, `{"a":"\ud83e\udd9e"}`,
	`"x"`, `""`, `"\u00e9"`, `"é"`, "\"\xff\"", `"a"b"`, `"`, `"\"`, `1`, ``, `{`, `[`, ` "x" `, `{"a":` + strings.Repeat("[", 12000) + strings.Repeat("]", 12000) + `}`,
}

// The splitting gives what encoding/json gives, for whatever input.
func FuzzSplit(f *testing.F) {
	for _, s := range splitSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		var o object
		wantOK := kindOf(raw) == '{' && json.Unmarshal(raw, &o) == nil
		got, ok := asObject(raw)
		if ok != wantOK {
			t.Fatalf("asObject(%q) reports %v, want %v", raw, ok, wantOK)
		}
		if ok && !cmp.Equal(got, o) {
			t.Errorf("asObject(%q) differs:\n%s", raw, cmp.Diff(got, o))
		}
		var a []json.RawMessage
		wantOK = kindOf(raw) == '[' && json.Unmarshal(raw, &a) == nil
		items, ok := asArray(raw)
		if ok != wantOK {
			t.Fatalf("asArray(%q) reports %v, want %v", raw, ok, wantOK)
		}
		if ok && !cmp.Equal(items, a) {
			t.Errorf("asArray(%q) differs:\n%s", raw, cmp.Diff(items, a))
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

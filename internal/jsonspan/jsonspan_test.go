package jsonspan

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The value of valid text ends where encoding/json's decoder has it end,
// whatever comes behind it in an array.
func FuzzEndOfValue(f *testing.F) {
	for _, s := range []string{`{}`, `[ ]`, `"\\\""`, `"\\"`, `-1.5e3`, `null`, `{"a":[1,{"}":"]"}],"b":"\u00e9"}`, ` [1 , 2 ] `, `""`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !json.Valid(value) {
			return
		}
		start := SkipSpace(value, 0)
		want := bytes.TrimRight(value, " \n\t\r")
		for _, behind := range []string{"", ",1", " ]", "}"} {
			text := append(bytes.Clone(value), behind...)
			if end := EndOfValue(text, start); string(text[:end]) != string(want) {
				t.Errorf("%q: the value is %q", text, text[start:end])
			}
		}
	})
}

var texts = []string{
	`{}`, `[ ]`, `{"a":[1,{"}":"]"}],"b":"é","a" : null , "long key here":{"x":[]}}`, `[1 , 2.5e-3 ,"]", [true,false,null] ]`,
	`"plain"`, `"a line\nand \"another\" \\ \/ \b\f\r\t one"`, `"A\ud83d\ude00\ud800\udc00\ud800 \udc00x\ud800\u0041"`,
	"\"\xff broken \xe2\x82\"", "\"\x7f\u0080\u2028 \U0001f600\"", "\"control \x01\"", `"\x"`, `"\u12g4"`, `"open`, `"\`, `"\u12`,
	`01`, `-`, `1.`, `1e`, `.5`, `+1`, `-0`, `0e+1`, `1E400`, `nul`, `nullx`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `{a:1}`, `{"a":1 "b":2}`,
	`[1] 2`, ``, ` `, `{`, `[`, `[1`, `{"a":1`, `]`, "\ufeff{}", "[1,\v2]",
}

// Valid says what encoding/json says, of all text and however it is nested.
func FuzzValid(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := Valid(text), json.Valid(text); got != want {
			t.Errorf("Valid(%q) is %v, and encoding/json says %v", text, got, want)
		}
	})
}

func TestValidNests(t *testing.T) {
	for _, n := range []int{maxDepth - 1, maxDepth, maxDepth + 1} {
		for _, s := range []string{"[", `{"a":`} {
			text := []byte(strings.Repeat(s, n) + "1" + strings.Repeat(map[string]string{"[": "]", `{"a":`: "}"}[s], n))
			if got, want := Valid(text), json.Valid(text); got != want {
				t.Errorf("%d times %s: Valid is %v, and encoding/json says %v", n, s, got, want)
			}
		}
	}
}

// Text decodes every valid string as encoding/json does.
func FuzzText(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want string
		if len(text) == 0 || text[0] != '"' || json.Unmarshal(text, &want) != nil {
			return
		}
		if got := Text(text[:EndOfString(text, 0)]); got != want {
			t.Errorf("Text(%q) is %q, and encoding/json says %q", text, got, want)
		}
	})
}

// AppendText writes every text as encoding/json does.
func FuzzAppendText(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Add(strings.Repeat("é\n\x00", 3000))
	f.Add("<&>\u2028 \u2029\x7f")
	f.Fuzz(func(t *testing.T, text string) {
		want := appendEncoded([]byte("x"), text)
		if got := AppendText([]byte("x"), text); !bytes.Equal(got, want) {
			t.Errorf("%q is written as %s, and encoding/json writes %s", text, got, want)
		}
	})
}

// Members and Items cut out what encoding/json finds.
func FuzzMembers(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var object map[string]json.RawMessage
		var array []json.RawMessage
		switch {
		case json.Unmarshal(text, &object) == nil && object != nil:
			got := map[string]json.RawMessage{}
			for m := range Members(text) {
				got[Text(m.Key)] = text[m.From:m.To]
			}
			if !maps.EqualFunc(got, object, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
				t.Errorf("the members of %q are %q, and encoding/json says %q", text, got, object)
			}
		case json.Unmarshal(text, &array) == nil && array != nil:
			got := []json.RawMessage{}
			for item := range Items(text) {
				got = append(got, item)
			}
			if !slices.EqualFunc(got, array, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
				t.Errorf("the items of %q are %q, and encoding/json says %q", text, got, array)
			}
		}
	})
}

// PlainLen is the same by eights as by one, wherever what ends it stands.
func TestPlainLen(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := bytes.Repeat([]byte("x\xe9"), 12)
			b[at] = byte(c)
			want := len(b)
			if c < ' ' || c == '"' || c == '\\' {
				want = at
			}
			if got := PlainLen(b); got != want {
				t.Errorf("%#x at %d: %d", c, at, got)
			}
		}
	}
}

// A line is what files hold: encoding/json is measured beside this package.
func Benchmark(b *testing.B) {
	line := strings.Repeat("a line of text that is neither long nor short, with its number beside it\n", 4000)
	text, _ := json.Marshal(line)
	for name, f := range map[string]func(){
		"valid/jsonspan":  func() { Valid(text) },
		"valid/json":      func() { json.Valid(text) },
		"text/jsonspan":   func() { Text(text) },
		"text/json":       func() { decoded(text) },
		"append/jsonspan": func() { AppendText(nil, line) },
		"append/json":     func() { appendEncoded(nil, line) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				f()
			}
		})
	}
}

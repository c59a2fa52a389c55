package jsonspan

import (
	"bytes"
	"encoding/json"
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

package emulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzJSONString compares with encoding/json, for any cut of the input.
func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "a", "ä€😀", "\"\\\n\r\t\x00\x1f\x7f", "\xff\xe2\x82", "\xf0\x9f\x98", "\u2028<&>"} {
		f.Add([]byte(s), 1)
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		j := &jsonString{w: w}
		var check validator
		cut = max(1, min(cut, len(in)))
		for rest := in; len(rest) > 0; {
			n := min(cut, len(rest))
			j.Write(rest[:n])
			check.Write(rest[:n])
			rest = rest[n:]
		}
		j.close()
		w.Flush()
		var got string
		if err := json.Unmarshal([]byte(`"`+b.String()+`"`), &got); err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for _, r := range string(in) {
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Errorf("got %q, want %q", got, want.String())
		}
		if text := utf8.Valid(in) && !bytes.Contains(in, []byte{0}); check.text() != text && !check.binary {
			t.Errorf("text is %v", check.text())
		}
	})
}

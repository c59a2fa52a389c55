package transport

import (
	"encoding/json"
	"testing"
)

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"id":1,"result":{"text":"plain \"quoted\" \\ text\n","n":1.5e3}}`: `{"id":1,"result":{"text":"plain \"quoted\" \\ text\n","n":1.5e3}}`,
		`{"a":"x\u001b[31my","b":["\u0007","\u00e9","` + "\u202e" + `"]}`:   `{"a":"xy","b":["","\u00e9","⟨U+202E⟩"]}`,
		`{"\u200b\u001b[0m":"\\u001b \\\u001b\\"}`:                          `{"⟨U+200B⟩":"\\u001b \\"}`,
		`{"a":"line\r\nline\r","b":"東京 👩` + "\u200d" + `👧"}`:                `{"a":"line\r\nline","b":"東京 👩` + "\u200d" + `👧"}`,
		`["a","` + "\ufe01" + `b\"","\u2028"]`:                              `["a","⟨U+FE01⟩b\"","⟨U+2028⟩"]`,
		`"` + "a\x7fb" + `"`:                                                `"ab"`,
	} {
		if got := string(plainJSON([]byte(in), 0)); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", in, got, want)
		}
	}
	// What the client wrote itself comes back as it was.
	for _, id := range []string{`1`, `"a"`, "\"a\u200b\\u001b\"", ``} {
		raw := json.RawMessage(id)
		if id == "" {
			raw, id = nil, "null"
		}
		answer, err := encode(errorAnswer{"2.0", raw, detailsOf(&codedError{code: -1, text: "\x1b[31mx\u202e"}, false)})
		if err != nil {
			t.Fatal(err)
		}
		got := string(plainJSON(answer, answerStart(raw)))
		if want := `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-1,"message":"x⟨U+202E⟩"}}`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// FuzzPlainJSON: what goes out is JSON still, with the same strings made plain.
func FuzzPlainJSON(f *testing.F) {
	f.Add("a\x1b[1m\u200bb", "k\"\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		in, err := encode(map[string]any{"k": []string{a, b}, b: a})
		if err != nil {
			t.Skip()
		}
		out := plainJSON(in, 0)
		if !json.Valid(out) {
			t.Fatalf("%s becomes %s", in, out)
		}
		if again := plainJSON(out, 0); string(again) != string(out) {
			t.Errorf("%s becomes %s, and that %s", in, out, again)
		}
	})
}

package transport

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"openclaw-mcp/internal/text"
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
		if got := string((outgoing{}).json([]byte(in), 0)); got != want {
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
		got := string(outgoing{}.json(answer, answerStart(raw)))
		if want := `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-1,"message":"x⟨U+202E⟩"}}`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// The caller's key goes out in no text, however it is broken, and not in what is else verbatim.
func TestKeyInTexts(t *testing.T) {
	t.Parallel()
	const key = `sk_live_"0123\4567890&<`
	for _, verbatim := range []bool{false, true} {
		how := outgoing{secret: text.NewSecret(key), verbatim: verbatim}
		for said, want := range map[string]string{
			key + key + " and " + key[:9]:  "****** and " + key[:9],
			"a " + key + "\n\t\"é\x1b[31m": "a ***\n\t\"é",
			key[:9] + "\x1b[1m" + key[9:]:  "***",
			"sk_live_ alone":               "sk_live_ alone",
		} {
			in, err := encode(map[string]any{"id": key, "result": map[string]any{key: []string{said}}})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]map[string][]string
			out := how.json(in, bytes.Index(in, []byte(`"result"`)))
			if err := json.Unmarshal(bytes.Replace(out, in[:bytes.Index(in, []byte(`"result"`))], []byte("{"), 1), &got); err != nil || !reflect.DeepEqual(got, map[string]map[string][]string{"result": {"***": {want}}}) {
				t.Errorf("%q goes out as %s, want %q (%v)", said, out, want, err)
			}
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
		out := outgoing{}.json(in, 0)
		if !json.Valid(out) {
			t.Fatalf("%s becomes %s", in, out)
		}
		if again := (outgoing{}).json(out, 0); string(again) != string(out) {
			t.Errorf("%s becomes %s, and that %s", in, out, again)
		}
	})
}

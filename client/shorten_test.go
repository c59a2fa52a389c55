package client

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// What comes out is JSON again, in which each text has its beginning, and its end where
// there is a mark, whatever the reads are cut into.
func TestShortener(t *testing.T) {
	for _, text := range []string{"plain ", "é", "😀x", `\n`, `\"`, `\\`, `\u00e9`, `\ud83d\ude00`, `"`, "\u00a0\\", "\xff"} {
		quoted, _ := jsontext.AppendQuote(nil, text)
		if strings.HasPrefix(text, `\`) && len(text) > 1 {
			quoted = []byte(`"` + text + `"`) // an escape sequence as it stands
		}
		one, _ := jsontext.AppendUnquote(nil, quoted)
		long := strings.Repeat(string(quoted[1:len(quoted)-1]), 100)
		in := `{"short":"x","a":"` + long + `","n":[1,"` + long + `"]}`
		for _, mark := range []string{"", "MARK"} {
			for _, step := range []int{1, 2, 3, 5, 7, 64, 1 << 10} {
				r := &shortener{Reader: &stepReader{[]byte(in), step}, keep: 40, mark: mark}
				out, err := io.ReadAll(iotest.OneByteReader(r))
				if err != nil {
					t.Fatal(err)
				}
				o, ok := asObject(out)
				if !ok || scalar(o["short"]) != "x" {
					t.Fatalf("%q in steps of %d: not JSON: %s", text, step, out)
				}
				got, _ := asString(o["a"])
				head, tail, left := split(got, mark)
				if mark == "" {
					head, _, _ = strings.Cut(got, "…[")
				}
				if !utf8.ValidString(got) || len(out) > len(in) || !strings.HasPrefix(strings.Repeat(string(one), 100), head) || len(head) == 0 {
					t.Errorf("%q in steps of %d: %s", text, step, out)
				}
				if total := int64(len(head)+len(tail)) + left; mark != "" && total != int64(100*len(one)) {
					t.Errorf("%q in steps of %d: %d bytes of %d", text, step, total, 100*len(one))
				}
			}
		}
	}
}

// What is not JSON, or not long, comes as it is.
func TestShortenerLeavesAlone(t *testing.T) {
	for _, in := range []string{"", "{}", `"` + strings.Repeat("x", 100) + `"`, `say "` + strings.Repeat("x", 100), "\ufeff{\"a\":\"\\u0041\"}", `{"a":"broken \u00`} {
		out, err := io.ReadAll(&shortener{Reader: iotest.OneByteReader(strings.NewReader(in)), keep: 40, mark: "MARK"})
		if want := strings.TrimSuffix(in, `\u00`); err != nil || string(out) != want {
			t.Errorf("%q became %q, %v", in, out, err)
		}
	}
}

// stepReader gives so many bytes at a time.
type stepReader struct {
	rest []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(r.step, len(r.rest))])
	r.rest = r.rest[n:]
	return n, nil
}

// Escapes that are all there is take no more time than other text.
func BenchmarkShortener(b *testing.B) {
	for name, piece := range map[string]string{"plain": "plain text", "escapes": `\"\\\"\\\"`} {
		in := []byte(`{"a":"` + strings.Repeat(piece, 1<<20) + `"}`)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				_, _ = io.Copy(io.Discard, &shortener{Reader: bytes.NewReader(in), keep: 1 << 20, mark: "MARK"})
			}
		})
	}
}

package text_test

import (
	"strings"
	"testing"

	"openclaw-mcp/internal/text"
)

func TestUTF8Stream(t *testing.T) {
	const sample = "aé漢🙂\u0301\xffz\xe6\xbcx\xf0\x9f"
	want := decodeWhole(sample)
	for size := 1; size <= len(sample); size++ {
		var s text.UTF8Stream
		var got strings.Builder
		for i := 0; i < len(sample); i += size {
			got.WriteString(s.Decode([]byte(sample[i:min(i+size, len(sample))])))
		}
		got.WriteString(s.Flush())
		if got.String() != want {
			t.Errorf("pieces of %d: %q, want %q", size, got.String(), want)
		}
	}
}

// decodeWhole is what Go makes of text that is not UTF-8.
func decodeWhole(s string) string { return string([]rune(s)) }

func FuzzUTF8Stream(f *testing.F) {
	f.Add([]byte("aé漢🙂\xff\xe6\xbc"), uint8(1))
	f.Add([]byte("\xf0\x9f\x99"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		n := int(size)%7 + 1
		var s text.UTF8Stream
		var got strings.Builder
		for i := 0; i < len(data); i += n {
			got.WriteString(s.Decode(data[i:min(i+n, len(data))]))
		}
		got.WriteString(s.Flush())
		if want := decodeWhole(string(data)); got.String() != want {
			t.Errorf("pieces of %d: %q, want %q", n, got.String(), want)
		}
	})
}

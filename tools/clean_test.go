package tools

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanOutput(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "a\tb\nc\n", "a\tb\nc\n"},
		{"colours", "\x1b[1;31mred\x1b[0m \x1b[38;5;200mpink\x1b[m", "red pink"},
		{"title", "\x1b]0;window title\x07text\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "textlink"},
		{"two characters", "\x1b=\x1b(B\x1bMx", "x"},
		{"C1", "\u009b31mred\u009b0m", "red"},
		{"CRLF", "a\r\nb\r\n", "a\nb\n"},
		{"progress bar", "10%\r50%\r100%\n", "10%\n50%\n100%\n"},
		{"backspace", "pass\b\b\b\bword\n", "word\n"},
		{"backspace keeps lines", "a\n\b\bb", "a\nb"},
		{"bell and NUL", "a\a\x00b", "ab"},
		{"cut escape", "a\x1b", "a"},
		{"cut CSI", "a\x1b[31", "a"},
		{"unended OSC", "a\x1b]0;never", "a"},
		{"bidi", "a\u202eb\u2066c", "a⟨U+202E⟩b⟨U+2066⟩c"},
		{"zero width", "ig\u200bnore", "ig⟨U+200B⟩nore"},
		{"tags", "x\U000e0041\U000e0042", "x⟨U+E0041⟩⟨U+E0042⟩"},
		{"joiner in Latin", "a\u200db", "a⟨U+200D⟩b"},
		{"emoji family", "👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"},
		{"rainbow flag", "🏳️\u200d🌈", "🏳️\u200d🌈"},
		{"Persian", "می\u200cخواهم", "می\u200cخواهم"},
		{"BOM at the start", "\ufeffabc", "abc"},
		{"BOM inside", "a\ufeffb", "a⟨U+FEFF⟩b"},
		{"accents and CJK", "Zürich 東京 한국", "Zürich 東京 한국"},
		{"soft hyphen", "a\u00adb", "a⟨U+00AD⟩b"},
		{"line separator", "a\u2028b", "a⟨U+2028⟩b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cleanOutput(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzCleanOutput: whatever comes in, nothing that a terminal or a reader would
// stumble over comes out, and cleaning twice changes nothing more.
func FuzzCleanOutput(f *testing.F) {
	for _, s := range []string{"\x1b[31mx", "a\rb\b\b", "\x1b]0;t\x07", "\u202e\u200d", "\x1b\x1b[\x1bPq\x1b\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // outputs come out of JSON
		}
		got := cleanOutput(s)
		if i := strings.IndexFunc(got, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
			t.Errorf("%q keeps a control character: %q", s, got)
		}
		if again := cleanOutput(got); again != got {
			t.Errorf("%q: %q becomes %q", s, got, again)
		}
	})
}

package text

import (
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "a\tb\nc\n", "a\tb\nc\n"},
		{"colours", "\x1b[1;31mred\x1b[0m \x1b[38;5;200mpink\x1b[m", "red pink"},
		{"title", "\x1b]0;window title\x07text\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "textlink"},
		{"title beyond ASCII", "\x1b]0;“x” 東京\x07y", "y"},
		{"two characters", "\x1b=\x1b(B\x1bMx", "x"},
		{"C1", "\u009b31mred\u009b0m", "red"},
		{"CRLF", "a\r\nb\r\n", "a\nb\n"},
		{"progress bar", "10%\r50%\r100%\n", "10%\n50%\n100%\n"},
		{"backspace", "pass\b\b\b\bword\n", "word\n"},
		{"backspace keeps lines", "a\n\b\bb", "a\nb"},
		{"bell and NUL", "a\a\x00b", "ab"},
		{"cut escape", "a\x1b", "a"},
		{"cut CSI", "a\x1b[31", "a"},
		{"unended OSC", "a\x1b]0;never", "a0;never"},
		{"string not ended on its line", "a\x1b]x\ny\x1b\\\x1b_z\n1\a2\n", "ax\nyz\n12\n"},
		{"string broken off", "\x1bPx\x1b[31mred", "xred"},
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
		{"keycap", "1\ufe0f\u20e3 #\ufe0f\u20e3", "1\ufe0f\u20e3 #\ufe0f\u20e3"},
		{"heart", "❤\ufe0f ©\ufe0f ℹ\ufe0f ‼\ufe0f ↔\ufe0f", "❤\ufe0f ©\ufe0f ℹ\ufe0f ‼\ufe0f ↔\ufe0f"},
		{"detective", "🕵🏻\u200d♂\ufe0f 🕵\ufe0f\u200d♂\ufe0f", "🕵🏻\u200d♂\ufe0f 🕵\ufe0f\u200d♂\ufe0f"},
		{"Scotland", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!"},
		{"no flag", "🏴\U000e0067\U000e0062x", "🏴⟨U+E0067⟩⟨U+E0062⟩x"},
		{"tags behind a flag", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f\U000e0041", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f⟨U+E0041⟩"},
		{"selectors behind an emoji", "😀\ufe0f\ufe0f\ufe00", "😀\ufe0f⟨U+FE0F⟩⟨U+FE00⟩"},
		{"selector behind a letter", "a\ufe0fb\ufe01 1\ufe0f2", "a⟨U+FE0F⟩b⟨U+FE01⟩ 1⟨U+FE0F⟩2"},
		{"many", "a" + strings.Repeat("\u200b", 1000) + "b", "a" + strings.Repeat("⟨U+200B⟩", 8) + "⟨and 992 more⟩b"},
		{"supplement", "😀\U000e0100\U000e01ef", "😀⟨U+E0100⟩⟨U+E01EF⟩"},
		{"joiners behind an emoji", "😀\u200da 😀\u200d\u200d😀", "😀⟨U+200D⟩a 😀⟨U+200D⟩⟨U+200D⟩😀"},
		{"musical blank", "a\U0001d159\u17b4b", "a⟨U+1D159⟩⟨U+17B4⟩b"},
		{"line separator", "a\u2028b", "a⟨U+2028⟩b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Plain(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOutgoingAndVisible(t *testing.T) {
	for _, tt := range []struct{ in, outgoing, visible string }{
		{"a\r\nb\n", "a\r\nb\n", "a\r\nb\n"},
		{"a\rb\r\r\n", "a\nb\r\n", "a⟨U+000D⟩b⟨U+000D⟩\r\n"},
		{"\x1b[31mred\x1b[m\x00", "red", "⟨U+001B⟩[31mred⟨U+001B⟩[m⟨U+0000⟩"},
		{"\u009b1mx\u200b", "x⟨U+200B⟩", "⟨U+009B⟩1mx⟨U+200B⟩"},
		{"bad \xff\x1b", "bad \xff", "bad \xff⟨U+001B⟩"},
	} {
		if got := Outgoing(tt.in); got != tt.outgoing {
			t.Errorf("%q goes out as %q, want %q", tt.in, got, tt.outgoing)
		}
		if got := Visible(tt.in); got != tt.visible {
			t.Errorf("%q is shown as %q, want %q", tt.in, got, tt.visible)
		}
	}
}

// A text in pieces comes to the same as the whole, wherever it is cut.
func TestStream(t *testing.T) {
	for _, whole := range []string{
		"a \x1b[1;31mred\x1b[0m b", "\x1b]0;title “x”\x07text\x1b]8;;u\x1b\\link", "\x1b(Bx\x1b=y", "10%\r50%\r\nend", "a\r\nb", "a\r",
		"a\x1b]0;never\nb\x1b\\c", "a\x1b_never", "a\x1b]0;x\x1b[1mb", "a\x1b]0;x\ry\ab", "a\x1b",
		"👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3 می\u200cخواهم", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!", "a\u202eb\ufe01c",
	} {
		want := Outgoing(whole)
		cut := []string{whole}
		for i := range whole {
			cut = append(cut, whole[:i]+"|"+whole[i:])
		}
		cut = append(cut, strings.Join(strings.Split(whole, ""), "|"))
		for _, pieces := range cut {
			var s Stream
			var got strings.Builder
			for piece := range strings.SplitSeq(pieces, "|") {
				got.WriteString(s.Next(piece))
			}
			got.WriteString(s.Rest())
			if got.String() != want {
				t.Errorf("%q gives %q, want %q", pieces, got.String(), want)
			}
		}
	}
}

// FuzzPlain: whatever comes in, nothing that a terminal or a reader would
// stumble over comes out, and cleaning twice changes nothing more.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"\x1b[31mx", "a\rb\b\b", "\x1b]0;t\x07", "\u202e\u200d", "\x1b\x1b[\x1bPq\x1b\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // outputs come out of JSON
		}
		got := Plain(s)
		if i := strings.IndexFunc(got, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
			t.Errorf("%q keeps a control character: %q", s, got)
		}
		if again := Plain(got); again != got {
			t.Errorf("%q: %q becomes %q", s, got, again)
		}
	})
}

// A stream remembers the end of what it was given, not all of it.
func TestStreamKeepsLittle(t *testing.T) {
	heap := func() int {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	before, streams := heap(), make([]Stream, 10)
	for i := range streams {
		streams[i].Next(strings.Repeat("x", 1<<20))
	}
	if kept := heap() - before; kept > 1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
	runtime.KeepAlive(streams)
}

package terminals

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScreen(t *testing.T) {
	tests := []struct {
		name, in, want string
		row, col       int
	}{
		{"text", "ab\r\ncd", "ab\ncd", 2, 3},
		{"wrap", "1234567890ab", "1234567890\nab", 2, 3},
		{"a full line waits", "1234567890", "1234567890", 1, 10},
		{"a full line and a line end", "1234567890\r\nx", "1234567890\nx", 2, 2},
		{"no wrap", "\x1b[?7l1234567890ab", "123456789b", 1, 10},
		{"wide", "漢字x", "漢字x", 1, 6},
		{"wide at the end", "123456789漢", "123456789\n漢", 2, 3},
		{"wide fits", "12345678漢x", "12345678漢\nx", 2, 2},
		{"half of a wide one overwritten", "漢字\x1b[1;2Hx", " x字", 1, 3},
		{"first half overwritten", "漢字\x1b[1;1Hx", "x 字", 1, 2},
		{"delete a wide one", "漢字ab\x1b[1;1H\x1b[P", " 字ab", 1, 1},
		{"insert before wide ones", "漢字ab\x1b[1;1H\x1b[@", " 漢字ab", 1, 1},
		{"erase through a wide one", "漢字ab\x1b[1;2H\x1b[X", "  字ab", 1, 2},
		{"combining", "e\u0301x", "e\u0301x", 1, 3},
		{"combining behind a colour", "e\x1b[1m\u0301x", "e\u0301x", 1, 3},
		{"combining on a wide one", "漢\u0301x", "漢\u0301x", 1, 4},
		{"combining in the last column", "123456789e\u0301x", "123456789e\u0301\nx", 2, 2},
		{"combining at the start", "\u0301x", "x", 1, 2},
		{"emoji with a joiner", "👩\u200d💻|", "👩\u200d💻|", 1, 6},
		{"insert mode", "abc\x1b[1;1H\x1b[4hX\x1b[4l", "Xabc", 1, 2},
		{"backspace", "abc\b\bX", "aXc", 1, 3},
		{"tabs", "a\tb", "a       b", 1, 10},
		{"positions", "\x1b[3;4Hx\x1b[1;1Hy", "y\n\n   x", 1, 2},
		{"positions out of bounds", "\x1b[999;999Hx\x1b[0;0Hy", "y\n\n\n\n         x", 1, 2},
		{"erase below", "a\r\nb\r\nc\x1b[2;1H\x1b[J", "a", 2, 1},
		{"erase above", "a\r\nb\r\nc\x1b[2;1H\x1b[1J", "\n\nc", 2, 1},
		{"erase all", "a\r\nb\x1b[2J", "", 2, 2},
		{"erase line", "abcdef\x1b[1;3H\x1b[K", "ab", 1, 3},
		{"scroll", "1\r\n2\r\n3\r\n4\r\n5\r\n6", "2\n3\n4\n5\n6", 5, 2},
		{"margins", "1\r\n2\r\n3\r\n4\r\n5\x1b[2;4r\x1b[4;1H\nX", "1\n3\n4\nX\n5", 4, 2},
		{"insert line", "1\r\n2\r\n3\x1b[2;1H\x1b[L", "1\n\n2\n3", 2, 1},
		{"delete line", "1\r\n2\r\n3\x1b[2;1H\x1b[M", "1\n3", 2, 1},
		{"reverse index", "1\r\n2\x1b[1;1H\x1bMx", "x\n1\n2", 1, 2},
		{"save and restore", "ab\x1b7\x1b[4;4H\x1b8c", "abc", 1, 4},
		{"alternate screen", "main\x1b[?1049hother\x1b[?1049l!", "main!", 1, 6},
		{"in the alternate screen", "main\x1b[?1049hother", "other", 1, 10}, // where the cursor was
		{"line drawing", "\x1b(0lqk\x1b(B lqk", "┌─┐ lqk", 1, 8},
		{"shifted drawing", "\x1b)0a\x0ex\x0fx", "a│x", 1, 4},
		{"repeat", "ab\x1b[3b", "abbbb", 1, 6},
		{"huge numbers", "\x1b[99999999b\x1b[99999999Xa\x1b[99999999b\x1b[99999999I\x1b[99999999P\x1b[99999999S\x1b[2Jx", "\n\n\n\n         x", 5, 10},
		{"title", "\x1b]0;hello\x07x", "x", 1, 2},
		{"strings are not shown", "\x1bPq#0~~\x1b\\\x1b_G\x1b\\\x1b^x\x1b\\ok", "ok", 1, 3},
		{"reset", "abc\x1bcx", "x", 1, 2},
		{"DECALN", "\x1b#8\x1b[2J\x1b[1;1Hx", "x", 1, 2},
	}
	for _, tt := range tests {
		for _, step := range []int{1, len(tt.in)} {
			s := newScreen(10, 5)
			feed(s, tt.in, step)
			row, col := s.position()
			if tt.name == "in the alternate screen" {
				if got := s.text(); strings.TrimSpace(got) != tt.want || !s.fullScreen() {
					t.Errorf("%s: %q", tt.name, got)
				}
				continue
			}
			if got := s.text(); got != tt.want || row != tt.row || col != tt.col {
				t.Errorf("%s, steps of %d: got %q at %d,%d; want %q at %d,%d", tt.name, step, got, row, col, tt.want, tt.row, tt.col)
			}
		}
	}
}

// feed writes text in pieces that cut no character.
func feed(s *screen, in string, step int) {
	for len(in) > 0 {
		n := min(step, len(in))
		for n < len(in) && !utf8.RuneStart(in[n]) {
			n++
		}
		for piece := in[:n]; piece != ""; {
			piece = piece[s.write(piece):]
		}
		in = in[n:]
	}
}

func TestScreenReplies(t *testing.T) {
	s := newScreen(80, 24)
	feed(s, "ab\x1b[c\x1b[>c\x1b[5n\x1b[6n\x1b[?2026$p", 1000)
	if got := strings.Join(s.replies, ""); got != "\x1b[?62;22c\x1b[>1;10;0c\x1b[0n\x1b[1;3R\x1b[?2026;0$y" {
		t.Errorf("%q", got)
	}
	feed(s, strings.Repeat("\x1b[c", 1000), 3)
	if len(s.replies) > maxReplies {
		t.Errorf("%d replies wait", len(s.replies))
	}
}

func TestKeys(t *testing.T) {
	for key, want := range map[string][2]string{
		"up": {"\x1b[A", "\x1bOA"}, "home": {"\x1b[H", "\x1bOH"}, "page_up": {"\x1b[5~", "\x1b[5~"}, "PageDown": {"\x1b[6~", "\x1b[6~"},
		"ctrl-c": {"\x03", "\x03"}, "Ctrl-C": {"\x03", "\x03"}, "ctrl-[": {"\x1b", "\x1b"}, "ctrl-space": {"\x00", "\x00"},
		"enter": {"\r", "\r"}, "esc": {"\x1b", "\x1b"}, "f1": {"\x1bOP", "\x1bOP"}, "F12": {"\x1b[24~", "\x1b[24~"},
		"alt-x": {"\x1bx", "\x1bx"}, "alt-ü": {"\x1bü", "\x1bü"}, "shift-tab": {"\x1b[Z", "\x1b[Z"}, "delete": {"\x1b[3~", "\x1b[3~"},
		"^C": {"\x03", "\x03"}, "ArrowUp": {"\x1b[A", "\x1bOA"}, "shift-up": {"\x1b[1;2A", "\x1b[1;2A"}, "ctrl-left": {"\x1b[1;5D", "\x1b[1;5D"},
		"Ctrl+Shift+End": {"\x1b[1;6F", "\x1b[1;6F"}, "alt-f1": {"\x1b[1;3P", "\x1b[1;3P"}, "shift-f5": {"\x1b[15;2~", "\x1b[15;2~"}, "F5": {"\x1b[15~", "\x1b[15~"},
		"f13": {"\x1b[25~", "\x1b[25~"}, "ctrl-delete": {"\x1b[3;5~", "\x1b[3;5~"}, "alt-enter": {"\x1b\r", "\x1b\r"}, "ctrl-backspace": {"\b", "\b"},
		"backtab": {"\x1b[Z", "\x1b[Z"}, "Ctrl + C": {"\x03", "\x03"}, "\x03": {"\x03", "\x03"}, `\x03`: {"\x03", "\x03"}, "\x1c": {"\x1c", "\x1c"}, "\n": {"\r", "\r"},
		"{enter}": {"\r", "\r"}, "cursor_up": {"\x1b[A", "\x1bOA"}, "\x00": {"\x00", "\x00"}, "ctrl alt b": {"\x1b\x02", "\x1b\x02"},
		"x": {"x", "x"}, "shift-a": {"A", "A"}, "ctrl-shift-a": {"\x01", "\x01"}, "ctrl-alt-b": {"\x1b\x02", "\x1b\x02"}, "C-_": {"\x1f", "\x1f"}, "ctrl-/": {"\x1f", "\x1f"}, "^?": {"\x7f", "\x7f"}, "meta-b": {"\x1bb", "\x1bb"},
	} {
		for i, app := range []bool{false, true} {
			if got, err := sequence(key, app); err != nil || got != want[i] {
				t.Errorf("%s, %v: %q, %v; want %q", key, app, got, err, want[i])
			}
		}
	}
	for _, key := range []string{"", "ctrl-", "ctrl-é", "ctrl-cc", "f24", "alt-", "page", "pgx", "a+b", "super-l", "shift-1", "print"} {
		if got, err := sequence(key, false); err == nil {
			t.Errorf("%q is a key: %q", key, got)
		}
	}
}

func TestTyped(t *testing.T) {
	lines := Input{Text: "a\nb\r\nc", Keys: []string{"tab", "up"}}
	for _, tt := range []struct {
		in    Input
		paste bool
		want  string
	}{
		{lines, false, "a\rb\rc\t\x1bOA"},
		{lines, true, "\x1b[200~a\rb\rc\x1b[201~\t\x1bOA"},
		{Input{Text: "ls -l\n"}, true, "ls -l\r"},
		{Input{Text: "y"}, true, "y"},
		{Input{Text: "if x; then\n  y\nfi\n"}, true, "\x1b[200~if x; then\r  y\rfi\x1b[201~\r"},
		{Input{Text: "a\n\x1b[201~evil\n"}, true, "\x1b[200~a\revil\x1b[201~\r"},
		{Input{Text: "a\x1b[20\x1b[201~1~\nevil"}, true, "\x1b[200~a\revil\x1b[201~"},
		{Input{Text: "\n\n"}, true, "\r\r"},
	} {
		if got, err := tt.in.typed(true, tt.paste); err != nil || got != tt.want {
			t.Errorf("%+v, %v: got %q, %v; want %q", tt.in, tt.paste, got, err, tt.want)
		}
	}
}

func TestLog(t *testing.T) {
	var l outputLog
	l.add("one\ntwo\x1b[3", false)
	if text, next, _ := l.since(0, 0); text != "" || next != 0 {
		t.Errorf("half a sequence is shown: %q, %d", text, next)
	}
	l.add("1mred", true)
	text, next, dropped := l.since(4, 0)
	if text != "two\x1b[31mred" || next != l.end() || dropped != 0 {
		t.Errorf("%q, %d, %d", text, next, dropped)
	}
	if text, next, _ := l.since(0, 6); text != "one\n" || next != 4 {
		t.Errorf("cut at %q, %d", text, next)
	}
	if text, next, _ := l.since(1<<40, 0); text != "" || next != 1<<40 {
		t.Errorf("behind the end: %q, %d", text, next)
	}
	for range 100 {
		l.add(strings.Repeat("ä", 20000)+"\n", true)
	}
	if len(l.buf) > 2*maxLog || cap(l.buf) > 3*maxLog {
		t.Errorf("%d bytes are kept in %d", len(l.buf), cap(l.buf))
	}
	text, next, dropped = l.since(0, 100)
	if dropped != l.start || !utf8.ValidString(text) || len(text) > 100 || next != l.start+int64(len(text)) {
		t.Errorf("%q, %d, %d", text, next, dropped)
	}
}

func TestHistory(t *testing.T) {
	s := newScreen(10, 2)
	for i := range 5000 {
		feed(s, strings.Repeat("x", i%10)+"\r\n", 100)
	}
	if h := &s.history; h.len() > maxHistoryLines || len(h.lines) > 2*maxHistoryLines+1 || h.total() != 4999 {
		t.Errorf("%d lines of %d in %d", h.len(), h.total(), len(h.lines))
	}
	text, first, next, dropped := s.history.read(-1, 12)
	if next != 4999 || first >= next || len(text) > 12 || dropped != 0 {
		t.Errorf("the newest: %q, %d, %d, %d", text, first, next, dropped)
	}
	if _, first, _, dropped := s.history.read(10, 100); dropped != s.history.dropped-10 || first != s.history.dropped {
		t.Errorf("what is gone: %d, %d", first, dropped)
	}
	feed(s, "\x1b[3J", 100)
	if s.history.len() != 0 || s.history.total() != 4999 {
		t.Errorf("cleared: %d, %d", s.history.len(), s.history.total())
	}
}

func FuzzScreen(f *testing.F) {
	for _, in := range []string{"漢字\x1b[1;2Hx", "\x1b[?1049h\x1b[2;3r\x1b[9999S\x1b[L\x1b[P\x1b[@", "e\u0301\x1b[4h\tx\x1b[b\x1b[?6h\x1b[d", "\x1b]0;t\x07\x1bP1$r\x1b\\", "\x1b[1:2;3;4;5;6;7m\x1b[;;r"} {
		f.Add(in, uint8(1))
		f.Add(in, uint8(17))
	}
	f.Fuzz(func(t *testing.T, in string, step uint8) {
		in = strings.ToValidUTF8(in, "\ufffd")
		s := newScreen(7, 4)
		feed(s, in, int(step)+1)
		text := s.text()
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\r\x00") {
			t.Errorf("the screen shows %q", text)
		}
		row, col := s.position()
		if row < 1 || row > 4 || col < 1 || col > 7 {
			t.Errorf("the cursor is at %d,%d", row, col)
		}
		for _, l := range s.lines {
			width := 0
			for _, c := range l {
				width += int(c.width)
			}
			if len(l) != 7 || width != 7 {
				t.Errorf("a line of %d cells is %d wide: %v", len(l), width, l)
			}
		}
	})
}

func BenchmarkScreen(b *testing.B) {
	for name, text := range map[string]string{
		"lines":  strings.Repeat("The quick brown fox jumps over the lazy dog; 0123456789.\r\n", 500),
		"short":  strings.Repeat("y\r\n", 10000),
		"colour": strings.Repeat("\x1b[31mred\x1b[0m \x1b[32mgreen\x1b[0m\r\n", 1000),
		"wide":   strings.Repeat("漢字かな交じり文\r\n", 1000),
	} {
		b.Run(name, func(b *testing.B) {
			s := newScreen(80, 24)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s.write(text)
			}
		})
	}
}

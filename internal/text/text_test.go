package text

import (
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCuts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s                    string
		n                    int
		head, tail, complete string
	}{
		{"", 0, "", "", ""},
		{"abc", -1, "", "", "abc"},
		{"abc", 2, "ab", "bc", "abc"},
		{"abc", 9, "abc", "abc", "abc"},
		{"aäz", 2, "a", "z", "aäz"},
		{"aäz", 3, "aä", "äz", "aäz"},
		{"€€", 5, "€", "€", "€€"},
		{"👩", 3, "", "", "👩"},
		{"a€"[:3], 9, "a\xe2\x82", "a\xe2\x82", "a"},
		{"€a"[1:], 9, "\x82\xaca", "a", "\x82\xaca"},
		{"\x80\x80\x80\x80\x80\x80", 5, "\x80\x80\x80\x80\x80", "\x80\x80\x80\x80\x80", "\x80\x80\x80\x80\x80\x80"},
		{"\xff", 1, "\xff", "\xff", "\xff"},
	} {
		if got := Head(c.s, c.n); got != c.head {
			t.Errorf("Head(%q, %d) is %q, want %q", c.s, c.n, got, c.head)
		}
		if got := Tail(c.s, c.n); got != c.tail {
			t.Errorf("Tail(%q, %d) is %q, want %q", c.s, c.n, got, c.tail)
		}
		if got := Complete(c.s); got != c.complete {
			t.Errorf("Complete(%q) is %q, want %q", c.s, got, c.complete)
		}
	}
}

func TestClipAndLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s          string
		n          int
		clip, line string
	}{
		{"", 5, "", ""},
		{"abc", 3, "abc", "abc"},
		{"abcd", 3, "abc…", "abc…"},
		{"aäz", 2, "a…", "a…"},
		{"👩\u200d💻z", 7, "👩…", "👩…"},
		{" a\n\tb ", 3, " a\n…", "a b"},
	} {
		if got := Clip(c.s, c.n); got != c.clip {
			t.Errorf("Clip(%q, %d) is %q, want %q", c.s, c.n, got, c.clip)
		}
		if got := Line(c.s, c.n); got != c.line {
			t.Errorf("Line(%q, %d) is %q, want %q", c.s, c.n, got, c.line)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 entries", 1: "1 entry", 2: "2 entries"} {
		if got := Count(n, "entry", "entries"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHeadTail(t *testing.T) {
	t.Parallel()
	if head, tail, omitted := HeadTail("abc", 3); head != "abc" || tail != "" || omitted != 0 {
		t.Errorf("what fits is cut: %q, %q, %d", head, tail, omitted)
	}
	lines := strings.Repeat("0123456789\n", 100)
	head, tail, omitted := HeadTail(lines, 300)
	if !strings.HasSuffix(head, "\n") || !strings.HasPrefix(tail, "0") || len(head) < 190 || len(tail) < 80 {
		t.Errorf("not cut at line ends: %q, %q", head, tail)
	}
	if len(head)+len(tail)+omitted != len(lines) {
		t.Errorf("%d bytes omitted of %d", omitted, len(lines))
	}
}

// FuzzCuts: parts stay within their limit, belong to the text, and no cut makes
// a valid text invalid.
func FuzzCuts(f *testing.F) {
	f.Add("aä€👩", 3)
	f.Add("\x80\xff\xe2\x82", 2)
	f.Add("line\nline\nline\n", 12)
	f.Fuzz(func(t *testing.T, s string, n int) {
		head, tail := Head(s, n), Tail(s, n)
		a, b, omitted := HeadTail(s, n)
		for _, part := range []string{head, tail, a + b} {
			if len(part) > max(n, 0) {
				t.Errorf("%q is longer than %d", part, n)
			}
		}
		if !strings.HasPrefix(s, head) || !strings.HasSuffix(s, tail) || !strings.HasPrefix(s, a) || !strings.HasSuffix(s, b) || len(a)+len(b)+omitted != len(s) {
			t.Errorf("%q is not cut into %q, %q and %q, %d, %q", s, head, tail, a, omitted, b)
		}
		if utf8.ValidString(s) {
			for _, part := range []string{head, tail, a, b, Complete(s), Clip(s, n), Line(s, n)} {
				if !utf8.ValidString(part) {
					t.Errorf("%q of %q is not valid UTF-8", part, s)
				}
			}
		}
	})
}

// Parts that follow each other are the whole.
func TestPart(t *testing.T) {
	for name, tt := range map[string]struct {
		in    string
		limit int
		first string
	}{
		"short":         {"abc", 10, "abc"},
		"lines":         {"one\ntwo\nthree\n", 10, "one\ntwo\n"},
		"one long line": {"x\n" + strings.Repeat("y", 30), 10, "x\nyyyyyyyy"},
		"characters":    {strings.Repeat("東", 20), 10, "東東東"},
		"tiny limit":    {"東京", 1, "東"},
		"empty":         {"", 10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			all, offset := "", 0
			for offset < len(tt.in) {
				part, from, end := Part(tt.in, offset, tt.limit)
				if from != offset || end <= from || offset == 0 && part != tt.first {
					t.Fatalf("from %d: %q from %d to %d", offset, part, from, end)
				}
				all, offset = all+part, end
			}
			if all != tt.in {
				t.Errorf("got %q", all)
			}
		})
	}
	if part, from, end := Part("東京", 1, 10); part != "京" || from != 3 || end != 6 {
		t.Errorf("inside of a character: %q from %d to %d", part, from, end)
	}
	if part, _, end := Part("abc", 9, 10); part != "" || end != 3 {
		t.Errorf("behind the end: %q, %d", part, end)
	}
}

// Line gives what the whole text on one line begins with, and does not make that.
func TestLine(t *testing.T) { // alone, since it measures
	for _, s := range []string{"", " \n", "one", " one  two\n\tthree ", "ü ü üü", "日本 語", strings.Repeat("long", 20), strings.Repeat("ü", 20) + " x", "a\xff\xfe b", "\u2003wide\u2003space"} {
		for n := range 90 {
			if got, want := Line(s, n), Clip(strings.Join(strings.Fields(s), " "), n); got != want {
				t.Errorf("Line(%q, %d) = %q, want %q", s, n, got, want)
			}
		}
	}
	large := strings.Repeat("words and ", 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = Line(large, 80)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
		t.Errorf("the beginning of a large text took %d bytes", n)
	}
}

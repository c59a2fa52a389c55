package tools

import (
	"fmt"
	"strings"
	"testing"
)

func TestChangedRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before, now, want string }{
		{"nothing", "a\nb\nc", "a\nb\nc", ""},
		{"one row", "a\nb\nc", "a\nx\nc", "row 2:\nx"},
		{"two apart", "a\nb\nc\nd", "x\nb\nc\ny", "row 1:\nx\nrow 4:\ny"},
		{"rows together", "a\nb\nc\nd", "a\nx\ny\nd", "rows 2 to 3:\nx\ny"},
		{"more rows", "$ ls", "$ ls\na.go\n$", "rows 2 to 3:\na.go\n$"},
		{"rows that went", "a\nb\nc", "a", "rows 2 to 3:\n\n"},
		{"from nothing", "", "a\nb", "rows 1 to 2:\na\nb"},
		{"to nothing", "a\nb", "", "rows 1 to 2:\n\n"},
		{"scrolled", "1\n2\n3\n4\n$", "3\n4\n$ echo 5\n5\n$", "(scrolled up by 2)\nrows 3 to 5:\n$ echo 5\n5\n$"},
		{"scrolled alone", "1\n2\n3", "2\n3", "(scrolled up by 1)"},
		{"all new", "a\nb", "x\ny", "rows 1 to 2:\nx\ny"},
	} {
		if got := changedRows(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := patched(t, tt.before, changedRows(tt.before, tt.now)); strings.TrimRight(got, "\n") != strings.TrimRight(tt.now, "\n") {
			t.Errorf("%s: whoever takes the changes in has %q, not %q", tt.name, got, tt.now)
		}
	}
}

// patched is what a reader makes of a screen and what changed on it.
func patched(t *testing.T, screen, changes string) string {
	t.Helper()
	rows := strings.Split(screen, "\n")
	at, left := 0, 0
	for line := range strings.Lines(changes + "\n") {
		line = strings.TrimSuffix(line, "\n")
		var from, to, by int
		switch {
		case left > 0:
			for len(rows) < at {
				rows = append(rows, "")
			}
			rows[at-1] = line
			at, left = at+1, left-1
		case scan(line, "(scrolled up by %d)", &by):
			rows = rows[min(by, len(rows)):]
		case scan(line, "rows %d to %d:", &from, &to):
			at, left = from, to-from+1
		case scan(line, "row %d:", &from):
			at, left = from, 1
		case line != "":
			t.Fatalf("nobody expects %q in %q", line, changes)
		}
	}
	return strings.Join(rows, "\n")
}

func scan(line, format string, into ...any) bool {
	n, _ := fmt.Sscanf(line, format, into...)
	return n == len(into)
}

func FuzzChangedRows(f *testing.F) {
	f.Add("a\nb\nc", "b\nc\nd")
	f.Add("$ ls\na\n$", "$ ls\na\n$ vim")
	f.Fuzz(func(t *testing.T, before, now string) {
		if strings.Count(before+now, "\n") > 50 {
			t.Skip()
		}
		if got := patched(t, before, changedRows(before, now)); strings.TrimRight(got, "\n") != strings.TrimRight(now, "\n") {
			t.Errorf("%q to %q by %q gives %q", before, now, changedRows(before, now), got)
		}
	})
}

func TestShownScreensAreBounded(t *testing.T) {
	t.Parallel()
	var s shownScreens
	for i := range 3 * maxShownScreens {
		if _, ok := s.swap(fmt.Sprint(i), "x"); ok {
			t.Fatalf("terminal %d was never shown", i)
		}
	}
	if before, ok := s.swap(fmt.Sprint(3*maxShownScreens-1), "y"); !ok || before != "x" || len(s.texts) != maxShownScreens || len(s.order) != maxShownScreens {
		t.Errorf("%q, %v; %d screens are kept", before, ok, len(s.texts))
	}
}

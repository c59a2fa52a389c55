package runs

import (
	"strings"
	"testing"
)

// Who is told a text again, from its start, is told nothing new of what it has; only what
// differs is a revision.
func TestTakeAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		has, told string
		whole     bool
		want      string
		revised   []int
	}{
		"the same":               {has: "one two", told: "one two", want: "one two"},
		"more":                   {has: "one two", told: "one two three", want: "one two three"},
		"less, so far":           {has: "one two three", told: "one two", want: "one two three"},
		"less, and that is all":  {has: "one two three", told: "one two", whole: true, want: "one two", revised: []int{7}},
		"something else":         {has: "one two three", told: "one 2", want: "one 2", revised: []int{4}},
		"another word, in bytes": {has: "größer", told: "grüßer", want: "grüßer", revised: []int{2}},
		"nothing yet":            {told: "one", want: "one"},
	} {
		var got transcript
		got.take(0, []byte(c.has), nil, false)
		got.take(0, []byte(c.told), nil, c.whole)
		if string(got.text) != c.want || len(got.revisions) != len(c.revised) || len(c.revised) > 0 && got.revisions[0] != c.revised[0] {
			t.Errorf("%s: %q, revised at %v; want %q, %v", name, got.text, got.revisions, c.want, c.revised)
		}
	}
}

// What a run keeps beside its text is bounded in bytes, and a reader that is behind is
// told how far back the text was revised.
func TestTranscriptIsBounded(t *testing.T) {
	var got transcript
	got.setText("abcdefgh")
	told := got.shownAt(8, Checksum([]byte("abcdefgh")))
	got.setText("abX")
	for i := range 10 * maxRevisions {
		got.setText("abcd" + string(rune('a'+i%2)))
		got.addLine(strings.Repeat("x", maxLine))
	}
	kept := 0
	for _, ln := range got.lines {
		kept += len(ln.text)
	}
	if len(got.revisions) > 2*maxRevisions || kept > 2*maxLineBytes || kept != got.lineBytes || kept < maxLineBytes/2 {
		t.Errorf("%d revisions and %d bytes of lines are kept, %d counted", len(got.revisions), kept, got.lineBytes)
	}
	if text, at, lines := got.rest(&told); at != 2 || "ab"+text != string(got.text) || len(lines) != len(got.lines) {
		t.Errorf("a reader is told %q from %d on, and %d lines", text, at, len(lines))
	}
}

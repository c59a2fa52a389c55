package runs

import "testing"

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

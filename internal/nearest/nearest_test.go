package nearest

import (
	"fmt"
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	t.Parallel()
	known := []string{"call", "chat", "doctor", "--local"}
	for word, want := range map[string]string{"cal": "call", "chta": "chat", "docter": "doctor", "doc": "doctor", "-local": "--local", "--lo": "--local", "": "", "sitting": ""} {
		if got := Word(word, known, 2); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Word("ls", known, 1); got != "" {
		t.Errorf("ls is taken for %q", got)
	}
}

// Case and two-letter mistakes are found; of what is farther, nothing is.
func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"abcdef", "bcdefg", 2}, {"flaw", "lawn", 2}} {
		if got := distance(c.a, c.b, 9); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.a, c.b, c.want-1); got < c.want {
			t.Errorf("from %q to %q: %d where less than %d counts", c.a, c.b, got, c.want)
		}
	}
	if got := Word("readme.MD", []string{"a", "README.md"}, 2); got != "README.md" {
		t.Errorf("another case: %q", got)
	}
	if got := Word("my flie", []string{"my file"}, 2); got != "my file" {
		t.Errorf("a name with a space: %q", got)
	}
}

// A huge folder is looked through in little time and memory. A hundred thousand names once
// took 12 s and 400 MiB.
func TestManyNames(t *testing.T) {
	known := make([]string, 100_000)
	for i := range known {
		known[i] = fmt.Sprintf("%06d%s", i, strings.Repeat("x", 34))
	}
	known[1000] = "yyyyyyyyyy"
	var got string
	if n := testing.AllocsPerRun(1, func() { got = Word("yyyyyyyyyz", known, 2) }); got != "yyyyyyyyyy" || n > 3*most {
		t.Errorf("got %q, with %v allocations", got, n)
	}
	if n := testing.AllocsPerRun(1, func() { got = Word(strings.Repeat("y", 40), known, 2) }); got != "" || n > 3*most {
		t.Errorf("got %q, with %v allocations", got, n)
	}
	if got := Word(strings.Repeat("y", 1<<20), []string{strings.Repeat("y", 1<<20) + "y"}, 2); got != "" {
		t.Error("a name of 1 MiB is compared")
	}
}

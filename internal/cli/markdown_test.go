package cli

import (
	"regexp"
	"strings"
	"testing"
)

// However a reply arrives, it is shown in the same way, and none of its words is lost
// or comes twice.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	const reply = "# The plan\n\nUse **both** of `ls -l` and **`cat`**:\n- one\n  * two\n+ three - four\n> said\n\n" +
		"```go\na := **b // `c`\n# d\n- e\n```\n2 ** 3 ** 4, src/**/*.go, a*b, `open\n**open\n#no\n-no\n--- \nwide 漢字 **é**\nend **x"
	want := "‹1›The plan‹›\n\nUse ‹1›both‹› of ‹36›ls -l‹› and ‹1›`cat`‹›:\n• one\n  • two\n• three - four\n‹2›│ ‹›said\n\n" +
		"‹36›a := **b // `c`‹›\n‹36›# d‹›\n‹36›- e‹›\n2 ** 3 ** 4, src/**/*.go, a*b, `open\n**open\n#no\n-no\n--- \nwide 漢字 ‹1›é‹›\nend **x"
	readable := strings.NewReplacer("\x1b[0m", "‹›", "\x1b[1m", "‹1›", "\x1b[2m", "‹2›", "\x1b[36m", "‹36›")
	for _, size := range []int{1, 2, 3, 7, len(reply)} {
		var m markdown
		var got strings.Builder
		for rest := []rune(reply); len(rest) > 0; {
			n := min(size, len(rest))
			got.WriteString(m.write(string(rest[:n])))
			rest = rest[n:]
		}
		got.WriteString(m.end())
		// In pieces, a line in one colour is several in that colour.
		all := readable.Replace(got.String())
		for _, style := range []string{"1", "2", "36"} {
			all = strings.ReplaceAll(all, "‹›‹"+style+"›", "")
		}
		if all != want {
			t.Errorf("in pieces of %d:\n%s\nwant:\n%s", size, all, want)
		}
	}
}

// Words that stand outside of marks are shown at once, and a mark without its end does
// not hold up the rest.
func TestMarkdownIsPrompt(t *testing.T) {
	t.Parallel()
	var m markdown
	if got := m.write("Hello the"); got != "Hello the" {
		t.Errorf("got %q", got)
	}
	if got := m.write("re `a"); got != "re " {
		t.Errorf("got %q", got)
	}
	long := strings.Repeat("word ", 100)
	if got := m.write(long); got != "`a"+long {
		t.Errorf("got %q", got)
	}
}

// On a terminal, a reply's lines are broken between words, however it arrives; code is not.
func TestMarkdownWraps(t *testing.T) {
	t.Parallel()
	const reply = "- one **two three** four five six\n\n```\nthis line of code is as long as it is\n```\n日本語日本語日本語日本語日本語。 and so on and on\n"
	for _, tt := range []struct {
		plain bool
		want  string
	}{
		{false, "• one two three four\n  five six\n\nthis line of code is as long as it is\n日本語日本語日本語日本\n語日本語。 and so on\nand on\n"},
		{true, "- one **two three**\n  four five six\n\n```\nthis line of code is as long as it is\n```\n日本語日本語日本語日本\n語日本語。 and so on\nand on\n"},
	} {
		for _, eager := range []bool{false, true} {
			for _, size := range []int{1, 2, 3, 7, len(reply)} {
				m := markdown{plain: tt.plain, wrap: wordWrap{width: 22, eager: eager}}
				var got strings.Builder
				for rest := []rune(reply); len(rest) > 0; {
					n := min(size, len(rest))
					got.WriteString(m.write(string(rest[:n])))
					rest = rest[n:]
				}
				got.WriteString(m.end())
				if all := colours.ReplaceAllString(got.String(), ""); all != tt.want {
					t.Errorf("in pieces of %d, eager: %t:\n%s\nwant:\n%s", size, eager, all, tt.want)
				}
			}
		}
	}
}

var colours = regexp.MustCompile("\x1b\\[\\d*m")

// Long lines are broken between words, and nothing else of a text changes.
func TestWrapWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"exactly 10\nten", "exactly 10\nten"},
		{"one two three four", "one two\nthree four"},
		{"  one two three", "  one two\n  three"},
		{"a-very-long-word and more", "a-very-long-word and\nmore"},
		{"x a-very-long-word", "x\na-very-long-word"},
		{"é漢字é é漢字é", "é漢字é é漢\n字é"},
		{"漢字漢字漢字漢。漢", "漢字漢字漢\n字漢。漢"},
		{"日本日本日。日", "日本日本\n日。日"},
		{"a  b  c   d", "a  b  c\nd"},
		{"• one two three", "• one two\n  three"},
		{"\x1b[1mone two\x1b[0m three", "\x1b[1mone two\x1b[0m\nthree"},
		{"trailing \nx ", "trailing\nx "},
	} {
		if got := wrapWords(tt.text, 10); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
		}
	}
}

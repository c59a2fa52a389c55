package cli

import (
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"
)

// editedLine is a text and the cursor in it.
type editedLine struct{ before, after string }

func (l *editedLine) text() string { return l.before + l.after }

func (l *editedLine) moveTo(i int) {
	text := l.text()
	l.before, l.after = text[:i], text[i:]
}

func (l *editedLine) deleteRight() { _, l.after = firstCharacter(l.after) }

// transpose swaps the characters around the cursor, and moves it behind them. At the
// end, they are the last two.
func (l *editedLine) transpose() {
	before, left := lastCharacter(l.before)
	right, after := firstCharacter(l.after)
	if right == "" {
		right = left
		before, left = lastCharacter(before)
	}
	if left != "" {
		l.before, l.after = before+right+left, after
	}
}

// firstCharacter is what a person takes for one character: a letter with its marks,
// or an emoji that is made of several.
func firstCharacter(s string) (first, rest string) {
	g := displaywidth.StringGraphemes(s)
	g.Next()
	return s[:len(g.Value())], s[len(g.Value()):]
}

// lastCharacter is the last of them.
func lastCharacter(s string) (rest, last string) {
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		last = g.Value()
	}
	return strings.TrimSuffix(s, last), last
}

func notSpace(r rune) bool { return !unicode.IsSpace(r) }

func withoutLastWord(s string) string {
	return strings.TrimRightFunc(strings.TrimRightFunc(s, unicode.IsSpace), notSpace)
}

func withoutFirstWord(s string) string {
	return strings.TrimLeftFunc(strings.TrimLeftFunc(s, unicode.IsSpace), notSpace)
}

// layout breaks the line into the rows of a terminal of that width. It gives the row
// that the cursor is in, and what that row has before it.
func (l *editedLine) layout(prompt string, width int) (rows []string, at int, head string) {
	row := prompt
	column := displaywidth.Options{ControlSequences: true}.String(prompt)
	end := func() {
		rows = append(rows, row)
		row, column = "", 0
	}
	add := func(text string) {
		for g := displaywidth.StringGraphemes(text); g.Next(); {
			c := g.Value()
			if c == "\n" {
				end()
				continue
			}
			n := mostColumns(c)
			if column > 0 && column+n > width {
				end()
			}
			row += strings.ReplaceAll(c, "\t", tab)
			column += n
		}
	}
	add(l.before)
	// The cursor is on the character that follows, and takes a column where none does.
	under, _ := firstCharacter(l.after)
	if column > 0 && column+max(1, mostColumns(under)) > width {
		end()
	}
	at, head = len(rows), row
	add(l.after)
	end()
	return rows, at, head
}

// tab is what a tab is shown as: how wide one is depends on where it is.
const tab = "    "

// mostColumns is how many columns a character takes at most. Some terminals draw an
// emoji of several as one, others draw each.
func mostColumns(c string) int {
	if c == "\t" {
		return len(tab)
	}
	each := 0
	for _, r := range c {
		each += displaywidth.Rune(r)
	}
	return max(each, displaywidth.String(c))
}

package terminals

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// cell is one place of the screen. A wide character has two: the second has
// the width 0 and nothing in it.
type cell struct {
	r     rune   // 0: blank
	marks uint16 // place of the combining characters that belong to r
	width int8
}

var blank = cell{width: 1}

// line is one row of the screen.
type line []cell

func newLine(cols int) line {
	l := make(line, cols)
	l.clear(0, cols)
	return l
}

// clear blanks the cells from one column up to another, and the other half of
// what a border cuts in two.
func (l line) clear(from, to int) {
	from, to = max(from, 0), min(to, len(l))
	if from >= to {
		return
	}
	l.split(from)
	l.split(to)
	for i := from; i < to; i++ {
		l[i] = blank
	}
}

// split blanks a wide character that lies across a border.
func (l line) split(at int) {
	if at > 0 && at < len(l) && l[at].width == 0 {
		l[at-1], l[at] = blank, blank
	}
}

// insert moves what is right of a column to the right by n.
func (l line) insert(at, n int) {
	n = min(n, len(l)-at)
	l.split(at)
	l.split(len(l) - n)
	copy(l[at+n:], l[at:len(l)-n])
	for i := at; i < at+n; i++ {
		l[i] = blank
	}
}

// remove takes n cells out and moves up what is right of them.
func (l line) remove(at, n int) {
	n = min(n, len(l)-at)
	l.split(at)
	l.split(at + n)
	copy(l[at:], l[at+n:])
	for i := len(l) - n; i < len(l); i++ {
		l[i] = blank
	}
}

// put writes a character of one or two cells.
func (l line) put(at int, r rune, width int) {
	l.split(at)
	l.split(at + width)
	l[at] = cell{r: r, width: int8(width)}
	if width == 2 {
		l[at+1] = cell{}
	}
}

// mark adds a combining character to the character before a column.
func (l line) mark(at int, r rune, m *marks) {
	at--
	if at > 0 && l[at].width == 0 {
		at--
	}
	if at < 0 || l[at].r == 0 {
		return
	}
	l[at].marks = m.with(l[at].marks, r)
}

// text is the row as it is read, without the blanks at its end.
func (l line) text(m *marks) string {
	end := len(l)
	for end > 0 && (l[end-1].r == 0 || l[end-1].r == ' ' && l[end-1].marks == 0) && l[end-1].width != 0 {
		end--
	}
	var b strings.Builder
	b.Grow(end)
	for _, c := range l[:end] {
		switch {
		case c.width == 0:
		case c.r == 0:
			b.WriteByte(' ')
		default:
			b.WriteRune(c.r)
			b.WriteString(m.list[c.marks])
		}
	}
	if b.Cap() > b.Len()*5/4 {
		return strings.Clone(b.String()) // it may be kept
	}
	return b.String()
}

// widthOf is how many cells a character takes. It goes by single characters as
// the programs in the terminal do, which place what follows by it.
func widthOf(r rune) int {
	if r < 0x7f {
		return 1
	}
	return min(displaywidth.Rune(r), 2)
}

// grid is one of a terminal's two screens.
type grid struct {
	lines []line
	x, y  int
	// wrap says that the last column was just written: the next character goes
	// to the next line.
	wrap  bool
	saved savedCursor
}

type savedCursor struct {
	x, y     int
	wrap     bool
	origin   bool
	charsets [2]bool
	shifted  int
}

func newGrid(cols, rows int) *grid {
	g := &grid{lines: make([]line, rows)}
	for i := range g.lines {
		g.lines[i] = newLine(cols)
	}
	return g
}

// scrollUp moves the rows from top up to (not including) bottom up by n. gone
// gets each row that falls out.
func (g *grid) scrollUp(top, bottom, n int, gone func(line)) {
	for range min(n, bottom-top) {
		first := g.lines[top]
		if gone != nil {
			gone(first)
		}
		copy(g.lines[top:bottom], g.lines[top+1:bottom])
		first.clear(0, len(first))
		g.lines[bottom-1] = first
	}
}

// scrollDown moves rows down by n.
func (g *grid) scrollDown(top, bottom, n int) {
	for range min(n, bottom-top) {
		last := g.lines[bottom-1]
		copy(g.lines[top+1:bottom], g.lines[top:bottom-1])
		last.clear(0, len(last))
		g.lines[top] = last
	}
}

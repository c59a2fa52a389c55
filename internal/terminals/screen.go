package terminals

import (
	"bytes"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/ansi/parser"
)

const (
	// maxStrings bounds what is kept of a title or another string for the terminal.
	maxStrings = 4 << 10
	// maxReplies bounds the answers to a program's questions that wait.
	maxReplies = 32
)

// screen emulates a terminal (xterm, as far as text goes): what programs print
// becomes the picture that a person would see. It takes valid UTF-8.
//
// The parser is x/ansi's; the picture is kept here. Colours and other looks of
// characters are not: nobody would see them.
type screen struct {
	parser     *ansi.Parser
	cols, rows int
	main, alt  *grid
	marks      marks // of both
	*grid            // the one that shows

	top, bottom int // margins; bottom is the row behind the last
	tabs        []bool
	autowrap    bool
	insert      bool
	origin      bool
	newline     bool // a line feed goes to the first column, too
	appKeys     bool // the cursor keys send other sequences
	paste       bool // bracketed paste
	hidden      bool // the cursor
	charsets    [2]bool
	shifted     int  // which of the two character sets
	last        rune // for repetitions
	title       string
	history     history
	replies     []string
}

func newScreen(cols, rows int) *screen {
	s := &screen{parser: ansi.NewParser(), cols: cols, rows: rows}
	s.parser.SetDataSize(maxStrings)
	s.parser.SetHandler(ansi.Handler{
		Print: s.print, Execute: s.control, HandleCsi: s.csi, HandleEsc: s.escape, HandleOsc: s.osc,
	})
	s.reset()
	return s
}

// Picture is what a terminal of this size shows after the output, and its cursor's row
// and column, counted from 1. It is for tests of what is drawn on one.
func Picture(cols, rows int, output string) (text string, row, col int) {
	s := newScreen(cols, rows)
	for output != "" {
		output = output[s.write(output):]
	}
	row, col = s.position()
	return s.text(), row, col
}

// reset is what a terminal is like when it is switched on. The history stays.
func (s *screen) reset() {
	s.main, s.alt = newGrid(s.cols, s.rows), newGrid(s.cols, s.rows)
	s.grid, s.marks = s.main, newMarks()
	s.softReset()
	s.resetTabs()
	s.title, s.last = "", 0
}

func (s *screen) softReset() {
	s.top, s.bottom = 0, s.rows
	s.autowrap, s.insert, s.origin, s.newline, s.appKeys, s.paste, s.hidden = true, false, false, false, false, false, false
	s.charsets, s.shifted = [2]bool{}, 0
}

func (s *screen) resetTabs() {
	s.tabs = make([]bool, s.cols)
	for i := 0; i < s.cols; i += 8 {
		s.tabs[i] = true
	}
}

// fullScreen reports whether a program has the whole screen to itself.
func (s *screen) fullScreen() bool { return s.grid == s.alt }

// write takes output. It stops behind each change between the two screens, and
// says how much it took.
func (s *screen) write(p string) int {
	was := s.grid
	for i := 0; i < len(p); {
		if s.parser.State() == parser.GroundState {
			// Most output is plain text: it does without the parser.
			n := i
			for n < len(p) && p[n] >= ' ' && p[n] < 0x7f {
				s.print(rune(p[n]))
				n++
			}
			if n > i {
				i = n
				continue
			}
		}
		s.parser.Advance(p[i])
		i++
		if s.grid != was {
			return i
		}
	}
	return len(p)
}

// between reports whether the output ended between two sequences.
func (s *screen) between() bool { return s.parser.State() == parser.GroundState }

// text is the picture, without the blank rows at its end.
func (s *screen) text() string {
	var rows []string
	for _, l := range s.lines {
		rows = append(rows, l.text(&s.marks))
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// line is the number of the line that the cursor is on, as the history counts.
func (s *screen) line() int64 { return s.history.total() + int64(s.y) }

// current is the text at the cursor, or else the nearest above it.
func (s *screen) current() string {
	for y := s.y; y >= 0; y-- {
		if row := strings.TrimSpace(s.lines[y].text(&s.marks)); row != "" {
			return row
		}
	}
	return ""
}

// position is the cursor's row and column, counted from 1.
func (s *screen) position() (row, col int) { return s.y + 1, s.x + 1 }

// drawings are the characters of the DEC special graphics set, from ` on.
var drawings = []rune("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")

func (s *screen) print(r rune) {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return
	}
	if s.charsets[s.shifted] && r >= '`' && r <= '~' {
		r = drawings[r-'`']
	}
	width := widthOf(r)
	if width == 0 {
		at := s.x
		if s.wrap {
			at++
		}
		s.lines[s.y].mark(at, r, &s.marks)
		s.tidyMarks()
		return
	}
	if width > s.cols {
		return
	}
	if s.wrap || s.x+width > s.cols {
		if s.autowrap {
			s.x = 0
			s.index()
		} else {
			s.x = s.cols - width
		}
		s.wrap = false
	}
	l := s.lines[s.y]
	if s.insert {
		l.insert(s.x, width)
	}
	l.put(s.x, r, width)
	s.last = r
	s.x += width
	if s.x >= s.cols {
		s.x, s.wrap = s.cols-1, s.autowrap
	}
}

func (s *screen) control(b byte) {
	switch b {
	case '\b':
		if s.x > 0 && !s.wrap {
			s.x--
		}
		s.wrap = false
	case '\t':
		s.tab(1)
	case '\n', '\v', '\f':
		s.index()
		if s.newline {
			s.x = 0
		}
	case '\r':
		s.x, s.wrap = 0, false
	case 0x0e:
		s.shifted = 1
	case 0x0f:
		s.shifted = 0
	case 0x84: // IND
		s.index()
	case 0x85: // NEL
		s.x = 0
		s.index()
	case 0x88: // HTS
		s.tabs[s.x] = true
	case 0x8d: // RI
		s.reverseIndex()
	}
}

// index goes down a row, and scrolls at the lower margin.
func (s *screen) index() {
	s.wrap = false
	switch {
	case s.y == s.bottom-1:
		s.scroll(1)
	case s.y < s.rows-1:
		s.y++
	}
}

// scroll moves the text within the margins up. What leaves the top of the main
// screen is kept.
func (s *screen) scroll(n int) {
	var gone func(line)
	if s.grid == s.main && s.top == 0 {
		gone = func(l line) { s.history.add(l.text(&s.marks)) }
	}
	s.scrollUp(s.top, s.bottom, n, gone)
}

func (s *screen) reverseIndex() {
	s.wrap = false
	switch {
	case s.y == s.top:
		s.scrollDown(s.top, s.bottom, 1)
	case s.y > 0:
		s.y--
	}
}

// tab goes to the next tab stop, or with a negative n to the one before.
func (s *screen) tab(n int) {
	s.wrap = false
	for ; n > 0 && s.x < s.cols-1; n-- {
		for s.x++; s.x < s.cols-1 && !s.tabs[s.x]; s.x++ {
		}
	}
	for ; n < 0 && s.x > 0; n++ {
		for s.x--; s.x > 0 && !s.tabs[s.x]; s.x-- {
		}
	}
}

// move goes to a place, within the margins in origin mode.
func (s *screen) move(x, y int) {
	low, high := 0, s.rows-1
	if s.origin {
		low, high = s.top, s.bottom-1
		y += s.top
	}
	s.x, s.y, s.wrap = min(max(x, 0), s.cols-1), min(max(y, low), high), false
}

// column goes to a column of the same row.
func (s *screen) column(x int) { s.x, s.wrap = min(max(x, 0), s.cols-1), false }

// climb goes up or down and stops at a margin that is in the way.
func (s *screen) climb(n int) {
	low, high := 0, s.rows-1
	if s.y >= s.top {
		low = s.top
	}
	if s.y < s.bottom {
		high = s.bottom - 1
	}
	s.y, s.wrap = min(max(s.y+n, low), high), false
}

func (s *screen) save() {
	s.saved = savedCursor{x: s.x, y: s.y, wrap: s.wrap, origin: s.origin, charsets: s.charsets, shifted: s.shifted}
}

func (s *screen) restore() {
	c := s.saved
	s.x, s.y, s.wrap = min(c.x, s.cols-1), min(c.y, s.rows-1), c.wrap
	s.origin, s.charsets, s.shifted = c.origin, c.charsets, c.shifted
}

// show changes between the main and the alternate screen. A new one is clear.
func (s *screen) show(alt bool) {
	if alt == s.fullScreen() {
		return
	}
	if alt {
		s.alt.x, s.alt.y, s.alt.wrap = s.x, s.y, false
		s.grid = s.alt
		for _, l := range s.lines {
			l.clear(0, s.cols)
		}
	} else {
		s.grid = s.main
	}
}

func (s *screen) osc(cmd int, data []byte) {
	if cmd != 0 && cmd != 2 {
		return
	}
	if _, title, ok := bytes.Cut(data, []byte(";")); ok {
		s.title = strings.ToValidUTF8(string(title), "")
	}
}

// reply answers a question of the program in the terminal.
func (s *screen) reply(text string) {
	if len(s.replies) < maxReplies {
		s.replies = append(s.replies, text)
	}
}

package terminals

import (
	"fmt"

	"github.com/charmbracelet/x/ansi"
)

// escape obeys a sequence of ESC and a letter.
func (s *screen) escape(cmd ansi.Cmd) {
	switch cmd.Intermediate() {
	case 0:
	case '(', ')':
		s.charsets[cmd.Intermediate()-'('] = cmd.Final() == '0'
		return
	case '#':
		if cmd.Final() == '8' { // DECALN
			for _, l := range s.lines {
				for x := range l {
					l[x] = cell{r: 'E', width: 1}
				}
			}
			s.top, s.bottom, s.origin = 0, s.rows, false
			s.move(0, 0)
		}
		return
	default:
		return
	}
	switch cmd.Final() {
	case '7':
		s.save()
	case '8':
		s.restore()
	case 'D':
		s.index()
	case 'E':
		s.x = 0
		s.index()
	case 'H':
		s.tabs[s.x] = true
	case 'M':
		s.reverseIndex()
	case 'Z':
		s.reply(deviceAttributes)
	case 'c':
		s.reset()
	}
}

const deviceAttributes = "\x1b[?62;22c" // a VT220 with colours

// numbers are the parameters of a control sequence.
type numbers ansi.Params

// at gives a parameter, or standard where it is missing. It is bounded, so that
// no sequence keeps the screen busy for long.
func (n numbers) at(i, standard int) int {
	v, _, _ := ansi.Params(n).Param(i, standard)
	return min(max(v, 0), 1<<14)
}

// count is the first parameter, where 0 and none mean 1.
func (n numbers) count() int { return max(n.at(0, 1), 1) }

// csi obeys a control sequence.
func (s *screen) csi(cmd ansi.Cmd, params ansi.Params) {
	n := numbers(params)
	switch {
	case cmd.Prefix() == '?' && cmd.Intermediate() == 0:
		s.private(cmd.Final(), params)
	case cmd.Prefix() == '?' && cmd.Intermediate() == '$' && cmd.Final() == 'p':
		s.reply(fmt.Sprintf("\x1b[?%d;0$y", n.at(0, 0))) // an unknown mode
	case cmd.Prefix() == '>' && cmd.Final() == 'c' && n.at(0, 0) == 0:
		s.reply("\x1b[>1;10;0c")
	case cmd.Prefix() == 0 && cmd.Intermediate() == '!' && cmd.Final() == 'p':
		s.softReset()
	case cmd.Prefix() == 0 && cmd.Intermediate() == 0:
		if obey := plainSequences[cmd.Final()&0x7f]; obey != nil {
			obey(s, n)
		}
	}
}

// plainSequences are the control sequences without prefix and intermediate, by
// their last character (ECMA-48, and SCOSC and SCORC of the SCO console).
var plainSequences = [128]func(*screen, numbers){
	// The cursor.
	'A': func(s *screen, n numbers) { s.climb(-n.count()) },
	'B': func(s *screen, n numbers) { s.climb(n.count()) },
	'e': func(s *screen, n numbers) { s.climb(n.count()) },
	'C': func(s *screen, n numbers) { s.column(s.x + n.count()) },
	'a': func(s *screen, n numbers) { s.column(s.x + n.count()) },
	'D': func(s *screen, n numbers) { s.column(s.x - n.count()) },
	'E': func(s *screen, n numbers) { s.climb(n.count()); s.x = 0 },
	'F': func(s *screen, n numbers) { s.climb(-n.count()); s.x = 0 },
	'G': func(s *screen, n numbers) { s.column(n.count() - 1) },
	'`': func(s *screen, n numbers) { s.column(n.count() - 1) },
	'H': func(s *screen, n numbers) { s.move(max(n.at(1, 1), 1)-1, n.count()-1) },
	'f': func(s *screen, n numbers) { s.move(max(n.at(1, 1), 1)-1, n.count()-1) },
	'd': func(s *screen, n numbers) { s.move(s.x, n.count()-1) },
	's': func(s *screen, _ numbers) { s.save() },
	'u': func(s *screen, _ numbers) { s.restore() },

	// Tab stops.
	'I': func(s *screen, n numbers) { s.tab(min(n.count(), s.cols)) },
	'Z': func(s *screen, n numbers) { s.tab(-min(n.count(), s.cols)) },
	'g': (*screen).clearTabs,

	// Text.
	'@': func(s *screen, n numbers) { s.lines[s.y].insert(s.x, n.count()); s.wrap = false },
	'P': func(s *screen, n numbers) { s.lines[s.y].remove(s.x, n.count()); s.wrap = false },
	'X': func(s *screen, n numbers) { s.lines[s.y].clear(s.x, s.x+n.count()); s.wrap = false },
	'J': func(s *screen, n numbers) { s.eraseDisplay(n.at(0, 0)) },
	'K': func(s *screen, n numbers) { s.eraseLine(s.lines[s.y], n.at(0, 0)) },
	'L': (*screen).insertLines,
	'M': (*screen).deleteLines,
	'S': func(s *screen, n numbers) { s.scroll(n.count()) },
	'T': func(s *screen, n numbers) { s.scrollDown(s.top, s.bottom, n.count()) },
	'b': (*screen).repeat,

	// Modes, margins and questions.
	'h': func(s *screen, n numbers) { s.modes(n, true) },
	'l': func(s *screen, n numbers) { s.modes(n, false) },
	'r': (*screen).setMargins,
	'c': func(s *screen, n numbers) {
		if n.at(0, 0) == 0 {
			s.reply(deviceAttributes)
		}
	},
	'n': (*screen).reportStatus,
}

func (s *screen) clearTabs(n numbers) {
	switch n.at(0, 0) {
	case 0:
		s.tabs[s.x] = false
	case 3:
		clear(s.tabs)
	}
}

// insertLines and deleteLines do nothing outside of the margins.
func (s *screen) insertLines(n numbers) {
	if s.y >= s.top && s.y < s.bottom {
		s.scrollDown(s.y, s.bottom, n.count())
		s.column(0)
	}
}

func (s *screen) deleteLines(n numbers) {
	if s.y >= s.top && s.y < s.bottom {
		s.scrollUp(s.y, s.bottom, n.count(), nil)
		s.column(0)
	}
}

func (s *screen) repeat(n numbers) {
	if s.last == 0 {
		return
	}
	for range min(n.count(), s.cols*s.rows) {
		s.print(s.last)
	}
}

func (s *screen) modes(n numbers, on bool) {
	for i := range n {
		switch n.at(i, 0) {
		case 4:
			s.insert = on
		case 20:
			s.newline = on
		}
	}
}

func (s *screen) setMargins(n numbers) {
	top, bottom := n.count(), n.at(1, s.rows)
	if bottom == 0 || bottom > s.rows {
		bottom = s.rows
	}
	if top < bottom {
		s.top, s.bottom = top-1, bottom
		s.move(0, 0)
	}
}

func (s *screen) reportStatus(n numbers) {
	switch n.at(0, 0) {
	case 5:
		s.reply("\x1b[0n")
	case 6:
		row, col := s.position()
		s.reply(fmt.Sprintf("\x1b[%d;%dR", row, col))
	}
}

// private sets and resets the modes of DEC and xterm that change the picture.
func (s *screen) private(final byte, params ansi.Params) {
	if final == 'J' || final == 'K' { // selective: nothing is protected here
		n, _, _ := params.Param(0, 0)
		if final == 'J' {
			s.eraseDisplay(n)
		} else {
			s.eraseLine(s.lines[s.y], n)
		}
		return
	}
	if final != 'h' && final != 'l' {
		return
	}
	on := final == 'h'
	for i := range params {
		mode, _, _ := params.Param(i, 0)
		switch mode {
		case 1:
			s.appKeys = on
		case 6:
			s.origin = on
			s.move(0, 0)
		case 7:
			s.autowrap = on
			s.wrap = s.wrap && on
		case 25:
			s.hidden = !on
		case 47, 1047:
			s.show(on)
		case 1048:
			if on {
				s.save()
			} else {
				s.restore()
			}
		case 1049:
			if on == s.fullScreen() {
				break
			}
			if on {
				s.save()
				s.show(true)
			} else {
				s.show(false)
				s.restore()
			}
		case 2004:
			s.paste = on
		}
	}
}

func (s *screen) eraseDisplay(how int) {
	from, to := 0, s.rows
	switch how {
	case 0:
		s.lines[s.y].clear(s.x, s.cols)
		from = s.y + 1
		s.wrap = false
	case 1:
		s.lines[s.y].clear(0, s.x+1)
		to = s.y
	case 2:
	case 3:
		if s.grid == s.main {
			s.history.clear()
		}
		return
	default:
		return
	}
	for _, l := range s.lines[from:to] {
		l.clear(0, s.cols)
	}
}

func (s *screen) eraseLine(l line, how int) {
	switch how {
	case 0:
		l.clear(s.x, s.cols)
		s.wrap = false
	case 1:
		l.clear(0, s.x+1)
	case 2:
		l.clear(0, s.cols)
	}
}

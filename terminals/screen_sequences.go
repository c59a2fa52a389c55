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

// csi obeys a control sequence. Numbers are bounded by the size of the screen,
// whatever they are.
func (s *screen) csi(cmd ansi.Cmd, params ansi.Params) {
	number := func(i, standard int) int {
		n, _, _ := params.Param(i, standard)
		return min(max(n, 0), 1<<14)
	}
	switch {
	case cmd.Prefix() == '?' && cmd.Intermediate() == 0:
		s.private(cmd.Final(), params)
		return
	case cmd.Prefix() == '?' && cmd.Intermediate() == '$' && cmd.Final() == 'p':
		s.reply(fmt.Sprintf("\x1b[?%d;0$y", number(0, 0))) // a mode that is not known
		return
	case cmd.Prefix() == '>' && cmd.Final() == 'c' && number(0, 0) == 0:
		s.reply("\x1b[>1;10;0c")
		return
	case cmd.Prefix() == 0 && cmd.Intermediate() == '!' && cmd.Final() == 'p':
		s.softReset()
		return
	case cmd.Prefix() != 0 || cmd.Intermediate() != 0:
		return
	}
	count := max(number(0, 1), 1)
	l := s.lines[s.y]
	switch cmd.Final() {
	case '@':
		l.insert(s.x, count)
		s.wrap = false
	case 'A':
		s.climb(-count)
	case 'B', 'e':
		s.climb(count)
	case 'C', 'a':
		s.x, s.wrap = min(s.x+count, s.cols-1), false
	case 'D':
		s.x, s.wrap = max(s.x-count, 0), false
	case 'E':
		s.climb(count)
		s.x = 0
	case 'F':
		s.climb(-count)
		s.x = 0
	case 'G', '`':
		s.x, s.wrap = min(count, s.cols)-1, false
	case 'H', 'f':
		s.move(max(number(1, 1), 1)-1, count-1)
	case 'I':
		s.tab(min(count, s.cols))
	case 'Z':
		s.tab(-min(count, s.cols))
	case 'J':
		s.eraseDisplay(number(0, 0))
	case 'K':
		s.eraseLine(l, number(0, 0))
	case 'L', 'M':
		if s.y >= s.top && s.y < s.bottom {
			if cmd.Final() == 'L' {
				s.scrollDown(s.y, s.bottom, count)
			} else {
				s.scrollUp(s.y, s.bottom, count, nil)
			}
			s.x, s.wrap = 0, false
		}
	case 'P':
		l.remove(s.x, count)
		s.wrap = false
	case 'S':
		s.scroll(count)
	case 'T':
		s.scrollDown(s.top, s.bottom, count)
	case 'X':
		l.clear(s.x, s.x+count)
		s.wrap = false
	case 'b':
		if s.last != 0 {
			for range min(count, s.cols*s.rows) {
				s.print(s.last)
			}
		}
	case 'c':
		if number(0, 0) == 0 {
			s.reply(deviceAttributes)
		}
	case 'd':
		s.move(s.x, count-1)
	case 'g':
		switch number(0, 0) {
		case 0:
			s.tabs[s.x] = false
		case 3:
			clear(s.tabs)
		}
	case 'h', 'l':
		for i := range params {
			switch number(i, 0) {
			case 4:
				s.insert = cmd.Final() == 'h'
			case 20:
				s.newline = cmd.Final() == 'h'
			}
		}
	case 'n':
		switch number(0, 0) {
		case 5:
			s.reply("\x1b[0n")
		case 6:
			row, col := s.position()
			s.reply(fmt.Sprintf("\x1b[%d;%dR", row, col))
		}
	case 'r':
		top, bottom := max(number(0, 1), 1), number(1, s.rows)
		if bottom == 0 || bottom > s.rows {
			bottom = s.rows
		}
		if top < bottom {
			s.top, s.bottom = top-1, bottom
			s.move(0, 0)
		}
	case 's':
		s.save()
	case 'u':
		s.restore()
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

package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain makes a command's output or a document plain text: terminal control sequences and
// control characters are removed, and invisible or bidirectional characters are
// made visible.
func Plain(s string) string { return ShowHidden(stripControls(s, false)) }

// Outgoing is Plain for any text on its way to a client. Line ends stay as they
// are: what holds CRLF may be a file.
func Outgoing(s string) string { return ShowHidden(stripControls(s, true)) }

// Visible shows all that Outgoing would change, for files: there a control
// character is content.
func Visible(s string) string {
	if strings.IndexFunc(s, isControl) >= 0 {
		var b strings.Builder
		for i, r := range s {
			if isControl(r) && !(r == '\r' && strings.HasPrefix(s[i+1:], "\n")) {
				fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			} else {
				b.WriteString(s[i : i+runeLen(s[i:])])
			}
		}
		s = b.String()
	}
	return ShowHidden(s)
}

func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// isControl reports control characters other than those of plain text.
func isControl(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r <= 0x9f
}

// stripControls removes what only a terminal understands: escape sequences
// (ECMA-48: CSI, OSC and other strings, two-character ones) and control
// characters. A carriage return that moves back to the start of its line, as
// progress bars do, becomes a line end; one before a line end stays with crlf. A
// backspace takes its character along.
//
// x/ansi's Strip can't be used: it takes bytes for control characters, so a title
// with “ or 東 in it ends inside of that character and the rest of it shows.
func stripControls(s string, crlf bool) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == 0x1b:
			n = escapeLen(s[i:])
		case r == 0x9b: // CSI as one character
			n += csiLen(s[i+n:])
		case r == '\r':
			n = len(s[i:]) - len(strings.TrimLeft(s[i:], "\r"))
			switch rest := s[i+n:]; {
			case rest != "" && rest[0] != '\n':
				out = append(out, '\n')
			case rest != "" && crlf:
				out = append(out, '\r')
			}
		case r == '\b':
			if _, last := utf8.DecodeLastRune(out); last > 0 && out[len(out)-1] != '\n' {
				out = out[:len(out)-last]
			}
		case !isControl(r):
			out = append(out, s[i:i+n]...)
		}
		i += n
	}
	return string(out)
}

// escapeLen is the length of the escape sequence that s begins with.
func escapeLen(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch c := s[1]; {
	case c == '[':
		return 2 + csiLen(s[2:])
	case startsString(s):
		n, _ := stringLen(s)
		return n
	case c >= ' ' && c <= '/': // intermediates, then a final
		i := 1
		for i < len(s) && s[i] >= ' ' && s[i] <= '/' {
			i++
		}
		return min(i+1, len(s))
	case c >= 0x30 && c <= 0x7e:
		return 2
	}
	return 1
}

// startsString reports whether the escape sequence that s begins with is a string, such as
// the title of a window.
func startsString(s string) bool { return len(s) > 1 && strings.IndexByte("]PX^_", s[1]) >= 0 }

// stringLen is the length of the string that s begins with, up to BEL or ST. Where neither is
// on its line, only the introducer goes: what follows is text, which must not
// get lost because of a byte of something binary before it. open: s ends before that is known.
func stringLen(s string) (n int, open bool) {
	const introducer = 2
	i := strings.IndexAny(s[introducer:], "\a\x1b\n") + introducer
	switch {
	case i < introducer, s[i:] == "\x1b":
		return introducer, true
	case s[i] == '\a':
		return i + 1, false
	case strings.HasPrefix(s[i:], "\x1b\\"):
		return i + 2, false
	}
	return introducer, false
}

// csiLen is the length of a control sequence behind its introducer.
func csiLen(s string) int {
	i := 0
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x3f {
		i++
	}
	if i < len(s) && s[i] >= 0x40 && s[i] <= 0x7e {
		i++
	}
	return i
}

// maxShown is how many hidden characters in a row are shown one by one.
const maxShown = 8

// ShowHidden makes characters visible that a person would not see, or that
// would make the text around them look other than it is: text from a workspace
// must not hide instructions from whoever approves a call. Those that belong to
// ordinary writing stay: joiners of some scripts, and what emoji are made of.
func ShowHidden(s string) string { return showHidden(s, 0) }

// showHidden shows what is hidden in s from byte from on, and gives that part. What
// is before it only says what the characters behind it belong to.
func showHidden(s string, from int) string {
	if nothingHidden(s[from:]) {
		return s[from:]
	}
	var b strings.Builder
	inRow := 0
	end := func() {
		if inRow > maxShown {
			fmt.Fprintf(&b, "⟨and %d more⟩", inRow-maxShown)
		}
		inRow = 0
	}
	before := rune(0)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if tags := flagLen(s[i:]); tags > 0 { // the flag and its tags
			end()
			if i+tags > from {
				b.WriteString(s[max(i, from) : i+tags])
			}
			i += tags
			before = 0
			continue
		}
		switch {
		case i < from:
		case i == 0 && r == '\ufeff': // a mark, not text
		case !Hidden(r) || belongs(before, r, s[i+n:]):
			end()
			b.WriteString(s[i : i+n])
		default:
			if inRow++; inRow <= maxShown {
				fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			}
		}
		before = r
		i += n
	}
	end()
	return b.String()
}

// nothingHidden reports whether s has no hidden character. Most text is ASCII,
// which none of them is.
func nothingHidden(s string) bool {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if Hidden(r) {
			return false
		}
		i += n
	}
	return true
}

// Hidden reports characters that show nothing or reorder others.
func Hidden(r rune) bool {
	switch {
	case r == utf8.RuneError, r < 0xad:
		return false
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff: // variation selectors and tags: one for each byte that somebody smuggles
		return true
	case r >= 0x180b && r <= 0x180f: // variation selectors of Mongolian
		return true
	case r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, r == 0x2800, r == 0x034f, r == 0x17b4, r == 0x17b5, r == 0x1d159: // blanks that count as letters
		return true
	case r == 0x2065, r >= 0xfff0 && r <= 0xfff8: // not assigned, and shown by nobody
		return true
	}
	return unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Co, r) && r >= 0xf0000
}

// belongs reports whether a hidden character is ordinary writing between the one
// before it and what follows.
func belongs(before, r rune, rest string) bool {
	next, size := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\ufe0f' && (before == '#' || before == '*' || before >= '0' && before <= '9'):
		return next == 0x20e3 || size == 0 // a keycap
	case r == '\ufe0f':
		return emoji(before)
	case r == '\u200d' && (emoji(before) || before == '\ufe0f'):
		return emoji(next) || size == 0 // size 0: it may go on
	case r == '\u200c' || r == '\u200d':
		return joins(before)
	case r >= 0x180b && r <= 0x180f:
		return unicode.Is(unicode.Mongolian, before) && !Hidden(before)
	}
	return false
}

// emoji reports whether a character may be one, or a part of one that shows.
func emoji(r rune) bool {
	switch {
	case r == 0xa9, r == 0xae, r == 0x2139:
		return true
	case r < 0x203c:
		return false
	}
	return unicode.In(r, unicode.So, unicode.Sk, unicode.Sm, unicode.Po, unicode.Pd)
}

// joins reports whether a joiner after r is ordinary writing: in the scripts that
// need it.
func joins(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya,
		unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar,
		unicode.Mongolian, unicode.Syriac, unicode.Nko)
}

// flags are the emoji that tags make: England, Scotland and Wales.
var flags = [...]string{
	"\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
	"\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
	"\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
}

// flagLen is the length of the flag that s begins with, 0 without one. One that s
// ends inside of may go on.
func flagLen(s string) int {
	for _, f := range flags {
		if len(s) > len("\U0001f3f4") && (strings.HasPrefix(s, f) || strings.HasPrefix(f, s)) {
			return min(len(f), len(s))
		}
	}
	return 0
}

// Stream makes a text plain that comes in pieces: an escape sequence or an emoji may
// begin in one and end in the next. The zero value is ready.
type Stream struct {
	tail string // the end of what was given
	held string // the beginning of an escape sequence
}

const (
	maxTail = 32   // bytes: the longest emoji that a piece may continue
	maxHeld = 4096 // bytes
)

// Next gives the next piece as [Outgoing] would as a part of the whole. The beginning
// of an escape sequence at its end is held back: it comes to nothing, or with the next piece.
func (p *Stream) Next(s string) string {
	s = p.held + s
	p.held = ""
	if i := openFrom(s); i < len(s) {
		s, p.held = s[:i], s[i:]
	}
	return p.plain(s)
}

// Rest gives what Next held back, at the end of the text.
func (p *Stream) Rest() string {
	s := p.held
	p.held = ""
	return p.plain(s)
}

// Holds reports whether Next held anything back.
func (p *Stream) Holds() bool { return p.held != "" }

func (p *Stream) plain(s string) string {
	if s == "" {
		return ""
	}
	all := p.tail + stripControls(s, true)
	out := showHidden(all, len(p.tail))
	p.tail = strings.Clone(Tail(all, maxTail)) // not all of it
	return out
}

// openFrom is where in s something begins that may go on behind it; len(s): nowhere.
func openFrom(s string) int {
	i := strings.LastIndexByte(s, 0x1b)
	if i >= 0 && i == len(s)-1 { // it may be the end of a string
		if start := strings.LastIndexByte(s[:i], 0x1b); start >= 0 && openEscape(s[start:]) {
			i = start
		}
	}
	switch {
	case i >= 0 && len(s)-i <= maxHeld && openEscape(s[i:]):
		return i
	case strings.HasSuffix(s, "\r"):
		return len(s) - 1
	}
	return len(s)
}

// openEscape reports whether the escape sequence that s begins with takes all of it,
// and may go on.
func openEscape(s string) bool {
	if startsString(s) {
		_, open := stringLen(s)
		return open
	}
	if len(s) == 1 {
		return true
	}
	if escapeLen(s) < len(s) {
		return false
	}
	last := s[len(s)-1]
	if s[1] == '[' {
		return len(s) == 2 || last < 0x40 || last > 0x7e
	}
	return last >= ' ' && last <= '/'
}

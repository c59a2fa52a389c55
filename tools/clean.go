package tools

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"openclaw-mcp/runs"
)

// cleanOutput makes a command's output plain text: terminal control sequences
// are removed, what remains of control characters and all invisible or
// bidirectional ones are made visible.
func cleanOutput(s string) string { return showHidden(stripControls(s)) }

// stripControls removes what only a terminal understands: escape sequences
// (ECMA-48: CSI, OSC and other strings, two-character ones) and control
// characters. A carriage return that moves back to the start of its line, as
// progress bars do, becomes a line end; a backspace takes its character along.
func stripControls(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r <= 0x9f }) < 0 {
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
			if rest := strings.TrimLeft(s[i:], "\r"); rest != "" && rest[0] != '\n' {
				out = append(out, '\n')
			}
			n = len(s[i:]) - len(strings.TrimLeft(s[i:], "\r"))
		case r == '\b':
			if _, last := utf8.DecodeLastRune(out); last > 0 && out[len(out)-1] != '\n' {
				out = out[:len(out)-last]
			}
		case r == '\n' || r == '\t' || (r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f)):
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
	case strings.IndexByte("]PX^_", c) >= 0: // a string, up to BEL or ST
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b {
				if i+1 < len(s) && s[i+1] == '\\' {
					return i + 2
				}
				return i
			}
		}
		return len(s)
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

// showHidden makes characters visible that a person would not see, or that
// would make the text around them look other than it is: text from a workspace
// must not hide instructions from whoever approves a call.
func showHidden(s string) string {
	if nothingHidden(s) {
		return s
	}
	var b strings.Builder
	var before rune
	for i, r := range s {
		switch {
		case !hidden(r), (r == '\u200c' || r == '\u200d') && joins(before), i == 0 && r == '\ufeff':
			if i != 0 || r != '\ufeff' {
				b.WriteRune(r)
			}
		default:
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		}
		before = r
	}
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
		if hidden(r) {
			return false
		}
		i += n
	}
	return true
}

// hidden reports characters that show nothing or reorder others.
func hidden(r rune) bool {
	switch {
	case r == utf8.RuneError, r < 0xad:
		return false
	case r >= 0xe0100 && r <= 0xe01ef: // variation selectors that only ideographs use, and smugglers
		return true
	case r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, r == 0x2800, r == 0x034f: // blanks that count as letters
		return true
	}
	return unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Co, r) && r >= 0xf0000
}

// joins reports whether a joiner behind r is ordinary writing: in emoji, and in
// scripts that need it.
func joins(r rune) bool {
	return r == '\ufe0f' || unicode.Is(unicode.So, r) || unicode.Is(unicode.Sk, r) ||
		unicode.In(r, unicode.Arabic, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya,
			unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar,
			unicode.Mongolian, unicode.Syriac, unicode.Nko)
}

// cleanProgress reports a command's output as plain text.
type cleanProgress struct{ Progress }

func (p cleanProgress) Text(s string) { p.Progress.Text(cleanOutput(s)) }

var _ runs.Progress = cleanProgress{}

package client

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// shortener is a reader of JSON that leaves out most of a very long string, before it is
// all in memory. Nothing within a character or an escape sequence is cut. What is not
// JSON passes as it is.
type shortener struct {
	io.Reader
	keep int               // bytes of a string that come out
	mark string            // stands where something was left out, before and after how much; then the last keep bytes come out, too
	hold func(n int) error // is told how much is kept here

	begun, isJSON   bool
	inString        bool
	open            bool   // the beginning of the string is still coming
	size            int    // of that beginning
	left            int64  // bytes of the string that are left out
	before, last    []byte // its end so far, in two parts
	escape          []byte // an escape sequence that is not complete
	buf, store, out []byte
	err             error
}

// Read implements [io.Reader].
func (s *shortener) Read(p []byte) (int, error) {
	if s.buf == nil {
		s.buf = make([]byte, 16<<10)
	}
	for len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		var n int
		n, s.err = s.Reader.Read(s.buf)
		s.out = s.store[:0]
		s.shorten(s.buf[:n])
		if s.err != nil {
			s.closeString() // cut off: it shows as broken JSON
		}
		s.store = s.out
		if s.hold != nil && s.err == nil {
			s.err = s.hold(cap(s.before) + cap(s.last) + cap(s.store))
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *shortener) shorten(p []byte) {
	if !s.begun {
		start := bytes.TrimLeft(p, "\xef\xbb\xbf \t\r\n") // a byte order mark may be cut
		if s.begun = len(start) > 0; s.begun {
			s.isJSON = start[0] == '{' || start[0] == '['
		}
	}
	if !s.isJSON {
		s.out = append(s.out, p...)
		return
	}
	if len(s.escape) > 0 {
		p = slices.Concat(s.escape, p)
		s.escape = s.escape[:0]
	}
	for len(p) > 0 {
		switch {
		case s.inString:
			end := 0
			for end < len(p) && p[end] != '"' {
				n := unit(p[end:])
				if n == 0 {
					break
				}
				end += n
			}
			s.take(p[:end])
			if p = p[end:]; len(p) == 0 {
				return
			}
			if p[0] != '"' {
				s.escape = append(s.escape, p...)
				return
			}
			s.closeString()
			s.out, p = append(s.out, '"'), p[1:]
		default:
			end := bytes.IndexByte(p, '"') + 1
			if end == 0 {
				s.out = append(s.out, p...)
				return
			}
			s.out = append(s.out, p[:end]...)
			s.inString, s.open, s.size, s.left = true, true, 0, 0
			p = p[end:]
		}
	}
}

// take takes a piece of a string.
func (s *shortener) take(b []byte) {
	if s.open {
		n := cut(b, s.keep-s.size)
		s.out, s.size = append(s.out, b[:n]...), s.size+n
		b = b[n:]
		s.open = len(b) == 0
	}
	if s.mark == "" {
		s.left += int64(len(b))
		return
	}
	for len(b) > 0 {
		n := cut(b, s.keep-len(s.last))
		s.last = append(s.last, b[:n]...)
		if b = b[n:]; len(b) > 0 {
			s.left += decodedLen(s.before)
			s.before, s.last = s.last, s.before[:0]
		}
	}
}

// unit is the length of the byte or escape sequence that b begins with; 0 where more of
// it has to come.
func unit(b []byte) int {
	n := 1
	if b[0] == '\\' {
		n = len(`\n`)
		if len(b) > 1 && b[1] == 'u' {
			n = len(`\u0000`)
		}
	}
	if n > len(b) {
		return 0
	}
	return n
}

// cut is how much of b fits into room, or a little more: no character or escape sequence
// is split.
func cut(b []byte, room int) int {
	if room >= len(b) {
		return len(b)
	}
	n := 0
	for n < room {
		n += unit(b[n:])
	}
	for n < len(b) && (!utf8.RuneStart(b[n]) || isSecondHalf(b[n:])) {
		n += unit(b[n:])
	}
	return n
}

// isSecondHalf reports whether b begins with the second escape sequence of a character.
func isSecondHalf(b []byte) bool {
	return len(b) > 3 && string(b[:2]) == `\u` && b[2]|0x20 == 'd' && strings.IndexByte("cdefCDEF", b[3]) >= 0
}

// closeString lets out what is kept of the end of a string.
func (s *shortener) closeString() {
	switch {
	case s.left > 0 && s.mark == "":
		s.out = fmt.Appendf(s.out, "…[%d bytes left out]", s.left)
	case s.left > 0:
		s.out = append(strconv.AppendInt(append(s.out, s.mark...), s.left, 10), s.mark...)
	}
	s.out = append(append(s.out, s.before...), s.last...)
	s.before, s.last, s.left, s.inString, s.open = s.before[:0], s.last[:0], 0, false, false
}

// decodedLen is how many bytes a part of a JSON string has as text.
func decodedLen(part []byte) int64 {
	if bytes.IndexByte(part, '\\') < 0 {
		return int64(len(part))
	}
	quoted := append(append([]byte{'"'}, part...), '"')
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return int64(len(text))
}

// split takes apart a text in which mark stands for what was left out: its beginning,
// its end, and how many bytes are missing between them.
func split(s, mark string) (head, tail string, left int64) {
	if mark == "" || !strings.Contains(s, mark) {
		return s, "", 0
	}
	parts := strings.Split(s, mark)
	for i, p := range parts[1 : len(parts)-1] {
		if n, err := strconv.ParseInt(p, 10, 64); i%2 == 0 && err == nil {
			left += n
		} else {
			left += int64(len(p))
		}
	}
	return parts[0], parts[len(parts)-1], left
}

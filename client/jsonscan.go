package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"openclaw-mcp/internal/jsonspan"
)

// scanner reads one JSON value as it arrives, so that a string of any length
// passes through a buffer of a few kilobytes. It accepts what encoding/json
// accepts and decodes strings alike (what is not UTF-8 becomes U+FFFD).
type scanner struct {
	r     *bufio.Reader
	pos   int64 // bytes consumed
	depth int
	small [utf8.UTFMax]byte // a rune that was escaped
}

const (
	maxScanDepth = 1000
	maxScanKey   = 1 << 10 // bytes of a key that are kept
	scanBuffer   = 32 << 10
)

// newScanner reads what has size bytes; less than 0 where that is not known.
func newScanner(r io.Reader, size int64) *scanner {
	if size < 0 || size > scanBuffer {
		size = scanBuffer
	}
	return &scanner{r: bufio.NewReaderSize(r, int(size))}
}

// syntaxError says where JSON stops being JSON, without quoting it.
type syntaxError struct {
	pos int64
	msg string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("broken JSON at byte %d: %s", e.pos, e.msg)
}

func (s *scanner) broken(msg string) error { return &syntaxError{s.pos, msg} }

func (s *scanner) read() (byte, error) {
	c, err := s.r.ReadByte()
	if err != nil {
		return 0, s.ended(err)
	}
	s.pos++
	return c, nil
}

// ended makes of the end of the input, where JSON has to go on, what a broken
// connection is.
func (s *scanner) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// peek gives the next byte that is no white space without consuming it.
func (s *scanner) peek() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return 0, s.ended(err)
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			s.pos++
			continue
		}
		return c, s.r.UnreadByte()
	}
}

// end checks that nothing but white space is left.
func (s *scanner) end() error {
	switch _, err := s.peek(); {
	case err == nil:
		return s.broken("more behind the end of the value")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	default:
		return err
	}
}

// object reads an object and calls field at each value, which field has to
// consume whole.
func (s *scanner) object(field func(key string) error) error {
	return s.group('{', '}', func() error {
		if c, err := s.peek(); err != nil {
			return err
		} else if c != '"' {
			return s.broken("a key was expected")
		}
		var key []byte
		if err := s.str(func(p []byte) error {
			key = append(key, p[:min(len(p), maxScanKey-len(key))]...)
			return nil
		}); err != nil {
			return err
		}
		if c, err := s.peek(); err != nil {
			return err
		} else if c != ':' {
			return s.broken("a colon was expected")
		}
		if _, err := s.read(); err != nil {
			return err
		}
		return field(string(key))
	})
}

// group reads the brackets and commas around items.
func (s *scanner) group(open, closing byte, item func() error) error {
	if c, err := s.peek(); err != nil {
		return err
	} else if c != open {
		return s.broken("an object or array was expected")
	}
	if s.depth++; s.depth > maxScanDepth {
		return s.broken("nested too deep")
	}
	defer func() { s.depth-- }()
	if _, err := s.read(); err != nil {
		return err
	}
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c == closing {
		_, err = s.read()
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if _, err := s.peek(); err != nil {
			return err
		}
		switch c, err := s.read(); {
		case err != nil:
			return err
		case c == closing:
			return nil
		case c != ',':
			return s.broken("a comma was expected")
		}
	}
}

// str reads a string and hands its text on in pieces, which are whole runes
// and valid only during the call.
func (s *scanner) str(emit func([]byte) error) error {
	if err := s.openString(); err != nil {
		return err
	}
	for {
		p, done, err := s.piece()
		if err != nil || done {
			return err
		}
		if err := emit(p); err != nil {
			return err
		}
	}
}

// openString reads the quote that begins a string.
func (s *scanner) openString() error {
	if c, err := s.peek(); err != nil {
		return err
	} else if c != '"' {
		return s.broken("a string was expected")
	}
	_, err := s.read()
	return err
}

// piece gives the next piece of the text of an open string, decoded, at least
// one rune and only whole ones. It is valid until the next use of the scanner.
// At the closing quote it is done.
func (s *scanner) piece() (p []byte, done bool, err error) {
	if _, err := s.r.Peek(1); err != nil {
		return nil, false, s.ended(err)
	}
	buf, _ := s.r.Peek(s.r.Buffered())
	if n := plainRun(buf); n > 0 {
		s.discard(n)
		return buf[:n], false, nil
	}
	switch c := buf[0]; {
	case c == '"':
		s.discard(1)
		return nil, true, nil
	case c == '\\':
		s.discard(1)
		r, err := s.escape()
		if err != nil {
			return nil, false, err
		}
		return utf8.AppendRune(s.small[:0], r), false, nil
	case c < ' ':
		return nil, false, s.broken("a control character in a string")
	}
	// A rune that the buffer cuts, or no rune at all.
	var ahead []byte
	for want := 1; want <= utf8.UTFMax && !utf8.FullRune(ahead); want++ {
		ahead, err = s.r.Peek(want)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
	}
	r, size := utf8.DecodeRune(ahead)
	s.discard(size)
	return utf8.AppendRune(s.small[:0], r), false, nil
}

func (s *scanner) discard(n int) {
	k, _ := s.r.Discard(n)
	s.pos += int64(k)
}

// plainRun measures the text at the beginning of buf that stands for itself and
// is whole runes.
func plainRun(buf []byte) int {
	plain := buf[:jsonspan.PlainLen(buf)]
	if utf8.Valid(plain) {
		return len(plain)
	}
	n := 0
	for n < len(plain) {
		r, size := utf8.DecodeRune(plain[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// escape reads what follows a backslash.
func (s *scanner) escape() (rune, error) {
	c, err := s.read()
	if err != nil {
		return 0, err
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, s.broken("an unknown escape in a string")
	}
	r, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	// Only a low half that follows at once makes a pair; anything else is left
	// for the next turn.
	next, _ := s.r.Peek(6)
	if len(next) == 6 && next[0] == '\\' && next[1] == 'u' {
		if low, err := strconv.ParseUint(string(next[2:]), 16, 16); err == nil {
			if pair := utf16.DecodeRune(r, rune(low)); pair != utf8.RuneError {
				s.discard(6)
				return pair, nil
			}
		}
	}
	return utf8.RuneError, nil
}

func (s *scanner) hex4() (rune, error) {
	var digits [4]byte
	for i := range digits {
		c, err := s.read()
		if err != nil {
			return 0, err
		}
		digits[i] = c
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, s.broken("a bad \\u escape in a string")
	}
	return rune(n), nil
}

// text reads a string and keeps at most limit bytes of it, cut at a rune.
func (s *scanner) text(limit int) (string, error) {
	var out []byte
	err := s.str(func(p []byte) error {
		if room := limit - len(out); len(p) > room {
			p = p[:max(0, room)]
		}
		out = append(out, p...)
		return nil
	})
	return trimPartialRune(string(out)), err
}

// literal reads a number, true, false or null and gives it as it is written.
func (s *scanner) literal() (string, error) {
	if _, err := s.peek(); err != nil {
		return "", err
	}
	var out []byte
	for {
		p, err := s.r.Peek(1)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if err != nil || !isLiteralByte(p[0]) {
			break
		}
		if out = append(out, p[0]); len(out) > maxScanKey {
			return "", s.broken("an endless number")
		}
		s.discard(1)
	}
	if jsonspan.Valid(out) { // of what such bytes spell, that are words and numbers
		return string(out), nil
	}
	return "", s.broken("a value was expected")
}

func isLiteralByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// skip reads a value of any kind and keeps nothing.
func (s *scanner) skip() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return s.object(func(string) error { return s.skip() })
	case '[':
		return s.group('[', ']', s.skip)
	case '"':
		return s.str(func([]byte) error { return nil })
	}
	_, err = s.literal()
	return err
}

// trimPartialRune drops the beginning of a rune at the end of s.
func trimPartialRune(s string) string {
	for i := 1; i <= utf8.UTFMax && i <= len(s); i++ {
		if c := s[len(s)-i]; utf8.RuneStart(c) {
			if !utf8.FullRuneInString(s[len(s)-i:]) {
				return s[:len(s)-i]
			}
			break
		}
	}
	return s
}

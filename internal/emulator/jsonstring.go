package emulator

import (
	"bufio"
	"errors"
	"unicode/utf8"
)

// jsonString writes bytes as the inside of a JSON string, so that a large file
// or output is never in memory as JSON. Bytes that are not UTF-8 become U+FFFD.
// The caller writes the quotes around it, and calls close before the last.
type jsonString struct {
	w    *bufio.Writer
	rest []byte // the begin of a rune whose end has not come yet
}

func (j *jsonString) Write(p []byte) (int, error) {
	n := len(p)
	if len(j.rest) > 0 {
		p = append(j.rest, p...)
		j.rest = nil
	}
	for len(p) > 0 {
		plain := 0
		for plain < len(p) && p[plain] >= 0x20 && p[plain] < 0x7f && p[plain] != '"' && p[plain] != '\\' {
			plain++
		}
		if plain > 0 {
			j.w.Write(p[:plain])
			p = p[plain:]
			continue
		}
		if p[0] < utf8.RuneSelf {
			j.escape(p[0])
			p = p[1:]
			continue
		}
		if !utf8.FullRune(p) {
			j.rest = append([]byte(nil), p...)
			break
		}
		r, size := utf8.DecodeRune(p)
		j.w.WriteRune(r) // RuneError is U+FFFD
		p = p[size:]
	}
	_, err := j.w.WriteString("") // a bufio.Writer keeps its first error
	return n, err
}

func (j *jsonString) escape(c byte) {
	switch c {
	case '"', '\\':
		j.w.WriteByte('\\')
		j.w.WriteByte(c)
	case '\n':
		j.w.WriteString(`\n`)
	case '\r':
		j.w.WriteString(`\r`)
	case '\t':
		j.w.WriteString(`\t`)
	default:
		const hex = "0123456789abcdef"
		j.w.WriteString(`\u00`)
		j.w.WriteByte(hex[c>>4])
		j.w.WriteByte(hex[c&15])
	}
}

// close writes what is left of a broken rune.
func (j *jsonString) close() {
	for range j.rest {
		j.w.WriteRune(utf8.RuneError)
	}
	j.rest = nil
}

// validator is a writer that finds out whether all that is written to it is
// text: UTF-8 with no NUL.
type validator struct {
	rest   []byte
	binary bool
}

// errBinary stops the copy early.
var errBinary = errors.New("emulator: not text")

func (v *validator) Write(p []byte) (int, error) {
	n := len(p)
	if len(v.rest) > 0 {
		p = append(v.rest, p...)
		v.rest = nil
	}
	for len(p) > 0 {
		if p[0] == 0 {
			v.binary = true
			return n, errBinary
		}
		if p[0] < utf8.RuneSelf {
			p = p[1:]
			continue
		}
		if !utf8.FullRune(p) {
			v.rest = append([]byte(nil), p...)
			break
		}
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			v.binary = true
			return n, errBinary
		}
		p = p[size:]
	}
	return n, nil
}

func (v *validator) text() bool { return !v.binary && len(v.rest) == 0 }

package tools

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The encodings that files are read in.
const (
	encUTF8    = "utf-8"
	encBOM     = "utf-8-bom" // with a byte order mark, which is not shown
	encUTF16LE = "utf-16le"
	encUTF16BE = "utf-16be"
	encOther   = "unknown" // some bytes are not UTF-8; they are shown as U+FFFD
	encBase64  = "base64"
	encHex     = "hex" // a dump of a binary file's beginning
)

// detectBOM gives the encoding that a file's first bytes name, and their length.
func detectBOM(head []byte) (string, int) {
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return encBOM, 3
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return encUTF16LE, 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return encUTF16BE, 2
	}
	return encUTF8, 0
}

// sniffLen is how much of a file is needed to tell what it is.
const sniffLen = 512

// isBinary reports whether bytes of a file are surely no text: valid UTF-8
// without NUL always is, and other text has hardly any control characters.
func isBinary(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return true
	}
	if utf8.Valid(b) { // as nearly always
		return false
	}
	bad, control := 0, 0
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 && utf8.FullRune(rest) {
			bad++
		}
		if r < ' ' && !strings.ContainsRune("\t\n\r\f\b\x1b", r) {
			control++
		}
		rest = rest[n:]
	}
	if bad == 0 {
		return false
	}
	if mime := http.DetectContentType(b); !strings.HasPrefix(mime, "text/") && mime != "application/octet-stream" {
		return true
	}
	return control*50 > len(b)
}

// mimeType names what a file's first bytes look like.
func mimeType(head []byte) string {
	m, _, _ := strings.Cut(http.DetectContentType(head), ";")
	return m
}

// byteOrder is how the units of UTF-16 are stored.
type byteOrder interface {
	Uint16([]byte) uint16
	AppendUint16([]byte, uint16) []byte
}

// utf16Order is the byte order of a UTF-16 encoding, nil for others.
func utf16Order(encoding string) byteOrder {
	switch encoding {
	case encUTF16LE:
		return binary.LittleEndian
	case encUTF16BE:
		return binary.BigEndian
	}
	return nil
}

// fromUTF16 decodes b; an odd byte at its end is dropped.
func fromUTF16(b []byte, order byteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// wholeUTF16 is the largest cut of at most n bytes that splits no character.
func wholeUTF16(b []byte, n int, order byteOrder) int {
	n = min(n, len(b)) &^ 1
	if n >= 4 && utf16.IsSurrogate(rune(order.Uint16(b[n-2:]))) && order.Uint16(b[n-2:]) < 0xdc00 {
		n -= 2
	}
	return n
}

func toUTF16(s string, order byteOrder) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

// utf16Len is the length of s in UTF-16, in bytes.
func utf16Len(s []byte) int64 {
	n := int64(0)
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		n += 2 * int64(max(1, utf16.RuneLen(r)))
		s = s[size:]
	}
	return n
}

// window is a stretch of a file from which a result is cut.
type window struct {
	data []byte // of the file, or decoded from UTF-16
	last bool   // the file ends where data ends
}

// part is what was cut from a window's start.
type part struct {
	text     string
	used     int  // bytes of the window
	lines    int  // that the text has, a last one without its end included
	midLine  bool // it ends within a line that is too long
	replaced int  // bytes shown as U+FFFD
	more     bool // the window or the file goes on
}

// cut takes as much text as limit bytes hold: of at most lines lines or count
// bytes, where these are not 0. With wholeLines it ends at a line's end, if one
// line fits at all. It splits no character.
func (w window) cut(limit int, lines, count int64, wholeLines bool) part {
	var b strings.Builder
	b.Grow(min(limit, len(w.data)))
	var p, atLine part // atLine is p after the last whole line
	full := false
	for p.used < len(w.data) {
		rest := w.data[p.used:]
		room := limit - b.Len()
		if count > 0 {
			room = int(min(int64(room), count-int64(p.used)))
		}
		if n := plainRun(rest, room); n > 0 {
			b.Write(rest[:n])
			p.used += n
			continue
		}
		if !w.last && !utf8.FullRune(rest) {
			break // its end is not in the window
		}
		r, n := utf8.DecodeRune(rest)
		bad := r == utf8.RuneError && n == 1 || r == 0
		cost := n
		if bad {
			cost = utf8.RuneLen(utf8.RuneError)
		}
		if count > 0 && p.used > 0 && int64(p.used+n) > count {
			break
		}
		if b.Len()+cost > limit && b.Len() > 0 {
			full = true
			break
		}
		if bad {
			p.replaced++
			r = utf8.RuneError
		}
		b.WriteRune(r)
		p.used += n
		if r == '\n' {
			p.lines++
			p.text = b.String()
			atLine = p
			if lines > 0 && int64(p.lines) == lines {
				break
			}
		}
	}
	p.text = b.String()
	ended := p.used == len(w.data) && w.last
	if wholeLines && p.used > atLine.used && !ended {
		if atLine.lines > 0 && (full || !w.last) {
			p = atLine
		} else {
			p.midLine = true
		}
	}
	if p.used > atLine.used {
		p.lines++ // the last, without its end
	}
	p.more = p.used < len(w.data) || !w.last
	return p
}

// plainRun is how many of the first bytes, of at most n, are characters of a
// line that need no closer look: most of most files.
func plainRun(b []byte, n int) int {
	b = b[:max(0, min(n, len(b)))]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		if other := binary.LittleEndian.Uint64(b[i:]) & 0x8080808080808080; other != 0 {
			return i + bits.TrailingZeros64(other)/8
		}
	}
	for i < len(b) && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// dumpLen is how much of a binary file is shown.
const dumpLen = 256

// hexDump shows bytes as hexdump -C does, without the final offset.
func hexDump(b []byte, offset int64) string {
	const row = 16
	var s strings.Builder
	// hex.Dump counts from 0, so that its own offsets are only right there.
	for i, line := range strings.SplitAfter(hex.Dump(b), "\n") {
		if line == "" {
			continue
		}
		fmt.Fprintf(&s, "%08x%s", offset+int64(i*row), line[8:])
	}
	return s.String()
}

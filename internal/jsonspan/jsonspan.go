// Package jsonspan finds where the parts of JSON text end, for those who cut
// something out of it instead of decoding all of it: encoding/json goes over each
// byte two or three times whatever is wanted, and contents of files may be
// megabytes. What is cut must have been found valid before, by [Valid] or by
// encoding/json; of other text nothing is promised.
package jsonspan

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// SkipSpace is the first position from i on that is not white space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// EndOfString is behind the string that begins at i.
func EndOfString(b []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		escapes := 0
		for b[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}

// EndOfValue is behind the value that begins at i.
func EndOfValue(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = EndOfString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r': // within brackets
			i++
			continue
		default: // a number or a word
			n := bytes.IndexAny(b[i:], ",]} \n\t\r")
			if n < 0 {
				return len(b)
			}
			i += n
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// Member is a member of an object.
type Member struct {
	Key      []byte // with its quotes
	From, To int    // where its value is in the object's text
}

// Members goes through the members of an object, in order; keys may repeat.
func Members(object []byte) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for i := SkipSpace(object, 0) + 1; ; i++ { // behind the brace, then each comma
			if i = SkipSpace(object, i); object[i] == '}' {
				return
			}
			m := Member{Key: object[i:EndOfString(object, i)]}
			m.From = SkipSpace(object, SkipSpace(object, i+len(m.Key))+1) // behind the colon
			m.To = EndOfValue(object, m.From)
			if !yield(m) {
				return
			}
			if i = SkipSpace(object, m.To); object[i] == '}' {
				return
			}
		}
	}
}

// Items goes through the items of an array, in order.
func Items(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := SkipSpace(array, 0) + 1; ; i++ {
			if i = SkipSpace(array, i); array[i] == ']' {
				return
			}
			end := EndOfValue(array, i)
			if !yield(array[i:end:end]) {
				return
			}
			if i = SkipSpace(array, end); array[i] == ']' {
				return
			}
		}
	}
}

// PlainLen is the number of bytes at the beginning of b that stand for themselves
// in a string: no quotes, backslashes and control characters. They need not be
// UTF-8.
func PlainLen(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	// Eight bytes at once: each term sets the top bit of the bytes that are not
	// plain, and of none before the first of them.
	for ; len(b)-i >= 8; i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^ones*'"', x^ones*'\\'
		if special := ((x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops; special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// Text decodes a string, which is given with its quotes, as encoding/json does:
// what is not UTF-8 becomes U+FFFD.
func Text(quoted []byte) string {
	inside := quoted[1 : len(quoted)-1]
	n := PlainLen(inside)
	if !utf8.Valid(inside) {
		return decoded(quoted)
	}
	if n == len(inside) {
		return string(inside)
	}
	var s strings.Builder
	s.Grow(len(inside))
	for {
		s.Write(inside[:n])
		if inside = inside[n:]; len(inside) == 0 {
			return s.String()
		}
		// A backslash: nothing else that is not plain is in a valid string.
		n = 2
		switch c := inside[1]; c {
		case '"', '\\', '/':
			s.WriteByte(c)
		case 'n':
			s.WriteByte('\n')
		case 't':
			s.WriteByte('\t')
		case 'r':
			s.WriteByte('\r')
		case 'b':
			s.WriteByte('\b')
		case 'f':
			s.WriteByte('\f')
		case 'u': // and those that follow at once: two of them may be one character
			for n = 6; len(inside) >= n+6 && inside[n] == '\\' && inside[n+1] == 'u'; {
				n += 6
			}
			s.WriteString(decoded(append(append([]byte{'"'}, inside[:n]...), '"')))
		}
		inside = inside[n:]
		n = PlainLen(inside)
	}
}

// AppendText appends text as a string, with its quotes, as encoding/json writes it
// where it does not escape for HTML.
func AppendText(b []byte, text string) []byte {
	if !utf8.ValidString(text) || strings.Contains(text, "\u2028") || strings.Contains(text, "\u2029") {
		return appendEncoded(b, text)
	}
	b = append(slices.Grow(b, len(text)+len(text)/32+2), '"')
	var piece [4096]byte // PlainLen is for bytes
	for len(text) > 0 {
		left := piece[:copy(piece[:], text)]
		text = text[len(left):]
		for len(left) > 0 {
			n := PlainLen(left)
			b = append(b, left[:n]...)
			if left = left[n:]; len(left) == 0 {
				break
			}
			switch c := left[0]; c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\t':
				b = append(b, '\\', 't')
			case '\r':
				b = append(b, '\\', 'r')
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			default:
				const hex = "0123456789abcdef"
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			left = left[1:]
		}
	}
	return append(b, '"')
}

func appendEncoded(b []byte, text string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // strings always can be
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

func decoded(quoted []byte) string {
	var s string
	_ = json.Unmarshal(quoted, &s) // it was found valid
	return s
}

// maxDepth is how deep encoding/json lets arrays and objects be nested.
const maxDepth = 10000

// Valid reports what [json.Valid] does, several times as fast where strings are
// long.
func Valid(b []byte) bool {
	end := validValue(b, SkipSpace(b, 0), 0)
	return end >= 0 && SkipSpace(b, end) == len(b)
}

// validValue is behind the value that begins at i, -1 where none does.
func validValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return validString(b, i)
	case '{', '[':
		if depth == maxDepth {
			return -1
		}
		return validGroup(b, i, depth+1)
	case 't':
		return validWord(b, i, "true")
	case 'f':
		return validWord(b, i, "false")
	case 'n':
		return validWord(b, i, "null")
	}
	return validNumber(b, i)
}

// validGroup is behind the object or array that begins at i.
func validGroup(b []byte, i, depth int) int {
	object := b[i] == '{'
	end := b[i] + 2 // the closing one, in ASCII
	if i = SkipSpace(b, i+1); i < len(b) && b[i] == end {
		return i + 1
	}
	for ; ; i = SkipSpace(b, i+1) { // behind each comma
		if object {
			if i >= len(b) || b[i] != '"' {
				return -1
			}
			if i = validString(b, i); i < 0 {
				return -1
			}
			if i = SkipSpace(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i = SkipSpace(b, i+1)
		}
		if i = validValue(b, i, depth); i < 0 {
			return -1
		}
		switch i = SkipSpace(b, i); {
		case i >= len(b):
			return -1
		case b[i] == end:
			return i + 1
		case b[i] != ',':
			return -1
		}
	}
}

func validString(b []byte, i int) int {
	for i++; ; {
		if i += PlainLen(b[i:]); i >= len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i+1 >= len(b) {
				return -1
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
				continue
			case 'u':
				if i+6 > len(b) || !isHex(b[i+2:i+6]) {
					return -1
				}
				i += 6
				continue
			}
		}
		return -1
	}
}

func isHex(digits []byte) bool {
	for _, c := range digits {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

func validWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func validNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits is behind the digits that begin at i, -1 where there are none.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

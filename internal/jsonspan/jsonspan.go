// Package jsonspan finds where the parts of JSON text end, for those who cut
// something out of it instead of decoding all of it. The text must have been
// found valid before (json.Valid); of other text nothing is promised.
package jsonspan

import "bytes"

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

package client

import (
	"bytes"

	"openclaw-mcp/internal/jsonspan"
)

// halves mends characters that a stream cut in two. Services that count in
// UTF-16 cut a text between the surrogates of an emoji and send each half as an
// escape of its own, "\ud83e" at the end of a piece and "\udd9e" at the start
// of the next, of which a JSON decoder could only make two U+FFFD.
type halves struct {
	high []byte // the escape that the last piece ended in
}

// mend takes the first half off the ends of all strings of a JSON value, and
// puts it before the second half in the value that has that. What is no JSON is
// left alone. A half that stays
// alone is no character and is dropped. The value is not changed in place.
func (h *halves) mend(data []byte) (mended []byte, changed bool) {
	if !bytes.Contains(data, []byte(`\ud`)) && !bytes.Contains(data, []byte(`\uD`)) || !jsonspan.Valid(data) {
		return data, false
	}
	out := make([]byte, 0, len(data)+6)
	var high []byte
	inString, paired := false, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inString = !inString
			if inString && h.high != nil && isHalf(data[i+1:], "cdefCDEF") {
				out = append(append(out, c), h.high...)
				paired = true
				continue
			}
		case c == '\\' && inString:
			if isHalf(data[i:], "89abAB") && i+6 < len(data) && data[i+6] == '"' {
				high = bytes.Clone(data[i : i+6])
				i += 5
				continue
			}
			if i+1 < len(data) {
				out = append(out, c)
				i++
			}
		}
		out = append(out, data[i])
	}
	if high == nil && !paired {
		return data, false
	}
	h.high = high
	return out, true
}

// isHalf tells an escape \uDxxx whose second digit is one of those given.
func isHalf(b []byte, second string) bool {
	return len(b) >= 6 && b[0] == '\\' && b[1] == 'u' && b[2]|0x20 == 'd' && bytes.IndexByte([]byte(second), b[3]) >= 0
}

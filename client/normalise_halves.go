package client

import (
	"bytes"
)

// halves joins characters that a stream cut in two. Services that count in
// UTF-16 may cut a text between the two surrogates of an emoji, and send each
// half as an escape of its own, of which a JSON decoder can only make two
// U+FFFD:
//
//	{"delta":"a\ud83e"}    becomes    {"delta":"a"}
//	{"delta":"\udd9eb"}    becomes    {"delta":"\ud83e\udd9eb"}
type halves struct {
	high []byte // the escape that a string of the last value ended in
}

// An even number of backslashes before an escape or a quote are text. A quote
// with a backslash behind it begins a string.
var (
	highAtEnd  = pattern(`((?:^|[^\\])(?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2})"`)
	lowAtStart = pattern(`((?:^|[^\\])(?:\\\\)*")(\\u[dD][c-fC-F][0-9a-fA-F]{2})`)
)

// join takes the first half off the ends of all strings of a JSON value, and
// puts it before the second half in the value that has that. What is not JSON is
// left as it is. A half that stays alone is not a character and is dropped. The
// value is not changed in place.
func (h *halves) join(data []byte) (joined []byte, changed bool) {
	if !bytes.Contains(data, []byte(`\ud`)) && !bytes.Contains(data, []byte(`\uD`)) || !isJSON(data) {
		return data, false
	}
	paired := h.high != nil && lowAtStart().Match(data)
	joined = data
	if paired {
		joined = lowAtStart().ReplaceAll(data, append(append([]byte("${1}"), h.high...), "${2}"...))
	}
	last := highAtEnd().FindAllSubmatch(joined, -1)
	if last == nil {
		if paired {
			h.high = nil
		}
		return joined, paired
	}
	h.high = bytes.Clone(last[len(last)-1][2])
	return highAtEnd().ReplaceAll(joined, []byte(`${1}"`)), true
}

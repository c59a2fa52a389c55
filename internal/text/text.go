// Package text fits text into limits and puts counts into words. All limits are
// in bytes, and no cut splits a character.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Head gives the longest start of s that has at most n bytes.
func Head[T string | []byte](s T, n int) T {
	n = max(n, 0)
	if n >= len(s) {
		return s
	}
	// A character has at most four bytes, so three steps back are enough; in
	// bytes that are not UTF-8 one place is as good as another.
	for at := n; at >= 0 && at > n-utf8.UTFMax; at-- {
		if utf8.RuneStart(s[at]) {
			return s[:at]
		}
	}
	return s[:n]
}

// Tail gives the longest end of s that has at most n bytes and begins with a
// character. Use it with n = len(s) where s itself may begin inside of one.
func Tail[T string | []byte](s T, n int) T {
	s = s[len(s)-min(max(n, 0), len(s)):]
	for at := range min(utf8.UTFMax, len(s)) {
		if utf8.RuneStart(s[at]) {
			return s[at:]
		}
	}
	if len(s) < utf8.UTFMax {
		return s[len(s):] // nothing but the rest of a character
	}
	return s
}

// Complete gives s without a last character of which only a part is there.
func Complete[T string | []byte](s T) T {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if at := len(s) - n; utf8.RuneStart(s[at]) {
			if !utf8.FullRuneInString(string(s[at:])) {
				return s[:at]
			}
			break
		}
	}
	return s
}

// Clip gives at most n bytes of s, and "…" where that is not all of it.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.TrimRight(Head(s, n), "\u200d") + "…" // a joiner with nothing behind it would show
}

// Line is Clip for a text that has to fit on one line: each stretch of white
// space becomes a single space. It reads no more of s than it needs, which may be large.
func Line(s string, n int) string {
	n = max(n, 0)
	var b strings.Builder
	for word := range strings.FieldsSeq(s) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word[:min(len(word), n+utf8.UTFMax)])
		if b.Len() > n {
			break
		}
	}
	return Clip(b.String(), n)
}

// HeadTail keeps the start and the end of s, together at most limit bytes: two
// thirds and one third of it, cut at line ends where there are some close by.
// omitted is the number of bytes between the two; tail is empty when it is 0.
func HeadTail(s string, limit int) (head, tail string, omitted int) {
	if len(s) <= limit {
		return s, "", 0
	}
	head = Head(s, limit*2/3)
	if i := strings.LastIndexByte(head, '\n'); i > len(head)*3/4 {
		head = head[:i+1]
	}
	tail = Tail(s, limit/3)
	if i := strings.IndexByte(tail, '\n'); i >= 0 && i < limit/12 {
		tail = tail[i+1:]
	}
	return head, tail, len(s) - len(head) - len(tail)
}

// Part gives at most limit bytes of s from offset on, at least a character, and
// where they begin and end. It ends with a line, unless that costs half of it.
func Part(s string, offset, limit int) (part string, from, end int) {
	rest := Tail(s, len(s)-min(offset, len(s)))
	from = len(s) - len(rest)
	part = Head(rest, max(limit, utf8.UTFMax))
	if i := strings.LastIndexByte(part, '\n'); len(part) < len(rest) && i >= len(part)/2 {
		part = part[:i+1]
	}
	return part, from, from + len(part)
}

// Omission is the line that stands for bytes that were left out.
func Omission(bytes int64) string {
	return fmt.Sprintf("\n[… %d bytes left out …]\n", bytes)
}

// Count gives a number and what it counts: "1 entry", "2 entries".
func Count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(int64(n), 10) + " " + many
}

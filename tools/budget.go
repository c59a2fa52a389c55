package tools

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// runeCut is the largest cut of at most n bytes that splits no character.
func runeCut(s string, n int) int {
	if n >= len(s) {
		return len(s)
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// headTail keeps the start and the end of s within limit bytes, two thirds and
// one third of it, cut at line ends where those are near.
func headTail(s string, limit int) (head, tail string, omitted int) {
	if len(s) <= limit {
		return s, "", 0
	}
	h := runeCut(s, limit*2/3)
	if i := strings.LastIndexByte(s[:h], '\n'); i > h*3/4 {
		h = i + 1
	}
	t := len(s) - limit/3
	for t < len(s) && !utf8.RuneStart(s[t]) {
		t++
	}
	if i := strings.IndexByte(s[t:], '\n'); i >= 0 && i < limit/12 {
		t += i + 1
	}
	return s[:h], s[t:], t - h
}

// omission is the line that stands for what was left out.
func omission(bytes int64) string {
	return fmt.Sprintf("\n[… %d bytes left out …]\n", bytes)
}

// clip makes a text fit on a line of n bytes.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	return s[:runeCut(s, n)] + "…"
}

package tools

import (
	"bytes"
	"fmt"
	"strings"

	"openclaw-mcp/internal/text"
)

const diffContext = 2

// diff shows the replacements as a unified diff does, as far as limit goes.
func (e edit) diff(limit int) string {
	var b strings.Builder
	nl := []byte{'\n'}
	shift := 0 // of the line numbers behind earlier replacements
	for i := 0; i < len(e.at); {
		// Replacements that touch the same lines are one hunk.
		start := e.lineBefore(e.at[i], diffContext)
		first := e.lineBefore(e.at[i], 0)
		j, end := i, 0
		for ; j < len(e.at); j++ {
			if j > i && e.at[j] >= end {
				break
			}
			// Thousands may be on one long line, whose end is known.
			if j == i || e.at[j]+len(e.from) > end || bytes.HasSuffix(e.from, nl) {
				end = e.changedEnd(e.at[j])
			}
		}
		last := e.lineAfter(end, diffContext)
		if j < len(e.at) {
			last = min(last, e.lineBefore(e.at[j], 0))
		}
		if i > 0 {
			start = max(start, e.changedEnd(e.at[i-1]))
		}
		was := e.old[first:end]
		now := bytes.ReplaceAll(was, e.from, e.to)
		head := bytes.Count(e.old[:start], nl) + 1
		before, after := markLines(" ", e.old[start:first]), markLines(" ", e.old[end:last])
		minus, plus := markLines("-", was), markLines("+", now)
		around := strings.Count(before, "\n") + strings.Count(after, "\n")
		hunk := fmt.Sprintf("@@ -%d,%d +%d,%d @@\n", head, around+strings.Count(minus, "\n"), head+shift, around+strings.Count(plus, "\n")) +
			before + minus + plus + after
		if b.Len()+len(hunk) > limit {
			if b.Len() == 0 {
				b.WriteString(text.Head(hunk, limit) + "\n")
				i = j
			}
			if i < len(e.at) {
				fmt.Fprintf(&b, "[%d more replacements are not shown]\n", len(e.at)-i)
			} else {
				b.WriteString("[the rest is not shown]\n")
			}
			break
		}
		b.WriteString(hunk)
		shift += (j - i) * (bytes.Count(e.to, nl) - bytes.Count(e.from, nl))
		i = j
	}
	return b.String()
}

// lineBefore is the start of the line of at, or of the n-th before it.
func (e edit) lineBefore(at, n int) int {
	for ; n >= 0; n-- {
		at = bytes.LastIndexByte(e.old[:at], '\n')
		if at < 0 {
			return 0
		}
		if n == 0 {
			return at + 1
		}
	}
	return at
}

// lineAfter is the end of the line that at is in, if it is within one, and of n
// more behind it.
func (e edit) lineAfter(at, n int) int {
	if at > 0 && e.old[at-1] == '\n' {
		n--
	}
	for ; n >= 0; n-- {
		k := bytes.IndexByte(e.old[at:], '\n')
		if k < 0 {
			return len(e.old)
		}
		at += k + 1
	}
	return at
}

// changedEnd is the end of the last line that a replacement changes. One that
// takes a line's end away changes the next line, too.
func (e edit) changedEnd(at int) int {
	end := at + len(e.from)
	joins := bytes.HasSuffix(e.from, []byte{'\n'}) && !bytes.HasSuffix(e.to, []byte{'\n'}) &&
		(len(e.to) > 0 || at > e.lineBefore(at, 0))
	if joins {
		return e.lineAfter(end, 1)
	}
	return e.lineAfter(end, 0)
}

// markLines puts a mark before each line.
func markLines(mark string, text []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(text) {
		b.WriteString(mark)
		b.WriteString(strings.ToValidUTF8(string(line), "\uFFFD"))
		if !bytes.HasSuffix(line, []byte{'\n'}) {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

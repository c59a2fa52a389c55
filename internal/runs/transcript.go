package runs

import (
	"slices"

	"openclaw-mcp/internal/text"
)

const (
	maxLines = 2000 // lines kept of one run
	maxLine  = 4096 // bytes of a line that are kept as they are

	maxLineBytes = 1 << 20 // of all lines of one run, or twice as many

	maxRevisions = 1000 // kept of one run, or twice as many
)

// transcript is what a run says: its text so far, and lines about everything
// else, each with its place in the text.
type transcript struct {
	text      []byte
	revisions []int  // how much of the text each of the newest replacements left in place
	older     int    // how many older ones there were, which count with the first
	lines     []line // the newest
	lineBytes int
	linesCut  int // how many older lines there were
}

// line is something that happened beside the text, and where in the text.
type line struct {
	at   int
	text string
}

func (t *transcript) addLine(text string) {
	if len(text) > maxLine {
		text = Clip(text)
	}
	t.lines = append(t.lines, line{at: len(t.text), text: text})
	t.lineBytes += len(text)
	if len(t.lines) <= 2*maxLines && t.lineBytes <= 2*maxLineBytes {
		return
	}
	cut := max(0, len(t.lines)-maxLines)
	for i, ln := range t.lines {
		if i >= cut && t.lineBytes <= maxLineBytes {
			break
		}
		t.lineBytes -= len(ln.text)
		cut = max(cut, i+1)
	}
	t.lines = slices.Delete(t.lines, 0, cut)
	t.linesCut += cut
}

func (t *transcript) dropLines() {
	t.linesCut += len(t.lines)
	t.lines, t.lineBytes = t.lines[:0], 0
}

// revise notes that a replacement left so much of the text in place.
func (t *transcript) revise(common int) {
	if t.revisions = append(t.revisions, common); len(t.revisions) > 2*maxRevisions {
		least := slices.Min(t.revisions[:maxRevisions+1])
		t.revisions = append(t.revisions[:0], t.revisions[maxRevisions:]...)
		t.revisions[0] = least
		t.older += maxRevisions
	}
}

func (t *transcript) setText(all string) {
	if n := len(t.text); len(all) >= n && all[:n] == string(t.text) {
		t.text = append(t.text, all[n:]...)
		return
	}
	common := 0
	for common < len(all) && common < len(t.text) && all[common] == t.text[common] {
		common++
	}
	common = len(text.Head(t.text, common))
	if common < len(t.text) {
		t.revise(common)
		for i := range t.lines {
			t.lines[i].at = min(t.lines[i].at, common)
		}
		t.addLine("status: the reply was revised from here on")
	}
	t.text = append(t.text[:common], all[common:]...)
}

func (t *transcript) size() int {
	return len(t.text) + t.lineBytes
}

// shown is how much of a transcript a wait has told its Progress.
type shown struct {
	text, revisions, lines int
	check                  uint32 // Checksum of the text
}

// shownAt is what has been told to somebody who has read so many bytes, with that
// checksum.
func (t *transcript) shownAt(read int, check uint32) shown {
	s := shown{text: read, revisions: t.older + len(t.revisions), lines: t.linesCut, check: check}
	if read == 0 {
		s.check = Checksum(nil)
	}
	for _, ln := range t.lines {
		if ln.at >= read {
			break
		}
		s.lines++
	}
	return s
}

// rest gives what was not shown yet, and counts it as shown; text starts at at.
func (t *transcript) rest(s *shown) (text string, at int, lines []line) {
	for _, common := range t.revisions[max(0, s.revisions-t.older):] {
		if common < s.text {
			s.text, s.check = common, Checksum(t.text[:common])
		}
	}
	s.revisions = t.older + len(t.revisions)
	at = s.text
	if at < len(t.text) {
		text = string(t.text[at:])
		s.text, s.check = len(t.text), addChecksum(s.check, t.text[at:])
	}
	lines = append(lines, t.lines[max(0, s.lines-t.linesCut):]...)
	s.lines = t.linesCut + len(t.lines)
	return text, at, lines
}

// replay reports text, which starts at base in the transcript, and the lines
// between its parts, in order.
func replay(p Progress, text string, base int, lines []line) {
	for _, ln := range lines {
		if cut := ln.at - base; cut > 0 && cut <= len(text) {
			p.Text(text[:cut])
			text, base = text[cut:], ln.at
		}
		p.Line(ln.text)
	}
	if text != "" {
		p.Text(text)
	}
}

// Checksum is what State.Check says of the text that was read: its FNV-1a of 32 bits.
func Checksum(b []byte) uint32 { return addChecksum(2166136261, b) }

// addChecksum is the checksum of a text with this one and of what follows it.
func addChecksum(sum uint32, b []byte) uint32 {
	for _, c := range b {
		sum = (sum ^ uint32(c)) * 16777619
	}
	return sum
}

// Clip makes a text fit on a line of a note or an error.
func Clip(s string) string { return text.Line(s, 160) }

package client

import (
	"bytes"
	"strings"
)

// Models write what they think before what they say, in tags of its own, and some services
// pass that on as text. It is left out where a message begins with it and the tag is closed;
// anywhere else, the reply may be about such tags.

var thoughtTags = [...]struct{ begin, end string }{
	{"<think>", "</think>"}, {"<thinking>", "</thinking>"}, {"<thought>", "</thought>"}, {"<reasoning>", "</reasoning>"},
}

// thought tells how much of a message's text is what the model thinks, with the white space
// behind it, and whether what follows may be of that, too.
func thought(s []byte) (size int, open bool) {
	for {
		rest := bytes.TrimLeft(s[size:], " \t\r\n")
		at := len(s) - len(rest)
		if size > 0 {
			size = at
		}
		end, may := -1, size > 0 && len(rest) == 0
		for _, tag := range thoughtTags {
			switch {
			case bytes.HasPrefix(rest, []byte(tag.begin)):
				i := bytes.Index(rest, []byte(tag.end))
				if i < 0 {
					return size, true
				}
				end = at + i + len(tag.end)
			case len(rest) > 0 && len(rest) < len(tag.begin) && tag.begin[:len(rest)] == string(rest):
				may = true
			}
		}
		if end < 0 {
			return size, may
		}
		size = end
	}
}

// withoutThoughts gives a message's text without what the model thinks.
func withoutThoughts(s string) string {
	size, _ := thought([]byte(s[:min(len(s), maxReplyText)]))
	return s[size:]
}

// thinking reports whether the text so far ends where the model may still be thinking.
func (t *transcript) thinking() bool {
	c := t.current()
	const longestEnd = len("</reasoning>")
	switch {
	case t.words == c.start+1:
		return false
	case t.sought > c.start && !bytes.Contains(t.buf[max(c.start, t.sought-longestEnd):], []byte("</")):
		t.sought = len(t.buf)
		return true
	}
	size, open := thought(t.buf[c.start:])
	t.thoughts = t.thoughts || size > 0
	if t.sought = 0; open {
		t.sought = len(t.buf)
	} else if c.start < len(t.buf) {
		t.words = c.start + 1
	}
	return open
}

// spoken gives the text from an offset on, without what the model thinks. Nothing of that
// stands before the offset in the message that it is in.
func (t *transcript) spoken(from int) string {
	if !t.thoughts {
		return string(t.buf[from:])
	}
	var b strings.Builder
	for i, g := range t.segs {
		start, end := g.start, len(t.buf)
		if i+1 < len(t.segs) {
			end = t.segs[i+1].start - t.segs[i+1].lead
		}
		if end <= from {
			continue
		}
		if from > start {
			b.Write(t.buf[from:end])
			continue
		}
		size, _ := thought(t.buf[start:end])
		if start+size == end {
			continue
		}
		if from > 0 || b.Len() > 0 {
			b.Write(t.buf[start-g.lead : start])
		}
		b.Write(t.buf[start+size : end])
	}
	return b.String()
}

package client

import (
	"slices"
	"strings"
)

// Messages that a stream names may change after they were shown.

// stored is message for a stream that sends whole messages as they are kept: one that
// comes again with other words was changed.
func (t *transcript) stored(id, s string) change {
	for i, g := range t.segs {
		last, end := i == len(t.segs)-1, len(t.buf)
		if !last {
			end = t.segs[i+1].start - t.segs[i+1].lead
		}
		if id == "" || g.id != id || g.mark != end || g.mark == g.start || s == "" || t.full != "" {
			continue
		}
		switch was := string(t.buf[g.start:end]); {
		case sameTrimmed(was, s):
			return change{}
		case last && !strings.HasPrefix(s, was):
			return t.rewrite(g.start, s)
		case !last:
			return t.earlier(i, &s, "")
		}
	}
	return t.message(id, s)
}

// restates reports whether a message that is stored is all of the reply, or a message of it
// with others behind it, as pieces brought them.
func (t *transcript) restates(s string) bool {
	last := len(t.segs) - 1
	if weight(s) < 10 || last == 0 {
		return false
	}
	for i, g := range t.segs[:last] {
		if sameTrimmed(s, string(t.buf[g.start:t.segs[i+1].start-t.segs[i+1].lead])) {
			return true
		}
	}
	return 2*len(s) >= len(t.buf) && squash(s) == squash(string(t.buf))
}

// item takes what a stream says of one message that it names: its whole text so
// far, the piece by which it grew, or both. Items are parted by a blank line.
//
//	item("a", "OK", …)     OK                add "OK"
//	item("b", "OK", …)     OK||OK            add "\n\nOK"
//	item("a", "Okay", …)   Okay||OK          replace: an earlier item may change
func (t *transcript) item(id string, text *string, delta string, replace bool) change {
	if t.full != "" {
		return change{}
	}
	c := t.current()
	if c.id != id {
		if t.seen[id] {
			for i := len(t.segs) - 2; i >= 0; i-- {
				if t.segs[i].id == id {
					return t.earlier(i, text, delta)
				}
			}
		}
		t.part()
		c = t.current()
		c.id = id
	}
	seg := t.buf[c.start:]
	switch {
	case text == nil && replace:
		return t.rewrite(c.start, delta)
	case text == nil:
		return t.add(delta)
	case extends(*text, seg):
		return t.add((*text)[len(seg):])
	}
	return t.rewrite(c.start, *text)
}

// earlier changes a segment before the current one.
func (t *transcript) earlier(i int, text *string, delta string) change {
	next := t.segs[i+1]
	start, end := t.segs[i].start, next.start-next.lead
	was := string(t.buf[start:end])
	s := was + delta
	if text != nil {
		s = *text
	}
	size := len(t.buf) + len(s) - len(was)
	if s == was || size > t.may(size) {
		return change{}
	}
	t.buf, t.sought, t.words = slices.Replace(t.buf, start, end, []byte(s)...), 0, 0
	shift := len(s) - len(was)
	for j := i; j < len(t.segs); j++ {
		g := &t.segs[j]
		if j > i {
			g.start += shift
		}
		g.block, g.mark = max(g.start, g.block+shift), max(g.start, g.mark+shift)
	}
	return change{text: string(t.buf), replace: true}
}

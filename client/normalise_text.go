package client

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// transcript is the reply's text as it was shown so far. Streams repeat
// themselves: a text comes in increments, then again as a whole message, then
// again as the result. The transcript decides what of that is new.
//
// A reply may consist of several messages with tool calls between them, and a
// repetition may cover all of it or only the current message. So the text is
// kept in segments, one for each message. An example, with what each call gives
// (the bar stands where the second segment begins):
//
//	call                        shown so far     change
//	increment("", "Let me ")    Let me           add "Let me "
//	increment("", "look. ")     Let me look.     add "look. "
//	message("m1", "Let me       Let me look.     nothing: it came in increments;
//	  look. ")                                   the segment is m1 and confirmed
//	boundary()                  Let me look. |   nothing: a tool runs
//	increment("", "Fou")        …look. |Fou      add "Fou"
//	message("m2", "Found.")     …look. |Found.   add "nd.": the message goes on
//	                                             where the increments stopped
//	message("m1", "Let me       …look. |Found.   nothing: m1 was seen
//	  look. ")
//	final("Found.")             …look. |Found.   nothing: the last message again
//
// Whole texts of one message move two marks along its segment, so that increments
// which no whole text has confirmed yet can be told from the rest:
//
//	start      block      mark         end
//	|  older   | the last | increments |
//	|  blocks  | whole    | that wait  |
//	|          | text     | for one    |
type transcript struct {
	buf  []byte
	segs []segment       // not empty once current was called
	seen map[string]bool // ids of the segments before the current one
	gap  bool            // a blank line parts what comes next from what was shown
	anew bool            // a text that has all before it began anew, and no tool ran between
	redo bool            // the next one may: the run began anew
	kept bool            // but only where no white space does
	full string          // why the text stops where buf ends; "": it does not
	// thoughts says that some of the text is what the model thinks; sought is where the end of
	// that is looked for next, and words one more than where the last message begins that has
	// come to its words.
	thoughts      bool
	sought, words int
	grow          growth // of the texts that come without a word on what they are

	room func(size int) int // as SendRequest.Room

	ids   int // of the segments before the current one, in bytes
	known eventHold
}

// renew forgets everything.
func (t *transcript) renew() {
	t.known.release()
	*t = transcript{room: t.room}
}

// maxReplyText bounds the text of one reply, in bytes: an agent that never stops
// must not take all memory.
const maxReplyText = 8 << 20

// maxSegments bounds its messages, as the memory for their ids does; what comes behind them is
// of the last one.
const maxSegments = 4096

// segment is one message of the reply.
type segment struct {
	id    string // "" where the stream names none
	start int    // where it begins in buf
	lead  int    // bytes of the line breaks that part it from the segment before
	block int    // where the text begins that the last whole text confirmed
	mark  int    // where that text ends: the rest came in increments only
}

// change is what a consumer has to do to the text it holds. The zero value is
// nothing.
type change struct {
	text    string
	replace bool // text is all of the reply; else it is added at the end
}

func (t *transcript) current() *segment {
	if len(t.segs) == 0 {
		t.segs = append(t.segs, segment{})
	}
	return &t.segs[len(t.segs)-1]
}

// doubled reports whether the current segment is the same text twice.
func (t *transcript) doubled() bool {
	s := t.buf[t.current().start:]
	return len(s) > 0 && bytes.Equal(s[:len(s)/2], s[len(s)/2:])
}

// open begins a segment, unless the current one is still empty.
func (t *transcript) open(id string) *segment {
	c := t.current()
	if c.start == len(t.buf) {
		c.id = id
		return c
	}
	if len(t.segs) >= maxSegments || t.known.hold(t.ids+len(c.id)) != nil {
		return c
	}
	t.ids += len(c.id)
	if c.id != "" {
		if t.seen == nil {
			t.seen = map[string]bool{}
		}
		t.seen[c.id] = true
	}
	end := len(t.buf)
	t.segs = append(t.segs, segment{id: id, start: end, block: end, mark: end})
	return t.current()
}

// boundary notes that what comes next belongs to another message than what was
// shown: a tool ran in between.
func (t *transcript) boundary() { t.open("") }

// part is boundary with a blank line, for streams that say where a message ends.
func (t *transcript) part() {
	t.boundary()
	t.gap, t.kept = len(t.buf) > 0, false
}

// partWords is part for streams whose messages may bring the white space between them.
func (t *transcript) partWords() {
	t.part()
	t.kept = true
}

func (t *transcript) add(s string) change {
	if s == "" {
		return change{}
	}
	lead := ""
	if c := t.current(); t.gap && c.start == len(t.buf) && !(t.kept && spaced(t.buf, s)) {
		lead = "\n\n"[min(2, lineBreaks(s, strings.HasPrefix)+lineBreaks(string(t.buf[max(0, c.start-2):]), strings.HasSuffix)):]
		c.lead = len(lead)
		c.start += len(lead)
		c.block, c.mark = c.start, c.start
	}
	t.gap = false
	s = t.fit(lead + s)
	t.buf = append(t.buf, s...)
	return change{text: s}
}

// spaced reports whether white space parts two texts.
func spaced(before []byte, after string) bool {
	return len(bytes.TrimRightFunc(before, unicode.IsSpace)) < len(before) || strings.TrimLeftFunc(after, unicode.IsSpace) != after
}

// lineBreaks counts the line breaks that s has at one end, up to two.
func lineBreaks(s string, has func(s, affix string) bool) int {
	switch {
	case has(s, "\n\n"):
		return 2
	case has(s, "\n"):
		return 1
	}
	return 0
}

// fit cuts what is to be added to the end of the text.
func (t *transcript) fit(s string) string {
	want := len(t.buf) + len(s)
	room := max(0, t.may(want)-len(t.buf))
	if len(s) <= room {
		return s
	}
	if t.full = NoteNoRoom; want > maxReplyText && len(t.buf)+room == maxReplyText {
		t.full = NoteTooLong
	}
	for room > 0 && !utf8.RuneStart(s[room]) {
		room--
	}
	return s[:room]
}

// may gives how many of so many bytes the text may have.
func (t *transcript) may(size int) int {
	size = min(size, maxReplyText)
	if t.room == nil {
		return size
	}
	return t.room(size)
}

// rewrite puts s in place of all text from an offset on.
func (t *transcript) rewrite(from int, s string) change {
	t.buf, t.sought, t.words = t.buf[:from], 0, 0
	t.buf = append(t.buf, t.fit(s)...)
	for len(t.segs) > 1 && t.current().start >= from && t.segs[len(t.segs)-2].start >= from {
		t.segs = t.segs[:len(t.segs)-1]
	}
	c := t.current()
	c.start = min(c.start, from)
	c.block, c.mark = min(c.block, from), min(c.mark, from)
	return change{text: string(t.buf), replace: true}
}

// confirm notes that a whole text covered the current segment up to its end.
func (t *transcript) confirm() {
	c := t.current()
	if c.mark < len(t.buf) {
		c.block, c.mark = c.mark, len(t.buf)
	}
}

// increment takes a piece that continues the reply. id names the message that
// it belongs to, where the stream does.
func (t *transcript) increment(id, s string) change {
	if s == "" || t.full != "" {
		return change{}
	}
	t.place(id)
	return t.add(s)
}

// place gives the segment that a piece belongs to.
func (t *transcript) place(id string) *segment {
	c := t.current()
	confirmed := c.mark == len(t.buf) && c.mark > c.start
	switch {
	case id != "" && c.id != "":
		if id != c.id {
			c = t.open(id)
		}
	case confirmed:
		c = t.open(id)
	}
	setIfEmpty(&c.id, id)
	return c
}

// message takes the whole text of one message, or of one block of it, which may
// or may not have come in increments before.
func (t *transcript) message(id, s string) change {
	c := t.current()
	if s == "" || t.full != "" || t.seen[id] && !t.continues(c, id, s) {
		return change{}
	}
	if id != "" && c.id != "" && id != c.id {
		c = t.open(id)
	}
	if c.start == len(t.buf) && t.coversPrevious(s) {
		return change{}
	}
	setIfEmpty(&c.id, id)

	ch := t.merge(c, id, s)
	if ch.lags {
		return change{}
	}
	t.confirm()
	return ch.change
}

// merged is what message does; lags tells that the whole text covered only the
// head of the increments.
type merged struct {
	change
	lags bool
}

func (t *transcript) merge(c *segment, id, s string) merged {
	seg, fresh := string(t.buf[c.start:]), string(t.buf[c.mark:])
	switch {
	case s == seg || s == fresh || s == string(t.buf[c.block:]):
		return merged{}
	case strings.HasPrefix(s, seg):
		return merged{change: t.add(s[len(seg):])}
	case fresh == "":
		// All that is shown is accounted for: this is the next block of the
		// same message, or the next message.
		if sameTrimmed(s, seg) {
			return merged{}
		}
		if id == "" || c.id != id {
			t.open(id)
		}
		return merged{change: t.add(s)}
	case strings.HasPrefix(s, fresh):
		return merged{change: t.add(s[len(fresh):])}
	case strings.HasSuffix(fresh, s) && len(fresh) < 2*len(s)+1 && c.mark == c.start && strings.HasPrefix(s, fresh[:len(fresh)-len(s)]):
		return merged{change: t.rewrite(c.start, s)} // the increments were sent again from the start
	case strings.HasSuffix(seg, s) || sameTrimmed(s, seg) || sameTrimmed(s, fresh):
		return merged{}
	case strings.HasPrefix(fresh, s):
		// The whole text lags behind the increments. What is left of them
		// waits for a whole text of its own.
		c.block, c.mark = c.mark, c.mark+len(s)
		if len(t.segs) < maxSegments {
			t.segs = append(t.segs, segment{id: c.id, start: c.mark, block: c.mark, mark: c.mark})
		}
		return merged{lags: true}
	}
	if lead := strings.TrimLeft(fresh, " \t\r\n"); lead != "" && strings.HasPrefix(s, lead) {
		return merged{change: t.add(s[len(lead):])}
	}
	from := c.mark
	if strings.HasPrefix(s, string(t.buf[c.start:c.mark])) {
		from = c.start
	}
	return merged{change: t.rewrite(from, s)}
}

// continues reports whether s, under the id of the segment before, is not that
// segment again but the next block of its message: increments without an id
// opened a segment for it.
func (t *transcript) continues(c *segment, id, s string) bool {
	if len(t.segs) < 2 || c.id != "" || c.start == len(t.buf) {
		return false
	}
	p := t.segs[len(t.segs)-2]
	return p.id == id && !sameTrimmed(s, string(t.buf[p.start:c.start]))
}

// coversPrevious reports whether s is the whole text, come late, of the message
// before the tool call that the current, empty segment stands behind.
func (t *transcript) coversPrevious(s string) bool {
	if len(t.segs) < 2 {
		return false
	}
	p := &t.segs[len(t.segs)-2]
	end := len(t.buf)
	if p.mark == end || !sameTrimmed(s, string(t.buf[p.start:])) {
		return false
	}
	p.block, p.mark = p.mark, end
	return true
}

// snapshot takes the whole text so far of a stream that sends nothing else, of
// the current message or of all of the reply. A later snapshot is right where
// it contradicts an earlier one.
func (t *transcript) snapshot(s string) change {
	c := t.current()
	seg := t.buf[c.start:]
	switch {
	case s == "" || t.full != "" || s == string(seg) || s == string(t.buf):
		return change{}
	case extends(s, t.buf):
		return t.add(s[len(t.buf):])
	case extends(s, seg):
		return t.add(s[len(seg):])
	case c.start > 0 && extends(s, t.buf[:c.start]):
		return t.rewrite(0, s)
	}
	return t.rewrite(c.start, s)
}

// step takes a snapshot that comes with the piece that it grew by.
func (t *transcript) step(s, delta string) change {
	c := t.current()
	n := len(s) - len(delta)
	redo := t.redo
	t.redo = false
	switch {
	case delta == "" || s == "":
		return t.snapshot(s + delta)
	case t.full != "":
		return change{}
	case n >= 0 && s[n:] == delta && (s[:n] == string(t.buf[c.start:]) || s[:n] == string(t.buf)):
		return t.add(delta)
	case n == 0 && s == delta && t.full == "" && c.start == len(t.buf):
		return t.add(s) // the first piece behind a tool call
	case n == 0 && s == delta && t.full == "" && !extends(s, t.buf[c.start:]):
		// The piece is all there is of it: the first of another message, or of the same
		// once more. The history tells which.
		t.anew = true
		if redo {
			return t.rewrite(c.start, s)
		}
		t.part()
		return t.add(s)
	}
	return t.snapshot(s)
}

func sameTrimmed(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

// extends is strings.HasPrefix without a copy of b.
func extends(s string, b []byte) bool { return len(s) >= len(b) && s[:len(b)] == string(b) }

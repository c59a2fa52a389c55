package client

import (
	"bytes"
	"strings"
	"unicode"
)

// growth tells what a stream's texts are where nothing says it: pieces of the reply, or
// the whole of it so far, again and again.
//
//	texts                                  the reply
//	"The", " quick", " fox"                The quick fox: pieces
//	"The", "The quick", "The quick fox"    The quick fox: each has all before it
//	"ha", "ha"                             haha: a text that only repeats proves nothing,
//	"1", "10"                              110: nor does one without letters
//	"a", "ab", "c"                         aabc: one such text may be chance
//	"One", "One two", "One two.", "Next"   One two.||Next: another message begins
//
// Some services call pieces, as by the name "delta", what has all before it. Against a name it
// takes the first three texts of a message, each with all before it and more, and several words.
type growth struct {
	pieces bool   // they are pieces
	last   string // the text before, until that is known
	from   int    // where the first of the texts stands that had all before them
	proofs int    // texts that had all before them, and more
	joined string // with one proof: what stands from there if they are pieces after all
	first  string // the text that a message of pieces began with, while each has all before it
	grows  bool   // what calls itself a piece is none
	called bool   // some texts call themselves pieces
	whole  bool   // and others had all of them
}

// unmarked takes a text of a stream that does not say whether its texts are pieces.
func (t *transcript) unmarked(s string) change {
	g := &t.grow
	if s == "" || t.full != "" {
		return change{}
	}
	if g.pieces {
		return t.piece("", s)
	}
	last, begins := g.last, t.current().start == len(t.buf)
	g.last = s
	grown := last != "" && strings.HasPrefix(s, last)
	switch {
	case g.proofs > 1:
		return t.regrown(last, s)
	case !grown && begins:
		g.proofs, g.joined = 0, ""
		c := t.increment("", s)
		g.from = t.current().start
		return c
	case !grown && g.proofs == 0:
		g.pieces, g.last = true, ""
		return t.increment("", s)
	case !grown:
		from, joined := g.from, g.joined+s
		*g = growth{pieces: true, called: g.called, whole: g.whole}
		return t.rewrite(from, joined)
	case g.proofs == 0 && provesNothing(s, last):
		return t.increment("", s)
	case g.proofs == 0:
		shown := string(t.buf[g.from:])
		g.proofs, g.joined = 1, shown+s
		if shown != last { // it was taken for pieces
			return t.rewrite(g.from, s)
		}
	case len(s) > len(last):
		g.proofs, g.joined = 2, ""
	default:
		g.joined += s
	}
	return t.snapshot(s)
}

// piece is increment for a text that is one by its name, or by those before it.
func (t *transcript) piece(id, s string) change {
	if s == "" || t.full != "" {
		return change{}
	}
	g, c := &t.grow, t.place(id)
	last := g.last
	switch {
	case g.grows:
		g.last = s
		return t.regrown(last, s)
	case c.start == len(t.buf):
		g.first, g.last, g.proofs = s, s, 0
		return t.add(s)
	case !strings.HasPrefix(s, last):
		g.first = ""
	}
	if g.first == "" || s == last {
		return t.add(s)
	}
	g.last = s
	if g.proofs++; g.proofs < 2 || weight(g.first) < 2 || !severalWords(s) || !hasLetter(strings.ReplaceAll(s, g.first, "")) {
		return t.add(s)
	}
	g.grows = true
	if extends(s, t.buf[:c.start]) {
		return t.rewrite(0, s)
	}
	return t.rewrite(c.start, s)
}

// snapshotOfPieces takes a text that does not call itself a piece, among others that do, if it
// has all that they brought: of the message, or of the reply. One that lags behind has no more
// than that.
func (t *transcript) snapshotOfPieces(s string) (change, bool) {
	c, g := t.current(), &t.grow
	shown, enough := t.buf[c.start:], 3
	if len(shown) == 0 { // a tool ran; the next message may well begin as the one before
		g.whole = g.whole || s == string(t.buf) && weight(s) >= 10
		return change{}, g.whole && s == string(t.buf)
	}
	bare := bytes.TrimSpace(shown)
	switch {
	case weight(string(bare[:min(len(bare), 64)])) < enough:
		return change{}, false
	case extends(s, shown), extends(s, t.buf):
		g.whole = true
		return t.snapshot(s), true
	case extends(strings.TrimSpace(s), bare): // without the space around it
		g.whole = true
		if len(strings.TrimSpace(s)) == len(bare) {
			return change{}, true
		}
		return t.rewrite(len(t.buf)-len(shown), s), true
	case bytes.HasPrefix(bare, []byte(strings.TrimSpace(s))):
		return change{}, g.whole && weight(s) >= enough
	case c.start > 0 && 2*len(s) >= len(t.buf) && strings.HasPrefix(squash(s), squash(string(t.buf))):
		g.whole = true
		return t.rewrite(0, s), true // with the space between its messages
	}
	return change{}, false
}

// severalWords reports whether a text has two different words, or many letters of a script
// that does not part its words.
func severalWords(s string) bool {
	first, unparted := "", 0
	for word := range strings.FieldsSeq(s) {
		switch {
		case !hasLetter(word):
		case first == "":
			first = word
		case word != first:
			return true
		}
	}
	for _, r := range s {
		if unicode.IsLetter(r) && !unicode.IsUpper(r) && !unicode.IsLower(r) {
			unparted++
		}
	}
	return unparted > 5
}

func hasLetter(s string) bool { return strings.IndexFunc(s, unicode.IsLetter) >= 0 }

// regrown takes a text of which it is known that it has all of its message so far.
func (t *transcript) regrown(last, s string) change {
	if c := t.current(); c.start < len(t.buf) && 4*commonPrefix(s, last) < min(len(s), len(last)) {
		t.part()
		return t.add(s)
	}
	return t.snapshot(s)
}

// provesNothing reports whether a text that begins with the one before may as well be a piece:
// it says the same once more, or what it repeats has no letters, or one only of a script in
// which that is a word.
func provesNothing(s, last string) bool {
	return weight(last) < 2 || strings.ReplaceAll(s, last, "") == ""
}

// weight tells how much the letters of a text prove where it comes again. One that is a word of
// its script is more often said twice than any other.
func weight(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.IsLower(r):
			n += 2
		case unicode.IsLetter(r):
			n++
		}
	}
	return n
}

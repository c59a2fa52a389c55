package client

import (
	"strings"
	"unicode"
)

// final takes the text that ends the reply, of which it is the last word: all of
// it, or its last messages only, with or without the white space around it.
func (t *transcript) final(s string) change {
	all := string(t.buf)
	if t.full != "" || strings.TrimSpace(s) == "" || sameTrimmed(s, all) && len(s) <= len(all) {
		return change{}
	}
	c := t.current()
	for i := range t.segs {
		// A message of the reply, or all from one on.
		if from := t.segs[i].start; len(t.segs) > 1 && (sameTrimmed(s, all[from:]) || i+1 < len(t.segs) && sameTrimmed(s, all[from:t.segs[i+1].start])) {
			return change{}
		}
	}
	if endsWithPart(all, s) {
		return change{}
	}
	from := t.covered(s)
	if from < 0 {
		from = c.start // it resembles nothing that was shown: the last message alone
	}
	if strings.HasPrefix(s, all[from:]) {
		return t.add(s[len(all)-from:])
	}
	if lead := strings.TrimLeft(all[from:], " \t\r\n"); lead != "" && strings.HasPrefix(s, lead) {
		return t.add(s[len(lead):])
	}
	return t.rewrite(from, s)
}

// isEndMark recognises what an end may carry in place of a text.
func isEndMark(s string) bool {
	switch canonical(s) {
	case "ok", "true", "null", "1", "0", "done", "end", "eof", "stop", "stopped", "success", "succeeded",
		"finished", "complete", "completed", "final", "end_turn", "closed":
		return true
	}
	return endRemark().MatchString(strings.TrimSpace(s))
}

// endRemark matches what services write of an end: "Task complete", "Run finished in 3 s".
var endRemark = pattern(`(?i)^(the )?(task|run|job|agent|request|reply|response|stream|generation|execution|process|turn|session)( (has|is|was))?( been)?( successfully)? ` +
	`(complete|completed|finished|done|ended|closed|stopped|succeeded)( successfully)?( (in|after) [\d.,:]+ ?[a-z]*)?[.!]*$`)

// isMark reports whether the text of an end event only marks the end, as "done" or "ok" do.
// It is the agent's own word where the stream has just shown it (once or more, with or
// without tags before it), and where nothing was said since the last tool call.
func (t *transcript) isMark(s string) bool {
	s = strings.TrimSpace(s)
	if c := t.current(); len(t.buf) == 0 || len(t.segs) > 1 && c.start == len(t.buf) || !isEndMark(s) {
		return false
	}
	head, ok := strings.CutSuffix(strings.TrimSpace(string(t.buf)), s)
	return !ok || squash(strings.ReplaceAll(head, s, "")) != "" && !wrappedInTags(strings.TrimSpace(head))
}

// unlessMark gives a final text, or nothing where it is only a mark, or a remark.
func (t *transcript) unlessMark(s string) string {
	if t.isMark(s) || t.isAside(s) {
		return ""
	}
	return s
}

// isAside reports whether the text of an end is a short remark ("Finished in 3 s") beside a
// longer reply: it has nothing of what was said since the last tool call.
func (t *transcript) isAside(s string) bool {
	said := string(t.buf[t.current().start:])
	end, shown := squash(s), squash(said)
	return len(s) <= maxRemark && len(end) < len(shown) && !strings.Contains(shown, end) && !shareWords(said, s)
}

// shareWords reports whether two texts have the beginning of a word in common, short words
// aside, or a letter of a script that does not part its words.
func shareWords(a, b string) bool {
	words := tellingWords(a)
	for word := range tellingWords(b) {
		if words[word] {
			return true
		}
	}
	return false
}

func tellingWords(s string) map[string]bool {
	words := map[string]bool{}
	for _, word := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		letters := []rune(word)
		if len(letters) > 3 {
			words[string(letters[:4])] = true
		}
		for _, r := range letters {
			if unicode.IsLetter(r) && !unicode.IsUpper(r) && !unicode.IsLower(r) {
				words[string(r)] = true
			}
		}
	}
	return words
}

// unlessRemark gives a final text whose name may stand for anything ("result":"3 steps"), or
// nothing where it has nothing of what was shown.
func (t *transcript) unlessRemark(s string) string {
	all, end := squash(string(t.buf)), squash(s)
	if all == "" || strings.Contains(end, all) || strings.Contains(all, end) {
		return s
	}
	for _, g := range t.segs {
		if text := squash(string(t.buf[g.start:])); 2*commonPrefix(end, text) >= min(len(end), len(text)) {
			return s
		}
	}
	return ""
}

// endsWithPart reports whether s is what stands behind a blank line at the end of
// a text: the last message again, where the stream does not say where one begins.
// What only tags stand before is the whole text, tidied up.
func endsWithPart(all, s string) bool {
	head, ok := strings.CutSuffix(strings.TrimSpace(all), strings.TrimSpace(s))
	return ok && strings.HasSuffix(head, "\n\n") && squash(head) != "" && !wrappedInTags(strings.TrimSpace(head))
}

// wrappedInTags recognises "<think>…</think>".
func wrappedInTags(s string) bool { return strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") }

// covered finds the message with which a final text begins, by what they have in
// common when white space and tags are left out: the text may have been tidied
// up. It is -1 where no message resembles the text.
func (t *transcript) covered(s string) int {
	if len(t.segs) == 1 {
		return 0
	}
	const enough = 4 << 10 // bytes of each message that are compared
	best, from := 0, -1
	s = squash(s[:min(len(s), enough)])
	for i, g := range t.segs {
		end := len(t.buf)
		if i+1 < len(t.segs) {
			end = t.segs[i+1].start
		}
		message := len(squash(string(t.buf[g.start:min(end, g.start+enough)])))
		n := commonPrefix(s, squash(string(t.buf[g.start:min(len(t.buf), g.start+2*enough)])))
		if message > 0 && 2*n >= min(message, len(s)) && n > best {
			best, from = n, g.start
		}
	}
	return from
}

// tags are what an agent's text is cleaned of before others see it.
var tags = pattern(`</?[a-zA-Z][^<>\n]{0,80}>|\[\[[^\[\]\n]{0,80}\]\]`)

func squash(s string) string {
	return strings.Join(strings.Fields(tags().ReplaceAllString(s, "")), "")
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

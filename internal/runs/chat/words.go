package chat

import (
	"regexp"
	"strings"
	"sync"
	"unicode"

	"openclaw-mcp/client"
)

// is reports whether a stored text is the message: services escape, trim and
// decorate what they store, with a time stamp for example. A text that quotes the
// message in a sentence is another one.
func (s sent) is(stored string) bool { return s.decorated(stored) || s.amongOthers(stored) }

// decorated reports whether a stored text is the message with what gateways put around one.
func (s sent) decorated(stored string) bool {
	if hashMessage(stored) == s.sum {
		return true
	}
	rest, shortened := client.Beginning(stored)
	ours, theirs := essence(s.text), essence(rest)
	if s.text == "" || !shortened && len(theirs) < len(ours) {
		return len(theirs) >= 2*tellingLen && strings.HasPrefix(ours, theirs) // cut
	}
	rest = unescape(rest)
	for range 16 {
		if tail, ok := strings.CutPrefix(theirs, ours); ok && mayStandBehind(tail) {
			return true
		}
		if shortened && len(theirs) >= 2*tellingLen && strings.HasPrefix(ours, theirs) {
			return true
		}
		head := beforeMessage().FindString(rest)
		if head == "" {
			break
		}
		rest = rest[len(head):]
		theirs = essence(rest)
	}
	return false
}

// amongOthers reports whether a stored text has the message on lines of its own behind other
// lines: gateways make one message of several that wait.
func (s sent) amongOthers(stored string) bool {
	ours := essence(s.text)
	return len(ours) >= tellingLen && s.beginsLine(ours, stored)
}

// quotedBy reports whether a stored text has the message within what somebody says.
func (s sent) quotedBy(stored string) bool {
	return s.text != "" && !s.is(stored) && strings.Contains(essence(stored), essence(s.text))
}

// beforeMessage matches one thing that gateways put before a message.
var beforeMessage = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*(?:` + strings.Join([]string{
		`\[[^\[\]\n]*\d[^\[\]\n]*\]`, // an envelope, with a time or an id: [Telegram Ada id:7 Fri 10:00]
		`\[[^\[\]\n]*\][ \t]*\n`,     // [Current message - respond to this]
		`System:[^\n]*\n`,            // System: [10:00] Node connected.
		`[^\n]*\((?:untrusted|metadata)[^\n]*?\):\s*` + // Conversation info (untrusted metadata):
			"(?:```(?s:.*?)\\s```|[^\n]+\n\\s*?\n)", //   and a fence or a line
		`<[a-zA-Z][^<>\n]{0,80}>(?:(?s:.*?)</[^<>\n]{1,80}>)?`, // <context>…</context>
	}, "|") + `)`)
})

// mayStandBehind recognises what gateways put behind it.
func mayStandBehind(tail string) bool {
	return tail == "" || strings.ContainsAny(tail[:1], "[(<") || strings.HasPrefix(tail, "```") || strings.HasPrefix(tail, "---")
}

// beginsLine reports whether the message stands on lines of its own in a stored text, with
// nothing behind it that belongs to it.
func (s sent) beginsLine(ours, stored string) bool {
	for start := 0; start < len(stored); {
		line, _, _ := strings.Cut(stored[start:], "\n")
		if e := essence(line); e != "" && (strings.HasPrefix(ours, e) || strings.HasPrefix(e, ours)) {
			tail, ok := strings.CutPrefix(essence(stored[start:]), ours)
			if ok && mayStandBehind(tail) {
				return true
			}
		}
		start += len(line) + 1
	}
	return false
}

// tellingLen is how much of a text tells it from others.
const tellingLen = 16

// resembles reports whether a stored text may be the message in other words: it has at
// least half of the shorter one's. Where the message's own are not known, any may be.
func (s sent) resembles(stored string) bool {
	if beginning, shortened := client.Beginning(stored); shortened && beginning == "" {
		return true
	}
	ours, theirs := wordsOf(s.text), wordsOf(stored)
	shared := 0
	for word := range ours {
		if theirs[word] {
			shared++
		}
	}
	return s.text == "" || shared > 0 && 2*shared >= min(len(ours), len(theirs))
}

// wordsOf gives the beginnings of a text's words, the shortest aside, which all texts have.
func wordsOf(s string) map[string]bool {
	words := map[string]bool{}
	for _, word := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if r := []rune(word); len(word) > 3 {
			words[string(r[:min(4, len(r))])] = true
		}
	}
	return words
}

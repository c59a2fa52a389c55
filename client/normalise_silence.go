package client

import "strings"

// silence is the word by which an OpenClaw agent says that it does not answer.
const silence = "NO_REPLY"

// aroundSilence is what models write around it: marks of code and emphasis, a full stop. In
// quotes, or in small letters, it may be the answer to a question.
const aroundSilence = " \t\r\n`*_.!"

// IsSilent reports whether a reply's text is the word by which the agent says that
// it chose not to answer. Where events come twice, so does the word.
func IsSilent(text string) bool {
	is, _ := silent(text)
	return is
}

// maybeSilent reports whether a text may become the word for no reply.
func maybeSilent(text []byte) bool {
	if len(text) > 64 {
		return false
	}
	_, may := silent(string(text))
	return may
}

// maybeSilent reports whether what was said so far may become that word.
func (n *normaliser) maybeSilent() bool {
	if !n.text.thoughts {
		return maybeSilent(n.text.buf)
	}
	return n.told == 0 && maybeSilent([]byte(n.text.spoken(0)))
}

// silent tells whether a text is the word for no reply, and whether it may become it.
func silent(text string) (is, may bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return false, false
	}
	if language, code, fenced := strings.Cut(text, "\n"); fenced && strings.HasPrefix(language, "```") && !strings.ContainsAny(language[3:], " `") {
		text = code
	}
	for {
		text = strings.TrimLeft(text, aroundSilence)
		size := min(len(text), len(silence))
		switch {
		case text == "":
			return is, true
		case text[:size] != silence[:size]:
			return false, false
		case size < len(silence):
			return false, true
		}
		is, text = true, text[size:]
	}
}

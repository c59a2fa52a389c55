package client

import "strings"

// What a service sends need not be the agent's word. An end may carry a word that only marks
// it, and an answer may be the message that was sent, as it was stored. Where nothing else
// comes these are kept aside: the history tells whether the agent said them.

// unlessUnsure gives the text of an end, or nothing where it may be no text of the agent's.
func (n *normaliser) unlessUnsure(s string) string {
	switch {
	case len(n.text.buf) > 0 || !isEndMark(s):
		return n.unlessEcho(s)
	case strings.TrimSpace(s) != "null":
		n.unsure = s
	}
	return ""
}

// unlessEcho gives the text of an end, or nothing where it is the message that was sent, and
// not what the agent has just said.
func (n *normaliser) unlessEcho(s string) string {
	if c := n.text.current(); !n.isQuestion(s) || c.start > 0 && c.start == len(n.text.buf) || n.text.repeats(s) {
		return s
	}
	n.unsure = s
	return ""
}

// longWords is the weight of a text that the agent hardly says by chance as somebody else did.
const longWords = 16

// repeats reports whether s is the reply so far, or its last message.
func (t *transcript) repeats(s string) bool {
	return sameTrimmed(s, string(t.buf)) || sameTrimmed(s, string(t.buf[t.current().start:]))
}

// isQuestion reports whether a text is the message that was sent, word for word.
func (n *normaliser) isQuestion(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && s == strings.TrimSpace(n.question)
}

// takesEcho takes a message that does not say who wrote it, if it comes before any text and is
// our own, as some services send it first. A short one may well be the agent's, too.
func (n *normaliser) takesEcho(kind string, o object) bool {
	m, ok := o.object("message")
	if !ok {
		m = o
	}
	s := messageText(m)
	if kind != "" && kind != "message" || len(n.text.buf) > 0 || !n.isQuestion(s) || weight(s) < longWords || roleOf(o) != "" || roleOf(m) != "" ||
		!hasID(o) && !hasID(m) && o.first("sender", "author", "from") == nil {
		return false
	}
	n.unsure, n.fresh.MessageID = s, ""
	n.put(Event{Kind: EventUnknown})
	return true
}

// hasID reports whether an object has an id of a message.
func hasID(o object) bool { return o.id("id") != "" || o.id(messageKeys...) != "" }

// isEcho reports whether the text of an answer is the message that was sent, as it was stored.
func (n *normaliser) isEcho(o object, s string) bool { return n.isQuestion(s) && isUnsigned(o, 0) }

// isUnsigned reports whether nothing in an answer says that the agent wrote it.
func isUnsigned(o object, depth int) bool {
	if roleOf(o) != "" || hasAny(o, answerNames) {
		return false
	}
	for _, k := range []string{"message", "data", "result", "payload"} {
		if inner, ok := o.object(k); ok && (depth > maxNesting || !isUnsigned(inner, depth+1)) {
			return false
		}
	}
	return true
}

// answerNames are keys under which an answer has the agent's words and no others.
var answerNames = []string{"reply", "response", "answer", "output", "assistant_message", "assistantMessage", "messages", "choices", "payloads"}

// mayBeRemark reports whether the only text of an answer may be what the service says of the
// message, and not the agent: it stands where nothing says whose words it has, or is a
// remark, or marks success.
func mayBeRemark(o object, s string) bool {
	return isBareMessage(o, s, 0) || isRemark(s) ||
		isEndMark(s) && (o.text("result") == s && isUnsigned(o, 0) || o.text("output") == s) && o.first("content", "text") == nil
}

func isBareMessage(o object, s string, depth int) bool {
	if o.text("message") == s && o.first("content", "text") == nil && isUnsigned(o, 0) {
		return true
	}
	for _, k := range []string{"data", "result", "payload"} {
		if inner, ok := o.object(k); ok && depth < maxNesting && isBareMessage(inner, s, depth+1) {
			return true
		}
	}
	return false
}

package client

import (
	"slices"
	"strings"
)

// ownMessage is what a stream tells of our message and of the reply to it by their
// ids. A service may relay what it says to others on the same stream, and its events may
// name no run.
type ownMessage struct {
	asked  []string // ids that the service gave our message when it took it; none: not known
	answer string   // the id under which the latest text came; "": not known
	inside bool     // that is the id of a message object, not one beside the text
	at     int      // where the message of that text begins
}

// Names under which events have the ids of both.
var (
	askedKeys  = []string{"user_message_id", "userMessageId"}
	answerKeys = []string{"assistant_message_id", "assistantMessageId"}
)

// takenWords say that a message was taken, and not yet that a reply is under way, whose
// id may stand beside them.
var takenWords = []string{"queued", "enqueued", "accepted", "received", "submitted", "scheduled", "sent"}

// learnAsked takes the id of our message from an acknowledgement, and the one that the reply
// will have.
func (n *normaliser) learnAsked(kind string, o object) {
	starts := classOf(kind) == classIDs
	if !starts && (len(n.text.buf) > 0 || !slices.Contains(takenWords, canonical(o.text("status", "state")))) {
		return
	}
	m, _ := o.object("message")
	reply, id := o.id(answerKeys...), o.id(askedKeys...)
	switch role := roleOf(m); {
	case starts && role == RoleAssistant:
		setIfEmpty(&reply, m.id("id"))
	case starts && role == RoleUser:
		setIfEmpty(&id, m.id("id"))
	case kind == "user_message", kind == "ack", kind == "accepted":
		setIfEmpty(&id, o.id(messageKeys...))
		setIfEmpty(&id, m.id("id"))
		setIfEmpty(&id, o.id("id"))
	case !starts:
		setIfEmpty(&id, o.id(messageKeys...))
	}
	if reply != "" {
		n.mine.answer, n.mine.inside, n.mine.at = reply, true, n.text.current().start
	}
	said := strings.TrimSpace(messageText(m) + o.text("content", "text"))
	if len(n.mine.asked) == 0 && (said == "" || said == strings.TrimSpace(n.question)) { // else it may be what somebody else said
		n.isAsked(id, o)
	}
}

// isAsked notes the id of our message, and all others that stand beside it: what answers it
// may name any of them.
func (n *normaliser) isAsked(id string, o object) {
	if id == "" || len(n.mine.asked) >= maxAsked {
		return
	}
	n.mine.asked = append(n.mine.asked, id)
	for k := range o {
		if other := o.id(k); other != "" && strings.HasSuffix(strings.ToLower(k), "id") && len(n.mine.asked) < maxAsked {
			n.mine.asked = append(n.mine.asked, other)
		}
	}
}

// maxAsked bounds the ids that our message goes by.
const maxAsked = 16

// learnAnswer notes the id under which an event brought text.
func (n *normaliser) learnAnswer(kind string, o object) {
	if known := len(n.mine.asked); known > 0 && known < maxAsked {
		if answers := n.namesMessages(o, 0).answers; answers != "" && !n.isMine(answers) {
			n.mine.asked = append(n.mine.asked, answers) // it goes by that, too
		}
	}
	id := n.fresh.MessageID
	inside := kindOf(o["message"]) == '{'
	if id == "" && o.text("role") != "" {
		id, inside = o.id("id"), true
	}
	if id == "" || isClaude(kind, o) { // its ids are those of the model's messages
		return
	}
	if len(n.mine.asked) > 0 && n.mine.asked[0] == id {
		n.mine.asked = nil // it was the id of the reply, or is one for both
	}
	n.mine.answer, n.mine.inside, n.mine.at = id, inside, n.text.current().start
}

// ofOtherMessage reports whether an end is known to be that of another message than ours,
// or than the one that the text so far is of. What brings text is taken as it comes: it may
// well name a tool's message, or the first one of a thread.
func (n *normaliser) ofOtherMessage(kind string, o object) bool {
	if len(n.mine.asked) == 0 && n.mine.answer == "" {
		return false
	}
	class := classOf(kind)
	switch role := roleOf(o); {
	case role != "" && role != RoleAssistant, n.own.run != "" && nameOf(o).run == n.own.run:
		return false
	}
	if class != classFinal && class != classAborted && class != classError && !(class == classText && o.flag("done")) && kind != "result" {
		return false
	}
	named := n.namesMessages(o, 0)
	switch {
	case n.isMine(named.beside), n.isMine(named.inside), slices.Contains(n.mine.asked, named.answers), named == messageNames{}:
		return false
	case len(n.mine.asked) == 0:
	case named.answers != "" && !n.isMine(named.answers), named.follows != "" && !n.isMine(named.follows) && !n.isShown(o):
		return true
	}
	c := n.text.current()
	switch {
	case n.mine.answer == "", c.start != n.mine.at, c.start == len(n.text.buf),
		named.inside == "" && (named.beside == "" || n.mine.inside):
		return false
	case named.inside == "" || n.mine.inside:
		return !n.isShown(o)
	}
	trial := *n // there may be two ids for one message; the text tells
	return trial.finalText(o) != "" && !n.isShown(o)
}

// isMine reports whether an id is of our message, or of what answers it.
func (n *normaliser) isMine(id string) bool {
	return id != "" && (id == n.mine.answer || slices.Contains(n.mine.asked, id) || id == n.session || id == n.sentTo || id == n.run)
}

// messageNames are the ids of messages that an event names.
type messageNames struct {
	beside  string // beside its text
	inside  string // of the message object that it brings
	answers string // of the message that is answered
	follows string // of the message before, which is the question where no tool was called
}

func (n *normaliser) namesMessages(o object, depth int) messageNames {
	parents := slices.Index(replyToKeys, "parentId")
	named := messageNames{beside: o.id(messageKeys...), answers: o.id(replyToKeys[:parents]...)}
	if !n.tools.came {
		named.follows = o.id(replyToKeys[parents:]...)
	}
	setIfEmpty(&named.answers, o.id(askedKeys...))
	if named.inside = o.id(answerKeys...); named.inside == "" && o.text("role") != "" {
		named.inside = o.id("id")
	}
	for _, k := range []string{"message", "assistant_message", "assistantMessage", "reply", "data", "result", "response"} {
		inner, ok := o.object(k)
		if role := roleOf(inner); !ok || depth > 1 || role != "" && role != RoleAssistant {
			continue
		}
		more := n.namesMessages(inner, depth+1)
		if k != "data" && k != "result" && k != "response" {
			more.inside, more.beside = inner.id("id", "message_id", "messageId"), ""
		}
		setIfEmpty(&named.beside, more.beside)
		setIfEmpty(&named.inside, more.inside)
		setIfEmpty(&named.answers, more.answers)
		setIfEmpty(&named.follows, more.follows)
	}
	return named
}

// isShown reports whether the text of an end is that of the stream so far, but for what is
// tidied up: a service may have another id for a message once it is stored.
func (n *normaliser) isShown(o object) bool {
	trial := *n // nothing is taken of it yet
	s := trial.finalText(o)
	for _, shown := range [][]byte{n.text.buf[n.text.current().start:], n.text.buf} {
		if len(shown) <= 2*len(s)+maxTidied && squash(s) == squash(string(shown)) {
			return true
		}
	}
	return false
}

// maxTidied is how many bytes of tags a short text may have had.
const maxTidied = 256

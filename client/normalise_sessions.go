package client

// A service may relay on one stream what goes on in its other sessions. Events of most
// families name no run that would tell them apart, but many name their session, under one
// of several keys. Such a name need not be the one that the message was sent to: services
// have names of their own. So an event is known to be another's only where others of the
// stream have named ours under the same key.

// whoseKeys are names for sessions, and one for runs, as events of all families have them.
// Each is compared with itself alone: one event may have several, and of different things.
var whoseKeys = [...]string{"session_id", "sessionId", "thread_id", "threadId", "conversation_id", "conversationId", runIDKey}

// runIDKey stands for a part of a run as well, in the events of some families. So it tells
// something only when the reply itself came under a name that was announced.
const runIDKey = "run_id"

// ownNames are the names of our session by key.
type ownNames [len(whoseKeys)]struct {
	announced, ours string
	came            string // the name of text that came before any was known to be ours
}

// whoseNames gives what an event, or the message that it brings, has under these keys.
func whoseNames(o object) (names [len(whoseKeys)]string) {
	m, _ := o.object("message")
	for i, key := range whoseKeys {
		names[i] = o.id(key)
		setIfEmpty(&names[i], m.id(key))
	}
	return names
}

// ofOtherSession reports whether an event is known to be of another session than ours, and
// learns from it what ours is called: text that came under another name before was not ours.
// The gateway's events and Claude's have rules of their own.
func (n *normaliser) ofOtherSession(kind string, o object) bool {
	if isChat(o) || isAgent(o) || isClaude(kind, o) {
		return false
	}
	mine, others, strange, theirs := false, false, false, false
	for i, name := range whoseNames(o) {
		switch own := &n.names[i]; {
		case name == "":
		case n.sentTo != "" && whoseKeys[i] != runIDKey && sameSession(name, n.sentTo):
			theirs = theirs || own.ours == "" && own.came != "" && !sameSession(own.came, name)
			own.ours, mine = name, true
		case own.ours != "":
			mine, others = mine || sameSession(name, own.ours), others || !sameSession(name, own.ours)
		case classOf(kind) == classIDs:
			setIfEmpty(&own.announced, name)
		default:
			strange = strange || n.sentTo != "" && whoseKeys[i] != runIDKey && name != own.announced
		}
	}
	n.strange = (n.strange || strange) && !mine
	if theirs {
		n.forget()
	}
	return others && !mine
}

// learnSession notes the names under which text of the reply came, as it was announced.
func (n *normaliser) learnSession(o object) {
	for i, name := range whoseNames(o) {
		switch own := &n.names[i]; {
		case own.ours != "":
		case name == own.announced:
			own.ours = name
		case name != "":
			own.came = name
		}
	}
}

// isElsewhere reports whether what came is called as of another session than the message was
// sent to. That may be no more than the service's own name for it.
func (n *normaliser) isElsewhere() bool {
	return n.strange || n.sentTo != "" && n.own.rank > rankNone && n.own.rank < rankSession && !sameSession(n.sentTo, n.own.session)
}

// isOursAtLast reports whether an event behind an end is known to be of our run, where nothing
// but its place spoke for what ended.
func (n *normaliser) isOursAtLast(f frame) bool {
	o, ok := asObject(f.data)
	if payload, wrapped := o.object("payload"); wrapped {
		o = payload
	}
	kind := canonical(f.name)
	if kind == "" || kind == "message" {
		kind = canonical(o.text("type", "event"))
	}
	switch name := nameOf(o); {
	case !ok || n.answersNobody(o, name):
		return false
	case name.run != "" && n.own.rank > rankNone && n.own.rank < rankAcked && name.run != n.own.run && acknowledges(kind, o):
		return true
	case !n.isElsewhere():
		return false
	case isChat(o), isAgent(o):
		return name.session != "" && sameSession(n.sentTo, name.session)
	}
	for i, name := range whoseNames(o) {
		if name != "" && whoseKeys[i] != runIDKey && sameSession(n.sentTo, name) {
			return true
		}
	}
	return false
}

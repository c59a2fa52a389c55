package client

import (
	"bytes"
	"strings"

	"openclaw-mcp/internal/text"
)

// normaliser turns the frames of one chat stream, of whatever family, into
// events. What it shows as text is already resolved: who adds and replaces as
// the events say ends with exactly the reply.
type normaliser struct {
	yield   func(Event) bool
	stopped bool // the stream's end was seen, or nobody listens any more

	text   transcript
	told   int  // how much of the text the consumer holds
	stale  bool // what the consumer holds is not the beginning of the text any more
	quiet  bool // text is kept back that may turn out to be the word for no reply
	tools  toolTracker
	halves halves

	sentTo   string                     // the session that the message was sent to, "" where the service chooses
	question string                     // the message
	before   func(id, text string) bool // as SendRequest.Before
	own      ownRun
	names    ownNames
	strange  bool // text or an end came under the name of a session that may be another's
	mine     ownMessage
	sent     sentBefore
	linger   bool // to look for other runs behind the end of one that is in doubt
	past     bool // that end was seen
	try      failedTry
	event    object // the one at hand

	parts                 textParts
	chats, agents, others numbering // of the gateway's events, and of others

	session, message, run string // the latest ids, for the final event
	raw                   []byte // the frame at hand
	fresh                 Event  // its ids

	rawText  bool       // text came outside of JSON: scalars are text as they stand
	bare     bool       // text came outside of JSON objects, if only as a JSON string
	objects  bool       // unnamed objects came, so what looks like a broken one is not text
	keyed    bool       // text came in JSON objects, so neither a bare object nor broken JSON is text
	pieces   transcript // objects under the name of a text, which are text if raw text follows
	deltas   bool       // text came under a name that is used for increments only
	chat     bool       // the gateway's chat events came, which end with one of theirs
	check    bool       // the end had no text, and those before it may not be all
	source   string     // which of the gateway's events bring the text: "chat" or "agent"
	claudeID string     // the message that Claude's stream events are about
	aside    []string   // messages of AG-UI that are not the agent's
	agLast   string     // the latest of all
	held     string     // a first and only chunk that may be the failure it says it is
	saidFull bool
	unsure   string   // a text that came and may be none of the agent's
	cut      string   // what cut the model's last message short
	calling  bool     // the model stopped to call a tool
	speaker  Role     // of OpenAI's chunks, as the last one said that did
	rested   bool     // the model stopped, and not for that
	choice   string   // which of several answers is read: the first that came
	attached []string // notes of what goes with the reply
}

// What is told about a reply beside its text.
const (
	NotePartial = "the service says that the reply is not complete"
	NoteSilent  = "the agent chose not to answer"
	NoteTooLong = "the reply is longer than 8 MiB, and its text stops there; the rest: read_chat_history"
	NoteNoRoom  = "this server has no memory left for more of the reply, and its text stops there; the rest: read_chat_history"
)

// put hands an event on, with the ids and the data of the frame at hand.
func (n *normaliser) put(ev Event) {
	if n.stopped {
		return
	}
	ev.Raw = n.raw
	ev.Tool.Name = text.Clip(ev.Tool.Name, maxName)
	setIfEmpty(&ev.SessionID, n.fresh.SessionID)
	setIfEmpty(&ev.MessageID, n.fresh.MessageID)
	setIfEmpty(&ev.RunID, n.fresh.RunID)
	ev.Calling = n.calling || n.tools.running > 0
	ev.Doubt, ev.Rivals, ev.Abrupt, ev.Elsewhere = n.doubt(), n.own.rivals, n.own.abrupt, n.isElsewhere()
	switch ev.Kind {
	case EventText, EventToolStart, EventToolUpdate:
		n.rested = false
	}
	ev.Rested = n.rested
	if !n.yield(ev) {
		n.stopped = true
	}
}

// show passes a change of the text on. A frame that changes nothing is still a
// sign of life. The word for no reply is not shown, nor what the model thinks, nor what may
// become either.
func (n *normaliser) show(c change) {
	switch {
	case c.text == "" && !c.replace:
		n.put(Event{Kind: EventHeartbeat})
	case n.text.thinking(), n.maybeSilent():
		n.stale = n.stale || c.replace && n.told > 0
		n.quiet = true
		n.put(Event{Kind: EventHeartbeat})
	case n.quiet:
		n.stale, n.calling, n.tools.running = n.stale || c.replace && n.told > 0, false, 0
		n.tellRest()
	default:
		switch {
		case !n.text.thoughts:
		case c.replace:
			c.text = n.text.spoken(0)
		default:
			c.text = n.text.spoken(n.told)
		}
		n.told, n.stale, n.calling, n.tools.running = len(n.text.buf), false, false, 0
		n.put(Event{Kind: EventText, Text: c.text, Replace: c.replace})
	}
	if n.text.full != "" && !n.saidFull {
		n.saidFull = true
		n.status(n.text.full)
	}
}

// tellRest shows what was kept back.
func (n *normaliser) tellRest() {
	if !n.quiet {
		return
	}
	ev := Event{Kind: EventText, Replace: n.stale}
	if n.stale {
		n.told = 0
	}
	ev.Text = n.text.spoken(n.told)
	n.quiet, n.stale, n.told = false, false, len(n.text.buf)
	n.put(ev)
}

func (n *normaliser) status(s string) {
	if s == "" {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.put(Event{Kind: EventStatus, Text: s})
}

// frame takes one SSE event or line.
func (n *normaliser) frame(f frame) {
	n.raw, n.fresh, n.event = f.data, Event{}, nil
	if f.comment {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	if n.past {
		n.behindEnd(f)
		return
	}
	if n.sent.again(f) {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	data := bytes.TrimSpace(f.data)
	if joined, changed := n.halves.join(data); changed {
		data, f.data = joined, joined
	}
	kind := canonical(f.name)
	switch {
	case n.isPiece(kind, data):
		n.plain(kind, f)
	case string(data) == "[DONE]" && !(n.rawText && isTextName(kind)):
		n.end("")
	case len(data) == 0 && f.cut:
		// What the name announces is what was cut off.
	case len(data) == 0:
		n.empty(kind, f.data)
	case data[0] == '{':
		o, ok := asObject(data)
		if !ok {
			n.plain(kind, f)
			return
		}
		if kind != "" && classOf(kind) == classText && !n.keyed && isStray(o) {
			n.keep(f.data)
			return
		}
		n.objects = n.objects || kind == ""
		n.object(kind, o, 0)
	case data[0] == '[' && isJSON(data):
		items, _ := asArray(data)
		objects := make([]object, 0, len(items))
		for _, item := range items {
			if o, ok := asObject(item); ok {
				objects = append(objects, o)
			}
		}
		if len(objects) == 0 || len(objects) < len(items) {
			n.plain(kind, f)
			return
		}
		for i, o := range objects {
			if n.past {
				n.behindEnd(frame{data: items[i]})
				continue
			}
			n.fresh = Event{}
			n.object(kindInList(kind, o), o, 1)
		}
	default:
		n.plain(kind, f)
	}
}

// empty takes a frame whose name is all it says.
func (n *normaliser) empty(kind string, data []byte) {
	switch class := classOf(kind); {
	case class == classText && len(data) > 0 && !n.keyed:
		n.rawText = true
		n.releasePieces()
		n.show(n.text.unmarked(string(data))) // white space is text too
	case class == classText:
		n.put(Event{Kind: EventHeartbeat})
	default:
		n.named(kind, object{}, 0)
	}
}

// plain takes data that is no JSON object.
func (n *normaliser) plain(kind string, f frame) {
	class := classOf(kind)
	s, isString := asString(f.data)
	if !isString || n.rawText && class == classText {
		s = strings.ToValidUTF8(string(f.data), "\uFFFD")
	}
	switch {
	case (f.cut || n.keyed || n.objects && !n.rawText) && looksBroken(f.data),
		f.cut && (class != classText || strings.HasPrefix("[DONE]", s)),
		class == classText && !isString && (s == "null" && !n.rawText || n.keyed && (kind == "" || kind == "message" && isGreeting(s))):
		n.put(Event{Kind: EventUnknown})
	case class == classText:
		n.bare = true
		if n.rawText = n.rawText || !isString; n.rawText {
			n.releasePieces()
		}
		n.piece(kind, "", s)
	case class == classFinal:
		n.finish(n.unlessUnsure(n.text.unlessMark(s)))
	case class == classStatus:
		n.status(s)
	case class == classError:
		n.fail(&Error{Message: oneLine(s, maxErrorMessage)})
	default:
		n.named(kind, object{}, 0)
	}
}

// looksBroken reports whether data begins as a JSON value and does not end as
// one: it was cut off, and is nothing that a reader should see.
func looksBroken(data []byte) bool {
	switch kindOf(data) {
	case '{', '[', '"':
		return !isJSON(data)
	}
	return false
}

// object takes one JSON object under the kind that its frame named.
func (n *normaliser) object(kind string, o object, depth int) {
	if depth > maxNesting {
		n.put(Event{Kind: EventUnknown})
		return
	}
	if payload, ok := o.object("payload"); ok && canonical(o.text("type")) == "res" && !o.denied() {
		// The answer to the request that sent the message.
		if name := nameOf(payload); name.run != "" && n.isOurs("res", payload) {
			n.takeIDs(payload)
		}
		n.learnAsked("ack", payload)
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	if payload, ok := o.object("payload"); ok && (o.text("type") == "event" || o.text("event") != "") {
		n.takeIDs(o)
		n.object(canonical(o.text("event")), payload, depth+1)
		return
	}
	if kind == "" || kind == "message" || kind == "data" || kind == "event" || kind == "chat" || kind == "agent" {
		// A generic name says less than what the data says of itself.
		for _, k := range []string{"type", "event", "state", "stream", "object", "kind"} {
			if s := o.text(k); s != "" && !(k == "type" && s == "event") {
				kind = canonical(s)
				break
			}
		}
	}
	kind = withoutAside(kind, o)
	if !isChat(o) && !isAgent(o) {
		n.count(o, &n.others)
	}
	if n.ofOtherSession(kind, o) || !n.isOurs(kind, o) || n.ofOtherMessage(kind, o) {
		n.otherRun(o)
		return
	}
	n.takeIDs(o)
	n.learnAsked(kind, o)
	n.event = o
	switch {
	case isChat(o):
		n.count(o, &n.chats)
	case isAgent(o):
		n.count(o, &n.agents)
	}
	before := len(n.text.buf)
	switch {
	case n.isThought(kind, o), isToolText(kind, o):
		n.put(Event{Kind: EventHeartbeat})
	case kindOf(o["choices"]) == '[':
		n.openAI(o)
	case strings.HasPrefix(kind, "response."):
		n.openResponses(kind, o)
	case classOf(kind) != classTool && isChat(o):
		n.chatEvent(canonical(o.text("state")), o)
	case isAgent(o):
		n.agentEvent(o)
	case isClaude(kind, o):
		n.claude(kind, o)
	case n.agUI(kind, o):
	default:
		n.named(kind, o, depth)
	}
	if len(n.text.buf) != before {
		n.learnAnswer(kind, o)
		n.learnSession(o)
	}
}

// isThought reports whether an event brings what the model thinks. Tool calls and
// the events of families that tell by themselves are left to these.
func (n *normaliser) isThought(kind string, o object) bool {
	switch classOf(kind) {
	case classText, classUnknown:
	default:
		return false
	}
	if strings.HasPrefix(kind, "response.") || isClaude(kind, o) && kind != "assistant" || kindOf(o["choices"]) == '[' {
		return false
	}
	if namesReasoning(kind) || isReasoning(o) {
		return true
	}
	for _, k := range []string{"delta", "data", "message"} {
		if inner, ok := o.object(k); ok && isReasoning(inner) && canonical(inner.text("type")) != "agent_output" {
			return true
		}
	}
	return false
}

// takeIDs notes the ids that an object carries at its own level.
func (n *normaliser) takeIDs(o object) {
	session := o.id(sessionKeys...)
	if s, ok := o.object("session"); ok {
		setIfEmpty(&session, s.id("id", "session_id", "sessionId"))
	}
	message := o.id(messageKeys...)
	if m, ok := o.object("message"); ok {
		setIfEmpty(&message, m.id("id", "message_id", "messageId"))
		setIfEmpty(&session, m.id(sessionKeys...))
	}
	n.noteIDs(session, message, o.id(runKeys...))
}

func (n *normaliser) noteIDs(session, message, run string) {
	for _, id := range []struct {
		found         string
		latest, fresh *string
	}{
		{session, &n.session, &n.fresh.SessionID},
		{message, &n.message, &n.fresh.MessageID},
		{run, &n.run, &n.fresh.RunID},
	} {
		if id.found != "" {
			*id.latest, *id.fresh = id.found, id.found
		}
	}
}

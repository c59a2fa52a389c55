package client

import (
	"bytes"
	"strconv"
	"strings"

	"openclaw-mcp/internal/jsonspan"
)

// normaliser turns the frames of one chat stream, of whatever family, into
// events. What it shows as text is already resolved: who adds and replaces as
// the events say ends with exactly the reply.
type normaliser struct {
	yield   func(Event) bool
	stopped bool // the stream's end was seen, or nobody listens any more

	text   transcript
	tools  toolTracker
	halves halves

	session, message, run string // the latest ids, for the final event
	raw                   []byte // the frame at hand
	fresh                 Event  // its ids

	rawText  bool   // text came outside of JSON: scalars are text as they stand
	jsonText bool   // objects came: broken JSON is no text
	deltas   bool   // text came under a name that is used for increments only
	chat     bool   // the gateway's chat events came, which end with one of theirs
	agent    bool   // the gateway's agent events brought text
	claudeID string // the message that Claude's stream events are about
	held     string // a first and only chunk that may be the failure it says it is
}

// put hands an event on, with the ids and the data of the frame at hand.
func (n *normaliser) put(ev Event) {
	if n.stopped {
		return
	}
	ev.Raw = n.raw
	setIfEmpty(&ev.SessionID, n.fresh.SessionID)
	setIfEmpty(&ev.MessageID, n.fresh.MessageID)
	setIfEmpty(&ev.RunID, n.fresh.RunID)
	if !n.yield(ev) {
		n.stopped = true
	}
}

// show passes a change of the text on. A frame that changes nothing is still a
// sign of life.
func (n *normaliser) show(c change) {
	if c.text == "" && !c.replace {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.put(Event{Kind: EventText, Text: c.text, Replace: c.replace})
}

func (n *normaliser) status(s string) {
	if s == "" {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.put(Event{Kind: EventStatus, Text: s})
}

// finish ends the stream well.
func (n *normaliser) finish(final string) {
	if n.held != "" {
		n.failHeld()
		return
	}
	if c := n.text.final(final); c.text != "" {
		n.show(c)
	}
	n.put(Event{
		Kind: EventFinal, Text: string(n.text.buf),
		SessionID: n.session, MessageID: n.message, RunID: n.run,
	})
	n.stopped = true
}

// fail ends the stream with the agent's failure. The text so far stands.
func (n *normaliser) fail(e *Error) {
	n.release()
	e.Outcome = OutcomeUnknown
	n.put(Event{Kind: EventError, Err: e})
	n.stopped = true
}

// release shows a held chunk, which turned out to be text.
func (n *normaliser) release() {
	if s := n.held; s != "" {
		n.held = ""
		n.show(n.text.increment("", s))
	}
}

// failHeld ends the stream with a held chunk, which turned out to be all.
func (n *normaliser) failHeld() {
	s := strings.TrimSpace(strings.TrimPrefix(n.held, "Error:"))
	n.held = ""
	n.fail(&Error{Message: s})
}

// close is called at the end of a stream that ended by itself.
func (n *normaliser) close() {
	n.raw, n.fresh = nil, Event{}
	if n.held != "" && !n.stopped {
		n.failHeld()
	}
}

// frame takes one SSE event or line.
func (n *normaliser) frame(f frame) {
	n.raw, n.fresh = f.data, Event{}
	if f.comment {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	data := bytes.TrimSpace(f.data)
	if mended, changed := n.halves.mend(data); changed {
		data, f.data = mended, mended
	}
	kind := canonical(f.name)
	switch {
	case string(data) == "[DONE]":
		n.finish("")
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
		n.jsonText = true
		n.object(kind, o, 0)
	case data[0] == '[' && jsonspan.Valid(data):
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
		for _, o := range objects {
			n.fresh = Event{}
			n.object(kind, o, 1)
		}
	default:
		n.plain(kind, f)
	}
}

// empty takes a frame whose name is all it says.
func (n *normaliser) empty(kind string, data []byte) {
	switch class := classOf(kind); {
	case class == classText && len(data) > 0 && !n.jsonText:
		n.rawText = true
		n.show(n.text.increment("", string(data))) // white space is text too
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
	case (f.cut || n.jsonText) && looksBroken(f.data),
		f.cut && (class != classText || strings.HasPrefix("[DONE]", s)),
		class == classText && s == "null" && !n.rawText:
		n.put(Event{Kind: EventUnknown})
	case class == classText:
		n.rawText = n.rawText || !isString
		n.piece(kind, s)
	case class == classFinal:
		n.finish(s)
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
		return !jsonspan.Valid(data)
	}
	return false
}

// object takes one JSON object under the kind that its frame named.
func (n *normaliser) object(kind string, o object, depth int) {
	if depth > maxNesting {
		n.put(Event{Kind: EventUnknown})
		return
	}
	if payload, ok := o.object("payload"); ok && (o.text("type") == "event" || o.text("event") != "") {
		n.takeIDs(o)
		n.object(canonical(o.text("event")), payload, depth+1)
		return
	}
	n.takeIDs(o)
	if kind == "" || kind == "message" || kind == "data" || kind == "event" || kind == "chat" || kind == "agent" {
		// A generic name says less than what the data says of itself.
		for _, k := range []string{"type", "event", "state", "stream", "object"} {
			if s := o.text(k); s != "" && !(k == "type" && s == "event") {
				kind = canonical(s)
				break
			}
		}
	}
	switch {
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
	default:
		n.named(kind, o, depth)
	}
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

// failure makes the error of an event that reports one.
func failure(o object) *Error {
	for _, k := range []string{"response", "data"} {
		if inner, ok := o.object(k); ok && !hasError(o) && o.text("message", "errorMessage") == "" {
			o = inner
			break
		}
	}
	e := decodeErrorObject(o, 0)
	if e.Code == e.Message {
		e.Code = ""
	}
	if e.Code == "" {
		e.Code = oneLine(o.text("errorKind", "error_type"), 80)
	}
	if slug := o.text("error"); e.Code == "" && slug != e.Message {
		e.Code = oneLine(slug, 80)
	}
	if e.Message == "" {
		e.Message = "the agent failed without a reason"
		if code, ok := exitCode(o); ok && code != 0 {
			e.Message = "the agent ended with exit code " + strconv.FormatFloat(code, 'f', -1, 64)
		}
	}
	return e
}

func exitCode(o object) (float64, bool) { return o.number("exitCode", "exit_code") }

// failed reports whether an object says that the run failed, whatever its kind.
func failed(o object) bool {
	code, _ := exitCode(o)
	status, _ := o.number("statusCode", "status_code")
	return code != 0 || o.denied() || o.flag("is_error", "isError") || status >= 400
}

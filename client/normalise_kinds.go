package client

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// class is what a kind of event is about, whatever the family calls it.
type class int

const (
	classUnknown class = iota
	classText
	classStatus
	classIDs
	classTool
	classFinal
	classAborted
	classError
	classAlive
)

// kinds folds the names of events, in their canonical spelling. Names of one
// family only (agent_output, response.…) are dealt with where the family is.
var kinds = map[string]class{
	"": classText, "delta": classText, "token": classText, "chunk": classText, "message": classText,
	"content": classText, "text": classText, "output": classText, "data": classText, "stdout": classText,
	"text_delta": classText, "content_delta": classText, "message_delta": classText, "output_text": classText,
	"assistant_delta": classText, "partial": classText, "response": classText, "answer": classText, "reply": classText,

	"status": classStatus, "progress": classStatus, "info": classStatus, "notice": classStatus, "log": classStatus,

	"session": classIDs, "start": classIDs, "started": classIDs, "run": classIDs, "accepted": classIDs,
	"ack": classIDs, "connected": classIDs, "open": classIDs, "user_message": classIDs, "run_started": classIDs,

	"done": classFinal, "complete": classFinal, "completed": classFinal, "end": classFinal,
	"final": classFinal, "finished": classFinal, "run_finished": classFinal,

	"aborted": classAborted, "abort": classAborted, "cancelled": classAborted, "canceled": classAborted,

	"error": classError, "failed": classError, "failure": classError, "exception": classError,
	"run_failed": classError, "run.failed": classError, "thread.run.failed": classError, "turn.failed": classError,
	"run_error": classError, "run.error": classError, "chat.error": classError, "chat_error": classError,
	"agent.error": classError, "agent_error": classError, "stream.error": classError, "stream_error": classError,

	"heartbeat": classAlive, "ping": classAlive, "pong": classAlive, "keepalive": classAlive,
	"keep_alive": classAlive, "tick": classAlive,
}

func classOf(kind string) class {
	if c, ok := kinds[kind]; ok {
		return c
	}
	if kind == "tool" || strings.HasPrefix(kind, "tool_") || strings.HasPrefix(kind, "tool.") ||
		kind == "toolcall" || kind == "toolresult" || kind == "function_call" || kind == "function_call_output" {
		return classTool
	}
	return classUnknown
}

// canonical folds the spellings of an event's name.
func canonical(kind string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(kind)), "-", "_")
}

// incrementKeys are the names of a piece of text, the clearest first.
var incrementKeys = []string{"delta", "deltaText", "delta_text", "token", "chunk", "text", "content", "output", "response", "reply", "answer", "parts"}

// named takes the events whose kind tells what they are: those of the author's
// own style, and the generic ones.
func (n *normaliser) named(kind string, o object, depth int) {
	switch classOf(kind) {
	case classText:
		n.textEvent(kind, o, depth)
	case classStatus:
		n.status(statusText(o))
	case classIDs:
		if kind == "session" {
			n.noteIDs(o.id("id"), "", "")
		}
		n.put(Event{Kind: EventHeartbeat})
	case classTool:
		n.release()
		n.toolEvent(kind, o)
	case classFinal:
		n.ended(o)
	case classAborted:
		n.fail(aborted(o))
	case classError:
		n.fail(failure(o))
	case classAlive:
		n.put(Event{Kind: EventHeartbeat})
	default:
		n.unknown(kind, o)
	}
}

// unknown takes a kind that nobody told of. It never fails the run, but the
// repetitions that some services make are recognised.
func (n *normaliser) unknown(kind string, o object) {
	switch kind {
	case "text_start", "text_end":
		n.startsPart(kind, o)
	case "assistant", "assistant_message", "result":
		text := o.text("result")
		if text == "" {
			text = n.finalText(o)
		}
		if text == "" {
			break
		}
		if kind == "result" {
			n.show(n.text.final(text))
		} else {
			n.show(n.text.message(n.fresh.MessageID, text))
		}
		return
	case "finish", "finish_step": // of Vercel's AI SDK
		n.stoppedFor(o.text(stopKeys...))
	case "res":
		if o.denied() {
			n.fail(failure(o))
			return
		}
	}
	n.put(Event{Kind: EventUnknown})
}

// textEvent takes an event whose name stands for text, or that has none.
func (n *normaliser) textEvent(kind string, o object, depth int) {
	if role := roleOf(o); role != "" && role != RoleAssistant {
		n.foreign(o)
		return
	}
	if n.takesEcho(kind, o) {
		return
	}
	if remark, ok := acceptance(o); ok {
		n.status(oneLine(remark, 500))
		return
	}
	if o.flag("done") {
		n.stoppedFor(o.text(stopKeys...))
	}
	if m, ok := o.object("message"); ok {
		n.wholeMessage(m, o)
		return
	}
	if d, ok := o.object("delta"); ok {
		if s := d.text("text", "content"); s != "" {
			n.hasKeys()
			n.piece(kind, "delta", s)
			return
		}
	}
	if o.text("role") != "" && (kind == "" || kind == "message") && (o.id("id") != "" || n.deltas) {
		n.wholeMessage(o, o)
		return
	}
	if n.ofPart(kind, o) {
		return
	}
	for _, k := range incrementKeys {
		if kindOf(o[k]) == 0 {
			continue
		}
		if s := blocksText(o[k]); s != "" {
			n.hasKeys()
			n.piece(kind, k, s)
			if kind == "" && o.flag("done") {
				n.finish("")
			}
			return
		}
	}
	if inner, ok := o.object("data"); ok && depth < maxNesting {
		n.object(kind, inner, depth+1)
		return
	}
	s := o.text("data", "message")
	switch {
	case hasError(o) || hasErrors(o) || failed(o):
		n.fail(failure(o))
	case s != "" && (kind != "" || o.text("status") == ""):
		n.piece(kind, "", s)
	case s != "":
		n.status(s)
	case o.flag("done"):
		n.finish("")
	case kind == "" && n.fresh.SessionID == "" && n.fresh.MessageID == "" && n.fresh.RunID == "" && !hasAny(o, incrementKeys):
		n.put(Event{Kind: EventUnknown})
	default:
		n.put(Event{Kind: EventHeartbeat})
	}
}

// piece takes a text of the reply that came under the name of a kind and a key. Some of these
// say that it is an increment.
func (n *normaliser) piece(kind, key, s string) {
	n.release()
	if kind != "message" {
		n.deltas = true
	}
	switch grow := &n.text.grow; {
	case isIncrement(kind) || isIncrement(key):
		grow.pieces, grow.called = true, true
	case grow.called && kind == "message" && sameTrimmed(s, string(n.text.buf)):
		return // as it is stored
	case grow.called:
		if c, ok := n.text.snapshotOfPieces(s); ok {
			n.show(c)
			return
		}
	}
	n.show(n.text.unmarked(s))
}

func isIncrement(name string) bool {
	return strings.Contains(name, "delta") || name == "token" || name == "chunk"
}

// wholeMessage takes an assistant's message as it is persisted, with the event o around
// it. An empty o stands for families that send a message block by block.
func (n *normaliser) wholeMessage(m, o object) {
	if role := roleOf(m); role != "" && role != RoleAssistant {
		n.foreign(m)
		return
	}
	id := m.id("id", "message_id", "messageId")
	n.noteIDs("", id, "")
	text := messageText(m)
	n.hasKeys()
	n.release()
	if n.before != nil && id != "" && n.before(id, text) {
		n.put(Event{Kind: EventUnknown}) // told once more
		return
	}
	if text != "" && kindOf(o["done"]) != 'f' {
		n.isWhole()
	}
	switch {
	case kindOf(o["done"]) == 't':
		n.finish(text)
		return
	case kindOf(o["done"]) == 'f': // Ollama's form: a message a token
		n.piece("message", "delta", text)
		return
	}
	switch {
	case n.deltas && n.text.restates(text):
		n.put(Event{Kind: EventHeartbeat})
	case len(o) > 0:
		n.show(n.text.stored(id, text))
	default:
		n.show(n.text.message(id, text))
	}
	n.messageTools(m)
}

// foreign takes a message that is not the agent's: the user's, echoed, or a
// tool's.
func (n *normaliser) foreign(m object) {
	n.fresh.MessageID = ""
	if roleOf(m) == RoleTool {
		n.toolMessage(m)
		return
	}
	if said := strings.TrimSpace(messageText(m)); roleOf(m) == RoleUser && said != "" && said == strings.TrimSpace(n.question) {
		n.isAsked(m.id("id", "message_id", "messageId"), m)
		if !n.deltas && !n.bare && n.source == "" && len(n.text.buf) > 0 { // messages as they are stored, up to ours
			n.mine.answer = ""
			n.restart()
		}
	}
	n.put(Event{Kind: EventUnknown})
}

// finalText gives the text that an ending event carries, if any.
func (n *normaliser) finalText(o object) string {
	if m, ok := o.object("message", "assistant_message", "assistantMessage"); ok {
		if role := roleOf(m); role == "" || role == RoleAssistant {
			n.noteIDs("", m.id("id", "message_id", "messageId"), "")
			n.attach(m)
			if role == "" {
				return n.unlessEcho(n.text.unlessMark(messageText(m)))
			}
			return messageText(m)
		}
		return ""
	}
	for _, k := range []string{"text", "content", "reply", "response", "result", "output", "answer", "full_text", "fullText"} {
		if kindOf(o[k]) == '{' {
			if inner, _ := asObject(o[k]); inner.first("content", "text") != nil {
				return n.text.unlessMark(messageText(inner))
			}
			continue
		}
		switch s := n.text.unlessMark(blocksText(o[k])); {
		case s == "":
		case k == "result" || k == "output":
			return n.text.unlessRemark(n.unlessUnsure(s))
		default:
			return n.unlessEcho(s)
		}
	}
	if inner, ok := o.object("data"); ok {
		n.takeIDs(inner)
		return n.finalText(inner)
	}
	if o.text("role") == "assistant" {
		n.noteIDs("", o.id("id"), "")
	}
	return ""
}

// statusText gives the line that a status event has for the person who waits.
func statusText(o object) string {
	if s := o.text("message", "text", "status", "content", "label", "detail"); s != "" {
		return oneLine(s, 500)
	}
	if s, ok := asString(o["data"]); ok {
		return oneLine(s, 500)
	}
	if inner, ok := o.object("data"); ok {
		return oneLine(inner.text("message", "text", "status"), 500)
	}
	return oneLine(o.text("phase", "state", "step"), 500)
}

// messageText gives a message's text.
func messageText(m object) string {
	if isReasoning(m) {
		return ""
	}
	for _, k := range contentKeys {
		if s := blocksText(m[k]); s != "" {
			return s
		}
	}
	return ""
}

// blocksText gives the text of a message's content. Unlike contentText it puts
// nothing between the blocks: the increments, with which it is compared, do
// not either.
func blocksText(raw jsontext.Value) string {
	if kindOf(raw) != '[' {
		return contentText(raw)
	}
	items, _ := asArray(raw)
	var b strings.Builder
	for _, item := range items {
		b.WriteString(contentText(item))
	}
	return b.String()
}

func hasAny(o object, keys []string) bool {
	for _, k := range keys {
		if _, ok := o[k]; ok {
			return true
		}
	}
	return false
}

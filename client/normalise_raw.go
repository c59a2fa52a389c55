package client

import (
	"bytes"
	"strings"
)

// A reply may come as raw text, outside of JSON. What looks like JSON among it is the
// agent's, too. But a stream of JSON may begin with objects that have no text, or with a
// plain greeting of the service.

// isPiece reports whether JSON is a piece of a reply that comes as raw text: the
// agent may well write JSON.
func (n *normaliser) isPiece(kind string, data []byte) bool {
	if !n.rawText || n.keyed || classOf(kind) != classText || len(data) == 0 || data[0] != '{' && data[0] != '[' || string(data) == "[DONE]" {
		return false
	}
	o, ok := asObject(data)
	if ok && hasAny(o, incrementKeys) && isGreeting(string(n.text.buf)) {
		return false
	}
	return kind != "" || !ok || isStray(o) && !hasError(o)
}

// isTextName reports whether an event's name says that its data is text, as
// "message" does not, which events without a name may have as well.
func isTextName(kind string) bool {
	return kind != "" && kind != "message" && classOf(kind) == classText
}

// isStray reports whether an object has nothing by which any family would know it.
func isStray(o object) bool {
	return !hasError(o) && !hasAny(o, incrementKeys) && o.first("type", "event", "kind", "state", "status", "stream", "object", "choices", "message",
		"messages", "data", "payload", "role", "id", "done", "success", "ok", "finish_reason", "usage", "index", "seq", "item", "part") == nil &&
		!hasAny(o, sessionKeys) && !hasAny(o, messageKeys) && !hasAny(o, runKeys)
}

// keep keeps an object that has no text and comes before any. If raw text follows, it is the
// beginning of the reply; otherwise it is not part of the reply.
func (n *normaliser) keep(data []byte) {
	n.pieces.room = n.text.room
	n.pieces.increment("", string(bytes.ToValidUTF8(data, []byte("\uFFFD"))))
	n.put(Event{Kind: EventUnknown})
}

// releasePieces shows what was kept, where raw text follows.
func (n *normaliser) releasePieces() {
	kept := n.pieces
	if n.pieces = (transcript{}); len(kept.buf) > 0 && !n.keyed && len(n.text.buf) == 0 {
		c := n.text.increment("", string(kept.buf))
		setIfEmpty(&n.text.full, kept.full)
		n.show(c)
	}
}

// hasKeys notes that the text comes in JSON objects. What came before them in another form
// is not the agent's if it is what services greet with.
func (n *normaliser) hasKeys() {
	if n.keyed {
		return
	}
	n.keyed, n.pieces = true, transcript{}
	if n.bare && isGreeting(string(n.text.buf)) {
		n.rawText = false
		n.restart()
	}
}

// isGreeting recognises what a service says before a reply begins: "connected", "ok".
func isGreeting(s string) bool {
	word := canonical(strings.Trim(s, " \t\r\n.!…"))
	switch classOf(word) {
	case classIDs, classAlive:
		return true
	}
	return word == "[]" || word == "{}" || word == "ready" || word == "connecting" || isEndMark(word) || isRemark(s)
}

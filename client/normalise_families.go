package client

import (
	"cmp"
	"strings"
)

// openAI takes a chunk of OpenAI's chat completions.
func (n *normaliser) openAI(o object) {
	if hasError(o) {
		n.fail(failure(o))
		return
	}
	choices, _ := asArray(o["choices"])
	var c object
	for _, raw := range choices {
		o, ok := asObject(raw)
		if index := o.id("index"); ok && (index == "" || index == n.choice || n.choice == "" && (c == nil || index == "0")) {
			c = o
		}
	}
	if c != nil {
		setIfEmpty(&n.choice, c.id("index"))
	} else if len(choices) > 0 {
		n.put(Event{Kind: EventHeartbeat}) // another answer to the same question
		return
	}
	d, _ := c.object("delta")
	if role := d.text("role"); role != "" {
		n.speaker = decodeRole(role)
	}
	if n.speaker == RoleTool || n.speaker == RoleUser {
		n.foreign(d)
		return
	}
	s := blocksText(d.first("content", "refusal"))
	if isReasoning(d) || isReasoning(c) || isReasoning(o) {
		s = ""
		c["text"] = nil
	}
	if s == "" {
		s = c.text("text")
	}
	finish := c.text("finish_reason", "finishReason")
	switch {
	case hasError(c) || s == "" && finish == "error":
		if s != "" {
			n.piece("delta", "", s)
		}
		n.fail(failure(c))
		return
	case s != "" && finish == "error":
		n.fail(&Error{Message: oneLine(s, maxErrorMessage)})
		return
	case s != "" && finish == "stop" && len(n.text.buf) == 0 && n.held == "" && strings.HasPrefix(s, "Error:"):
		// The gateway reports a failed run so. What follows tells.
		n.held = s
		n.put(Event{Kind: EventHeartbeat})
		return
	case s != "":
		n.hasKeys()
		n.piece("delta", "", s)
	}
	m, whole := c.object("message")
	switch {
	case whole && finish == "stop" && roleOf(m) != RoleUser:
		n.noteIDs("", m.id("id", "message_id", "messageId"), "")
		n.show(n.text.final(messageText(m)))
		n.messageTools(m)
	case whole:
		n.wholeMessage(m, object{})
	}
	n.stoppedFor(finish)
	calls, _ := asArray(d.first("tool_calls", "toolCalls"))
	for _, raw := range calls {
		if call, ok := asObject(raw); ok {
			n.partialCall(call)
		}
	}
	if finish != "" {
		n.flushPartial()
	}
	if s == "" && !whole && len(calls) == 0 {
		n.put(Event{Kind: EventHeartbeat})
	}
}

// isChat recognises the gateway's chat events, whose text is cumulative.
func isChat(o object) bool {
	switch canonical(o.text("state")) {
	case "delta", "final", "error", "aborted":
	case "status":
		return o.text("phase") != "" && o.id("runId", "run_id", "sessionKey", "session_key") != ""
	default:
		return false
	}
	t := canonical(o.text("type"))
	return (t == "" || t == "event" || t == "chat") && kindOf(o["stream"]) != '"'
}

// chatEvent takes a chat event of the OpenClaw gateway.
func (n *normaliser) chatEvent(state string, o object) {
	if state == "status" {
		n.status(oneLine(strings.ReplaceAll(o.text("phase"), "_", " "), 200))
		return
	}
	n.chat = true
	m, isObject := o.object("message")
	text := o.text("message")
	if isObject {
		if role := roleOf(m); role != "" && role != RoleAssistant {
			if state == "delta" {
				n.foreign(m)
				return
			}
			m = object{}
		}
		text = messageText(m)
	}
	delta := o.text("deltaText", "delta_text")
	switch state {
	case "final":
		if text == "" && (o.text("errorMessage") != "" || hasError(o)) {
			n.fail(failure(o))
			return
		}
		n.messageTools(m)
		switch reason := canonical(m.text(stopKeys...)); reason {
		case "error", "aborted": // as the history has it
			n.showFinal(text)
			if e := failure(object{"error": m.first("errorMessage", "error_message", "error")}); reason == "error" {
				n.fail(e)
			} else {
				n.fail(aborted(object{}))
			}
			return
		}
		n.stoppedFor(cmp.Or(o.text(stopKeys...), m.text(stopKeys...)))
		switch {
		case n.calling: // an end all the same: the gateway sends it when the run is over
			n.cut = NoteCalling
		case n.cut == "" && (o.text("errorMessage") != "" || hasError(o)):
			n.cut = "the agent reports an error beside its reply: " + failure(o).Message
		}
		if o.flag("yielded") {
			if c := n.text.final(text); c.text != "" || c.replace {
				n.show(c)
			}
			n.yielded()
			return
		}
		// The gateway sends these texts as they grow, and not each of them.
		n.check = text == "" && n.source == "chat" && len(n.text.buf) > 0
		n.finish(text)
	case "error", "aborted":
		if c := n.text.final(text); c.text != "" || c.replace {
			n.show(c)
		}
		if state == "aborted" {
			n.fail(aborted(o))
		} else {
			n.fail(failure(o))
		}
	default:
		if n.source == "agent" {
			n.put(Event{Kind: EventHeartbeat}) // the same text again, and later
		} else {
			c := n.grow(text, delta, o.flag("replace"))
			if len(n.text.buf) > 0 {
				n.source = "chat"
			}
			n.show(c)
		}
		n.messageTools(m)
	}
}

// grow takes a cumulative text, the piece that it grew by, or both.
func (n *normaliser) grow(text, delta string, replace bool) change {
	if text != "" {
		n.isWhole()
	}
	switch {
	case replace:
		if text == "" {
			text = delta
		}
		if extends(text, n.text.buf) {
			return n.text.add(text[len(n.text.buf):])
		}
		return n.text.rewrite(0, text)
	case text == "":
		return n.text.piece("", delta)
	case delta != "":
		return n.text.step(text, delta)
	}
	return n.text.snapshot(text)
}

// isAgent recognises the gateway's agent events.
func isAgent(o object) bool {
	return kindOf(o["stream"]) == '"' && kindOf(o["data"]) == '{'
}

// agentEvent takes an agent event of the OpenClaw gateway.
func (n *normaliser) agentEvent(o object) {
	d, _ := o.object("data")
	n.noteIDs(d.id(sessionKeys...), d.id(messageKeys...), d.id(runKeys...))
	switch stream := canonical(o.text("stream")); stream {
	case "assistant":
		n.agentText(d)
	case "tool":
		n.toolEvent("tool", d)
	case "lifecycle":
		switch canonical(d.text("phase")) {
		case "end":
			switch {
			case d.flag("aborted"):
				n.fail(aborted(d))
			case d.flag("yielded") && !n.chat && d.first("error") == nil:
				n.yielded()
			case n.chat, n.text.doubled():
				// Chat events are throttled: the last words, and the end, come
				// with theirs. What came twice may have been said once: an end of
				// theirs tells, or the history.
				n.put(Event{Kind: EventHeartbeat})
			default:
				n.finish("")
			}
		case "error":
			if n.chat {
				// It may try again; if it does not, a chat event says so.
				n.status(failure(d).Message)
				return
			}
			n.fail(failure(d))
		default:
			n.text.redo = len(n.text.buf) > 0 && (canonical(d.text("phase")) == "start" || canonical(d.text("phase")) == "fallback")
			n.put(Event{Kind: EventHeartbeat})
		}
	case "error":
		if d.text("reason") == "seq gap" { // a remark on the event feed, not on the run
			n.agents.counts, n.agents.gap = true, true
			n.put(Event{Kind: EventUnknown})
			return
		}
		n.fail(failure(d))
	case "thinking", "reasoning":
		n.put(Event{Kind: EventHeartbeat})
	default:
		n.put(Event{Kind: EventUnknown})
	}
}

// agentText takes the text of an agent event. Where both kinds of the gateway's
// events come, the text is that of the first that brought any: they tell the same
// at different times.
func (n *normaliser) agentText(d object) {
	if n.source == "chat" {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	var c change
	id, text := d.id("itemId", "item_id"), (*string)(nil)
	if s, ok := asString(d["text"]); ok {
		text = &s
		n.isWhole()
	}
	switch {
	case id == "":
		c = n.grow(d.text("text"), d.text("delta"), d.flag("replace"))
	case d.flag("replace") && d.flag("replaceable") && n.text.current().id != id:
		// It stands for all that came before.
		n.text.renew()
		n.text.item(id, text, d.text("delta"), true)
		c = change{text: string(n.text.buf), replace: true}
	default:
		c = n.text.item(id, text, d.text("delta"), d.flag("replace"))
	}
	if len(n.text.buf) > 0 {
		n.source = "agent"
	}
	n.show(c)
}

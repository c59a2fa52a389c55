package client

// isClaude recognises the messages of Claude Code's JSON stream, which the
// author's service passes on inside agent-output, and the model's own events.
func isClaude(kind string, o object) bool {
	switch kind {
	case "agent_output", "stream_event", "message_start", "content_block_start", "content_block_delta",
		"content_block_stop", "message_stop":
		return true
	case "assistant":
		return kindOf(o["message"]) == '{' || o["content"] != nil
	case "user":
		return kindOf(o["message"]) == '{'
	case "result":
		return kindOf(o["result"]) == '"' || o["subtype"] != nil || o["is_error"] != nil
	case "message_delta":
		return kindOf(o["delta"]) == '{' || o["usage"] != nil
	}
	return false
}

// claude takes one such message. Its session ids are those of the tool inside
// the sandbox, not the service's, so they are not taken.
func (n *normaliser) claude(kind string, o object) {
	if o.text("parent_tool_use_id") != "" {
		// A helper of the agent talks: its words are no part of the reply.
		n.put(Event{Kind: EventUnknown})
		return
	}
	switch kind {
	case "agent_output":
		n.agentOutput(o)
	case "stream_event":
		ev, _ := o.object("event")
		n.claudeStream(canonical(ev.text("type")), ev)
	case "assistant":
		m, ok := o.object("message")
		if !ok {
			m = o
		}
		n.wholeMessage(m, object{})
	case "user":
		m, _ := o.object("message")
		n.toolResults(m)
	case "result":
		if failed(o) {
			e := failure(o)
			if s := o.text("result"); s != "" && !hasError(o) {
				e.Message = oneLine(s, maxErrorMessage)
			}
			n.fail(e)
			return
		}
		n.show(n.text.final(o.text("result")))
	default:
		if kind == "message_start" {
			n.text.partWords()
		}
		n.claudeStream(kind, o)
	}
}

func (n *normaliser) agentOutput(o object) {
	inner, ok := o.object("data")
	switch {
	case !ok && asStringOr(o["data"]) != "":
		n.piece("agent_output", "", asStringOr(o["data"]))
		return
	case !ok:
		inner = object{}
		for k, v := range o {
			if k != "type" || canonical(asStringOr(v)) != "agent_output" {
				inner[k] = v
			}
		}
	}
	kind := canonical(inner.text("type"))
	switch {
	case kind == "agent_output":
		n.put(Event{Kind: EventUnknown})
	case isClaude(kind, inner):
		n.claude(kind, inner)
	case classOf(kind) == classFinal:
		// The tool inside is done. What the service says of the run follows.
		n.show(n.text.final(n.finalText(inner)))
	default:
		n.named(kind, inner, maxNesting)
	}
}

// claudeStream takes an event of the model's own stream, which the service may
// strip of all but the delta.
func (n *normaliser) claudeStream(kind string, ev object) {
	d, _ := ev.object("delta")
	n.stoppedFor(d.text(stopKeys...))
	switch kind {
	case "message_start":
		m, _ := ev.object("message")
		n.claudeID = m.id("id")
		n.noteIDs("", n.claudeID, "")
		if c := n.text.current(); c.id == "" || c.id != n.claudeID {
			n.text.open(n.claudeID)
		}
		n.put(Event{Kind: EventHeartbeat})
	case "content_block_start":
		b, _ := ev.object("content_block")
		if b.text("type") == "tool_use" {
			n.startPartial(ev.id("index"), b)
			return
		}
		if isReasoning(b) {
			n.put(Event{Kind: EventHeartbeat})
			return
		}
		n.show(n.text.increment(n.claudeID, b.text("text")))
	case "content_block_stop":
		n.stopPartial(ev.id("index"))
	case "error":
		n.fail(failure(ev))
	default:
		s := d.text("text")
		if s == "" {
			s = ev.text("delta", "text")
		}
		if isReasoning(d) || isReasoning(ev) {
			s = ""
		}
		if part := d.text("partial_json"); part != "" {
			n.addPartial(ev.id("index"), part)
		}
		if s != "" {
			n.deltas = true
		}
		n.show(n.text.piece(n.claudeID, s))
	}
}

func asStringOr(raw []byte) string {
	s, _ := asString(raw)
	return s
}

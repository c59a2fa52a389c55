package client

import "slices"

// agUI takes the events of the AG-UI protocol whose names say more than their class, and
// reports whether it is one of them. Its runs begin, end and fail as others do.
//
//	{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant"}
//	{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"Hel"}
//	{"type":"TOOL_CALL_START","toolCallId":"t","toolCallName":"exec"}
//	{"type":"TOOL_CALL_ARGS","toolCallId":"t","delta":"{\"command\":"}
//	{"type":"TOOL_CALL_END","toolCallId":"t"}: the arguments end, not the call
func (n *normaliser) agUI(kind string, o object) bool {
	id := o.id("toolCallId", "tool_call_id")
	name := o.first("toolCallName", "tool_call_name")
	switch open := n.tools.partial[id] != nil; kind {
	case "text_message_start", "text_message_content", "text_message_chunk", "text_message_end":
		n.agUIText(o)
		return true
	case "tool_call_start", "tool_call_chunk":
		if name == nil && !open {
			return false
		}
		if name != nil && !(open && kind == "tool_call_chunk") {
			n.text.boundary()
			n.startPartial(id, object{"id": o.first("toolCallId", "tool_call_id"), "name": name})
		}
		n.addPartial(id, o.text("delta"))
	case "tool_call_args":
		n.addPartial(id, o.text("delta"))
	case "tool_call_end":
		if !open {
			return false
		}
		n.stopPartial(id)
		return true
	case "tool_call_result":
		if open {
			n.stopPartial(id)
		}
		return false
	default:
		return false
	}
	n.put(Event{Kind: EventHeartbeat})
	return true
}

// agUIText takes a piece of a message, or its beginning or end. A message that does not say
// whose it is, is the agent's.
func (n *normaliser) agUIText(o object) {
	id := o.id(messageKeys...)
	last := id
	setIfEmpty(&last, n.agLast) // a chunk without an id goes on with the message before
	if role := roleOf(o); role != "" && role != RoleAssistant && len(n.aside) < maxMet {
		n.aside = append(n.aside, last)
	}
	n.agLast = last
	s := o.text("delta", "content", "text")
	if s == "" || slices.Contains(n.aside, last) {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.hasKeys()
	n.deltas = true
	c, segs := n.text.current(), n.text.segs
	switch {
	case id == "" || id == c.id:
	case len(segs) > 1 && segs[len(segs)-2].id == id && c.start == len(n.text.buf): // it goes on behind a tool
	case n.text.seen[id]:
		n.show(n.text.item(id, nil, s, false))
		return
	default:
		n.text.part()
	}
	n.show(n.text.piece(id, s))
}

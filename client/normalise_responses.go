package client

import (
	"cmp"
	"strings"
)

// openResponses takes an event of OpenAI's Responses API. Texts come up to four
// times: in increments, with the part, with the item, with the response.
func (n *normaliser) openResponses(kind string, o object) {
	key := o.id("output_index", "item_id")
	part := key
	if part != "" {
		part += "/" + o.id("content_index")
	}
	switch strings.TrimPrefix(kind, "response.") {
	case "output_text.delta", "refusal.delta", "text.delta":
		if n.text.current().id != part && n.text.seen[part] { // two are written at the same time
			n.show(n.text.item(part, nil, o.text("delta", "text"), false))
			return
		}
		n.show(n.text.piece(part, o.text("delta", "text")))
	case "output_text.done", "refusal.done", "text.done":
		n.show(n.text.message(part, o.text("text", "refusal")))
	case "content_part.done":
		p, _ := o.object("part")
		n.show(n.text.message(part, partText(p)))
	case "output_item.added":
		item, _ := o.object("item")
		n.responseItem(key, item, false)
	case "output_item.done":
		item, _ := o.object("item")
		n.responseItem(key, item, true)
	case "function_call_arguments.done":
		n.itemArguments(o.id("item_id"), o["arguments"])
	case "completed", "done", "incomplete":
		r, ok := o.object("response")
		if !ok {
			r = o
		}
		if hasError(r) {
			n.fail(failure(o))
			return
		}
		if details, ok := r.object("incomplete_details"); ok || strings.HasSuffix(kind, "incomplete") {
			n.stoppedFor(cmp.Or(details.text("reason"), "length"))
		}
		if items, _ := asArray(r["output"]); len(items) > 0 {
			last, _ := asObject(items[len(items)-1])
			n.calling = stopsForTool(last.text("type"))
		}
		n.end(responseText(r))
	case "failed", "error":
		n.fail(failure(o))
	case "cancelled", "canceled", "aborted":
		n.fail(aborted(o))
	case "created", "in_progress", "queued", "content_part.added", "function_call_arguments.delta":
		n.put(Event{Kind: EventHeartbeat})
	default:
		if strings.HasPrefix(kind, "response.reasoning") {
			n.put(Event{Kind: EventHeartbeat})
			return
		}
		n.put(Event{Kind: EventUnknown})
	}
}

// responseItem takes an output item, started or complete.
func (n *normaliser) responseItem(key string, item object, whole bool) {
	switch item.text("type") {
	case "function_call", "custom_tool_call", "mcp_call":
		n.itemCall(item)
		return
	case "function_call_output", "custom_tool_call_output":
		n.toolEvent("function_call_output", item)
		return
	case "message", "":
	default:
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	parts, _ := asArray(item["content"])
	all := itemText(item)
	if !whole || all == "" || strings.HasSuffix(string(n.text.buf), all) {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	setIfEmpty(&key, item.id("id"))
	for i, raw := range parts {
		if p, ok := asObject(raw); ok {
			n.show(n.text.message(key+"/"+itoa(i), partText(p)))
		}
	}
}

func partText(p object) string {
	if p.text("type") == "refusal" {
		return p.text("refusal")
	}
	return p.text("text")
}

func itemText(item object) string {
	parts, _ := asArray(item["content"])
	var b strings.Builder
	for _, raw := range parts {
		if p, ok := asObject(raw); ok {
			b.WriteString(partText(p))
		}
	}
	return b.String()
}

func responseText(r object) string {
	items, _ := asArray(r["output"])
	var b strings.Builder
	for _, raw := range items {
		if item, ok := asObject(raw); ok && item.text("type") == "message" {
			b.WriteString(itemText(item))
		}
	}
	if b.Len() == 0 {
		return r.text("output_text")
	}
	return b.String()
}

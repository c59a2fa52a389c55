package client

// textParts are the texts that a stream of the AI SDK has begun, by their ids, and not ended.
// Two of them may be written at the same time.
//
//	{"type":"text-start","id":"a"}
//	{"type":"text-delta","id":"a","delta":"Hel"}
//	{"type":"text-end","id":"a"}
type textParts map[string]bool

// startsPart notes the beginning or the end of a text.
func (n *normaliser) startsPart(kind string, o object) {
	switch id := o.id("id"); {
	case id == "" || len(n.parts) >= maxMet:
	case kind == "text_start":
		if n.parts == nil {
			n.parts = textParts{}
		}
		n.parts[id] = true
	case n.parts != nil:
		n.parts[id] = false
	}
}

// ofPart takes a piece of a text beside which others were begun, and reports whether it is one.
func (n *normaliser) ofPart(kind string, o object) bool {
	id, s := o.id("id"), o.text("delta", "text")
	if kind != "text_delta" || !n.parts[id] || s == "" {
		return false
	}
	c := n.text.current()
	switch {
	case c.id == id:
	case n.text.seen[id], c.start < len(n.text.buf) && n.parts[c.id]:
		n.hasKeys()
		n.deltas = true
		n.show(n.text.item(id, nil, s, false))
		return true
	default:
		n.text.open(id)
	}
	n.piece(kind, "delta", s)
	return true
}

package client

import "github.com/go-json-experiment/json/jsontext"

// eventList gives the events of a stream that a service collected and sends as one JSON list,
// or as the events of one object. A list of messages, or of a message's blocks, is none.
func eventList(body []byte) (events []jsontext.Value, ok bool) {
	if o, isObject := asObject(body); isObject {
		body = o["events"]
	}
	events, _ = asArray(body)
	for _, raw := range events {
		o, isObject := asObject(raw)
		if !isObject || o.text("role") != "" {
			return nil, false
		}
		ok = ok || isEvent(o)
	}
	return events, ok
}

func isEventList(body []byte) bool {
	_, ok := eventList(body)
	return ok
}

// isEvent reports whether an object is more than a message, or a block of one.
func isEvent(o object) bool {
	if isChat(o) || isAgent(o) || o.text("event") != "" || o.first("delta", "deltaText") != nil {
		return true
	}
	if choices, _ := asArray(o["choices"]); len(choices) > 0 {
		c, _ := asObject(choices[0])
		return c["delta"] != nil
	}
	switch classOf(canonical(o.text("type"))) {
	case classFinal, classError, classAborted, classStatus, classIDs, classAlive:
		return true
	}
	return false
}

// kindInList gives the kind of an event in a list that has a name: the event's own says more.
func kindInList(kind string, o object) string {
	if c := classOf(canonical(o.text("type", "event"))); c != classText && c != classUnknown {
		return "message"
	}
	return kind
}

// list takes the events of one.
func (n *normaliser) list(events []jsontext.Value) {
	for _, raw := range events {
		if !n.stopped {
			n.frame(frame{data: raw})
		}
	}
}

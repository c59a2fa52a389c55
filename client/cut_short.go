package client

import "strings"

// What is told about a reply that ended before the agent was done.
const (
	NoteLimit  = "the model reached the longest answer that it may give: the reply stops in the middle"
	NoteFilter = "the model's content filter cut the reply short"
)

// cutShort gives what is told about a reply that ended for a reason; "" for nothing.
func cutShort(reason string) string {
	switch strings.ToLower(reason) {
	case "length", "max_tokens", "maxtokens", "max_output_tokens", "model_length":
		return NoteLimit
	case "content_filter", "contentfilter", "safety":
		return NoteFilter
	}
	return ""
}

// stoppedFor takes the reason for which a message of the model ended. Others may follow,
// and the last one counts.
func (n *normaliser) stoppedFor(reason string) {
	if reason != "" {
		n.cut = cutShort(reason)
	}
}

// replyCut looks for the reason in an answer that came whole.
func replyCut(o object) string {
	if choices, _ := asArray(o["choices"]); len(choices) > 0 {
		o, _ = asObject(choices[0])
	}
	if inner, ok := o.object("result", "message"); ok && o.text(stopKeys...) == "" {
		o = inner
	}
	return cutShort(o.text(stopKeys...))
}

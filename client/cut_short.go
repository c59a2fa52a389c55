package client

import (
	"slices"
	"strings"
)

// What is told about a reply that ended before the agent was done.
const (
	NoteLimit  = "the model reached the longest answer that it may give: the reply stops in the middle"
	NoteFilter = "the model's content filter cut the reply short"
	// NoteCalling is for a run that ended all the same.
	NoteCalling = "the run ended where the model called a tool: read_chat_history shows whether the agent went on"
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
		n.cut, n.calling = cutShort(reason), stopsForTool(reason)
	}
}

// stopsForTool reports whether a message of the model ended to call a tool.
func stopsForTool(reason string) bool {
	switch canonical(reason) {
	case "tool_calls", "toolcalls", "tool_use", "tooluse", "function_call":
		return true
	}
	return false
}

// outcome is what an end says of how the reply ended. The zero value is: well.
type outcome struct {
	err     *Error // the agent failed
	cut     string // what is told about a reply that is not whole
	calling bool   // the model stopped to call a tool
	open    bool   // the agent is still at work
}

// outcomeOf reads an end, or an answer that is the whole reply.
func outcomeOf(o object) (end outcome) {
	if failed(o) || hasError(o) || hasErrors(o) {
		return outcome{err: failure(o)}
	}
	if r, ok := o.object("result"); ok && (failed(r) || hasError(r) || classOf(canonical(r.text("status", "state"))) == classError) {
		return outcome{err: failure(r)}
	}
	for _, reason := range []string{o.text("status"), o.text(stopKeys...), o.text("reason")} {
		switch word := canonical(reason); {
		case classOf(word) == classError:
			return outcome{err: failure(o)}
		case classOf(word) == classAborted || slices.Contains([]string{"interrupted", "timeout", "timed_out"}, word):
			return outcome{err: aborted(o)}
		case cutShort(reason) != "":
			end.cut = cutShort(reason)
		case stopsForTool(reason):
			end.calling = true
			return end
		case word == "incomplete" || word == "partial":
			end.cut = NotePartial
		}
	}
	if end.cut == "" && o.flag("partial", "truncated", "incomplete", "timed_out", "timedOut") {
		end.cut = NotePartial
	}
	return end
}

// outcomeOfWhole looks for it within an answer that has the reply's text somewhere.
func outcomeOfWhole(o object, depth int) outcome {
	end := outcomeOf(o)
	word := canonical(o.text("status", "state"))
	ofSession := word != "processing" && word != "in_progress" && slices.Contains(acceptedWords, word) // it may be
	end.open = end.cut == "" && isUnfinished(o) && !ofSession
	if o.text(replyKeys[:len(replyKeys)-1]...) != "" {
		return end // what else there is is about something else
	}
	var inside []object
	if choices, _ := asArray(o["choices"]); len(choices) > 0 {
		choice, _ := asObject(choices[0])
		inside = append(inside, choice)
	}
	for _, k := range []string{"data", "result", "payload", "response", "message", "assistant_message", "assistantMessage"} {
		if inner, ok := o.object(k); ok {
			inside = append(inside, inner)
		}
	}
	for _, inner := range inside {
		if end != (outcome{}) || depth >= maxNesting {
			break
		}
		end = outcomeOfWhole(inner, depth+1)
	}
	return end
}

// aborted makes the error of a run that somebody or something ended.
func aborted(o object) *Error {
	e := failure(o)
	e.Code = "aborted"
	if o.text("message") == "" && o.first("error", "errorMessage", "reason") == nil {
		e.Message = "the agent's run was aborted"
	}
	return e
}

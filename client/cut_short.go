package client

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// What is told about a reply that ended before the agent was done.
const (
	NoteLimit  = "the model reached the longest answer that it may give: the reply stops in the middle"
	NoteFilter = "the model's content filter cut the reply short"
	NoteTurns  = "the agent reached the most turns that it may take: the reply may stop in the middle"
	// NoteStopped is for a run that somebody stopped, if that was not its own end.
	NoteStopped = "the service says that the run was stopped: the reply may be incomplete"
	// NoteShortened is for a message of which the history has less than was said.
	NoteShortened = "the service's history has only the beginning of this message: its text is incomplete"
	// NoteCalling is for a run that ended all the same.
	NoteCalling = "the run ended where the model called a tool: read_chat_history shows whether the agent went on"
)

// cutShort gives what is told about a reply that ended for a reason; "" for nothing.
func cutShort(reason string) string {
	switch strings.ToLower(reason) {
	case "length", "max_tokens", "maxtokens", "max_output_tokens", "model_length":
		return NoteLimit
	case "content_filter", "contentfilter", "safety", "refusal", "recitation", "blocklist", "prohibited_content", "spii":
		return NoteFilter
	case "abort", "insufficient_system_resource", "malformed_function_call":
		return NoteStopped
	case "max_turns", "maxturns", "max_steps", "max_iterations", "max_turn_requests":
		return NoteTurns
	}
	return ""
}

// stoppedFor takes the reason for which a message of the model ended. Others may follow,
// and the last one counts.
func (n *normaliser) stoppedFor(reason string) {
	if reason != "" {
		n.cut, n.calling = cutShort(reason), stopsForTool(reason)
		n.rested = !n.calling
	}
}

// stopsForTool reports whether a message of the model ended to call a tool, or in a pause: it goes on.
func stopsForTool(reason string) bool {
	switch canonical(reason) {
	case "tool_calls", "toolcalls", "tool_use", "tooluse", "function_call", "pause_turn":
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
	if o.flag(abortKeys...) || strings.HasPrefix(strings.ToUpper(o.text("signal")), "SIG") {
		return outcome{err: aborted(o)}
	}
	if meta, ok := o.object("meta"); ok && meta.flag(abortKeys...) {
		return outcome{err: aborted(meta)}
	} else if ok {
		end.cut = cutShort(meta.text(stopKeys...))
	}
	status, reason := o.text("status"), o.text("reason")
	if gaveUpWaiting(reason) {
		return outcome{open: true}
	}
	for _, reason := range []string{status, o.text("state"), o.text("outcome"), o.text(stopKeys...), reason} {
		switch word := canonical(reason); {
		case classOf(word) == classError:
			return outcome{err: failure(o)}
		case isAborted(word):
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
	if end.cut == "" && canonical(status) == "stopped" {
		end.cut = NoteStopped
	}
	if end.cut == "" && o.flag("partial", "truncated", "incomplete", "timed_out", "timedOut", "timeout") {
		end.cut = NotePartial
	}
	return end
}

// gaveUpWaiting recognises why a stream ended before the run that it was about, which goes on.
func gaveUpWaiting(reason string) bool {
	switch canonical(reason) {
	case "timeout", "stream_timeout", "wait_timeout", "idle_timeout", "connection_timeout", "request_timeout", "proxy_timeout", "max_duration":
		return true
	}
	return false
}

// endsOpen reports whether an end says that it is none.
func endsOpen(o object) bool {
	return isUnfinished(o) && (!mayBeOfSession(o) || isRemark(o.text(flatKeys...))) || saysBusy(o) || canonical(o.text("run_status", "runStatus")) == "running"
}

// mayBeOfSession reports whether a status stands beside a text that it may say nothing of:
// {"type":"done","status":"running","reply":"…"}.
func mayBeOfSession(o object) bool {
	text, word := o.text(flatKeys...), canonical(o.text("status", "state"))
	return text != "" && o.text("role") == "" && !isPlaceholder(text) &&
		word != "processing" && word != "in_progress" && slices.Contains(acceptedWords, word)
}

// isAborted recognises the words for a run that somebody or something ended.
func isAborted(word string) bool {
	return classOf(word) == classAborted || slices.Contains([]string{"interrupted", "killed", "timeout", "timed_out"}, word)
}

var abortKeys = []string{"aborted", "cancelled", "canceled", "interrupted", "killed"}

// outcomeOfWhole looks for it within an answer that has the reply's text somewhere.
func outcomeOfWhole(o object, depth int) outcome {
	end := outcomeOf(o)
	end.open = end.open || end.cut == "" && isUnfinished(o)
	return end.orInside(o, depth)
}

// flatKeys are the names of a reply's text that are not those of a remark.
var flatKeys = replyKeys[:len(replyKeys)-1]

// orInside looks for what an answer or an end does not say itself where its text is.
func (end outcome) orInside(o object, depth int) outcome {
	if o.text(flatKeys...) != "" {
		return end // what else there is is about something else
	}
	var inside []object
	if choices, _ := asArray(o["choices"]); len(choices) > 0 {
		choice, _ := asObject(choices[0])
		inside = append(inside, choice)
	}
	for _, k := range []string{"data", "result", "payload", "response", "message", "assistant_message", "assistantMessage"} {
		inner, ok := o.object(k)
		role := roleOf(inner)
		if !ok || role != "" && role != RoleAssistant {
			continue
		}
		if strings.HasSuffix(strings.ToLower(k), "message") {
			inner["role"] = jsontext.Value(`"assistant"`) // its status is its own
		}
		inside = append(inside, inner)
	}
	for _, inner := range inside {
		if end != (outcome{}) || depth >= maxNesting {
			break
		}
		end = outcomeOfWhole(inner, depth+1)
	}
	return end
}

const codeAborted = "aborted"

// aborted makes the error of a run that somebody or something ended.
func aborted(o object) *Error {
	e := failure(o)
	e.Code = codeAborted
	if o.text("message") == "" && o.first("error", "errorMessage", "reason") == nil {
		e.Message = "the agent's run was aborted"
	}
	return e
}

package client

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeMessage reads one message of a history, bare or wrapped in
// {"message":{…}} or {"data":{…}}. Raw is the value as it came, wrapper
// included. An object that has nothing of a message is an error that names its
// keys.
func decodeMessage(raw jsontext.Value) (Message, error) {
	o, ok := asObject(raw)
	if !ok {
		return Message{}, shapeError("message", raw)
	}
	outer := o
	for range maxNesting {
		if o.text("role") != "" {
			break
		}
		inner, ok := o.object("message", "data")
		if !ok {
			break
		}
		o = inner
	}
	if o.first("role", "content", "text", "message", "body", "id", "tool_calls") == nil {
		return Message{}, shapeError("message", raw)
	}
	m := Message{
		ID:         o.id("id", "message_id", "messageId"),
		SessionID:  o.id(sessionKeys...),
		Role:       roleOf(o),
		ToolCallID: o.id("toolCallId", "tool_call_id", "toolUseId", "tool_use_id"),
		ToolName:   o.text("toolName", "tool_name"),
		IsError:    o.flag("isError", "is_error"),
		Turn:       turnOf(o),
		ReplyTo:    o.id(replyToKeys...),
		CreatedAt:  o.time(createdKeys...),
		Raw:        bytes.Clone(raw),
	}
	setIfEmpty(&m.ID, outer.id("id", "message_id", "messageId"))
	setIfEmpty(&m.SessionID, outer.id(sessionKeys...))
	if m.CreatedAt.IsZero() {
		m.CreatedAt = outer.time(createdKeys...)
	}
	if m.Role == RoleTool {
		setIfEmpty(&m.ToolName, o.text("name"))
	}
	for _, k := range []string{"content", "text", "message", "body"} {
		if m.Text = contentText(o[k]); m.Text != "" {
			break
		}
	}
	if isReasoning(o) {
		m.Text = ""
	}
	m.ToolCalls = decodeToolCalls(o)
	m.Cut = cutShort(o.text(stopKeys...))
	m.Unasked = o.flag(heartbeatKeys...) || outer.flag(heartbeatKeys...) || ofHeartbeat(m.Turn)
	switch reason := strings.ToLower(o.text(stopKeys...)); reason {
	case "error", "aborted":
		m.Failure = o.text("errorMessage", "error_message")
		setIfEmpty(&m.Failure, "the reply ended with "+reason)
	case "stop", "end_turn", "endturn", "length", "max_tokens", "stop_sequence":
		m.Ended = m.Role == RoleAssistant
	case "tooluse", "tool_use", "tool_calls":
		m.Working = true
	}
	switch strings.ToLower(o.text("status", "state")) {
	case "in_progress", "inprogress", "streaming", "generating", "processing", "running", "pending", "incomplete":
		m.Working, m.Ended = m.Role != RoleUser, false
	}
	// OpenClaw's gateway keeps what an aborted run had said as if that had been its end,
	// and what was said before a tool call apart from the call.
	if abort, ok := o.object("openclawAbort"); ok && abort.flag("aborted") {
		m.Failure, m.Ended = "the agent's run was aborted", false
	}
	if part, ok := o.object("openclawStreamFallback"); ok && part.text("source") == "segment" {
		m.Working = true
	}
	return m, nil
}

// turnOf gives the run that a message of a history is of. OpenClaw's gateway keeps it
// beside the message, and with the question as the key under which that was sent.
func turnOf(o object) string {
	turn := o.id("runId", "run_id", "turnId", "turn_id")
	if beside, ok := o.object("__openclaw"); ok {
		setIfEmpty(&turn, beside.id("runId"))
	}
	if key, isQuestion := strings.CutSuffix(o.id("idempotencyKey"), ":user"); isQuestion {
		setIfEmpty(&turn, key)
	}
	return turn
}

// roleOf says who wrote a message: its role, or a sender or author that has the
// name of a role. It is "" where nothing says so.
func roleOf(o object) Role {
	if s := o.text("role"); s != "" {
		return decodeRole(s)
	}
	for _, k := range []string{"sender", "author", "from"} {
		name := o.text(k)
		if who, ok := o.object(k); ok {
			name = who.text("role", "type", "kind", "name")
		}
		if role, known := knownRole(name); known {
			return role
		}
	}
	return ""
}

// decodeRole folds the spellings of a known role and keeps every other.
func decodeRole(s string) Role {
	if role, known := knownRole(s); known {
		return role
	}
	return Role(s)
}

func knownRole(s string) (Role, bool) {
	switch strings.ToLower(s) {
	case "user", "human":
		return RoleUser, true
	case "assistant", "agent", "bot", "ai", "model":
		return RoleAssistant, true
	case "system":
		return RoleSystem, true
	case "tool", "toolresult", "tool_result", "function":
		return RoleTool, true
	}
	return "", false
}

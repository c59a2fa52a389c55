package client

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeMessage reads one message of a history. An object that has nothing of a message is
// an error that names its keys.
func decodeMessage(raw jsontext.Value) (Message, error) {
	o, outer, ok := messageObjects(raw)
	if !ok {
		return Message{}, shapeError("message", raw)
	}
	if o.first("role", "content", "text", "message", "body", "parts", "id", "tool_calls") == nil {
		return Message{}, shapeError("message", raw)
	}
	if blocks := storedBlocks(o["content"]); blocks != nil {
		o["content"] = blocks
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
	}
	setIfEmpty(&m.ID, outer.id("id", "message_id", "messageId"))
	setIfEmpty(&m.SessionID, outer.id(sessionKeys...))
	if m.CreatedAt.IsZero() {
		m.CreatedAt = outer.time(createdKeys...)
	}
	if m.Role == RoleTool {
		setIfEmpty(&m.ToolName, o.text("name"))
	}
	for _, k := range contentKeys {
		if m.Text = contentText(o[k]); m.Text != "" {
			break
		}
	}
	beside, _ := o.object("metadata", "meta")
	if isReasoning(o) || isReasoning(beside) {
		m.Text = ""
	}
	if m.Role == RoleAssistant || m.Role == "" {
		m.Text = withoutThoughts(m.Text)
	}
	m.takeToolResults(o)
	m.takeShortened(o)
	m.Attachments = decodeAttachments(o)
	m.ToolCalls = decodeToolCalls(o)
	m.Cut = cutShort(o.text(stopKeys...))
	m.Unasked = o.flag(heartbeatKeys...) || outer.flag(heartbeatKeys...) || ofHeartbeat(m.Turn) || isHelpers(o) || m.Role != RoleUser && isWithdrawn(o)
	switch reason := strings.ToLower(o.text(stopKeys...)); reason {
	case "error", "aborted":
		m.Failure = o.text("errorMessage", "error_message")
		setIfEmpty(&m.Failure, "the reply ended with "+reason)
	case "stop", "end_turn", "endturn", "length", "max_tokens", "stop_sequence":
		m.Ended = m.Role == RoleAssistant
	default:
		m.Working = stopsForTool(reason)
	}
	m.Working = m.Working || waitsForPart(o)
	if m.Draft = draftOf(o); m.Draft != NotDraft {
		m.Working, m.Ended = m.Role != RoleUser, false
	}
	switch m.Role {
	case RoleAssistant:
		if isPlaceholder(m.Text) && !m.Ended && !isEndMark(o.text("status", "state")) {
			m.Working, m.Draft = true, IsDraft
		}
		for _, k := range []string{"type", "kind", "message_type", "messageType"} {
			m.takeKind(canonical(o.text(k)))
			m.takeKind(canonical(beside.text(k)))
		}
		m.takeEnd(o)
	case RoleSystem:
		m.takeFailure(o)
	case "error":
		m.Role, m.Failure = RoleSystem, m.Text
		m.takeFailure(o)
	}
	// OpenClaw's gateway keeps what an aborted run had said as if that had been its end,
	// and what was said before a tool call apart from the call.
	if abort, ok := o.object("openclawAbort"); ok && abort.flag("aborted") {
		m.Failure, m.Ended = "the agent's run was aborted", false
	}
	if part, ok := o.object("openclawStreamFallback"); ok && part.text("source") == "segment" {
		m.Working = true
	}
	if m.Mirror = m.Role == RoleAssistant && isMirror(o); m.Mirror {
		m.Ended = false
	}
	return m, nil
}

// messageObjects gives the object of a message, and the outermost one where it is wrapped in
// {"message":{…}} or {"data":{…}}.
func messageObjects(raw jsontext.Value) (o, outer object, ok bool) {
	if o, ok = asObject(raw); !ok {
		return nil, nil, false
	}
	outer = o
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
	return o, outer, true
}

// takeKind takes what may be the kind of an assistant's row that is something other than a
// message.
func (m *Message) takeKind(kind string) {
	switch {
	case kind == "":
	case kind == "tool_result" || kind == "toolresult" || kind == "tool_output" || kind == "function_call_output":
		m.Role, m.Ended = RoleTool, false
	case classOf(kind) == classTool || kind == "tooluse":
		m.Text, m.Working, m.Ended = "", true, false
	case kind == "status" || kind == "progress" || kind == "notice" || kind == "event" || kind == "log" ||
		kind == "title" || kind == "summary" || kind == "compaction" || kind == "reaction" || kind == "approval_request":
		m.Role, m.Ended = RoleSystem, false
	case kind == "error" && m.Failure == "":
		m.Failure, m.Text = m.Text, ""
	}
}

// takeEnd reads how the reply ended.
func (m *Message) takeEnd(o object) {
	m.takeFailure(o)
	switch {
	case m.Failure != "":
	case m.Shortened:
		setIfEmpty(&m.Cut, NoteShortened)
	case o.flag("truncated", "isTruncated", "is_truncated"):
		setIfEmpty(&m.Cut, NotePartial)
	}
	if m.Failure != "" {
		m.Ended, m.Working = false, false
	}
}

// takeFailure reads what a message says of the reply's failure. Services that keep it as a
// message of the system say so with a kind, a level or the first word of the text.
func (m *Message) takeFailure(o object) {
	if m.Role == RoleSystem && (canonical(o.text("type", "kind", "level", "severity", "subtype")) == "error" || strings.HasPrefix(strings.ToLower(m.Text), "error:")) {
		setIfEmpty(&m.Failure, m.Text)
	}
	class := classOf(canonical(o.text("status", "state")))
	bad := class == classError || class == classAborted
	if bad || m.IsError || hasError(o) {
		e := decodeErrorObject(object{"error": o["error"], "message": o["errorMessage"]}, 0)
		setIfEmpty(&m.Failure, e.Message)
	}
	switch {
	case bad:
		setIfEmpty(&m.Failure, "the reply ended with "+strings.ToLower(o.text("status", "state")))
	case m.IsError:
		setIfEmpty(&m.Failure, "the reply ended with an error")
	}
}

// isPlaceholder recognises what stands in a history where a reply is going to be.
func isPlaceholder(s string) bool {
	word, dots := strings.CutSuffix(strings.TrimSpace(s), "...")
	if !dots {
		word, dots = strings.CutSuffix(word, "…")
	}
	switch strings.ToLower(word) {
	case "", "thinking", "typing", "working", "processing", "generating", "loading", "please wait":
		return dots
	}
	return false
}

// isUnfinished reports whether a message says that it is still being written.
func isUnfinished(o object) bool {
	switch canonical(o.text("status", "state")) {
	case "in_progress", "inprogress", "streaming", "generating", "processing", "running", "pending", "incomplete",
		"queued", "started", "thinking", "working", "writing", "typing", "partial", "draft":
		return true
	}
	return o.flag("streaming", "isStreaming", "is_streaming", "partial", "isPartial", "is_partial", "in_progress", "inProgress",
		"generating", "isGenerating", "is_generating", "incomplete", "pending", "isPending", "is_pending") ||
		slices.ContainsFunc([]string{"complete", "completed", "isComplete", "is_complete", "finished", "isFinished", "is_finished",
			"done", "isDone", "is_done", "final", "isFinal", "is_final"}, func(k string) bool { return isBool(o[k], "false") })
}

// saysBusy reports whether what describes a session says that its agent is at work.
func saysBusy(o object) bool {
	switch canonical(o.text("status", "state", "agent_status", "agentStatus", "run_status", "runStatus")) {
	case "busy", "processing", "generating", "streaming", "thinking", "working", "in_progress", "responding", "executing":
		return true
	}
	if run, there := o.object("active_run", "activeRun", "current_run", "currentRun"); there && len(run) > 0 || o.id("active_run", "activeRun", "active_run_id", "activeRunId") != "" {
		return true
	}
	return o.flag("busy", "isBusy", "is_busy", "generating", "isGenerating", "is_generating", "processing", "isProcessing", "is_processing", "streaming",
		"isStreaming", "is_streaming", "running", "isRunning", "is_running", "hasActiveRun", "has_active_run", "typing", "isTyping", "is_typing")
}

// isWithdrawn reports whether a message is not to be seen, or not any more.
func isWithdrawn(o object) bool {
	switch canonical(o.text("status", "state")) {
	case "deleted", "removed", "superseded", "replaced", "discarded", "retracted", "hidden":
		return true
	}
	switch canonical(o.text("visibility")) {
	case "internal", "hidden", "none":
		return true
	}
	return o.flag("ephemeral", "isEphemeral", "is_ephemeral", "isMeta", "is_meta", "deleted", "isDeleted", "is_deleted", "superseded", "isSuperseded", "is_superseded", "replaced", "retracted",
		"hidden", "isHidden", "is_hidden", "internal", "isInternal", "is_internal") ||
		isBool(o["visible"], "false") || isBool(o["display"], "false") || o.text("deleted_at", "deletedAt") != ""
}

// isHelpers reports whether a message is of a helper of the agent's, as Claude Code keeps them.
func isHelpers(o object) bool {
	return o.flag("isSidechain", "is_sidechain") || o.id("parent_tool_use_id", "parentToolUseId") != ""
}

// storedBlocks gives the blocks of a content that is stored as the JSON of them, or nil.
func storedBlocks(content jsontext.Value) jsontext.Value {
	s, ok := asString(content)
	if !ok || !strings.HasPrefix(s, "[{") {
		return nil
	}
	blocks, ok := asArray([]byte(s))
	if !ok || slices.ContainsFunc(blocks, func(raw jsontext.Value) bool { return !isBlock(raw) }) {
		return nil
	}
	return jsontext.Value(s)
}

// isBlock recognises what messages consist of.
func isBlock(raw jsontext.Value) bool {
	o, ok := asObject(raw)
	if !ok {
		return false
	}
	switch kind := o.text("type"); kind {
	case "text", "output_text", "input_text":
		return kindOf(o["text"]) == '"'
	case "toolCall", "tool_call", "toolUse", "tool_use", "function_call", "tool_result", "toolResult":
		return true
	default:
		return slices.Contains(attachmentKinds, kind) || namesReasoning(canonical(kind))
	}
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
	if role, known := knownRole(o.text("type")); known {
		return role
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
	case "user", "human", "client", "customer":
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

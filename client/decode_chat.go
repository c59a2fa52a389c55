package client

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"openclaw-mcp/internal/jsonspan"
)

// maxNesting bounds how many wrappers around an answer are opened.
const maxNesting = 6

var (
	sessionKeys = []string{"session_id", "sessionId"}
	messageKeys = []string{"message_id", "messageId"}
	runKeys     = []string{"runId", "run_id"}
	createdKeys = []string{"created_at", "createdAt", "timestamp", "time", "date"}
	updatedKeys = []string{"updated_at", "updatedAt", "last_message_at", "lastMessageAt"}
	// replyKeys are the names of a reply's text. message comes last: beside
	// another one it is a remark of the service.
	replyKeys = []string{"reply", "response", "content", "text", "output", "answer", "message"}
)

// decodeReply reads the answer to POST …/chat, in any known form. Where it
// holds no text, the error matches [ErrNoText] and the Reply carries the ids
// that there were; an answer that reports a failure gives that as an *Error.
func decodeReply(body []byte) (Reply, error) {
	if !jsonspan.Valid(body) {
		if kindOf(body) == 0 {
			return Reply{}, noText(body)
		}
		return Reply{}, &Error{Message: "the answer is " + describe(body) + " where a chat reply was expected"}
	}
	var r Reply
	fillReply(&r, body, 0)
	if r.Text != "" {
		return r, nil
	}
	if o, ok := asObject(body); ok {
		if e := replyFailure(o); e != nil {
			return r, e
		}
	}
	return r, noText(body)
}

func noText(body []byte) *Error {
	return &Error{Message: "the answer holds no reply text: it is " + describe(body), Err: ErrNoText}
}

// replyFailure finds what says that the run failed: an error, success:false,
// or the status of a run of the OpenClaw gateway.
func replyFailure(o object) *Error {
	switch strings.ToLower(o.text("status", "state")) {
	case "error", "failed", "aborted", "timeout":
	default:
		if !o.denied() && !hasError(o) {
			return nil
		}
	}
	e := decodeErrorObject(o, 0)
	if e.Message == "" {
		e.Message = o.text("errorMessage", "summary")
	}
	if e.Message == "" {
		e.Message = "the agent's run failed"
		if s := o.text("status", "state"); s != "" {
			e.Message += ": " + s
		}
	}
	return e
}

// fillReply looks for the reply in one JSON value, outermost first, and adds
// what it finds to r.
func fillReply(r *Reply, raw json.RawMessage, depth int) {
	if depth > maxNesting || r.Text != "" {
		return
	}
	switch kindOf(raw) {
	case '"':
		r.Text, _ = asString(raw)
		return
	case '[':
		fillFromList(r, raw)
		return
	case '{':
	default:
		return
	}
	o, ok := asObject(raw)
	if !ok {
		return
	}
	setIfEmpty(&r.SessionID, o.id(sessionKeys...))
	if s, ok := o.object("session"); ok {
		setIfEmpty(&r.SessionID, s.id("id"))
	}
	setIfEmpty(&r.MessageID, o.id(messageKeys...))
	setIfEmpty(&r.RunID, o.id(runKeys...))

	for _, k := range []string{"assistant_message", "assistantMessage", "message"} {
		if kindOf(o[k]) == '{' {
			fillFromMessage(r, o[k])
		}
	}
	if r.Text == "" && o.text("role") != "" {
		fillFromMessage(r, raw)
		return
	}
	if r.Text == "" && kindOf(o["messages"]) == '[' {
		fillFromList(r, o["messages"])
	}
	if choices, ok := asArray(o["choices"]); ok && r.Text == "" && len(choices) > 0 {
		if c, ok := asObject(choices[0]); ok {
			if kindOf(c["message"]) == '{' {
				fillFromMessage(r, c["message"])
			}
			setIfEmpty(&r.Text, c.text("text"))
		}
	}
	if payloads, ok := asArray(o["payloads"]); ok && r.Text == "" {
		r.Text = joinPayloads(payloads)
	}
	for _, k := range replyKeys {
		if r.Text != "" {
			return
		}
		switch kindOf(o[k]) {
		case '"':
			r.Text, _ = asString(o[k])
		case '[':
			if r.Text = contentText(o[k]); r.Text == "" {
				fillFromList(r, o[k])
			}
		case '{':
			if k != "message" { // looked at above, and it may be the user's
				fillReply(r, o[k], depth+1)
			}
		}
	}
	for _, k := range []string{"result", "data", "payload"} {
		fillReply(r, o[k], depth+1)
	}
}

// fillFromMessage takes the text of a message unless somebody else than the
// agent wrote it.
func fillFromMessage(r *Reply, raw json.RawMessage) {
	m, err := decodeMessage(raw)
	if err != nil || m.Role == RoleUser || m.Role == RoleSystem || m.Role == RoleTool {
		return
	}
	setIfEmpty(&r.SessionID, m.SessionID)
	setIfEmpty(&r.MessageID, m.ID)
	r.ToolCalls = append(r.ToolCalls, m.ToolCalls...)
	setIfEmpty(&r.Text, m.Text)
}

// fillFromList takes the last text of the agent behind the last message of the
// user, and all tool calls on the way there, with their results.
func fillFromList(r *Reply, raw json.RawMessage) {
	items, _ := asArray(raw)
	var run []Message
	for _, item := range items {
		if kindOf(item) != '{' {
			continue
		}
		m, err := decodeMessage(item)
		if err != nil {
			continue
		}
		if m.Role == RoleUser {
			run = run[:0]
			continue
		}
		run = append(run, m)
	}
	for _, m := range run {
		if m.Role == RoleTool {
			for i := range r.ToolCalls {
				if c := &r.ToolCalls[i]; c.ID != "" && c.ID == m.ToolCallID {
					c.Result, c.IsError = m.Text, m.IsError
				}
			}
			continue
		}
		setIfEmpty(&r.SessionID, m.SessionID)
		r.ToolCalls = append(r.ToolCalls, m.ToolCalls...)
		if m.Text != "" && m.Role != RoleSystem {
			r.Text, r.MessageID = m.Text, m.ID
		}
	}
}

// joinPayloads joins the texts of a gateway's result. Each is a message of its
// own, so a blank line keeps them apart.
func joinPayloads(payloads []json.RawMessage) string {
	var texts []string
	for _, p := range payloads {
		if o, ok := asObject(p); ok {
			if t := o.text("text", "content"); t != "" {
				texts = append(texts, t)
			}
		} else if t, ok := asString(p); ok && t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n\n")
}

// decodeMessage reads one message of a history, bare or wrapped in
// {"message":{…}} or {"data":{…}}. Raw is the value as it came, wrapper
// included. An object that has nothing of a message is an error that names its
// keys.
func decodeMessage(raw json.RawMessage) (Message, error) {
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
		Role:       decodeRole(o.text("role")),
		ToolCallID: o.id("toolCallId", "tool_call_id", "toolUseId", "tool_use_id"),
		ToolName:   o.text("toolName", "tool_name"),
		IsError:    o.flag("isError", "is_error"),
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
	m.ToolCalls = decodeToolCalls(o)
	if reason := strings.ToLower(o.text("stopReason", "stop_reason")); reason == "error" || reason == "aborted" {
		m.Failure = o.text("errorMessage", "error_message")
		setIfEmpty(&m.Failure, "the reply ended with "+reason)
	}
	return m, nil
}

// decodeRole folds the spellings of a known role and keeps every other.
func decodeRole(s string) Role {
	switch strings.ToLower(s) {
	case "user", "assistant", "system":
		return Role(strings.ToLower(s))
	case "tool", "toolresult", "tool_result", "function":
		return RoleTool
	}
	return Role(s)
}

// contentText gives the text of a message's content: a string, a block, or
// the text blocks of a list (thinking, images and tool calls are not text),
// which a line break keeps apart.
func contentText(raw json.RawMessage) string {
	switch kindOf(raw) {
	case '"':
		s, _ := asString(raw)
		return s
	case '{':
		return blockText(raw)
	case '[':
		items, _ := asArray(raw)
		var texts []string
		for _, item := range items {
			t, ok := asString(item)
			if !ok {
				t = blockText(item)
			}
			if t != "" {
				texts = append(texts, t)
			}
		}
		return strings.Join(texts, "\n")
	}
	return ""
}

func blockText(raw json.RawMessage) string {
	o, ok := asObject(raw)
	if !ok {
		return ""
	}
	switch o.text("type") {
	case "", "text", "output_text", "input_text":
		return o.text("text", "content")
	}
	return ""
}

// decodeToolCalls reads the calls that a message makes, from the blocks of its
// content or from OpenAI's tool_calls.
func decodeToolCalls(o object) []ToolCall {
	var calls []ToolCall
	blocks, _ := asArray(o["content"])
	for _, raw := range blocks {
		b, ok := asObject(raw)
		if !ok {
			continue
		}
		switch b.text("type") {
		case "toolCall", "tool_call", "toolUse", "tool_use", "function_call":
			calls = append(calls, decodeToolCall(b))
		}
	}
	listed, _ := asArray(o.first("tool_calls", "toolCalls"))
	for _, raw := range listed {
		if b, ok := asObject(raw); ok {
			calls = append(calls, decodeToolCall(b))
		}
	}
	return calls
}

func decodeToolCall(b object) ToolCall {
	c := ToolCall{
		ID:      b.id("toolCallId", "tool_call_id", "call_id", "id"),
		Name:    b.text("name", "toolName", "tool_name"),
		Result:  contentText(b.first("result", "output")),
		IsError: b.flag("isError", "is_error"),
	}
	args := b.first("arguments", "args", "input")
	if f, ok := b.object("function"); ok {
		setIfEmpty(&c.Name, f.text("name"))
		if args == nil {
			args = f.first("arguments", "args")
		}
	}
	// OpenAI sends the arguments as JSON inside a string.
	if s, ok := asString(args); ok && jsonspan.Valid([]byte(s)) {
		args = json.RawMessage(s)
	}
	c.Arguments = bytes.Clone(args)
	return c
}

// orderMessages sorts by time and drops what comes twice. A message without a
// time stays behind the one that it followed. The same id is the same message,
// of which the last form counts; without ids it takes the same role, text and
// time.
func orderMessages(in []Message) []Message {
	type key struct {
		id   string
		role Role
		text string
		at   int64
	}
	seen := make(map[key]int, len(in))
	out := make([]Message, 0, len(in))
	for _, m := range in {
		k := key{id: m.ID}
		if m.ID == "" {
			if m.CreatedAt.IsZero() {
				out = append(out, m) // saying the same twice is no repetition
				continue
			}
			k = key{role: m.Role, text: m.Text, at: m.CreatedAt.UnixNano()}
		}
		if i, ok := seen[k]; ok {
			out[i] = m
			continue
		}
		seen[k] = len(out)
		out = append(out, m)
	}
	type timed struct {
		Message
		at time.Time
	}
	sorted := make([]timed, len(out))
	var last time.Time
	for i, m := range out {
		if !m.CreatedAt.IsZero() {
			last = m.CreatedAt
		}
		sorted[i] = timed{m, last}
	}
	slices.SortStableFunc(sorted, func(a, b timed) int { return a.at.Compare(b.at) })
	for i := range sorted {
		out[i] = sorted[i].Message
	}
	return out
}

// setIfEmpty keeps what was found first.
func setIfEmpty(dst *string, s string) {
	if *dst == "" {
		*dst = s
	}
}

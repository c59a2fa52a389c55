package client

import (
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxNesting bounds how many wrappers around an answer are opened.
const maxNesting = 6

var (
	sessionKeys = []string{"session_id", "sessionId"}
	messageKeys = []string{"message_id", "messageId"}
	runKeys     = []string{"runId", "run_id"}
	replyToKeys = []string{"replyTo", "reply_to", "replyToId", "reply_to_id", "inReplyTo", "in_reply_to", "parentId", "parent_id", "parentMessageId", "parent_message_id"}
	createdKeys = []string{"created_at", "createdAt", "timestamp", "time", "date"}
	stopKeys    = []string{"stopReason", "stop_reason", "finish_reason", "finishReason", "done_reason"}
	updatedKeys = []string{"updated_at", "updatedAt", "last_message_at", "lastMessageAt"}
	contentKeys = []string{"content", "text", "message", "body", "parts", "refusal"}
	// replyKeys are the names of a reply's text. message comes last: beside
	// another one it is a remark of the service.
	replyKeys = []string{"reply", "response", "content", "text", "output", "answer", "message"}
)

// decodeReply reads the answer to POST …/chat, in any known form. Where it
// holds no text, the error matches [ErrNoText] and the Reply carries the ids
// that there were; an answer that reports a failure gives that as an *Error, beside
// what text there is, and one that comes before the reply's end matches
// [io.ErrUnexpectedEOF].
func decodeReply(body []byte) (Reply, error) {
	if !isJSON(body) {
		if kindOf(body) == 0 {
			return Reply{}, noText(body)
		}
		return Reply{}, &Error{Message: "the answer is " + describe(body) + " where a chat reply was expected"}
	}
	var r Reply
	if o, ok := asObject(body); ok {
		if _, ok := acceptance(o); ok {
			r.SessionID, r.MessageID, r.RunID = o.id(sessionKeys...), o.id(messageKeys...), o.id(runKeys...)
			return r, noText(body)
		}
	}
	fillReply(&r, body, 0)
	r.Text = withoutThoughts(r.Text)
	if kindOf(body) == '"' && isRemark(r.Text) {
		return Reply{}, noText(body)
	}
	o, isObject := asObject(body)
	if r.Text != "" && allFailed(o, 0) {
		text := r.Text
		r.Text = ""
		return r, &Error{Message: oneLine(text, maxErrorMessage)}
	}
	if r.Text != "" {
		switch end := outcomeOfWhole(o, 0); {
		case end.err != nil:
			return r, end.err
		case end.open:
			if isPlaceholder(r.Text) {
				r.Text = ""
			}
			return r, &Error{Message: "the service answered before the reply's end", Err: io.ErrUnexpectedEOF}
		case end.cut != "":
			r.Notes = append(r.Notes, end.cut)
		}
		return r, nil
	}
	if isObject {
		if e := replyFailure(o); e != nil {
			return r, e
		}
	}
	return r, noText(body)
}

func noText(body []byte) *Error {
	return &Error{Message: "the answer has no reply text: it is " + describe(body), Err: ErrNoText}
}

// replyFailure finds what says that the run failed: an error, success:false,
// or the status of a run of the OpenClaw gateway.
func replyFailure(o object) *Error {
	switch strings.ToLower(o.text("status", "state")) {
	case "error", "failed", "aborted", "timeout":
	default:
		if !o.denied() && !hasError(o) && errorSubtype(o) == "" {
			return nil
		}
	}
	e := decodeErrorObject(o, 0)
	setIfEmpty(&e.Code, errorSubtype(o))
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
func fillReply(r *Reply, raw jsontext.Value, depth int) {
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
	for _, k := range flatKeys {
		if r.Text != "" {
			return
		}
		switch kindOf(o[k]) {
		case '[':
			if r.Text = contentText(o[k]); r.Text == "" {
				fillFromList(r, o[k])
			}
		case 0, 'n', '{', '"':
			fillReply(r, o[k], depth+1)
		default: // an agent that counts, for example
			r.Text = string(o[k])
		}
	}
	for _, k := range []string{"result", "data", "payload"} {
		fillReply(r, o[k], depth+1)
	}
	switch kindOf(o["message"]) {
	case '"':
		setIfEmpty(&r.Text, o.text("message"))
	case '[':
		setIfEmpty(&r.Text, contentText(o["message"]))
	}
}

// fillFromMessage takes the text of a message unless somebody else than the
// agent wrote it.
func fillFromMessage(r *Reply, raw jsontext.Value) {
	m, err := decodeMessage(raw)
	if err != nil || m.Role == RoleUser || m.Role == RoleSystem || m.Role == RoleTool {
		return
	}
	setIfEmpty(&r.SessionID, m.SessionID)
	setIfEmpty(&r.MessageID, m.ID)
	r.ToolCalls = append(r.ToolCalls, m.ToolCalls...)
	for _, a := range m.Attachments {
		if note := a.Note(); !slices.Contains(r.Notes, note) {
			r.Notes = append(r.Notes, note)
		}
	}
	setIfEmpty(&r.Text, m.Text)
}

// fillFromList takes the last text of the agent behind the last message of the
// user, and all tool calls on the way there, with their results.
func fillFromList(r *Reply, raw jsontext.Value) {
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
func joinPayloads(payloads []jsontext.Value) string {
	var texts []string
	for _, p := range payloads {
		if o, ok := asObject(p); ok {
			if isReasoning(o) {
				continue
			}
			if t := o.text("text", "content"); t != "" {
				texts = append(texts, t)
			}
		} else if t, ok := asString(p); ok && t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n\n")
}

// allFailed reports whether the payloads of a gateway's result are reports of
// failures alone.
func allFailed(o object, depth int) bool {
	payloads, _ := asArray(o["payloads"])
	for _, raw := range payloads {
		if p, ok := asObject(raw); !ok || !p.flag("isError", "is_error") {
			return false
		}
	}
	inner, ok := o.object("result", "data", "payload")
	return len(payloads) > 0 || ok && depth < maxNesting && allFailed(inner, depth+1)
}

// isReasoning reports whether an object holds what a model thinks and not what
// it says, by any of the names that models and services have for it.
func isReasoning(o object) bool {
	if o.flag("thought", "thinking", "reasoning", "isThought", "is_thought", "isReasoning", "is_reasoning", "isThinking", "is_thinking") {
		return true
	}
	for _, k := range []string{"type", "kind", "channel", "event", "stream", "phase", "category", "message_type", "messageType"} {
		if namesReasoning(canonical(o.text(k))) {
			return true
		}
	}
	return false
}

func namesReasoning(s string) bool {
	switch s {
	case "analysis", "commentary", "scratchpad", "chain_of_thought", "cot":
		return true
	}
	return strings.Contains(s, "reasoning") || strings.Contains(s, "thinking") || strings.Contains(s, "thought")
}

// acceptance recognises an answer that only says that the message was taken: the
// reply is still to come. remark is what it says to a person.
func acceptance(o object) (remark string, ok bool) {
	for _, k := range []string{"data", "result", "payload"} {
		if inner, isObject := o.object(k); isObject && !hasAny(o, flatKeys) {
			return acceptance(inner)
		}
	}
	remark = o.text("message", "detail", "info", "note", "status", "state")
	word := canonical(o.text("status", "state"))
	switch {
	case o.denied() || hasError(o) || isChat(o):
		return "", false
	case o.first(flatKeys...) != nil, o.first(incrementKeys...) != nil,
		slices.ContainsFunc([]string{"message", "messages", "choices", "payloads", "result", "data", "delta", "assistant_message", "assistantMessage"},
			func(k string) bool { return kindOf(o[k]) == '{' || kindOf(o[k]) == '[' }):
		return "", false
	case slices.Contains(acceptedWords, word), o.flag("queued", "accepted"):
		return remark, true
	case word == "timeout" && o.id(runKeys...) != "" && o.text("message") == "" && onlyAcceptanceKeys(o):
		return "", true // the gateway's word for a run that goes on, while nobody waits for it any more
	}
	said := o.text("message")
	succeeded := o.flag("ok", "success") && said != "" // a remark of the service: the agent's words have a name of their own
	return remark, (succeeded || isRemark(said)) && onlyAcceptanceKeys(o)
}

var acceptedWords = []string{"queued", "accepted", "pending", "processing", "running", "started", "starting", "in_progress", "in_flight",
	"received", "submitted", "scheduled", "enqueued", "sent", "working", "busy"}

// onlyAcceptanceKeys reports whether an object has nothing but what stands beside
// a remark.
func onlyAcceptanceKeys(o object) bool {
	for k := range o {
		if !slices.Contains([]string{"ok", "success", "status", "state", "message", "id", "position", "queue_position", "queuePosition"}, k) &&
			!slices.ContainsFunc([][]string{sessionKeys, messageKeys, runKeys, createdKeys}, func(keys []string) bool { return slices.Contains(keys, k) }) {
			return false
		}
	}
	return true
}

var remark = pattern(`(?i)^(ok[,.:]? )?((your|the) )?((chat )?(message|request|task|job|run)s? )?((has|have|was|is) )?(been )?(successfully )?(queued|enqueued|accepted|received|submitted|scheduled|processing|in progress|(sent|delivered|forwarded) to (your |the )?agent)( successfully| for processing| for delivery)?[.!… ]*$`)

// maxRemark bounds a remark in bytes.
const maxRemark = 80

// isRemark recognises "Message queued" and its like.
func isRemark(s string) bool {
	return len(s) <= maxRemark && remark().MatchString(strings.TrimSpace(s))
}

// contentText gives the text of a message's content: a string, a block, or
// the text blocks of a list (thinking, images and tool calls are not text),
// which a line break keeps apart.
func contentText(raw jsontext.Value) string {
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

func blockText(raw jsontext.Value) string {
	o, ok := asObject(raw)
	if !ok || isReasoning(o) {
		return ""
	}
	switch o.text("type") {
	case "", "text", "output_text", "input_text":
		if s := o.text("text", "content"); s != "" {
			return s
		}
		if kindOf(o["parts"]) == '[' {
			return contentText(o["parts"])
		}
	case "refusal":
		return o.text("refusal")
	}
	return ""
}

// setIfEmpty keeps what was found first.
func setIfEmpty(dst *string, s string) {
	if *dst == "" {
		*dst = s
	}
}

package client

import (
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Some services do not name the roles in their histories, or keep a question and its answer in
// one row.

// The names of the two halves of such a row.
var (
	turnQuestions = []string{"prompt", "question", "query", "user_message", "userMessage", "message"}
	turnAnswers   = []string{"response", "reply", "answer", "assistant_message", "assistantMessage", "completion"}
)

// messagesIn gives the messages of one row of a history, each with its role where the row tells.
func messagesIn(raw jsontext.Value) []jsontext.Value {
	o, outer, ok := messageObjects(raw)
	if !ok || roleOf(o) != "" || roleOf(outer) != "" {
		return []jsontext.Value{raw}
	}
	if role := roleByOtherNames(o); role != "" {
		return []jsontext.Value{signed(outer, role, o)}
	}
	question, answer := outer.text(turnQuestions...), outer.text(turnAnswers...)
	if question == "" || !hasAny(outer, turnAnswers) || outer.first("role", "content", "text") != nil {
		return []jsontext.Value{raw}
	}
	rows := []jsontext.Value{halfOf(outer, RoleUser, question)}
	if answer != "" {
		rows = append(rows, halfOf(outer, RoleAssistant, answer))
	}
	return rows
}

// roleByOtherNames tells who wrote a message, by names that are read in histories alone.
func roleByOtherNames(o object) Role {
	for _, k := range []string{"sender_type", "senderType", "author_type", "authorType", "sender_role", "senderRole", "author_role", "authorRole"} {
		if role, known := knownRole(o.text(k)); known {
			return role
		}
	}
	for _, k := range []string{"sender", "author", "from"} {
		if strings.EqualFold(o.text(k), "openclaw") {
			return RoleAssistant
		}
	}
	if who, is := strings.CutSuffix(canonical(o.text("type", "kind")), "_message"); is {
		if role, known := knownRole(who); known {
			return role
		}
	}
	for _, k := range []string{"is_user", "isUser", "from_user", "fromUser"} {
		switch {
		case isBool(o[k], "true"):
			return RoleUser
		case isBool(o[k], "false"):
			return RoleAssistant
		}
	}
	switch strings.ToLower(o.text("direction")) {
	case "inbound", "incoming", "in":
		return RoleUser
	case "outbound", "outgoing", "out":
		return RoleAssistant
	}
	return ""
}

// signed gives a row with the role of the message in it.
func signed(row object, role Role, message object) jsontext.Value {
	m := maps.Clone(message)
	for k, v := range row {
		if _, ok := m[k]; !ok && k != "message" && k != "data" {
			m[k] = v
		}
	}
	return encode(m, "role", string(role))
}

// halfOf gives the question or the answer of a row with both.
func halfOf(row object, role Role, text string) jsontext.Value {
	half := maps.Clone(row)
	for _, keys := range [][]string{turnQuestions, turnAnswers} {
		for _, k := range keys {
			delete(half, k)
		}
	}
	half["content"], _ = json.Marshal(text, tolerant)
	return encode(half, "role", string(role))
}

func encode(o object, key, value string) jsontext.Value {
	o[key], _ = json.Marshal(value)
	raw, _ := json.Marshal(o, tolerant, json.Deterministic(true))
	return raw
}

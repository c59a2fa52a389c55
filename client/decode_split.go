package client

import (
	"encoding/json"

	"openclaw-mcp/internal/jsonspan"
)

// Streams bring an object or two an event, and a listing one an entry, of which
// a few values are looked at. encoding/json copies all of them, through
// reflection; here they are cut out of the text instead, once encoding/json has
// found that it is valid. What is cut shares the memory of what it is cut from,
// which nobody changes.

// splitObject gives the members of a valid JSON object; of equal keys, the last
// one's.
func splitObject(raw []byte) object {
	o := make(object)
	for m := range jsonspan.Members(raw) {
		o[keyString(m.Key)] = json.RawMessage(raw[m.From:m.To:m.To])
	}
	return o
}

// splitArray gives the items of a valid JSON array.
func splitArray(raw []byte) []json.RawMessage {
	a := []json.RawMessage{}
	for item := range jsonspan.Items(raw) {
		a = append(a, item)
	}
	return a
}

// keyString decodes a key, without a copy for those that come all the time.
func keyString(quoted []byte) string {
	if s, ok := commonKeys[string(quoted[1:len(quoted)-1])]; ok {
		return s
	}
	return jsonspan.Text(quoted)
}

var commonKeys = same("id", "type", "event", "data", "text", "delta", "content", "message", "role", "name", "path",
	"size", "is_dir", "modified", "modified_at", "created_at", "updated_at", "status", "state", "runId", "run_id",
	"sessionKey", "session_id", "sessionId", "seq", "stream", "payload", "choices", "index", "finish_reason", "object",
	"deltaText", "stdout", "stderr", "exit_code", "sandbox_id")

func same(words ...string) map[string]string {
	m := make(map[string]string, len(words))
	for _, w := range words {
		m[w] = w
	}
	return m
}

package client

import (
	"encoding/json"
	"unicode/utf8"

	"openclaw-mcp/internal/jsonspan"
)

// Streams bring an object or two an event, and a listing one an entry, of which
// a few values are looked at. encoding/json copies all of them, through
// reflection; here they are cut out of the text instead, once encoding/json has
// found that it is valid. What is cut shares the memory of what it is cut from,
// which nobody changes.

// splitObject gives the members of a valid JSON object; of equal keys, the last
// one's. It reports false where a key is spelt in a way that it leaves to
// encoding/json.
func splitObject(raw []byte) (object, bool) {
	o := make(object)
	for i := jsonspan.SkipSpace(raw, 0) + 1; ; i++ { // behind the brace, then each comma
		if i = jsonspan.SkipSpace(raw, i); raw[i] == '}' {
			return o, true
		}
		end := jsonspan.EndOfString(raw, i)
		key := raw[i+1 : end-1]
		if !plainText(key) {
			return nil, false
		}
		i = jsonspan.SkipSpace(raw, jsonspan.SkipSpace(raw, end)+1) // the colon
		end = jsonspan.EndOfValue(raw, i)
		o[keyString(key)] = json.RawMessage(raw[i:end:end])
		if i = jsonspan.SkipSpace(raw, end); raw[i] == '}' {
			return o, true
		}
	}
}

// splitArray gives the items of a valid JSON array.
func splitArray(raw []byte) []json.RawMessage {
	a := []json.RawMessage{}
	for i := jsonspan.SkipSpace(raw, 0) + 1; ; i++ {
		if i = jsonspan.SkipSpace(raw, i); raw[i] == ']' {
			return a
		}
		end := jsonspan.EndOfValue(raw, i)
		a = append(a, json.RawMessage(raw[i:end:end]))
		if i = jsonspan.SkipSpace(raw, end); raw[i] == ']' {
			return a
		}
	}
}

// plainText reports whether the inside of a JSON string is what it stands for:
// valid UTF-8 without an escape, a quote or a control character.
func plainText(b []byte) bool {
	ascii := true
	for _, c := range b {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(b)
}

// keyString is string(key), without a copy for the keys that come all the time.
func keyString(key []byte) string {
	if s, ok := commonKeys[string(key)]; ok {
		return s
	}
	return string(key)
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

package client

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
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
	for i := skipSpace(raw, 0) + 1; ; i++ { // behind the brace, then each comma
		if i = skipSpace(raw, i); raw[i] == '}' {
			return o, true
		}
		end := endOfString(raw, i)
		key := raw[i+1 : end-1]
		if !plainText(key) {
			return nil, false
		}
		i = skipSpace(raw, skipSpace(raw, end)+1) // the colon
		end = endOfValue(raw, i)
		o[keyString(key)] = json.RawMessage(raw[i:end:end])
		if i = skipSpace(raw, end); raw[i] == '}' {
			return o, true
		}
	}
}

// splitArray gives the items of a valid JSON array.
func splitArray(raw []byte) []json.RawMessage {
	a := []json.RawMessage{}
	for i := skipSpace(raw, 0) + 1; ; i++ {
		if i = skipSpace(raw, i); raw[i] == ']' {
			return a
		}
		end := endOfValue(raw, i)
		a = append(a, json.RawMessage(raw[i:end:end]))
		if i = skipSpace(raw, end); raw[i] == ']' {
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

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// endOfString is behind the string that begins at i.
func endOfString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// endOfValue is behind the value that begins at i.
func endOfValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r': // within brackets
			i++
			continue
		default: // a number or a word
			n := bytes.IndexAny(b[i:], ",]} \n\t\r")
			if n < 0 {
				return len(b)
			}
			i += n
		}
		if depth == 0 {
			return i
		}
	}
	return i
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

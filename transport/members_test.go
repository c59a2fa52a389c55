package transport

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What is cut out of a message is what encoding/json finds there, and the rest
// is the message without it.
func FuzzTakeArguments(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":"b"}}}`,
		`{"params":{"arguments":{}}}`, ` { "params" : { "arguments" : { "a" : [ 1 , "}" ] } , "z" : 1 } } `,
		`{"params":{"arguments":null}}`, `{"params":{"arguments":[1]}}`, `{"params":{}}`, `{"params":1}`, `{}`, `[]`,
		`{"params":{"arguments":{"a":1},"arguments":{"a":2}}}`, `{"params":{"arguments":{"a":1},"Arguments":{"a":2}}}`,
		`{"params":{"\u0061rguments":{"a":1}}}`, `{"params":{"arguments":{"a":"\\"}}}`, `{"params":{"arguments":{"a":"\\\""}}}`,
		`{"params":{"arguments":{"":""}},"params":{"arguments":{"a":2}}}`, `{"params":{"x":-1.5e3,"y":true,"arguments":{"é":"\ud83e"}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return // it is given what was found valid
		}
		before := bytes.Clone(raw)
		rest, arguments := takeArguments(raw)
		if !bytes.Equal(raw, before) {
			t.Fatalf("%q was changed to %q", before, raw)
		}
		if arguments == nil {
			if !bytes.Equal(rest, raw) {
				t.Errorf("nothing was taken of %q, but %q is left", raw, rest)
			}
			return
		}
		type message struct {
			Params struct {
				Arguments json.RawMessage `json:"arguments"`
			} `json:"params"`
		}
		var whole, left message
		if err := json.Unmarshal(raw, &whole); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if !bytes.Equal(whole.Params.Arguments, arguments) {
			t.Errorf("of %q, %q was taken, want %q", raw, arguments, whole.Params.Arguments)
		}
		if err := json.Unmarshal(rest, &left); err != nil || string(left.Params.Arguments) != "{}" {
			t.Errorf("of %q, %q is left (%v)", raw, rest, err)
		}
	})
}

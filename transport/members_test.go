package transport

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
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

// An envelope is what encoding/json reads of a message, whichever way it is read.
func FuzzParseMessage(f *testing.F) {
	for _, m := range wrongMessages {
		f.Add([]byte(m.line))
	}
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, ` {"id" : "a\n" , "jsonrpc":"2\u002e0","method":"x","params":{"a":[1]},"more":{}} `,
		`{"jsonrpc":"2.0","ID":1,"method":"ping"}`, `{"jsonrpc":"2.0","\u0069d":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"id":2,"method":"a","method":"b"}`,
		`{"jsonrpc":"2.0","id":1,"result":{},"error":null}`, `{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"2.0","method":null,"id":1,"error":{}}`,
		"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", `{"jsonrpc":"2.0","id":1,"params":{}`, `{"jsonrpc":"2.0","id":1,"method":"ping"}{}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, code, err := parseMessage(raw)
		want := &message{}
		if uerr := json.Unmarshal(raw, want); err == nil && uerr != nil || !json.Valid(raw) && (err == nil || code != mcp.PARSE_ERROR) {
			t.Fatalf("%q: %d, %v; encoding/json says %v", raw, code, err, uerr)
		}
		if string(want.Error) == "null" {
			want.Error = nil
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %q, want %q", raw, got, want)
		}
	})
}

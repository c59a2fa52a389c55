package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/mark3labs/mcp-go/mcp"
)

// What clients send is read strictly: member names are exact, none occurs twice in
// an object, and all of it is UTF-8. encoding/json, which mcp-go reads with, takes
// "Params" for "params" and the last of two equal members, so a proxy or a
// log could read another message than the one that is served.

// member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage // as the client wrote it
}

// A lone surrogate (half of an emoji that somebody cut) is tolerated in an escape,
// since JavaScript and Python send them; it reads as U+FFFD. Raw bytes that aren't
// UTF-8 are refused before.
var loneSurrogates = jsontext.AllowInvalidUTF8(true)

// nested is a member that is an object, whose members are to be read, too.
type nested struct {
	name    string
	members *[]member
}

// readMessage reads the members of a JSON-RPC message, nil where it is valid JSON but
// no object, and checks all of it. Its error has -32600 or -32602 for a name that
// occurs twice, and -32700 for everything else. Each of inner is in the one before.
func readMessage(raw []byte, inner ...nested) ([]member, *codedError) {
	if !utf8.Valid(raw) {
		return nil, &codedError{code: mcp.PARSE_ERROR, text: "not valid JSON: it is not UTF-8"}
	}
	d := newDecoder(raw, loneSurrogates)
	defer putBack(d)
	members, err := readMembers(d, raw, inner...)
	if err == nil {
		if _, err = d.ReadToken(); errors.Is(err, io.EOF) {
			return members, nil
		}
		if err == nil {
			err = errors.New("there is more text after the message")
		}
	}
	syntax := (*jsontext.SyntacticError)(nil)
	switch errors.As(err, &syntax); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		code := mcp.INVALID_REQUEST
		if strings.HasPrefix(string(syntax.JSONPointer), "/params/") {
			code = mcp.INVALID_PARAMS
		}
		return nil, &codedError{code: code, text: fmt.Sprintf("member %q occurs twice (at %s)", syntax.JSONPointer.LastToken(), syntax.JSONPointer)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends too early")
	case syntax != nil:
		err = fmt.Errorf("%w at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return nil, &codedError{code: mcp.PARSE_ERROR, text: "not valid JSON: " + err.Error()}
}

// membersOf gives the members of a JSON object in their order, nil for any other
// value. Where a name occurs twice, so it does in the members.
func membersOf(object json.RawMessage) []member {
	if kindOf(object) != "an object" {
		return nil
	}
	d := newDecoder(object, loneSurrogates, jsontext.AllowDuplicateNames(true))
	defer putBack(d)
	members, _ := readMembers(d, object)
	return members
}

// decoders are kept for the next message: making one took a tenth of a small call.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// decoder is a decoder with what it reads.
type decoder struct {
	jsontext.Decoder
	raw bytes.Buffer
}

// putBack keeps a decoder for the next message, without this one.
func putBack(d *decoder) {
	d.raw = bytes.Buffer{}
	d.Reset(&d.raw)
	decoders.Put(d)
}

// newDecoder gives a decoder of raw, to be put back.
func newDecoder(raw []byte, opts ...jsontext.Options) *decoder {
	d := decoders.Get().(*decoder)
	d.raw = *bytes.NewBuffer(raw)
	d.Reset(&d.raw, opts...)
	return d
}

// readMembers reads one value of raw with d, and the members of the first of inner in
// it, and so on.
func readMembers(d *decoder, raw []byte, inner ...nested) (members []member, err error) {
	if d.PeekKind() != '{' {
		return nil, d.SkipValue()
	}
	if _, err = d.ReadToken(); err != nil {
		return nil, err
	}
	members = make([]member, 0, 4)
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		m := member{name: nameOf(name)}
		behind := d.InputOffset()
		if kind := d.PeekKind(); kind == '{' && len(inner) > 0 && m.name == inner[0].name {
			start := behind + int64(bytes.IndexByte(raw[behind:], '{'))
			if *inner[0].members, err = readMembers(d, raw, inner[1:]...); err != nil {
				return nil, err
			}
			m.value = raw[start:d.InputOffset():d.InputOffset()]
		} else {
			value, err := d.ReadValue()
			if err != nil {
				return nil, err
			}
			end := d.InputOffset() // value itself lasts only until the next read
			m.value = raw[end-int64(len(value)) : end : end]
		}
		members = append(members, m)
	}
	_, err = d.ReadToken()
	return members, err
}

// nameOf decodes the name of a member. Those that MCP knows are not made again.
func nameOf(quoted []byte) string {
	if name, ok := allKnownNames[string(quoted[1:len(quoted)-1])]; ok {
		return name
	}
	name, _ := jsontext.AppendUnquote(nil, quoted) // a lone surrogate is an error, and replaced
	return string(name)
}

// find gives the value of a member, nil where there is none.
func find(members []member, name string) json.RawMessage {
	for _, m := range members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// textOf decodes a JSON string; false for any other value.
func textOf(value json.RawMessage) (string, bool) {
	if kindOf(value) != "a string" {
		return "", false
	}
	text, _ := jsontext.AppendUnquote(nil, value) // a lone surrogate is an error, and replaced
	return string(text), true
}

// kindOf says in words what a JSON value is.
func kindOf(value json.RawMessage) string {
	if len(value) == 0 {
		return "nothing"
	}
	switch value[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// wrongKind is the error for a member of params that has a value of a wrong kind.
func wrongKind(name, want string, value json.RawMessage) *codedError {
	return &codedError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("%s must be %s, not %s", name, want, kindOf(value))}
}

// knownNames are the members that MCP knows, by the object that has them. What
// other members there may be, such as tools' arguments, is for others to check.
var knownNames = map[string][]string{
	"": {"jsonrpc", "id", "method", "params", "result", "error"},
	"params": {
		"_meta", "name", "arguments", "inputResponses", "requestState", "task", "uri", "cursor", "ref", "argument", "context", "level",
		"protocolVersion", "capabilities", "clientInfo", "notifications", "requestId", "reason", "progressToken", "progress", "total", "message",
	},
	"params._meta": {
		"progressToken", mcp.MetaKeyProtocolVersion, mcp.MetaKeyClientInfo, mcp.MetaKeyClientCapabilities, mcp.MetaKeyLogLevel,
	},
	"params.capabilities": {"elicitation", "roots", "sampling", "tasks", "extensions", "experimental"},
	"params.clientInfo":   {"name", "version", "title", "description", "websiteUrl", "icons"},
	"params.notifications": {
		"toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions",
	},
	"params.ref":      {"type", "name", "uri"},
	"params.argument": {"name", "value"},
	"params.context":  {"arguments"},
	"result":          {"action", "content", "_meta"}, // of elicitation/create
}

// allKnownNames are those of all objects.
var allKnownNames = func() map[string]string {
	all := make(map[string]string)
	for _, names := range knownNames {
		for _, name := range names {
			all[name] = name
		}
	}
	return all
}()

// checkNames finds a member of an object whose name differs only in case from one
// that MCP knows there.
func checkNames(where string, members []member) error {
	names := knownNames[where]
	for _, m := range members {
		if slices.Contains(names, m.name) {
			continue
		}
		for _, known := range names {
			if strings.EqualFold(m.name, known) {
				return fmt.Errorf("unknown member %q; it differs only in case from %q", m.name, known)
			}
		}
	}
	return nil
}

// checkParams does so for params and the objects in it.
func (m *message) checkParams() error {
	if err := checkNames("params", m.params); err != nil {
		return err
	}
	if err := checkNames("params._meta", m.metaMembers); err != nil {
		return fmt.Errorf("params._meta: %w", err)
	}
	for _, p := range m.params {
		switch where := "params." + p.name; {
		case p.name == "_meta":
		case knownNames[where] != nil:
			if err := checkNames(where, membersOf(p.value)); err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
		case p.name == "inputResponses":
			for _, response := range membersOf(p.value) {
				if err := checkNames("result", membersOf(response.value)); err != nil {
					return fmt.Errorf("%s.%s: %w", where, response.name, err)
				}
			}
		}
	}
	return nil
}

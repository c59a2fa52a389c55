package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/jsonspan"
)

// message is the envelope of a JSON-RPC 2.0 message, just far enough decoded to
// know where it goes.
type message struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

var (
	errBatch      = errors.New("JSON-RPC batches are not supported: send one message at a time")
	errNotObject  = errors.New("a JSON-RPC message is a JSON object")
	errBadID      = errors.New("a request id is a string or an integer")
	errNoMethod   = errors.New("a message has a method, or an id with a result or an error")
	errBothKinds  = errors.New("a message is a request or an answer, not both")
	errBadVersion = errors.New(`jsonrpc must be "2.0"`)
)

// parseMessage decodes an envelope. The code of the error is the JSON-RPC one
// to answer with; the message is returned as far as it was understood, so that
// the answer can carry its id.
func parseMessage(raw []byte) (*message, int, error) {
	m := &message{}
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	valid := jsonspan.Valid(trimmed)
	if valid && trimmed[0] == '[' {
		return m, mcp.INVALID_REQUEST, errBatch
	}
	var err error
	if !valid || !m.cut(trimmed) {
		*m = message{}
		err = json.Unmarshal(raw, m)
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return &message{}, mcp.PARSE_ERROR, errors.New("not valid JSON: " + err.Error())
	}
	if trimmed[0] != '{' {
		return m, mcp.INVALID_REQUEST, errNotObject
	}
	if m.ID != nil && !validID(m.ID) {
		m.ID = nil
		return m, mcp.INVALID_REQUEST, errBadID
	}
	// Some clients send "error": null beside a result.
	if string(m.Error) == "null" {
		m.Error = nil
	}
	answers := m.Result != nil || m.Error != nil
	mistyped := (*json.UnmarshalTypeError)(nil)
	switch {
	case errors.As(err, &mistyped):
		err = fmt.Errorf("%s must be a string, not %s", mistyped.Field, mistyped.Value)
	case err != nil:
	case m.JSONRPC != "2.0":
		err = errBadVersion
	case m.Method != "" && answers:
		err = errBothKinds
	case m.Method == "" && (m.ID == nil || !answers):
		err = errNoMethod
	default:
		return m, 0, nil
	}
	return m, mcp.INVALID_REQUEST, err
}

// cut takes the members out of a valid message as encoding/json would: of equal
// keys, the last one's. It reports false for what is unusual or wrong, which is
// left to that.
func (m *message) cut(raw []byte) bool {
	if raw[0] != '{' {
		return false
	}
	for v := range jsonspan.Members(raw) {
		value := raw[v.From:v.To:v.To]
		switch key := string(v.Key[1 : len(v.Key)-1]); key {
		case "jsonrpc", "method":
			if value[0] != '"' {
				return false
			}
			if text := jsonspan.Text(value); key == "method" {
				m.Method = text
			} else {
				m.JSONRPC = text
			}
		case "id":
			m.ID = value
		case "params":
			m.Params = value
		case "result":
			m.Result = value
		case "error":
			m.Error = value
		default:
			// encoding/json takes keys whose case differs, and reads escapes.
			if strings.Contains(key, `\`) || slices.ContainsFunc(messageKeys, func(k string) bool { return strings.EqualFold(k, key) }) {
				return false
			}
		}
	}
	return true
}

var messageKeys = []string{"jsonrpc", "id", "method", "params", "result", "error"}

// validID accepts what MCP allows as a request id: a string or an integer. MCP
// forbids null, which a JSON-RPC notification is not either.
func validID(id json.RawMessage) bool {
	if id[0] == '"' {
		// It comes back byte for byte, and everything sent must be UTF-8.
		return utf8.Valid(id)
	}
	// The id is valid JSON, so what looks like an integer is one.
	return len(bytes.Trim(id, "-0123456789")) == 0
}

func (m *message) isRequest() bool      { return m.Method != "" && m.ID != nil }
func (m *message) isNotification() bool { return m.Method != "" && m.ID == nil }

// requestMeta is what the transport itself reads of a request's _meta.
type requestMeta struct {
	ProgressToken   json.RawMessage `json:"progressToken"`
	ProtocolVersion string          `json:"io.modelcontextprotocol/protocolVersion"`
}

func (m *message) meta() requestMeta {
	var p struct {
		Meta requestMeta `json:"_meta"`
	}
	// Params of an odd shape are reported by the method that reads them.
	switch meta, ok := member(m.Params, "_meta"); {
	case !ok:
		_ = json.Unmarshal(m.Params, &p)
	case meta.To > 0:
		raw := m.Params[meta.From:meta.To]
		token, ok1 := member(raw, "progressToken")
		version, ok2 := member(raw, mcp.MetaKeyProtocolVersion)
		if !ok1 || !ok2 {
			_ = json.Unmarshal(raw, &p.Meta)
			break
		}
		if token.To > 0 {
			p.Meta.ProgressToken = raw[token.From:token.To:token.To]
		}
		if version.To > 0 && raw[version.From] == '"' {
			p.Meta.ProtocolVersion = jsonspan.Text(raw[version.From:version.To])
		}
	}
	if t := p.Meta.ProgressToken; len(t) > 0 && !validID(t) {
		p.Meta.ProgressToken = nil
	}
	return p.Meta
}

// encode renders a message on one line. HTML characters are left as they are,
// since each would grow sixfold; types of mcp-go that render themselves escape
// them all the same.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

type resultAnswer struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

type errorAnswer struct {
	JSONRPC string                  `json:"jsonrpc"`
	ID      json.RawMessage         `json:"id"` // nil renders as null
	Error   mcp.JSONRPCErrorDetails `json:"error"`
}

// encodeAnswer renders mcp-go's answer to the request with this id. mcp-go's own
// copy of the id went through a float64, which is not the number that the client
// waits for when it is a large one.
func encodeAnswer(id json.RawMessage, answer mcp.JSONRPCMessage) ([]byte, error) {
	switch a := answer.(type) {
	case mcp.JSONRPCResponse:
		if r, ok := a.Result.(*mcp.CallToolResult); ok {
			return encodeToolResult(id, r)
		}
		return encode(resultAnswer{"2.0", id, a.Result})
	case mcp.JSONRPCError:
		return encode(errorAnswer{"2.0", id, a.Error})
	}
	return nil, fmt.Errorf("mcp-go answered with a %T", answer)
}

// errorMessage is a JSON-RPC error answer; a nil id renders as null.
func errorMessage(id json.RawMessage, code int, text string) []byte {
	b, err := encode(errorAnswer{"2.0", id, mcp.NewJSONRPCErrorDetails(code, text, nil)})
	if err != nil { // impossible: id is valid JSON, the rest are a number and a string
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return b
}

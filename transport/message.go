package transport

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/mark3labs/mcp-go/mcp"
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
	errBadVersion = errors.New(`jsonrpc must be "2.0"`)
)

// parseMessage decodes an envelope. The code of the error is the JSON-RPC one
// to answer with; the message is returned as far as it was understood, so that
// the answer can carry its id.
func parseMessage(raw []byte) (message, int, error) {
	var m message
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	if len(trimmed) > 0 && trimmed[0] == '[' && json.Valid(trimmed) {
		return m, mcp.INVALID_REQUEST, errBatch
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || len(trimmed) == 0 {
			return m, mcp.PARSE_ERROR, errors.New("not valid JSON: " + err.Error())
		}
		if len(trimmed) > 0 && trimmed[0] != '{' {
			return m, mcp.INVALID_REQUEST, errNotObject
		}
		return m, mcp.INVALID_REQUEST, errors.New("not a JSON-RPC message: " + err.Error())
	}
	if len(m.ID) > 0 && !validID(m.ID) {
		m.ID = nil
		return m, mcp.INVALID_REQUEST, errBadID
	}
	if m.JSONRPC != "2.0" {
		return m, mcp.INVALID_REQUEST, errBadVersion
	}
	if m.Method == "" && (m.ID == nil || (m.Result == nil && m.Error == nil)) {
		return m, mcp.INVALID_REQUEST, errNoMethod
	}
	return m, 0, nil
}

// validID accepts what MCP allows as a request id: a string or an integer. MCP
// forbids null, which a JSON-RPC notification is not either.
func validID(id json.RawMessage) bool {
	if id[0] == '"' {
		return true
	}
	var n json.Number
	if json.Unmarshal(id, &n) != nil {
		return false
	}
	return !bytes.ContainsAny(id, ".eE")
}

func (m message) isRequest() bool      { return m.Method != "" && m.ID != nil }
func (m message) isNotification() bool { return m.Method != "" && m.ID == nil }

// requestMeta is what the transport itself reads of a request's _meta.
type requestMeta struct {
	ProgressToken   json.RawMessage `json:"progressToken"`
	ProtocolVersion string          `json:"io.modelcontextprotocol/protocolVersion"`
}

func (m message) meta() requestMeta {
	var p struct {
		Meta requestMeta `json:"_meta"`
	}
	// Params of an odd shape are reported by the method that reads them.
	_ = json.Unmarshal(m.Params, &p)
	if t := p.Meta.ProgressToken; len(t) > 0 && !validID(t) {
		p.Meta.ProgressToken = nil
	}
	return p.Meta
}

// encode renders a message on one line. HTML characters are left as they are:
// tool results hold much of them, and each would grow sixfold.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// errorMessage is a JSON-RPC error answer; a nil id renders as null.
func errorMessage(id json.RawMessage, code int, text string) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	b, err := encode(map[string]any{
		"jsonrpc": "2.0", "id": id,
		"error": map[string]any{"code": code, "message": text},
	})
	if err != nil { // impossible: id is valid JSON, the rest are a number and a string
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return b
}

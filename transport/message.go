package transport

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
)

// message is the envelope of a JSON-RPC 2.0 message, just far enough decoded to
// know where it goes.
type message struct {
	JSONRPC string
	ID      json.RawMessage
	Method  string
	Params  json.RawMessage
	Result  json.RawMessage
	Error   json.RawMessage

	params      []member // of Params
	metaMembers []member // of _meta in Params
}

var (
	errBatch      = invalidRequest("JSON-RPC batches are not supported: send one message at a time")
	errNotObject  = invalidRequest("a JSON-RPC message must be a JSON object")
	errBadID      = invalidRequest("a request id must be a string or an integer")
	errNoMethod   = invalidRequest("a message must have a method, or an id with a result or an error")
	errBothKinds  = invalidRequest("a message must be a request or an answer, not both")
	errBadVersion = invalidRequest(`jsonrpc must be "2.0"`)
)

func invalidRequest(text string) *codedError {
	return &codedError{code: mcp.INVALID_REQUEST, text: text}
}

// parseMessage decodes an envelope, and checks the names of all members that MCP
// knows. Of a message that is wrong, as much is returned as was understood, so that
// the error can be answered with its id.
func parseMessage(raw []byte) (*message, *codedError) {
	m := &message{}
	if err := checkValues(raw); err != nil {
		_ = m.setID(membersOf(raw))
		return m, err
	}
	members, err := readMessage(raw, nested{"params", &m.params}, nested{"_meta", &m.metaMembers})
	if err != nil {
		if err.code != mcp.PARSE_ERROR { // a name that occurs twice: the id can still be told
			m.setID(membersOf(raw))
		}
		return m, err
	}
	if members == nil {
		switch bytes.TrimLeft(raw, " \t\r\n")[0] {
		case '[':
			return m, errBatch
		case '{': // an empty one
		default:
			return m, errNotObject
		}
	}
	if strayError(members) {
		m.JSONRPC, m.Error = "2.0", find(members, "error")
		return m, nil
	}
	if err := m.setID(members); err != nil {
		return m, err
	}
	if err := checkNames("", members); err != nil {
		return m, invalidRequest(err.Error())
	}
	for _, e := range members {
		switch e.name {
		case "jsonrpc", "method":
			text, ok := textOf(e.value)
			if !ok {
				return m, invalidRequest(fmt.Sprintf("%s must be a string, not %s", e.name, kindOf(e.value)))
			}
			if e.name == "method" {
				m.Method = text
			} else {
				m.JSONRPC = text
			}
		case "params":
			m.Params = e.value
		case "result":
			m.Result = e.value
		case "error":
			if kindOf(e.value) != "null" { // some clients send it beside a result
				m.Error = e.value
			}
		}
	}
	answers := m.Result != nil || m.Error != nil
	switch {
	case m.JSONRPC != "2.0":
		return m, errBadVersion
	case m.Method != "" && answers:
		return m, errBothKinds
	case m.Method == "" && (m.ID == nil || !answers):
		return m, errNoMethod
	}
	if err := m.readParams(len(raw)); err != nil {
		return m, err
	}
	return m, nil
}

// strayError reports whether a message is an error without an id: it is about nothing
// that was asked, and an answer to it would be answered in turn.
func strayError(members []member) bool {
	id := kindOf(find(members, "id"))
	return (id == "nothing" || id == "null") && kindOf(find(members, "error")) == "an object" &&
		find(members, "method") == nil && find(members, "result") == nil
}

// withoutMark takes the byte order mark off that some clients put before JSON.
func withoutMark(raw []byte) []byte { return bytes.TrimPrefix(raw, []byte("\ufeff")) }

// setID takes the id out of a message.
func (m *message) setID(members []member) *codedError {
	for _, e := range members {
		if e.name != "id" {
			continue
		}
		if m.ID != nil || !validID(e.value) {
			m.ID = nil
			return errBadID
		}
		m.ID = e.value
	}
	return nil
}

// readParams takes the params apart. An answer's result is checked instead.
func (m *message) readParams(size int) *codedError {
	if m.Method == "" {
		if err := m.checkEnvelope(size); err != nil {
			return err
		}
		if err := checkNames("result", membersOf(m.Result)); err != nil {
			return invalidRequest("result: " + err.Error())
		}
		return nil
	}
	switch kindOf(m.Params) {
	case "nothing", "an object":
	case "null":
		m.Params = nil
	default:
		return wrongKind("params", "an object", m.Params)
	}
	if err := m.checkEnvelope(size); err != nil {
		return err
	}
	if err := m.checkParams(); err != nil {
		return &codedError{code: mcp.INVALID_PARAMS, text: err.Error()}
	}
	return nil
}

// validID accepts what MCP allows as a request id: a string or an integer. MCP
// forbids null, which JSON-RPC allows.
func validID(id json.RawMessage) bool {
	// The id is valid JSON, so what looks like an integer is one.
	return kindOf(id) == "a string" || len(bytes.Trim(id, "-0123456789")) == 0
}

func (m *message) isRequest() bool      { return m.Method != "" && m.ID != nil }
func (m *message) isNotification() bool { return m.Method != "" && m.ID == nil }

// requestMeta is what the transport itself reads of a request's _meta.
type requestMeta struct {
	ProgressToken   json.RawMessage
	ProtocolVersion string
}

func (m *message) meta() (meta requestMeta) {
	if token := find(m.metaMembers, "progressToken"); token != nil && validID(token) {
		meta.ProgressToken = token
	}
	meta.ProtocolVersion, _ = textOf(find(m.metaMembers, mcp.MetaKeyProtocolVersion))
	return meta
}

// encode renders a message on one line. HTML characters are left as they are,
// since each would grow sixfold; types of mcp-go that render themselves escape
// them all the same.
func encode(v any) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, 512)) // what most messages find room in
	e := json.NewEncoder(b)
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
			return encode(resultAnswer{"2.0", id, wireResult(r)})
		}
		return encode(resultAnswer{"2.0", id, a.Result})
	case mcp.JSONRPCError:
		return encode(errorAnswer{"2.0", id, a.Error})
	}
	return nil, fmt.Errorf("mcp-go answered with a %T", answer)
}

// answerStart is where the result or error of an encoded answer begins, behind what
// is the client's own.
func answerStart(id json.RawMessage) int {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	return len(`{"jsonrpc":"2.0","id":`) + len(id)
}

// errorMessage is a JSON-RPC error answer; a nil id renders as null.
func errorMessage(id json.RawMessage, code int, text string) []byte {
	b, err := encode(errorAnswer{"2.0", id, mcp.NewJSONRPCErrorDetails(code, text, nil)})
	if err != nil { // impossible: id is valid JSON, the rest are a number and a string
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return outgoing{}.json(b, answerStart(id))
}

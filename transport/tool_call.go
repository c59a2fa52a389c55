package transport

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/jsonspan"
)

// Tools are the tools whose plain calls are served without mcp-go, which goes
// over every message ten times and keeps 7 KB of stack while a tool works. They
// never ask the user. The same tools are registered with mcp-go, which serves all
// other calls of them: see dispatcher.callTool.
type Tools struct {
	Server   mcp.Implementation // as in the answer to initialize
	Handlers map[string]server.ToolHandlerFunc
}

// callTool serves a tools/call (MCP, tools). It reports false for what it leaves
// to mcp-go: whatever is wrong with the request, tools that it does not know,
// answers to a question, and tasks.
func (d *dispatcher) callTool(ctx context.Context, m *message, s *session, c *Call) (mcp.JSONRPCMessage, bool) {
	p := d.plainCall(m, s, c)
	if p == nil {
		return nil, false
	}
	result, err := p.handler(server.WithRequestProtocolInfo(ctx, p.info), p.request)
	switch {
	case err != nil:
		return failed(err, p.info.Modern), true
	case p.info.Modern:
		if result.ResultType == "" {
			result.ResultType = mcp.ResultTypeComplete
		}
		if result.Meta == nil {
			result.Meta = &mcp.Meta{}
		}
		result.Meta.SetServerInfo(d.tools.Server)
	}
	return mcp.JSONRPCResponse{JSONRPC: mcp.JSONRPC_VERSION, Result: result}, true
}

// plainCall is a call that mcp-go is not needed for.
type plainCall struct {
	handler server.ToolHandlerFunc
	info    *server.RequestProtocolInfo
	request mcp.CallToolRequest
}

// plainCall reads a call, and gives nil for one that is not plain. It has a frame
// of its own: thousands of calls may wait, and their stacks are most of what
// they take.
func (d *dispatcher) plainCall(m *message, s *session, c *Call) *plainCall {
	if i := jsonspan.SkipSpace(m.Params, 0); i == len(m.Params) || m.Params[i] != '{' {
		return nil
	}
	var name string
	var rawMeta, args json.RawMessage
	for v := range jsonspan.Members(m.Params) {
		value := m.Params[v.From:v.To:v.To]
		switch key := string(v.Key[1 : len(v.Key)-1]); {
		case key == "name" && value[0] == '"':
			name = jsonspan.Text(value)
		case key == "_meta":
			rawMeta = value
		case key == "arguments" && value[0] == '{' && args == nil:
			args = value
		case strings.Contains(key, `\`) || slices.ContainsFunc(callKeys, func(k string) bool { return strings.EqualFold(k, key) }):
			return nil
		}
	}
	if args == nil {
		return nil
	}
	handler := d.tools.Handlers[name]
	if handler == nil {
		return nil
	}
	info, meta, ok := protocolInfo(rawMeta)
	if !ok {
		return nil
	}
	if info.Modern {
		rs := requestSession{s, c}
		rs.SetClientCapabilities(*info.ClientCapabilities)
		if info.ClientInfo != nil {
			rs.SetClientInfo(*info.ClientInfo)
		}
	}
	c.arguments = args
	call := &plainCall{handler: handler, info: info}
	call.request.Method = string(mcp.MethodToolsCall)
	call.request.Params.Name, call.request.Params.Arguments, call.request.Params.Meta = name, map[string]any{}, meta
	return call
}

// callKeys are the members of a call's params that mean something; where one is not
// what a plain call has, or is spelt in another way, mcp-go reads the call.
var callKeys = []string{"name", "_meta", "arguments", "task", "inputResponses", "requestState"}

// protocolInfo reads what a request's _meta says of its era. It reports false
// where that is not in order.
func protocolInfo(raw json.RawMessage) (*server.RequestProtocolInfo, *mcp.Meta, bool) {
	if raw == nil {
		return &server.RequestProtocolInfo{}, nil, true
	}
	var meta *mcp.Meta
	if json.Unmarshal(raw, &meta) != nil {
		return nil, nil, false
	}
	version := meta.ProtocolVersion()
	if !mcp.IsModernProtocol(version) {
		return &server.RequestProtocolInfo{ProtocolVersion: version}, meta, true
	}
	info := &server.RequestProtocolInfo{
		Modern: true, ProtocolVersion: version,
		ClientInfo: meta.ClientInfo(), ClientCapabilities: meta.ClientCapabilities(), LogLevel: meta.LogLevel(),
	}
	return info, meta, mcp.IsValidProtocolVersion(version) && info.ClientCapabilities != nil
}

// toolResult is a mcp.CallToolResult but for its content.
type toolResult struct {
	Meta              *mcp.Meta         `json:"_meta,omitempty"`
	ResultType        mcp.ResultType    `json:"resultType,omitempty"`
	StructuredContent any               `json:"structuredContent,omitempty"`
	IsError           bool              `json:"isError,omitempty"`
	InputRequests     mcp.InputRequests `json:"inputRequests,omitempty"`
	RequestState      string            `json:"requestState,omitempty"`
}

// encodeToolResult renders the answer to a tools/call. A mcp.CallToolResult's own
// marshaller renders all of it twice, and encoding/json goes over that once more.
func encodeToolResult(id json.RawMessage, r *mcp.CallToolResult) ([]byte, error) {
	t := toolResult{
		Meta: r.Meta, ResultType: r.ResultType, StructuredContent: r.StructuredContent,
		IsError: r.IsError, InputRequests: r.InputRequests, RequestState: r.RequestState,
	}
	if len(r.RawStructuredContent) > 0 {
		t.StructuredContent = r.RawStructuredContent
	}
	rest, err := encode(t)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 2*len(rest)+200) // the text mostly says the same
	b = append(append(append(b, `{"jsonrpc":"2.0","id":`...), id...), `,"result":{"content":[`...)
	for i, c := range r.Content {
		if i > 0 {
			b = append(b, ',')
		}
		if text, ok := c.(mcp.TextContent); ok && text.Annotations == nil && text.Meta == nil {
			b = append(jsonspan.AppendText(append(b, `{"type":"text","text":`...), text.Text), '}')
			continue
		}
		item, err := encode(c)
		if err != nil {
			return nil, err
		}
		b = append(b, item...)
	}
	b = append(b, ']')
	if len(rest) > len("{}") {
		b = append(b, ',')
	}
	return append(append(b, rest[1:]...), '}'), nil
}

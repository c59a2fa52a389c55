package transport

import (
	"context"
	"encoding/json"

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
	args, ok := member(m.Params, "arguments")
	if !ok || args.To == 0 || m.Params[args.From] != '{' {
		return nil
	}
	var p struct {
		Name           string          `json:"name"`
		Meta           json.RawMessage `json:"_meta"`
		Task           json.RawMessage `json:"task"`
		InputResponses json.RawMessage `json:"inputResponses"`
		RequestState   json.RawMessage `json:"requestState"`
	}
	if err := json.Unmarshal(without(m.Params, args.From, args.To), &p); err != nil || p.Task != nil || p.InputResponses != nil || p.RequestState != nil {
		return nil
	}
	handler := d.tools.Handlers[p.Name]
	if handler == nil {
		return nil
	}
	info, meta, ok := protocolInfo(p.Meta)
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
	c.arguments = m.Params[args.From:args.To:args.To]
	call := &plainCall{handler: handler, info: info}
	call.request.Method = string(mcp.MethodToolsCall)
	call.request.Params.Name, call.request.Params.Arguments, call.request.Params.Meta = p.Name, map[string]any{}, meta
	return call
}

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

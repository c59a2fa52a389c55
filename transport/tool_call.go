package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// callTool serves a tools/call (MCP, tools). mcp-go only lists the tools and keeps
// their handlers: it would read each message ten times, and keep 7 KB more of stack
// for every call that waits.
func (d *dispatcher) callTool(ctx context.Context, m *message, s *session, c *Call) mcp.JSONRPCMessage {
	call, err := d.readCall(m)
	if err == nil {
		ctx = server.WithRequestProtocolInfo(ctx, call.info)
		var result *mcp.CallToolResult
		if result, err = call.run(ctx, requestSession{s, c}); err == nil {
			if c.task != nil {
				return mcp.JSONRPCResponse{JSONRPC: mcp.JSONRPC_VERSION, Result: d.wireTask(*c.task, resultTypeTask)}
			}
			if call.info.Modern {
				d.complete(result)
			}
			return mcp.JSONRPCResponse{JSONRPC: mcp.JSONRPC_VERSION, Result: result}
		}
	}
	if d.OnError != nil {
		d.OnError(ctx, m.ID, mcp.MethodToolsCall, nil, err)
	}
	return failed(err, call != nil && call.info.Modern)
}

// complete adds what 2026-07-28 wants in every result.
func (d *dispatcher) complete(result *mcp.CallToolResult) {
	if result.ResultType == "" {
		result.ResultType = mcp.ResultTypeComplete
	}
	if result.Meta == nil {
		result.Meta = &mcp.Meta{}
	}
	result.Meta.SetMetaField(mcp.MetaKeyServerInfo, d.info)
}

var errNoCapabilities = &codedError{code: mcp.INVALID_PARAMS, text: "missing or invalid _meta field " + mcp.MetaKeyClientCapabilities}

// toolCall is a tools/call that can be run.
type toolCall struct {
	handler server.ToolHandlerFunc
	info    *server.RequestProtocolInfo
	request mcp.CallToolRequest
}

// readCall reads the params of a tools/call. It has a frame of its own: thousands
// of calls may wait, and their stacks are most of what they take.
func (d *dispatcher) readCall(m *message) (*toolCall, error) {
	call := &toolCall{}
	call.request.Method = string(mcp.MethodToolsCall)
	params := &call.request.Params
	params.RawArguments = json.RawMessage("{}")
	call.info = &server.RequestProtocolInfo{}
	for _, p := range m.params {
		if kindOf(p.value) == "null" {
			continue
		}
		ok, want := true, "an object"
		switch p.name {
		case "name":
			want = "a string"
			params.Name, ok = textOf(p.value)
		case "arguments":
			params.RawArguments, ok = p.value, kindOf(p.value) == want
		case "_meta":
			if ok = kindOf(p.value) == want; ok {
				params.Meta, call.info = readMeta(m.metaMembers)
			}
		case "inputResponses":
			answers, err := readAnswers(p.value)
			if err != nil {
				return nil, err
			}
			params.InputResponses = answers
		case "requestState":
			want = "a string"
			params.RequestState, ok = textOf(p.value)
		}
		if !ok {
			return nil, wrongKind("params."+p.name, want, p.value)
		}
	}
	switch {
	case call.info.Modern && call.info.ClientCapabilities == nil:
		return call, errNoCapabilities
	case call.info.Modern && !mcp.IsValidProtocolVersion(call.info.ProtocolVersion):
		e := mcp.UnsupportedProtocolVersionError{Version: call.info.ProtocolVersion, Supported: mcp.ValidProtocolVersions}
		details := e.JSONRPCError().Error
		return call, &codedError{code: details.Code, text: details.Message, data: details.Data}
	case params.Name == "":
		return call, &codedError{code: mcp.INVALID_PARAMS, text: "params.name is missing: the name of a tool"}
	}
	tool := d.mcp.GetTool(params.Name)
	if tool == nil {
		return call, &codedError{code: mcp.INVALID_PARAMS, cause: server.ErrToolNotFound,
			text: fmt.Sprintf("unknown tool %q; tools/list lists the ones there are", params.Name)}
	}
	call.handler = tool.Handler
	return call, nil
}

// readAnswers reads inputResponses: answers to questions, by their ids.
func readAnswers(raw json.RawMessage) (mcp.InputResponses, error) {
	const want = "an object"
	if kindOf(raw) != want {
		return nil, wrongKind("params.inputResponses", want, raw)
	}
	answers := make(mcp.InputResponses)
	for _, r := range membersOf(raw) {
		if kindOf(r.value) != want {
			return nil, wrongKind("params.inputResponses."+r.name, want, r.value)
		}
		var answer mcp.InputResponse
		_ = answer.UnmarshalJSON(r.value) // keeps it for later
		answers[r.name] = answer
	}
	return answers, nil
}

// readMeta reads the members of a request's _meta, and what they say of the protocol's
// era. Members of a wrong type count as missing.
func readMeta(members []member) (*mcp.Meta, *server.RequestProtocolInfo) {
	meta, info := handlersMeta(members), &server.RequestProtocolInfo{}
	info.ProtocolVersion, _ = textOf(find(members, mcp.MetaKeyProtocolVersion))
	if info.Modern = mcp.IsModernProtocol(info.ProtocolVersion); !info.Modern {
		return meta, info
	}
	info.ClientInfo = decodeObject[mcp.Implementation](find(members, mcp.MetaKeyClientInfo))
	info.ClientCapabilities = decodeObject[mcp.ClientCapabilities](find(members, mcp.MetaKeyClientCapabilities))
	level, _ := textOf(find(members, mcp.MetaKeyLogLevel))
	info.LogLevel = mcp.LoggingLevel(level)
	return meta, info
}

// handlersMeta is what handlers read of a _meta: the texts in it, such as a trace
// context, that are not the protocol's own; nil where there are none.
func handlersMeta(members []member) *mcp.Meta {
	var meta *mcp.Meta
	for _, m := range members {
		if slices.Contains(knownNames["params._meta"], m.name) {
			continue
		}
		if text, ok := textOf(m.value); ok {
			if meta == nil {
				meta = &mcp.Meta{AdditionalFields: make(map[string]any)}
			}
			meta.AdditionalFields[m.name] = text
		}
	}
	return meta
}

// decodeObject gives nil for what is not an object, or does not fit.
func decodeObject[T any](raw json.RawMessage) *T {
	v := new(T)
	if string(raw) == "{}" {
		return v
	}
	if kindOf(raw) != "an object" || jsonv2.Unmarshal(raw, v, loneSurrogates) != nil {
		return nil
	}
	return v
}

// maxQuestions bounds how often one call may ask the user.
const maxQuestions = 10

// run runs the tool. A handler that needs an answer of the user returns the question
// as its result. A modern client calls again with the answer; for a legacy one, the
// question is put here, and the handler is run again.
func (t *toolCall) run(ctx context.Context, s requestSession) (*mcp.CallToolResult, error) {
	if t.info.Modern {
		s.SetClientCapabilities(*t.info.ClientCapabilities)
		if t.info.ClientInfo != nil {
			s.SetClientInfo(*t.info.ClientInfo)
		}
	}
	for range maxQuestions {
		result, err := t.handler(ctx, t.request)
		switch {
		case err != nil:
			return nil, err
		case result == nil:
			return nil, fmt.Errorf("tool %q gave no result", t.request.Params.Name)
		case t.info.Modern || !result.NeedsInput():
			return result, nil
		}
		s.call.asking.Store(true)
		err = t.ask(ctx, s, result)
		s.call.asking.Store(false)
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("tool %q asked more than %d questions", t.request.Params.Name, maxQuestions)
}

// ask puts the questions in a result to the user of a legacy client, and the answers
// into the request.
func (t *toolCall) ask(ctx context.Context, s requestSession, result *mcp.CallToolResult) error {
	responses := make(mcp.InputResponses)
	for _, id := range slices.Sorted(maps.Keys(result.InputRequests)) {
		question := result.InputRequests[id]
		if question.Elicitation == nil {
			return fmt.Errorf("tool %q asked with %s, which only newer clients support", t.request.Params.Name, question.Method)
		}
		answer, err := s.RequestElicitation(ctx, mcp.ElicitationRequest{Params: *question.Elicitation})
		if err != nil {
			return err
		}
		responses[id] = mcp.NewElicitationInputResponse(*answer)
	}
	t.request.Params.MultiRoundTripParams = mcp.MultiRoundTripParams{InputResponses: responses, RequestState: result.RequestState}
	return nil
}

// toolResult is a mcp.CallToolResult without its own way to render itself, which
// renders everything twice and escapes HTML.
type toolResult struct {
	Meta              map[string]any    `json:"_meta,omitempty"`
	ResultType        mcp.ResultType    `json:"resultType,omitempty"`
	Content           []mcp.Content     `json:"content"`
	StructuredContent any               `json:"structuredContent,omitempty"`
	IsError           bool              `json:"isError,omitempty"`
	InputRequests     mcp.InputRequests `json:"inputRequests,omitempty"`
	RequestState      string            `json:"requestState,omitempty"`
}

func wireResult(r *mcp.CallToolResult) toolResult {
	t := toolResult{
		ResultType: r.ResultType, Content: r.Content, StructuredContent: r.StructuredContent,
		IsError: r.IsError, InputRequests: r.InputRequests, RequestState: r.RequestState,
	}
	if r.Meta != nil {
		t.Meta = r.Meta.AdditionalFields
	}
	if t.Content == nil {
		t.Content = []mcp.Content{} // required
	}
	if len(r.RawStructuredContent) > 0 {
		t.StructuredContent = r.RawStructuredContent
	}
	return t
}

package client

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeToolCalls reads the calls that a message makes, from the blocks of its
// content or from OpenAI's tool_calls.
func decodeToolCalls(o object) []ToolCall {
	var calls []ToolCall
	blocks, _ := asArray(o["content"])
	for _, raw := range blocks {
		b, ok := asObject(raw)
		if !ok {
			continue
		}
		switch b.text("type") {
		case "toolCall", "tool_call", "toolUse", "tool_use", "function_call":
			calls = append(calls, decodeToolCall(b))
		}
	}
	listed, _ := asArray(o.first("tool_calls", "toolCalls"))
	for _, raw := range listed {
		if b, ok := asObject(raw); ok {
			calls = append(calls, decodeToolCall(b))
		}
	}
	return calls
}

// waitsForPart reports whether a message of the AI SDK ends with a call that has no output yet:
// {"parts":[{"type":"tool-exec","toolCallId":"t","state":"input-available"}]}.
func waitsForPart(o object) (waits bool) {
	parts, _ := asArray(o["parts"])
	for _, raw := range parts {
		p, _ := asObject(raw)
		kind, state := p.text("type"), p.text("state")
		switch {
		case strings.HasPrefix(kind, "tool-"), kind == "dynamic-tool":
			waits = state == "input-streaming" || state == "input-available"
		case kind == "text" && p.text("text") != "":
			waits = false
		}
	}
	return waits
}

func decodeToolCall(b object) ToolCall {
	c := ToolCall{
		ID:      b.id("toolCallId", "tool_call_id", "call_id", "id"),
		Name:    b.text("name", "toolName", "tool_name"),
		Result:  contentText(b.first("result", "output")),
		IsError: b.flag("isError", "is_error"),
	}
	args := b.first("arguments", "args", "input")
	if f, ok := b.object("function"); ok {
		setIfEmpty(&c.Name, f.text("name"))
		if args == nil {
			args = f.first("arguments", "args")
		}
	}
	// OpenAI sends the arguments as JSON inside a string.
	if s, ok := asString(args); ok && isJSON([]byte(s)) {
		args = jsontext.Value(s)
	}
	c.Arguments = bytes.Clone(args)
	return c
}

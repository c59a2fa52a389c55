package client

import (
	"bytes"

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

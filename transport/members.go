package transport

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/jsonspan"
)

// A tool's arguments may be a megabyte, and encoding/json goes over all of a
// message whenever any of it is wanted. So what is wanted of a message that was
// found valid is cut out of it.

// member finds the value of a key in a valid JSON object; To is 0 where there is
// none. It reports false where encoding/json might find another one: when a key
// repeats or is spelt in another way.
func member(raw []byte, key string) (found jsonspan.Member, ok bool) {
	if i := jsonspan.SkipSpace(raw, 0); i == len(raw) || raw[i] != '{' {
		return found, false
	}
	for m := range jsonspan.Members(raw) {
		switch name := m.Key[1 : len(m.Key)-1]; {
		case bytes.IndexByte(name, '\\') >= 0:
			return found, false
		case bytes.EqualFold(name, []byte(key)):
			if found.To > 0 || string(name) != key {
				return found, false
			}
			found = m
		}
	}
	return found, true
}

// Arguments is a middleware ([server.WithToolHandlerMiddleware]) for tools that
// look for their arguments in mcp-go's request, which has none of its own here:
// it puts those of [Call.Arguments] there.
func Arguments(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if raw := CallFrom(ctx).Arguments(); raw != nil {
			var arguments any
			if err := json.Unmarshal(raw, &arguments); err != nil {
				return nil, err
			}
			req.Params.Arguments = arguments
		}
		return next(ctx, req)
	}
}

// takeArguments cuts the arguments out of a tools/call, which mcp-go would go
// over ten times without looking at them, and gives the message with none and
// the arguments. What has no object of arguments is left as it is.
func takeArguments(raw []byte) (rest []byte, arguments json.RawMessage) {
	params, ok := member(raw, "params")
	if !ok || params.To == 0 {
		return raw, nil
	}
	args, ok := member(raw[params.From:params.To], "arguments")
	start, end := params.From+args.From, params.From+args.To
	if !ok || args.To == 0 || raw[start] != '{' {
		return raw, nil
	}
	return without(raw, start, end), json.RawMessage(raw[start:end:end])
}

// without is raw with an empty object in place of raw[start:end].
func without(raw []byte, start, end int) []byte {
	rest := make([]byte, 0, len(raw)-(end-start)+2)
	return append(append(append(rest, raw[:start]...), "{}"...), raw[end:]...)
}

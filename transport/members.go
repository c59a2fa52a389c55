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

// member finds the value of a key in a valid JSON object: raw[start:end]. It
// reports false where there is none, and where encoding/json might find another
// one: when a key repeats or is spelt with escapes.
func member(raw []byte, key string) (start, end int, ok bool) {
	i := jsonspan.SkipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return 0, 0, false
	}
	for i++; ; i++ { // behind the brace, then each comma
		if i = jsonspan.SkipSpace(raw, i); raw[i] == '}' {
			return start, end, ok
		}
		behind := jsonspan.EndOfString(raw, i)
		name := raw[i+1 : behind-1]
		from := jsonspan.SkipSpace(raw, jsonspan.SkipSpace(raw, behind)+1) // the colon
		i = jsonspan.EndOfValue(raw, from)
		switch {
		case bytes.IndexByte(name, '\\') >= 0:
			return 0, 0, false
		case bytes.EqualFold(name, []byte(key)):
			if ok || string(name) != key {
				return 0, 0, false
			}
			start, end, ok = from, i, true
		}
		if i = jsonspan.SkipSpace(raw, i); raw[i] == '}' {
			return start, end, ok
		}
	}
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
	from, to, ok := member(raw, "params")
	if !ok {
		return raw, nil
	}
	start, end, ok := member(raw[from:to], "arguments")
	if start, end = start+from, end+from; !ok || raw[start] != '{' {
		return raw, nil
	}
	return without(raw, start, end), json.RawMessage(raw[start:end:end])
}

// without is raw with an empty object in place of raw[start:end].
func without(raw []byte, start, end int) []byte {
	rest := make([]byte, 0, len(raw)-(end-start)+2)
	return append(append(append(rest, raw[:start]...), "{}"...), raw[end:]...)
}

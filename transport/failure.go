package transport

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Coder is an error that knows its JSON-RPC code, which may differ between the
// protocol's eras. mcp-go answers every error of a handler with -32603; with
// [OnError] among its hooks, errors that have a Coder in their chain are
// answered as that says.
type Coder interface {
	error
	// RPCError gives the code, and the data of the answer (nil for none).
	RPCError(modern bool) (code int, data any)
}

// OnError is a server.OnErrorHookFunc that makes failures of handlers answer
// with their own code, and what is wrong with params with -32602 and plain words.
// Other errors are left to mcp-go.
func OnError(ctx context.Context, _ any, method mcp.MCPMethod, message any, err error) {
	mistyped, unreadable := (*json.UnmarshalTypeError)(nil), (*server.UnparsableMessageError)(nil)
	switch coder := (Coder)(nil); {
	case errors.As(err, &coder):
		Fail(ctx, err)
	case errors.As(err, &mistyped) && mistyped.Field != "":
		// A Field begins with the Go type that it was found in.
		name := mistyped.Field[max(0, strings.Index(mistyped.Field, "params.")):]
		Fail(ctx, &codedError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("%s must be %s", name, kindOfType(mistyped.Type))})
	case errors.As(err, &unreadable):
		Fail(ctx, &codedError{code: mcp.INVALID_PARAMS, text: "the params of " + string(method) + " can't be read"})
	case errors.As(err, new(base64.CorruptInputError)): // which is what mcp-go reads a cursor as
		Fail(ctx, errCursor)
	case errors.Is(err, server.ErrPromptNotFound):
		name := ""
		if get, ok := message.(*mcp.GetPromptRequest); ok {
			name = get.Params.Name
		}
		Fail(ctx, &codedError{code: mcp.INVALID_PARAMS, cause: err,
			text: fmt.Sprintf("unknown prompt %q; prompts/list lists the ones there are", name)})
	}
}

var errCursor = &codedError{code: mcp.INVALID_PARAMS, text: "params.cursor is not one that this server gave; leave it out to start at the beginning"}

// RefuseCursor is a server.BeforeAnyHookFunc that refuses cursors of lists that have one page
// alone: mcp-go takes many a text for one.
func RefuseCursor(ctx context.Context, _ any, _ mcp.MCPMethod, message any) {
	var cursor mcp.Cursor
	switch list := message.(type) {
	case *mcp.ListToolsRequest:
		cursor = list.Params.Cursor
	case *mcp.ListPromptsRequest:
		cursor = list.Params.Cursor
	case *mcp.ListResourceTemplatesRequest:
		cursor = list.Params.Cursor
	}
	if cursor != "" {
		Fail(ctx, errCursor)
	}
}

// kindOfType says in words which JSON values a Go type takes.
func kindOfType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Map, reflect.Struct, reflect.Pointer, reflect.Interface:
		return "an object"
	}
	return "a number"
}

// Fail makes the request that ctx belongs to answer with err, whatever mcp-go
// makes of it: for hooks, which can't return an error.
func Fail(ctx context.Context, err error) {
	c := CallFrom(ctx)
	if c == nil {
		return
	}
	details := detailsOf(err, server.IsModernRequest(ctx))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = &details
}

// detailsOf renders an error: -32603 where it does not know better.
func detailsOf(err error, modern bool) mcp.JSONRPCErrorDetails {
	var coder Coder
	if !errors.As(err, &coder) {
		return mcp.NewJSONRPCErrorDetails(mcp.INTERNAL_ERROR, err.Error(), nil)
	}
	code, data := coder.RPCError(modern)
	return mcp.NewJSONRPCErrorDetails(code, coder.Error(), data)
}

// answerWith is the answer to a request: what Fail said, else mcp-go's.
func (c *Call) answerWith(answer mcp.JSONRPCMessage) mcp.JSONRPCMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil || answer == nil {
		return answer
	}
	return mcp.JSONRPCError{JSONRPC: mcp.JSONRPC_VERSION, Error: *c.failure}
}

// failed renders an error of this package's own methods as an answer.
func failed(err error, modern bool) mcp.JSONRPCMessage {
	return mcp.JSONRPCError{JSONRPC: mcp.JSONRPC_VERSION, Error: detailsOf(err, modern)}
}

// codedError is a failure of this package's own methods.
type codedError struct {
	code  int
	text  string
	data  any   // of the answer
	cause error // for those who look for it; not in the text
}

func (e *codedError) Error() string            { return e.text }
func (e *codedError) Unwrap() error            { return e.cause }
func (e *codedError) RPCError(bool) (int, any) { return e.code, e.data }

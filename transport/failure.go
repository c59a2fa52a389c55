package transport

import (
	"context"
	"errors"

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
// with their own code. Those without one are left to mcp-go.
func OnError(ctx context.Context, _ any, _ mcp.MCPMethod, _ any, err error) {
	if coder := (Coder)(nil); errors.As(err, &coder) {
		Fail(ctx, err)
	}
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
	code int
	text string
}

func (e *codedError) Error() string            { return e.text }
func (e *codedError) RPCError(bool) (int, any) { return e.code, nil }

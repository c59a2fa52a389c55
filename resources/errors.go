package resources

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
)

// Reason says why a resource can't be read.
type Reason string

// The reasons.
const (
	NotFound  Reason = "not_found"
	Forbidden Reason = "forbidden"
	Invalid   Reason = "invalid"
	TooMany   Reason = "too_many"
)

// Error is a request that the caller got wrong. All other failures are errors
// of the service or of this program.
type Error struct {
	Reason Reason
	URI    string
	Text   string
}

func (e *Error) Error() string { return e.Text }

// RPCError gives the code of the JSON-RPC answer. MCP has a code for what is
// not found: -32002 up to 2025-11-25, -32602 since 2026-07-28. It has none for
// what is forbidden, which is therefore answered like what is not found: for
// this caller it is not there. The data tell the two apart.
func (e *Error) RPCError(modern bool) (int, any) {
	data := map[string]any{"uri": e.URI, "reason": e.Reason}
	if e.Reason == Invalid || e.Reason == TooMany || modern {
		return mcp.INVALID_PARAMS, data
	}
	return mcp.RESOURCE_NOT_FOUND, data
}

func notFound(uri, format string, a ...any) error {
	return &Error{NotFound, uri, fmt.Sprintf(format, a...)}
}

func invalid(uri, format string, a ...any) error {
	return &Error{Invalid, uri, fmt.Sprintf(format, a...)}
}

func forbidden(uri string, err error) error {
	return &Error{Forbidden, uri, err.Error()}
}

// asCallers makes the service's refusals the caller's errors, where they are.
func asCallers(uri string, err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		return &Error{NotFound, uri, err.Error()}
	case http.StatusForbidden, http.StatusPaymentRequired:
		return &Error{Forbidden, uri, err.Error()}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &Error{Invalid, uri, err.Error()}
	}
	return err
}

// definitive reports whether it is pointless to try again.
func definitive(err error) bool {
	var e *Error
	return errors.As(asCallers("", err), &e)
}

package tools

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"openclaw-mcp/client"
	"openclaw-mcp/runs"
	"openclaw-mcp/terminals"
)

// FailureCode puts an error into one of few words, for those who count them.
// None of them comes from outside.
func FailureCode(err error) string {
	var unconfirmed *unconfirmedError
	var rail *railError
	var arg *argumentError
	var e *client.Error
	switch {
	case errors.As(err, &unconfirmed):
		return "unconfirmed"
	case errors.As(err, &rail), errors.Is(err, errDenied):
		return "forbidden"
	case errors.As(err, &arg):
		return "argument"
	case errors.Is(err, runs.ErrHandle), errors.Is(err, terminals.ErrHandle), errors.Is(err, terminals.ErrElsewhere),
		errors.Is(err, terminals.ErrGone), errors.As(err, new(*terminals.EndedError)):
		return "handle"
	case errors.Is(err, runs.ErrBusy), errors.Is(err, runs.ErrKeyReused), errors.Is(err, terminals.ErrLimit):
		return "busy"
	case errors.Is(err, runs.ErrClosed), errors.Is(err, terminals.ErrClosed):
		return "shutdown"
	case errors.As(err, &e):
		return upstreamCode(e)
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "internal"
}

func upstreamCode(e *client.Error) string {
	switch {
	case e.Status >= 100 && e.Status < 600 && http.StatusText(e.Status) != "":
		return "http_" + strconv.Itoa(e.Status)
	case e.Status != 0:
		return "http_other"
	case errors.Is(e.Err, context.Canceled):
		return "cancelled"
	case e.Timeout():
		return "timeout"
	case e.Err == nil:
		return "refused" // by the client itself, before sending, or in the service's stream
	}
	return "unreachable"
}

package tools

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/hand"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/terminals"
)

// FailureCode gives one of a few fixed words for an error, for metrics. None of
// them comes from outside.
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
	case errors.As(err, &arg), errors.As(err, new(*command.DirError)):
		return "argument"
	case errors.Is(err, runs.ErrHandle), errors.Is(err, terminals.ErrHandle), errors.Is(err, terminals.ErrElsewhere),
		errors.Is(err, terminals.ErrGone), errors.As(err, new(*terminals.EndedError)):
		return "handle"
	case errors.Is(err, chat.ErrBusy), errors.Is(err, chat.ErrKeyReused), errors.Is(err, chat.ErrAnswered), errors.Is(err, command.ErrKeyReused),
		errors.Is(err, runs.ErrLimit), errors.Is(err, fleet.ErrFull), errors.Is(err, terminals.ErrLimit), errors.As(err, new(*hand.HeldError)):
		return "busy"
	case errors.Is(err, runs.ErrClosed), errors.Is(err, terminals.ErrClosed):
		return "shutdown"
	case errors.As(err, new(*lostError)):
		return "lost"
	case errors.Is(err, fleet.ErrAway):
		return "away"
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

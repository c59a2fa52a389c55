package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/terminals"
)

func TestFailureCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&unconfirmedError{text: "x"}, "unconfirmed"},
		{forbidden("x"), "forbidden"},
		{errDenied, "forbidden"},
		{badArgument("x"), "argument"},
		{runs.ErrHandle, "handle"},
		{terminals.ErrGone, "handle"},
		{terminals.ErrElsewhere, "handle"},
		{&terminals.EndedError{}, "handle"},
		{chat.ErrBusy, "busy"},
		{terminals.ErrLimit, "busy"},
		{runs.ErrLimit, "busy"},
		{fleet.ErrFull, "busy"},
		{runs.ErrClosed, "shutdown"},
		{&client.Error{Status: 404, Code: "an id"}, "http_404"},
		{&client.Error{Status: 299}, "http_other"},
		{&client.Error{Status: 999}, "http_other"},
		{&client.Error{Err: context.Canceled}, "cancelled"},
		{&client.Error{Err: context.DeadlineExceeded}, "timeout"},
		{&client.Error{Err: errors.New("connection refused")}, "unreachable"},
		{&client.Error{Message: "the instance id is empty", Outcome: client.OutcomeNotSent}, "refused"},
		{context.DeadlineExceeded, "timeout"},
		{context.Canceled, "cancelled"},
		{errors.New("x"), "internal"},
	} {
		if got := FailureCode(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
			t.Errorf("%#v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

// Who is told that a session is busy does not know the run that it is busy with.
func TestBusyAdvice(t *testing.T) {
	t.Parallel()
	if a := adviceFor(Writes, fmt.Errorf("wrapped: %w", chat.ErrBusy)); !strings.Contains(a.next, "list_runs") {
		t.Errorf("got %+v", a)
	}
}

// A service that is elsewhere is not asked again; the one who runs this server has to say where.
func TestRedirectAdvice(t *testing.T) {
	t.Parallel()
	for _, effect := range []Effect{Reads, Writes, Destroys} {
		a := adviceFor(effect, &client.Error{Op: "POST /instances/{id}/chat/stream", Status: 308, Message: "moved", Outcome: client.OutcomeRejected})
		if !strings.HasPrefix(a.happened, "nothing") || !strings.HasPrefix(a.repeat, "no,") || !strings.Contains(a.next, "OPENCLAW_API_BASE_URL") {
			t.Errorf("got %+v", a)
		}
	}
}

func TestCoordinatesTooFar(t *testing.T) {
	t.Parallel()
	x, y := 3, maxCoordinates+1
	_, err := placeOf("x", &x, "y", &y)
	if err == nil || !strings.Contains(err.Error(), "is 65537") || !strings.Contains(err.Error(), "65536") {
		t.Errorf("got %v", err)
	}
}

package tools

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"openclaw-mcp/client"
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

package client

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// execGrace is how much longer than a command's own time-out its request may
// take.
const execGrace = 30 * time.Second

// TerminalService runs commands in an instance's sandbox.
type TerminalService struct{ core *core }

// Exec runs one shell command to its end (POST /instances/{id}/terminal/exec).
// The request may take the command's time-out and 30 seconds more; without a
// time-out, Timeouts.Exec and 30 seconds. It is never repeated.
//
// A command that fails is a result with its exit code, not an error, and so is
// one whose time-out the service reports in its answer (TimedOut). That the
// request itself ran out of time (408, 504, or nothing came) is an *[Error]
// whose [Error.Timeout] is true and whose Outcome is unknown: the command may
// still be running.
//
// The answer is read as it arrives: an output of any size takes no more memory
// than [WithMaxExecOutput] allows.
func (s *TerminalService) Exec(ctx context.Context, instance string, r ExecRequest) (ExecResult, error) {
	path, op, err := instancePath(http.MethodPost, instance, "/terminal/exec")
	if err != nil {
		return ExecResult{}, err
	}
	if r.Command == "" {
		return ExecResult{}, notSent(op, errors.New("the command is empty"))
	}
	if err := checkText("command", r.Command); err != nil {
		return ExecResult{}, notSent(op, err)
	}
	if r.Timeout < 0 {
		return ExecResult{}, notSent(op, errors.New("the time-out is negative"))
	}
	payload := struct {
		Command   string `json:"command"`
		TimeoutMS int64  `json:"timeout_ms,omitempty"`
	}{r.Command, int64((r.Timeout + time.Millisecond - 1) / time.Millisecond)}
	limit := r.Timeout
	if limit == 0 {
		limit = s.core.options.timeouts.Exec
	}
	req := call{op: op, method: http.MethodPost, path: path, body: payload, timeout: limit}
	if limit > 0 {
		req.timeout = limit + execGrace
	}
	resp, err := s.core.do(ctx, req)
	if err != nil {
		return ExecResult{}, err
	}
	defer func() { _ = resp.body.Close() }()
	result, err := decodeExec(resp.body, resp.length, s.core.options.maxExec)
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Err: err, Message: "the result of the command cannot be read: " + err.Error()}
		}
		e.Status = resp.status
		return ExecResult{}, s.core.fail(req, e)
	}
	return result, nil
}

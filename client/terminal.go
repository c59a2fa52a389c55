package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
)

// execGrace is how much longer than a command's own time-out its request may
// take.
const execGrace = 30 * time.Second

// keepNoShell is how long an instance is remembered as one that runs no commands.
const keepNoShell = 5 * time.Minute

// TerminalService runs commands in an instance's sandbox.
type TerminalService struct {
	core *core

	mu      sync.Mutex
	noShell map[string]noShell
}

type noShell struct {
	why   string
	since time.Time
}

// NoShell says why an instance was lately found to run no commands, "" otherwise.
func (s *TerminalService) NoShell(instance string) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	no, ok := s.noShell[instance]
	if age := time.Since(no.since); ok && age < keepNoShell {
		return fmt.Sprintf("%s (found %s ago; checked again after %s)", no.why, age.Round(time.Second), keepNoShell)
	}
	return ""
}

// SetNoShell remembers for some minutes that an instance runs no commands. One that
// succeeds, or an empty reason, ends that.
func (s *TerminalService) SetNoShell(instance, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.noShell, func(id string, no noShell) bool { return id == instance || time.Since(no.since) >= keepNoShell })
	if why == "" {
		return
	}
	if s.noShell == nil {
		s.noShell = make(map[string]noShell)
	}
	s.noShell[instance] = noShell{why, time.Now()}
}

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
// An answer of more than [WithMaxAnswer] is an error: a command with that much
// output should write it to a file. Of what comes, [WithMaxExecOutput] is kept.
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
	payload := objectOf(field{key: "command", text: r.Command})
	if r.Timeout > 0 {
		payload = fmt.Appendf(payload[:len(payload)-1], `,"timeout_ms":%d}`, (r.Timeout+time.Millisecond-1)/time.Millisecond)
	}
	limit := r.Timeout
	if limit == 0 {
		limit = s.core.options.timeouts.Exec
	}
	keep := s.core.options.maxExec
	req := call{op: op, method: http.MethodPost, path: path, body: payload, timeout: limit, longest: keep, mark: rand.Text()}
	if limit > 0 {
		req.timeout = limit + execGrace
	}
	sent := time.Now()
	resp, raw, err := s.core.readAnswer(ctx, req)
	if err != nil {
		return ExecResult{}, err
	}
	defer resp.release()
	result, err := decodeExec(raw, keep, req.mark, time.Since(sent), limit)
	if err != nil {
		e := s.core.fail(req, err)
		e.Status = resp.status
		return ExecResult{}, e
	}
	if result.ExitCode != nil && *result.ExitCode == 0 {
		s.SetNoShell(instance, "")
	}
	return result, nil
}

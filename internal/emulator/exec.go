package emulator

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	defaultTimeout = time.Minute
	maxTimeout     = time.Hour

	// maxCommand is what Linux takes as one argument of a program.
	maxCommand = 128<<10 - 1
)

// exec answers POST terminal/exec. The command ends by itself, at its time-out
// or with the instance; a client that leaves does not end it.
func (s *Server) exec(c *call) {
	var body struct {
		Command   *string  `json:"command"`
		TimeoutMS *float64 `json:"timeout_ms"`
	}
	if !s.body(c, &body) || !s.need(c, "command", body.Command, false) {
		return
	}
	timeout := defaultTimeout
	if ms := body.TimeoutMS; ms != nil {
		if *ms < 1 || *ms > float64(maxTimeout.Milliseconds()) {
			s.invalid(c.w, "timeout_ms", "has to be from 1 to "+strconv.FormatInt(maxTimeout.Milliseconds(), 10))
			return
		}
		timeout = time.Duration(*ms * float64(time.Millisecond))
	}
	type outcome struct {
		res *result
		err error
	}
	done := make(chan outcome, 1)
	s.mu.Lock()
	status := c.in.status
	if status == statusReady {
		// Under the lock: Close takes it before it waits for the work.
		s.work.Go(func() {
			res, err := s.runCommand(context.Background(), c.in, *body.Command, timeout)
			done <- outcome{res, err}
		})
	}
	s.mu.Unlock()
	if status != statusReady {
		s.failWith(c.w, notReady(status))
		return
	}
	select {
	case out := <-done:
		if out.err != nil {
			s.failWith(c.w, out.err)
			return
		}
		s.reply(c.w, http.StatusOK, out.res.wire())
	case <-c.r.Context().Done():
	}
}

// runCommand runs a command in an instance.
func (s *Server) runCommand(ctx context.Context, in *instance, command string, timeout time.Duration) (*result, error) {
	if len(command) > maxCommand {
		return nil, &failure{http.StatusRequestEntityTooLarge, "command_too_long",
			"The command is longer than the system takes; pass the data in a file"}
	}
	if slices.Contains([]byte(command), 0) {
		return nil, &failure{http.StatusUnprocessableEntity, "validation_error", "command must not contain NUL"}
	}
	res, err := in.machine.run(ctx, command, timeout, s.opts.MaxExecOutput)
	if errors.Is(err, errOff) {
		return nil, notReady(statusStopped)
	}
	return res, err
}

// runForAgent is Turn.Run.
func (s *Server) runForAgent(ctx context.Context, in *instance, command string, timeout time.Duration) (ExecOutput, error) {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	res, err := s.runCommand(ctx, in, command, timeout)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return ExecOutput{}, err
	}
	return ExecOutput{Stdout: res.stdout.String(), Stderr: res.stderr.String(), ExitCode: res.code,
		TimedOut: res.timedOut, Truncated: res.truncated(), Duration: res.duration}, nil
}

// execWire is a result as it is answered. Bytes that are not UTF-8 become U+FFFD.
type execWire struct {
	Stdout     string `json:"stdout"`
	Stderr     string `json:"stderr"`
	ExitCode   int    `json:"exit_code"`
	TimedOut   bool   `json:"timed_out,omitempty"`
	Truncated  bool   `json:"truncated,omitempty"`
	DurationMS int64  `json:"duration_ms"`
}

func (r *result) wire() execWire {
	return execWire{r.stdout.String(), r.stderr.String(), r.code, r.timedOut, r.truncated(), r.duration.Milliseconds()}
}

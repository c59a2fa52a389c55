package emulator

import (
	"bufio"
	"context"
	"errors"
	"net/http"
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
			res, err := s.runCommand(context.Background(), c.in, *body.Command, timeout, s.opts.Exec == Output)
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
		s.execReply(c.w, out.res)
	case <-c.r.Context().Done():
	}
}

// runCommand runs a command in an instance.
func (s *Server) runCommand(ctx context.Context, in *instance, command string, timeout time.Duration, merge bool) (*result, error) {
	if len(command) > maxCommand {
		return nil, &failure{http.StatusRequestEntityTooLarge, "command_too_long",
			"The command is longer than the system takes; pass the data in a file"}
	}
	for _, b := range []byte(command) {
		if b == 0 {
			return nil, &failure{http.StatusUnprocessableEntity, "validation_error", "command must not contain NUL"}
		}
	}
	res, err := in.machine.run(ctx, command, timeout, s.opts.MaxExecOutput, merge)
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
	res, err := s.runCommand(ctx, in, command, timeout, false)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return ExecOutput{}, err
	}
	return ExecOutput{Stdout: res.stdout.String(), Stderr: res.stderr.String(), ExitCode: res.code,
		TimedOut: res.timedOut, Truncated: res.truncated(), Duration: res.duration}, nil
}

// execReply answers in the exec dialect, writing the output as a stream: it can
// be hundreds of megabytes.
func (s *Server) execReply(w http.ResponseWriter, res *result) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	beginEvent(w)
	out := bufio.NewWriterSize(w, 32<<10)
	str := func(name string, c *capture) {
		out.WriteString(`"` + name + `":"`)
		j := &jsonString{w: out}
		c.WriteTo(j)
		j.close()
		out.WriteByte('"')
	}
	flags := func(timedOut string) {
		if res.timedOut {
			out.WriteString(`,"` + timedOut + `":true`)
		}
		if res.truncated() {
			out.WriteString(`,"truncated":true`)
		}
	}
	code := strconv.Itoa(res.code)
	out.WriteByte('{')
	switch s.opts.Exec {
	case Camel, Wrapped:
		if s.opts.Exec == Wrapped {
			out.WriteString(`"result":{`)
		}
		str("stdout", res.stdout)
		out.WriteByte(',')
		str("stderr", res.stderr)
		out.WriteString(`,"exitCode":` + code)
		flags("timedOut")
		if s.opts.Exec == Wrapped {
			out.WriteByte('}')
		}
	case Output:
		str("output", res.stdout)
		out.WriteString(`,"exit_code":` + code + `,"timed_out":` + strconv.FormatBool(res.timedOut))
		if res.truncated() {
			out.WriteString(`,"truncated":true`)
		}
	case Bare:
		out.WriteString(`"success":` + strconv.FormatBool(res.code == 0) + `,`)
		str("stdout", res.stdout)
	default:
		str("stdout", res.stdout)
		out.WriteByte(',')
		str("stderr", res.stderr)
		out.WriteString(`,"exit_code":` + code)
		flags("timed_out")
		out.WriteString(`,"duration_ms":` + strconv.FormatInt(res.duration.Milliseconds(), 10))
	}
	out.WriteByte('}')
	out.Flush()
	endEvent(w)
}

package sandbox

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// NoShell is the error for an instance that was lately found to run no commands. Nothing was
// sent.
type NoShell struct{ Why string }

func (e *NoShell) Error() string { return e.Why }

// WithoutShell reports whether err says that the instance runs no scripts, so that nothing was
// done, and why. In an answer of 200 an error may come after the deed, so that it says this only
// of scripts that may run twice; harmless says that this was one.
func WithoutShell(err error, harmless bool) (why string, ok bool) {
	var shell *NoShell
	var no *NoReport
	var e *client.Error
	switch {
	case errors.As(err, &shell):
		return shell.Why, true
	case errors.As(err, &no):
		return no.Error(), !no.Begun && !no.TimedOut
	case !errors.As(err, &e) || !strings.HasSuffix(e.Op, "/terminal/exec"):
		return "", false
	case refuses(e), e.Status == http.StatusOK && (harmless || e.Outcome != client.OutcomeUnknown):
		return e.Error(), true
	}
	return "", false
}

// refuses reports whether a service said that it runs no commands, or not this one.
func refuses(e *client.Error) bool {
	return e.Outcome != client.OutcomeUnknown && (e.NoEndpoint() || e.Status == http.StatusForbidden)
}

// probeTimeout is how long the simplest command may take.
const probeTimeout = 10 * time.Second

// learn finds out whether a script was refused because its instance runs no commands at all, and
// has that remembered. A service may also refuse one script for what is in it, so the simplest
// command decides.
func learn(ctx context.Context, e Executor, instance string, res client.ExecResult, err error) {
	const word = "openclaw-mcp"
	if !shellMissing(res, err) {
		return
	}
	again, probeErr := e.Exec(ctx, instance, client.ExecRequest{Command: "echo " + word, Timeout: probeTimeout})
	if shellMissing(again, probeErr) && !strings.Contains(again.Stdout.Head, word) {
		e.SetNoShell(instance, err.Error())
	}
}

// shellMissing reports whether an answer is one of a service without a shell: a refusal, or the
// exit code for a program that is not there or can't be run.
func shellMissing(res client.ExecResult, err error) bool {
	var e *client.Error
	if errors.As(err, &e) {
		return refuses(e)
	}
	return res.ExitCode != nil && (*res.ExitCode == 126 || *res.ExitCode == 127)
}

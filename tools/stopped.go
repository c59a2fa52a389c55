package tools

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/command"
)

// stoppedError is the failure of a call whose instance is stopped, as the service
// says.
type stoppedError struct {
	error
	instance, status string
}

func (e *stoppedError) Unwrap() error { return e.error }

// statusPatience is how long a failed call waits for the status of its instance.
const statusPatience = 3 * time.Second

// ifStopped gives err as a *stoppedError if it may come from the instance being
// stopped, and it is.
func (r *request) ifStopped(ctx context.Context, instance string, err error) error {
	if instance == "" || r.tool.Family == "instances" || !mayBeStopped(err) {
		return err
	}
	status, stopped := r.stopped(ctx, instance)
	if !stopped {
		return err
	}
	if e, ok := errors.AsType[*refusedWithout](err); ok {
		err = e.noScript // there is nothing that would do without, either
	}
	return &stoppedError{err, instance, status}
}

// stopped asks whether an instance is stopped.
func (r *request) stopped(ctx context.Context, instance string) (status string, stopped bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusPatience)
	defer cancel()
	in, err := r.Client.Instances.Current(ctx, instance)
	if noEndpoint(err) {
		in, err = r.listed(ctx, instance, err)
	}
	return in.Status, err == nil && isStopped(in)
}

// isStopped tells instances that a reboot starts from those that are gone.
func isStopped(in client.Instance) bool {
	if in.State != client.StateOff {
		return false
	}
	status := strings.ToLower(in.Status)
	return !strings.Contains(status, "delet") && !strings.Contains(status, "terminat")
}

// mayBeStopped reports errors that services give for an instance that does not run.
func mayBeStopped(err error) bool {
	if _, ok := errors.AsType[*noScript](err); ok {
		return true
	}
	var e *client.Error
	if !errors.As(err, &e) || !strings.Contains(e.Op, "/instances/{id}/") || e.Code == "read_only" ||
		errors.Is(err, context.Canceled) || e.Status == 0 && e.Outcome == client.OutcomeNotSent {
		return false
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired, http.StatusTooManyRequests,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return false
	}
	return true
}

// updateIfStopped is ifStopped for a run that has failed, or whose command may not
// have run.
func (r *request) updateIfStopped(ctx context.Context, u *runs.Update) {
	if u.Err != nil {
		u.Err = r.ifStopped(ctx, u.Instance, u.Err)
		return
	}
	if o, ok := u.Result.(*command.Output); ok && o.NotReady {
		note := "if these words are not the command's own, the sandbox was not ready and the command did not run"
		if _, stopped := r.stopped(ctx, u.Instance); stopped {
			note += ": the instance is stopped, so reboot_instance first"
		} else {
			note += "; get_instance shows the status"
		}
		u.Notes = append(u.Notes, note)
	}
}

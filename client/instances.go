package client

import (
	"context"
	"errors"
	"net/http"
)

// InstancesService manages the instances that the key's user owns.
type InstancesService struct{ core *core }

// List gives all instances (GET /instances).
func (s *InstancesService) List(ctx context.Context) (Page[Instance], error) {
	req := call{op: "GET /instances", method: http.MethodGet, path: "/instances"}
	return fetch(ctx, s.core, req, func(raw []byte) (Page[Instance], error) { return decodePage(raw, "instances", decodeInstance) })
}

// Get gives one instance (GET /instances/{id}).
func (s *InstancesService) Get(ctx context.Context, id string) (Instance, error) {
	req, err := get(id, "", nil)
	if err != nil {
		return Instance{}, err
	}
	return fetch(ctx, s.core, req, decodeInstance)
}

// Create makes an instance (POST /instances). It may block for minutes
// (Timeouts.Create), or come back early with an instance that is still pending
// and has to be polled with [InstancesService.Status]. It is never repeated:
// after an error with an [Outcome] of unknown, List shows whether an instance
// came to be.
func (s *InstancesService) Create(ctx context.Context, r CreateInstanceRequest) (Instance, error) {
	payload := struct {
		InviteCode string `json:"invite_code,omitempty"`
	}{r.InviteCode}
	req := call{op: "POST /instances", method: http.MethodPost, path: "/instances", body: payload,
		timeout: s.core.options.timeouts.Create}
	if err := checkText("invite code", r.InviteCode); err != nil {
		return Instance{}, notSent(req.op, err)
	}
	return fetch(ctx, s.core, req, decodeInstance)
}

// Reboot restarts an instance (POST /instances/{id}/reboot). The answer says
// that the request was accepted, not that the instance is up again.
func (s *InstancesService) Reboot(ctx context.Context, id string) (Lifecycle, error) {
	return s.lifecycle(ctx, id, "/reboot")
}

// Shutdown stops an instance (POST /instances/{id}/shutdown).
func (s *InstancesService) Shutdown(ctx context.Context, id string) (Lifecycle, error) {
	return s.lifecycle(ctx, id, "/shutdown")
}

func (s *InstancesService) lifecycle(ctx context.Context, id, rest string) (Lifecycle, error) {
	req, err := post(id, rest, struct{}{})
	if err != nil {
		return Lifecycle{}, err
	}
	return fetch(ctx, s.core, req, func(raw []byte) (Lifecycle, error) { return decodeLifecycle(raw), nil })
}

// Status gives an instance's current status (GET /instances/{id}/status). Where
// the service has no such endpoint, or answers without a status word, it asks
// for the instance instead. The ID is always set; dates and sandbox may be
// missing.
func (s *InstancesService) Status(ctx context.Context, id string) (Instance, error) {
	i, ok, err := s.status(ctx, id)
	if err != nil || ok {
		return i, err
	}
	return s.Get(ctx, id)
}

// Current gives one instance, with the status that GET /instances/{id}/status
// tells, where the service has that: it is the fresher word. Both are asked at
// once, since the way to the service is most of the time.
func (s *InstancesService) Current(ctx context.Context, id string) (Instance, error) {
	ctx, cancel := context.WithCancel(ctx)
	fresh := make(chan Instance, 1)
	go func() {
		i, _, _ := s.status(ctx, id)
		fresh <- i
	}()
	got, err := s.Get(ctx, id)
	if err != nil {
		cancel()
		<-fresh
		return Instance{}, err
	}
	i := <-fresh
	cancel()
	if i.Status != "" {
		got.Status, got.State = i.Status, i.State
	}
	return got, nil
}

// status asks GET /instances/{id}/status, and reports false where the service
// has no such endpoint or its answer no status.
func (s *InstancesService) status(ctx context.Context, id string) (Instance, bool, error) {
	req, err := get(id, "/status", nil)
	if err != nil {
		return Instance{}, false, err
	}
	i, err := fetch(ctx, s.core, req, func(raw []byte) (i Instance, _ error) { i, _ = decodeStatus(raw, id); return i, nil })
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			switch e.Status {
			case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
				return Instance{}, false, nil
			}
		}
		return Instance{}, false, err
	}
	return i, i.Status != "", nil
}

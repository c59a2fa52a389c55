package transport

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// openRequests are the requests being served over HTTP, streams among them. Whether
// their senders may still call is asked again at each heartbeat, and what is open of
// those who may not ends.
type openRequests struct {
	authenticate func(*http.Request) (Principal, error) // nil: everybody may call
	every        time.Duration

	mu    sync.Mutex
	all   map[*openRequest]struct{}
	timer *time.Timer // nil while nothing is open
	over  bool
}

type openRequest struct {
	request *http.Request
	caller  Principal
	end     context.CancelCauseFunc
}

// authorizeLimit bounds how long one question may take.
const authorizeLimit = 10 * time.Second

func (o *openRequests) init(opts HTTPOptions) {
	o.authenticate, o.every = opts.Authenticate, opts.Heartbeat
	o.all = make(map[*openRequest]struct{})
}

// track notes a request until untrack is called. The one that it gives has ctx, which
// ends with ErrUnauthorized when its sender may not call any more.
func (o *openRequests) track(ctx context.Context, r *http.Request, caller Principal) (tracked *http.Request, untrack func()) {
	ctx, end := context.WithCancelCause(ctx)
	one := &openRequest{request: r, caller: caller, end: end}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[one] = struct{}{}
	if o.timer == nil && o.authenticate != nil && !o.over {
		o.timer = time.AfterFunc(o.every, o.ask)
	}
	return r.WithContext(ctx), func() {
		end(nil)
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.all, one)
	}
}

// ask asks about everything that is open.
func (o *openRequests) ask() {
	o.mu.Lock()
	all := make([]*openRequest, 0, len(o.all))
	for one := range o.all {
		all = append(all, one)
	}
	o.mu.Unlock()
	for _, one := range all {
		if !StillAuthorized(o.authenticate, one.request, one.caller) {
			one.end(ErrUnauthorized)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.over:
	case len(o.all) == 0:
		o.timer = nil
	default:
		o.timer = time.AfterFunc(o.every, o.ask)
	}
}

// endOf ends all that a caller has open.
func (o *openRequests) endOf(p Principal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for one := range o.all {
		if one.caller == p {
			one.end(ErrUnauthorized)
		}
	}
}

func (o *openRequests) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	if o.timer != nil {
		o.timer.Stop()
	}
}

// StillAuthorized asks again whether a request is from a caller. While that can't be
// told (a Refusal of 5xx), it counts as before.
func StillAuthorized(authenticate func(*http.Request) (Principal, error), r *http.Request, caller Principal) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), authorizeLimit)
	defer cancel()
	p, err := authenticate(r.WithContext(ctx))
	if err == nil {
		return p == caller
	}
	refusal := (Refusal)(nil)
	return errors.As(err, &refusal) && refusal.Answer(make(http.Header)) >= http.StatusInternalServerError
}

// EndAll ends what a caller has open here: requests, streams and sessions.
func (h *HTTP) EndAll(p Principal) {
	h.open.endOf(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		if s.principal == p {
			h.forget(s)
		}
	}
}

package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/transport"
)

// askAgain is how often it is asked whether callers may still call.
const askAgain = 15 * time.Second

// endRevoked ends all that callers have open here once the credential that they came
// with last is no longer good: their terminals, the runs that are followed for them,
// what they watch. It returns when ctx ends.
func (b *Bridge) endRevoked(ctx context.Context, authenticate authenticate, h *transport.HTTP) {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		b.endRefused(ctx, h)
		for p, header := range b.callers.credentials() {
			r := (&http.Request{Header: header}).WithContext(ctx)
			if !transport.StillAuthorized(authenticate, r, p) {
				b.endAll(h, p, "a caller may not call any more: what it had open is ended")
			}
		}
	}
}

func (b *Bridge) endAll(h *transport.HTTP, p transport.Principal, why string) {
	b.log.Info(why, "principal", p.Name)
	h.EndAll(p)
	b.callers.end(p)
}

// endRefused ends what callers have open that bring their own key, once the service does
// not take it any more. A service may say 401 for other reasons, so it is asked again.
func (b *Bridge) endRefused(ctx context.Context, h *transport.HTTP) {
	if !b.cfg.CallersBringKeys() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	var asking sync.WaitGroup
	defer asking.Wait()
	for p, s := range b.callers.takeRefused() {
		asking.Go(func() {
			_, err := s.Client.Instances.List(ctx)
			if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusUnauthorized {
				b.endAll(h, p, "the service does not take a caller's key any more: what it had open is ended")
			}
		})
	}
}

// remembering notes the credential that each caller came with last.
func (b *Bridge) remembering(next authenticate) authenticate {
	return func(r *http.Request) (transport.Principal, error) {
		p, err := next(r)
		if err == nil {
			b.callers.came(p, r.Header)
		}
		return p, err
	}
}

// shareOf says whose share of the limits a request takes: the caller's own, or, where
// the service has not taken its key yet, that of its address.
func (b *Bridge) shareOf(r *http.Request, p transport.Principal) string {
	if !b.cfg.CallersBringKeys() || b.callers.knows(p) {
		return p.Name
	}
	return "address " + network(r.RemoteAddr)
}

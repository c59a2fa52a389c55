package transfers

import (
	"context"
	"errors"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// errSize is a request or an answer that is larger than the service takes.
var errSize = errors.New("too large for the service")

// shrink makes parts smaller, and reports whether that was possible.
func (t *transfer) shrink(from int64) bool {
	return from > minPartSize && (t.limit.CompareAndSwap(from, from/2) || t.limit.Load() < from)
}

// try does what may be done twice until it works, or until there is no point.
func (t *transfer) try(ctx context.Context, do func(context.Context) error) error {
	for n := 0; ; n++ {
		err := t.slot(ctx, do)
		if err == nil {
			t.lastGood.Store(time.Now().UnixNano())
			t.Alive()
			return nil
		}
		passing, firm := passes(err)
		silent := time.Since(time.Unix(0, t.lastGood.Load()))
		if ctx.Err() != nil || !passing || firm && n >= 5 || silent > t.s.timing.giveUp {
			return err
		}
		wait := min(t.s.timing.pollMin<<min(n, 10), 5*t.s.timing.pollMax)
		var e *client.Error
		if errors.As(err, &e) {
			wait = max(wait, min(e.RetryAfter, time.Minute))
		}
		if !runs.Pause(ctx, wait) {
			return err
		}
	}
}

func (t *transfer) slot(ctx context.Context, do func(context.Context) error) error {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
		return do(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passes reports whether an error may go away by itself, and whether it is of
// the sort that mostly does not.
func passes(err error) (passing, firm bool) {
	var e *client.Error
	switch {
	case errors.Is(err, errAnswer):
		return true, true
	case !errors.As(err, &e) || errors.Is(err, client.ErrTooLarge):
		return false, false
	case e.Code == "agent_not_ready":
		return true, false
	case e.Status == 0:
		return e.Outcome != client.OutcomeNotSent || e.Err != nil, false
	case e.Status < 300, e.Status == 500:
		return true, true
	case e.Status == 408, e.Status == 409, e.Status == 425, e.Status == 429, e.Status > 500 && e.Status != 501 && e.Status != 505 && e.Status != 507:
		return true, false
	}
	return false, false
}

package chat

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// way is one of the two ways to send a message: POST chat/stream and POST chat.
type way func(ctx context.Context, instance string, r client.SendRequest) iter.Seq2[client.Event, error]

// keepWay is how long an instance is remembered as one that does not stream.
const keepWay = 10 * time.Minute

// converse sends the message through chat/stream, or through chat where the service
// says that it has no such endpoint: then nothing was sent. It is stream otherwise.
func (r *reply) converse(ctx context.Context) (accepted, final bool, err error) {
	if r.s.knownWhole(r.instance) {
		accepted, final, err = r.whole(ctx)
		if accepted || !r.lacksEndpoint(ctx, err) {
			return accepted, final, err
		}
		r.s.setWhole(r.instance, false)
		return r.stream(ctx, r.s.c.Chat.Stream)
	}
	accepted, final, err = r.stream(ctx, r.s.c.Chat.Stream)
	if accepted || !r.lacksEndpoint(ctx, err) {
		return accepted, final, err
	}
	accepted, final, wholeErr := r.whole(ctx)
	switch {
	case accepted || !lacks(wholeErr):
		r.s.setWhole(r.instance, true)
		return accepted, final, wholeErr
	case errors.As(wholeErr, new(*client.Error)):
		return false, false, fmt.Errorf("the service has neither chat/stream nor chat for this instance: %w", rejected(wholeErr))
	}
	return accepted, final, wholeErr
}

// whole sends the message through POST chat, which answers when the reply is complete.
func (r *reply) whole(ctx context.Context) (accepted, final bool, err error) {
	r.Line("status: this service does not stream; waiting for the whole reply")
	began := time.Now()
	ticking, stop := context.WithCancel(ctx)
	defer stop()
	tick := time.NewTicker(r.s.timing.tick)
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.Tick(fmt.Sprintf("status: waiting for a reply, %.0f s", time.Since(began).Seconds()))
			case <-ticking.Done():
				return
			}
		}
	}()
	return r.stream(ctx, r.s.c.Chat.Whole)
}

// lacks reports answers that an endpoint gives that is not there.
func lacks(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.NoEndpoint()
}

// lacksEndpoint reports whether the service refused the message because it lacks the
// endpoint, and not because there is no such instance or session.
func (r *reply) lacksEndpoint(ctx context.Context, err error) bool {
	var e *client.Error
	if !lacks(err) || !errors.As(err, &e) {
		return false
	}
	if e.Status != http.StatusNotFound {
		return true
	}
	_, err = r.s.c.Instances.Get(ctx, r.instance)
	if err == nil {
		return true
	}
	if !lacks(err) {
		return false
	}
	// That may be an endpoint that is missing, too.
	page, err := r.s.c.Instances.List(ctx)
	if err != nil {
		return lacks(err)
	}
	return slices.ContainsFunc(page.Items, func(in client.Instance) bool { return in.ID == r.instance })
}

// rejected makes a refusal certain: what is not there did nothing.
func rejected(err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Outcome = client.OutcomeRejected
	return &c
}

// cameAllTheSame reports whether the history has a message that the service refused: some store
// one before they find that they can't answer it, or have it wait.
func (r *reply) cameAllTheSame(ctx context.Context, err error) bool {
	var e *client.Error
	if !errors.As(err, &e) || e.Outcome != client.OutcomeRejected || r.noHistory || !r.was.seen {
		return false
	}
	switch e.Status {
	case http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
	default:
		return false
	}
	for look := range 2 {
		if look > 0 && !runs.Pause(ctx, r.s.timing.brief) {
			return false
		}
		page, _, err := r.history(ctx)
		if err != nil {
			return false
		}
		if m := matchHistory(r.was, r.question(follow{}), page.Items, r.overlapping()); m.verdict == found && m.anchored {
			return true
		}
	}
	return false
}

// knownWhole reports whether an instance was lately found not to stream.
func (s *Service) knownWhole(instance string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ok := s.wholeSince[instance]
	if ok && time.Since(since) > keepWay {
		delete(s.wholeSince, instance)
		return false
	}
	return ok
}

func (s *Service) setWhole(instance string, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if whole {
		s.wholeSince[instance] = time.Now()
	} else {
		delete(s.wholeSince, instance)
	}
}

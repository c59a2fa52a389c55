package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
)

// Events follows a session's messages as the service persists them (GET
// /instances/{id}/chat/events), over one connection: it ends when the service
// closes it (a long poll does after each answer), and the caller reads on with
// the last cursor as After.
//
// A service that does not understand the cursor (400) is asked again without
// it, and what came up to the cursor is left out. An event can then still come
// that the caller has seen: compare ids.
//
// The error comes once and last.
func (s *ChatService) Events(ctx context.Context, instance string, q EventsQuery) iter.Seq2[HistoryEvent, error] {
	return func(yield func(HistoryEvent, error) bool) {
		req, err := historyCall(instance, q)
		if err != nil {
			yield(HistoryEvent{}, err)
			return
		}
		resp, err := s.open(ctx, req)
		replay := false
		if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusBadRequest && q.After != "" {
			req.query.Del("after")
			replay = true
			resp, err = s.open(ctx, req)
		}
		if err != nil {
			yield(HistoryEvent{}, err)
			return
		}
		defer func() { _ = resp.body.Close() }()
		events := func(yield func(HistoryEvent, error) bool) {
			for ev, err := range decodeEvents(resp.body, resp.header.Get("Content-Type"), s.core.options.maxEvent, s.core.maskBroken) {
				if err != nil {
					yield(HistoryEvent{}, s.core.fail(req, err))
					return
				}
				if !yield(ev, nil) {
					return
				}
			}
		}
		if replay {
			events = skipReplay(events, q.After, s.core.options.historyQuiet, func() { _ = resp.body.Close() })
		}
		events(yield)
	}
}

package chat

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// sessions are the ones that are used when a call names none.
type sessions struct {
	c       *client.Client
	fleet   fleet.Fleet
	finding turnstiles // by instance: who is finding or making that session

	mu     sync.Mutex
	known  map[string]string // by instance
	gone   map[string]string // by instance: one that the service no longer has
	served map[string]func() // by instance: ends telling other processes
}

// find finds the session that is used when a call names none: the
// newest one that is there to talk to the agent, or a new one where there is none. It stays the same for as long
// as a process of the principal knows it, so that a conversation does not change its
// session because somebody else opened a newer one. A service without sessions gets "".
func (s *sessions) find(ctx context.Context, instance string) (string, error) {
	// One at a time, or two first messages would make two sessions.
	leave, err := s.finding.take(ctx, instance)
	if err != nil {
		return "", notSent(err, "finding the session to send to")
	}
	defer leave()
	if id, ok := s.knows(instance); ok {
		return id, nil
	}
	id, err := s.choose(ctx, instance)
	if err != nil {
		return "", notSent(err, "finding the session to send to")
	}
	return id, nil
}

func (s *sessions) knows(instance string) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok = s.known[instance]
	return id, ok
}

// choosingTries is how often to look again for a process that is about to choose; then
// it is taken for dead.
const choosingTries = 10

// choose asks the principal's other processes for the session, or chooses one for all.
// A fact says that somebody is at it; who that is tells its choice.
func (s *sessions) choose(ctx context.Context, instance string) (string, error) {
	name := "session/" + instance
	for tries := 0; ; tries++ {
		s.mu.Lock()
		gone := s.gone[instance]
		s.mu.Unlock()
		for id, err := range s.fleet.Ask(ctx, name, []byte(gone)) {
			if err == nil {
				s.note(instance, string(id))
				s.serve(name, instance, nil)
				return string(id), nil
			}
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
		fact, ours, err := s.fleet.Create(ctx, name, []byte(runs.NewID()))
		if err == nil && !ours && tries >= choosingTries {
			fact, err = s.fleet.Change(ctx, fact, []byte(runs.NewID()))
			ours = err == nil
		}
		switch {
		case errors.Is(err, fleet.ErrAway):
			id, err := s.newest(ctx, instance) // each for itself
			if err == nil {
				s.note(instance, id)
			}
			return id, err
		case ours:
			defer func() { _ = s.fleet.Forget(context.WithoutCancel(ctx), fact) }()
			return s.chooseForAll(ctx, name, instance)
		}
		if !runs.Pause(ctx, 30*time.Millisecond) {
			return "", ctx.Err()
		}
	}
}

// chooseForAll chooses, and tells who asks from the moment on that it is at it.
func (s *sessions) chooseForAll(ctx context.Context, name, instance string) (string, error) {
	chosen := make(chan struct{})
	defer close(chosen)
	s.serve(name, instance, chosen)
	id, err := s.newest(ctx, instance)
	if err == nil {
		s.note(instance, id)
	} else {
		s.unserve(instance)
	}
	return id, err
}

// serve tells other processes the session of an instance, once chosen is closed; nil:
// it is known.
func (s *sessions) serve(name, instance string, chosen <-chan struct{}) {
	stop, err := s.fleet.Serve(name, func(ctx context.Context, gone []byte, _ func([]byte) error) ([]byte, error) {
		if chosen != nil {
			select {
			case <-chosen:
			case <-ctx.Done():
			}
		}
		if len(gone) > 0 {
			s.forget(instance, string(gone))
		}
		id, ok := s.knows(instance)
		if !ok {
			return nil, errors.New("no session was chosen")
		}
		return []byte(id), nil
	})
	if err != nil {
		return // the others choose for themselves
	}
	s.unserve(instance)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served[instance] = stop
}

func (s *sessions) unserve(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stop := s.served[instance]; stop != nil {
		stop()
		delete(s.served, instance)
	}
}

// note notes the session of an instance.
func (s *sessions) note(instance, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[instance] = id
}

func (s *sessions) newest(ctx context.Context, instance string) (string, error) {
	page, err := s.c.Chat.Sessions(ctx, instance)
	open := slices.DeleteFunc(page.Items, func(one client.Session) bool { return one.Aside })
	switch {
	case unsupported(err):
		return "", nil
	case err != nil:
		return "", err
	case len(open) > 0:
		return newestOf(open).ID, nil
	}
	made, err := s.c.Chat.CreateSession(ctx, instance, "openclaw-mcp")
	if unsupported(err) {
		return "", nil
	}
	return made.ID, err
}

// newestOf gives the session in which something happened last, or the service's first where
// one has no time.
func newestOf(list []client.Session) client.Session {
	last := func(one client.Session) time.Time {
		if one.UpdatedAt.IsZero() {
			return one.CreatedAt
		}
		return one.UpdatedAt
	}
	if slices.ContainsFunc(list, func(one client.Session) bool { return last(one).IsZero() }) {
		return list[0]
	}
	return slices.MaxFunc(list, func(a, b client.Session) int { return last(a).Compare(last(b)) })
}

// name notes a session that the service chose, where none was known.
func (s *sessions) name(instance, session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[instance] == "" {
		s.known[instance] = session
	}
}

// named gives the session that is used when a call names none, or "".
func (s *sessions) named(instance string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[instance]
}

// forget makes the next message look for its session again: the service no longer has
// this one.
func (s *sessions) forget(instance, session string) {
	s.mu.Lock()
	known := s.known[instance] == session
	if known {
		delete(s.known, instance)
		s.gone[instance] = session
	}
	s.mu.Unlock()
	if known {
		s.unserve(instance)
	}
}

// unsupported reports whether the service lacks an endpoint. A 404 may also
// mean that the instance is not there; the next call tells.
func unsupported(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented)
}

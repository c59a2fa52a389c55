package chat

import (
	"context"
	"sync"
)

// turnstiles let one after the other do something under a name. Their zero value is
// ready.
type turnstiles struct {
	mu  sync.Mutex
	all map[string]*turnstile
}

type turnstile struct {
	turn  chan struct{} // holds one value while somebody has the turn
	users int           // who has it and who waits; under turnstiles.mu
}

// take waits for the turn. The returned function ends it.
func (s *turnstiles) take(ctx context.Context, name string) (leave func(), err error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = make(map[string]*turnstile)
	}
	t := s.all[name]
	if t == nil {
		t = &turnstile{turn: make(chan struct{}, 1)}
		s.all[name] = t
	}
	t.users++
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(s.all, name)
		}
	}
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}

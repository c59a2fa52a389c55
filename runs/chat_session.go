package runs

import (
	"context"
	"errors"
	"net/http"

	"openclaw-mcp/client"
)

// defaultSession finds the session that is used when a call names none: the
// newest one, or a new one where there is none. It stays the same for as long
// as this process knows it, so that a conversation does not change its session
// because somebody else opened a newer one. A service without sessions gets "".
func (m *Manager) defaultSession(ctx context.Context, instance string) (string, error) {
	// One at a time, or two first messages would make two sessions.
	leave, err := m.takeTurn(ctx, instance)
	if err != nil {
		return "", notSent(err, "finding the session to send to")
	}
	defer leave()
	m.mu.Lock()
	known, ok := m.sessions[instance]
	m.mu.Unlock()
	if ok {
		return known, nil
	}
	id, err := m.findSession(ctx, instance)
	if err != nil {
		return "", notSent(err, "finding the session to send to")
	}
	m.mu.Lock()
	m.sessions[instance] = id
	m.mu.Unlock()
	return id, nil
}

// turns lets one after the other find the session of an instance.
type turns struct {
	turn  chan struct{} // holds one value while somebody does
	users int           // who does and who waits; under Manager.mu
}

// takeTurn waits until nobody else finds the instance's session. The returned
// function ends the turn.
func (m *Manager) takeTurn(ctx context.Context, instance string) (leave func(), err error) {
	m.mu.Lock()
	t := m.resolve[instance]
	if t == nil {
		t = &turns{turn: make(chan struct{}, 1)}
		m.resolve[instance] = t
	}
	t.users++
	m.mu.Unlock()
	forget := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(m.resolve, instance)
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

func (m *Manager) findSession(ctx context.Context, instance string) (string, error) {
	page, err := m.c.Chat.Sessions(ctx, instance)
	switch {
	case unsupported(err):
		return "", nil
	case err != nil:
		return "", err
	case len(page.Items) > 0:
		return page.Items[0].ID, nil
	}
	s, err := m.c.Chat.CreateSession(ctx, instance, "openclaw-mcp")
	if unsupported(err) {
		return "", nil
	}
	return s.ID, err
}

// forgetSession makes the next message look for its session again.
func (m *Manager) forgetSession(instance, session string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[instance] == session {
		delete(m.sessions, instance)
	}
}

// unsupported reports whether the service lacks an endpoint. A 404 may also
// mean that the instance is not there; the next call tells.
func unsupported(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented)
}

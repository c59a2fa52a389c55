package runs

import (
	"context"
	"errors"
	"time"

	"openclaw-mcp/client"
)

// CreateInstance asks for a new instance and follows it until it is ready.
func (m *Manager) CreateInstance(ctx context.Context, req client.CreateInstanceRequest) (*Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	l := m.newLive(handleState{Kind: KindCreate, ID: newID(), Started: time.Now().Truncate(time.Second)})
	m.start(l.carried(ctx), func(ctx context.Context) { l.create(ctx, req) })
	return l.reader(), nil
}

func (l *live) create(ctx context.Context, req client.CreateInstanceRequest) {
	l.line("status: asking for an instance")
	in, err := l.m.c.Instances.Create(ctx, req)
	var e *client.Error
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		l.created(in)
	case errors.As(err, &e) && e.Outcome == client.OutcomeUnknown:
		l.line("status: the answer was lost; looking for the new instance")
		if !l.findCreated(ctx, err) {
			return
		}
	default:
		l.end(StatusFailed, err)
		return
	}
	l.untilReady(ctx)
}

// created takes in what is known of the instance, and ends the run where that
// is enough.
func (l *live) created(in client.Instance) {
	var before string
	l.change(func() {
		if l.instance != nil {
			before = l.instance.Status
		}
		l.state.Instance = in.ID
		l.instance = &in
	})
	if in.Status != before {
		l.line("status: instance " + in.ID + " is " + in.Status)
	}
	switch in.State {
	case client.StateReady:
		l.end(StatusCompleted, nil)
	case client.StateFailed, client.StateOff:
		l.end(StatusFailed, errors.New("the instance did not come up: its status is "+in.Status))
	}
}

// untilReady polls the instance until it is ready. Words that mean neither
// ready nor failed are waited through.
func (l *live) untilReady(ctx context.Context) {
	began := time.Now()
	for delay := 5 * l.m.timing.pollMin; ; delay = min(delay*3/2, 2*l.m.timing.pollMax) {
		if _, over := l.endedAt(); over || !pause(ctx, delay) {
			return
		}
		if time.Since(began) > l.m.timing.giveUp {
			l.end(StatusFailed, errors.New("the instance has not come up in "+l.m.timing.giveUp.String()+"; it may still: see list_instances"))
			return
		}
		in, err := l.m.c.Instances.Get(ctx, l.state.Instance)
		switch {
		case ctx.Err() != nil:
			return
		case permanent(err):
			l.end(StatusFailed, err)
		case err == nil:
			l.alive()
			l.created(in)
		}
	}
}

// resumeCreate takes up a creation that another process began.
func (l *live) resumeCreate(ctx context.Context) {
	if l.state.Instance == "" && !l.findCreated(ctx, nil) {
		return
	}
	in, err := l.m.c.Instances.Get(ctx, l.state.Instance)
	if err == nil {
		l.created(in)
	} else if permanent(err) {
		l.end(StatusFailed, err)
	}
	l.untilReady(ctx)
}

// findCreated finds the instance of a creation whose answer nobody has: the
// first that came up since. Where none does, it ends the run.
func (l *live) findCreated(ctx context.Context, cause error) bool {
	for began := time.Now(); ; {
		page, err := l.m.c.Instances.List(ctx)
		if permanent(err) {
			l.end(StatusFailed, err)
			return false
		}
		var found *client.Instance
		for _, in := range page.Items {
			if l.m.creates(in.ID, l) {
				continue
			}
			// The two clocks may differ a little, and starts count whole seconds.
			if in.CreatedAt.After(l.state.Started.Add(-5*time.Second)) && (found == nil || in.CreatedAt.Before(found.CreatedAt)) {
				found = &in
			}
		}
		if err == nil && found != nil {
			if cause != nil {
				l.note("the service's answer was lost (" + cause.Error() + "); this is the instance that has come up since")
			}
			l.created(*found)
			return true
		}
		if t := l.m.timing; err == nil && time.Since(l.state.Started) > 3*t.unclear && time.Since(began) > t.appear {
			l.end(StatusFailed, &client.Error{
				Op: "POST /instances", Outcome: client.OutcomeUnknown, Err: cause,
				Message: "the answer to the creation was lost, and no instance has come up since; look at list_instances before creating another",
			})
			return false
		}
		if !pause(ctx, l.m.timing.pollMax) {
			return false
		}
	}
}

// creates reports whether an instance is that of another creation.
func (m *Manager) creates(instance string, but *live) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.live {
		if l != but && l.state.Kind == KindCreate && l.fill(handleState{}).Instance == instance {
			return true
		}
	}
	return false
}

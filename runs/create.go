package runs

import (
	"context"
	"errors"
	"time"

	"openclaw-mcp/client"
)

// CreateInstance asks for a new instance and follows it until it is ready.
func (m *Manager) CreateInstance(req client.CreateInstanceRequest) (*Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, ErrClosed
	}
	l := m.newLive(handleState{Kind: KindCreate, ID: newID(), Started: time.Now().Truncate(time.Second)})
	m.start(l, func(ctx context.Context) { l.create(ctx, req) })
	return l.reader(), nil
}

func (l *live) create(ctx context.Context, req client.CreateInstanceRequest) {
	l.line("status: asking for an instance")
	in, err := l.m.c.Instances.Create(ctx, req)
	if err != nil {
		if ctx.Err() == nil {
			l.end(StatusFailed, err)
		}
		return
	}
	l.created(in)
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
	for delay := 500 * time.Millisecond; ; delay = min(delay*3/2, 5*time.Second) {
		if _, over := l.endedAt(); over || !pause(ctx, delay) {
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

// resumeCreate takes up a creation that another process began. Where that died
// before it knew the instance, the newest instance that is young enough is it.
func (l *live) resumeCreate(ctx context.Context) {
	for l.state.Instance == "" {
		page, err := l.m.c.Instances.List(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			l.end(StatusFailed, err)
			return
		}
		var found *client.Instance
		for _, in := range page.Items {
			if in.CreatedAt.After(l.state.Started.Add(-5*time.Second)) && (found == nil || in.CreatedAt.Before(found.CreatedAt)) {
				found = &in
			}
		}
		if found == nil && time.Since(l.state.Started) > 3*time.Minute {
			l.end(StatusFailed, &client.Error{
				Op: "POST /instances", Outcome: client.OutcomeUnknown,
				Message: "the server process that asked for the instance is gone, and no instance has come up since; look at list_instances before creating another",
			})
			return
		}
		if found != nil {
			l.created(*found)
		} else if !pause(ctx, 3*time.Second) {
			return
		}
	}
	in, err := l.m.c.Instances.Get(ctx, l.state.Instance)
	if err == nil {
		l.created(in)
	} else if permanent(err) {
		l.end(StatusFailed, err)
	}
	l.untilReady(ctx)
}

// Package create is the runs that create an instance: they ask for it and
// follow it until it is ready.
package create

import (
	"context"
	"errors"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// Service creates instances, and takes creations up from their handles.
type Service struct {
	m      *runs.Manager
	c      *client.Client
	timing timing
}

// timing is the pauses and patience of a service, which tests shorten.
type timing struct {
	pollMin, pollMax time.Duration // bounds of the pause between two looks at the instance

	// A creation whose answer was lost may take so long to show among the
	// instances: since its start, and since the first look.
	unclear, appear time.Duration
	// giveUp ends the following of what never comes.
	giveUp time.Duration
}

var defaultTiming = timing{
	pollMin: 500 * time.Millisecond, pollMax: 6 * time.Second,
	unclear: 3 * time.Minute, appear: 10 * time.Second, giveUp: 2 * time.Hour,
}

// New makes the service, and registers it with the manager.
func New(m *runs.Manager) *Service {
	s := &Service{m: m, c: m.Config.Client, timing: defaultTiming}
	m.Register(runs.Family{Open: s.open}, runs.KindCreate)
	return s
}

// Started is a creation as Start gives it.
type Started struct {
	runs.Run
	Joined   string // why nothing was asked for; "": it was
	Answered func() // says that the caller has an answer: the same call again is another one
}

// Start asks for a new instance and follows it until it is ready. A call that repeats
// one whose process was killed before it answered follows that one's instance.
func (s *Service) Start(ctx context.Context, req client.CreateInstanceRequest) (Started, error) {
	s.m.Sweep()
	state := runs.NewState(runs.KindCreate, "")
	call := s.m.ClaimCall(ctx, "create", 0, state)
	started := Started{Answered: func() { call.Answered(ctx) }}
	if call.Found && call.Claim.Sent {
		run, err := s.open(call.Claim.State)
		started.Run = run
		started.Joined = "a call for an instance was under way in a process that was killed before it answered; this is its instance, and none was asked for again"
		return started, err
	}
	if call.Found && call.Claim.Replace(ctx, 0, state) != nil {
		call = runs.Call{} // another process repeats it, too
	}
	n := &creation{s: s, Live: s.m.NewLive(state)}
	if c := call.Claim; c != nil {
		_ = c.Sending(ctx, state) // where it fails, it is a call of its own
	}
	if err := s.m.Start(ctx, n.Live, n, func(ctx context.Context) { n.start(ctx, req) }); err != nil {
		started.Answered()
		return Started{}, err
	}
	started.Run = n.Reader(runs.State{})
	return started, nil
}

func (s *Service) open(state runs.State) (runs.Run, error) {
	if err := runs.NewDecoder(state.Own).End(); err != nil {
		return nil, err
	}
	l, err := s.m.TakeUp(state, func(l *runs.Live) runs.Work { return &creation{s: s, Live: l} })
	if err != nil {
		return nil, err
	}
	return l.Reader(state), nil
}

// creation is the run that creates one instance.
type creation struct {
	*runs.Live
	s        *Service
	instance *client.Instance // as last seen; guarded by the lock of Live
}

// Shared is the instance.
func (n *creation) Shared() any { return &n.instance }

// Result gives the *client.Instance, nil while there is none.
func (n *creation) Result() any {
	if n.instance == nil {
		return nil
	}
	return n.instance
}

// CancelNote says what a cancel does to a creation.
func (n *creation) CancelNote() string {
	return "the creation is no longer followed; the instance may still come up: see list_instances"
}

// Size is next to nothing.
func (n *creation) Size() int { return 0 }

func (n *creation) start(ctx context.Context, req client.CreateInstanceRequest) {
	n.Line("status: asking for an instance")
	in, err := n.s.c.Instances.Create(ctx, req)
	var e *client.Error
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		n.saw(in)
	case errors.As(err, &e) && e.Outcome == client.OutcomeUnknown:
		n.Line("status: the answer was lost; looking for the new instance")
		if !n.find(ctx, err) {
			return
		}
	default:
		n.End(runs.StatusFailed, err)
		return
	}
	n.untilReady(ctx)
}

// Resume takes up a creation that another process began.
func (n *creation) Resume(ctx context.Context) {
	if n.State().Instance == "" && !n.find(ctx, nil) {
		return
	}
	in, err := n.s.c.Instances.Get(ctx, n.State().Instance)
	if err == nil {
		n.saw(in)
	} else if runs.Permanent(err) {
		n.End(runs.StatusFailed, err)
	}
	n.untilReady(ctx)
}

// saw takes in what is known of the instance, and ends the run where that is
// enough.
func (n *creation) saw(in client.Instance) {
	var before string
	n.ChangeState(func(s *runs.State) {
		if n.instance != nil {
			before = n.instance.Status
		}
		s.Instance = in.ID
		n.instance = &in
	})
	if in.Status != before {
		n.Line("status: instance " + in.ID + " is " + in.Status)
	}
	switch in.State {
	case client.StateReady:
		n.End(runs.StatusCompleted, nil)
	case client.StateFailed, client.StateOff:
		n.End(runs.StatusFailed, errors.New("the instance did not come up: its status is "+in.Status))
	}
}

// untilReady polls the instance until it is ready. Words that mean neither
// ready nor failed are waited through.
func (n *creation) untilReady(ctx context.Context) {
	t, began := n.s.timing, time.Now()
	for delay := t.pollMin; ; delay = min(delay*3/2, t.pollMax) {
		if n.Status().Over() || !runs.Pause(ctx, delay) {
			return
		}
		if time.Since(began) > t.giveUp {
			n.End(runs.StatusFailed, errors.New("the instance has not come up in "+t.giveUp.String()+"; it may still: see list_instances"))
			return
		}
		in, err := n.s.c.Instances.Get(ctx, n.State().Instance)
		switch {
		case ctx.Err() != nil:
			return
		case runs.Permanent(err):
			n.End(runs.StatusFailed, err)
		case err == nil:
			n.Alive()
			n.saw(in)
		}
	}
}

// find finds the instance of a creation whose answer nobody has: the first that
// came up since. Where none does, it ends the run.
func (n *creation) find(ctx context.Context, cause error) bool {
	t, started, began := n.s.timing, n.State().Started, time.Now()
	for {
		page, err := n.s.c.Instances.List(ctx)
		if runs.Permanent(err) {
			n.End(runs.StatusFailed, err)
			return false
		}
		others := n.others()
		var found *client.Instance
		for _, in := range page.Items {
			// The two clocks may differ a little, and starts count whole seconds.
			if !others[in.ID] && in.CreatedAt.After(started.Add(-5*time.Second)) && (found == nil || in.CreatedAt.Before(found.CreatedAt)) {
				found = &in
			}
		}
		if err == nil && found != nil {
			if cause != nil {
				n.Note("the service's answer was lost (" + cause.Error() + "); this is the instance that has come up since")
			}
			n.saw(*found)
			return true
		}
		if err == nil && time.Since(started) > t.unclear && time.Since(began) > t.appear {
			n.End(runs.StatusFailed, &client.Error{
				Op: "POST /instances", Outcome: client.OutcomeUnknown, Err: cause,
				Message: "the answer to the creation was lost, and no instance has come up since; look at list_instances before creating another",
			})
			return false
		}
		if !runs.Pause(ctx, t.pollMax/2) {
			return false
		}
	}
}

// others gives the instances of all other creations.
func (n *creation) others() map[string]bool {
	ids := make(map[string]bool)
	for _, l := range n.s.m.All() {
		if s := l.State(); l != n.Live && s.Kind == runs.KindCreate {
			ids[s.Instance] = true
		}
	}
	return ids
}

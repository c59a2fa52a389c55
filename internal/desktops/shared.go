package desktops

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/owner"
)

// Shared is the desktops of one principal in all processes of a fleet: of each, one
// process has the connection, and knows the picture that was returned last and
// whose turn it is. A fact names it, so that there are never two.
type Shared struct {
	local *Local
	fleet fleet.Fleet
	me    string
	log   *slog.Logger

	mu        sync.Mutex
	served    map[string]func()     // by instance: what ends that this process answers for it
	facts     map[string]fleet.Fact // by instance: that this process has it
	elsewhere map[string]bool       // by instance: another process had it when that was last looked at
}

// NewShared shares the desktops of a process with others. f is left open.
func NewShared(l *Local, f fleet.Fleet) *Shared {
	return &Shared{
		local: l, fleet: f, me: rand.Text(), log: l.cfg.Log,
		served: make(map[string]func()), facts: make(map[string]fleet.Fact), elsewhere: make(map[string]bool),
	}
}

var _ Desktops = (*Shared)(nil)

// question is a call for a desktop whose connection another process has.
type question struct {
	Capture *Request      `json:"capture,omitempty"`
	Act     *Action       `json:"act,omitempty"`
	Live    *liveQuestion `json:"live,omitempty"`
	Use     *useOfDesktop `json:"use,omitempty"`
}

type liveQuestion struct {
	Seen Seen
	Wait time.Duration
}

type useOfDesktop struct {
	Events     []Event
	Take, Give bool
}

// harmless reports whether it can be asked again, of another process.
func (q question) harmless() bool {
	return q.Capture != nil || q.Live != nil || q.Act != nil && q.Act.Kind == Wait
}

// unnamed reports whether it has coordinates that refer to the picture returned last.
func (q question) unnamed() bool {
	return q.Capture != nil && q.Capture.Crop != nil && q.Capture.Of == "" || q.Act != nil && (q.Act.At != nil || q.Act.To != nil) && q.Act.Of == ""
}

type answer struct {
	Picture Picture
	Outcome Outcome
	Frame   Frame
	Left    time.Duration
	Input   string
	Trouble *owner.Trouble
}

// here answers in this process.
func (s *Shared) here(ctx context.Context, instance string, q question) (a answer, err error) {
	switch {
	case q.Capture != nil:
		a.Picture, err = s.local.Capture(ctx, instance, *q.Capture)
	case q.Act != nil:
		a.Outcome, err = s.local.Act(ctx, instance, *q.Act)
	case q.Live != nil:
		a.Frame, err = s.local.Live(ctx, instance, q.Live.Seen, q.Live.Wait)
	case q.Use != nil:
		a.Left, err = s.local.Use(ctx, instance, q.Use.Events, q.Use.Take, q.Use.Give)
	}
	return a, err
}

func (a answer) err() error {
	if a.Input != "" {
		return &InputError{a.Input}
	}
	return a.Trouble.Err()
}

// maxTurns bounds how often the owner may change while it is looked for.
const maxTurns = 5

// ask has the owner of a desktop answer, and becomes it where there is none.
func (s *Shared) ask(ctx context.Context, instance string, q question) (answer, error) {
	for range maxTurns {
		if !s.isElsewhere(instance) {
			if err := s.serve(instance); err != nil {
				return s.alone(ctx, instance, q, err)
			}
		}
		fact, _, err := s.fleet.Create(ctx, "desktop/"+instance, []byte(s.me))
		if err != nil {
			return s.alone(ctx, instance, q, err)
		}
		if string(fact.Value) == s.me {
			if err := s.own(instance, fact); err != nil {
				return s.alone(ctx, instance, q, err)
			}
			return s.here(ctx, instance, q)
		}
		s.disown(instance)
		a, err := owner.Ask[question, answer](ctx, s.fleet, serviceName(instance, string(fact.Value)), q)
		switch {
		case err == nil:
			return a, a.err()
		case ctx.Err() != nil:
			return a, ctx.Err()
		case errors.Is(err, fleet.ErrAway):
			return s.alone(ctx, instance, q, err)
		case errors.Is(err, fleet.ErrGone), errors.Is(err, fleet.ErrLost) && q.harmless():
		case errors.Is(err, fleet.ErrLost):
			return a, &client.Error{Op: desktopOp, Err: err, Outcome: client.OutcomeUnknown,
				Message: "the process of this server that had the desktop ended or hung in the middle; take a screenshot to see what was done"}
		default:
			return a, err
		}
		// It has ended. Whoever changes the fact comes after it; the others ask that one.
		err = s.serve(instance)
		if err == nil {
			_, err = s.fleet.Change(ctx, fact, []byte(s.me))
		}
		if err != nil && !errors.Is(err, fleet.ErrChanged) {
			return s.alone(ctx, instance, q, err)
		}
	}
	return answer{}, &client.Error{Op: desktopOp, Message: "the processes of this server don't agree on which of them has the desktop; nothing was done", Outcome: client.OutcomeNotSent}
}

const desktopOp = "GET /instances/{id}/vnc/ws"

func serviceName(instance, who string) string { return "desktop/" + who + "/" + instance }

// alone answers where nobody can say who has the desktop: another process may have
// returned a picture since the last one from here.
func (s *Shared) alone(ctx context.Context, instance string, q question, why error) (answer, error) {
	if ctx.Err() != nil {
		return answer{}, ctx.Err()
	}
	if q.unnamed() {
		return answer{}, &InputError{"nothing was done: which picture was returned last can't be found out now (" + why.Error() + "); pass the `picture` that the coordinates were read from"}
	}
	return s.here(ctx, instance, q)
}

// serve answers questions about a desktop from now on: before the fact says that this
// process has it, since others ask as soon as they read that.
func (s *Shared) serve(instance string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.elsewhere, instance)
	if s.served[instance] != nil {
		return nil
	}
	s.local.unsee(instance) // another one may have shown something meanwhile
	stop, err := owner.Serve(s.fleet, serviceName(instance, s.me), func(ctx context.Context, q question) answer {
		a, err := s.here(ctx, instance, q)
		var input *InputError
		if errors.As(err, &input) {
			a.Input = input.Text
		} else {
			a.Trouble = owner.TroubleOf(err)
		}
		return a
	})
	if err == nil {
		s.served[instance] = stop
	}
	return err
}

// own notes the fact that this process has a desktop.
func (s *Shared) own(instance string, fact fleet.Fact) error {
	s.mu.Lock()
	s.facts[instance] = fact
	s.mu.Unlock()
	return s.serve(instance) // another call of this process may have ended that meanwhile
}

// isElsewhere reports whether another process had the desktop when that was last looked at.
func (s *Shared) isElsewhere(instance string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.elsewhere[instance]
}

// disown ends that: another process has the desktop, perhaps since it took this one for
// dead.
func (s *Shared) disown(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elsewhere[instance] = true
	if _, owned := s.facts[instance]; owned {
		s.log.Debug("another process has taken over a desktop of this one", "instance", instance)
		delete(s.facts, instance)
	}
	if stop := s.served[instance]; stop != nil {
		stop()
		delete(s.served, instance)
	}
}

// Capture implements [Desktops].
func (s *Shared) Capture(ctx context.Context, instance string, r Request) (Picture, error) {
	a, err := s.ask(ctx, instance, question{Capture: &r})
	return a.Picture, err
}

// Act implements [Desktops].
func (s *Shared) Act(ctx context.Context, instance string, act Action) (Outcome, error) {
	a, err := s.ask(ctx, instance, question{Act: &act})
	return a.Outcome, err
}

// Live implements [Desktops].
func (s *Shared) Live(ctx context.Context, instance string, seen Seen, wait time.Duration) (Frame, error) {
	a, err := s.ask(ctx, instance, question{Live: &liveQuestion{seen, wait}})
	return a.Frame, err
}

// Use implements [Desktops].
func (s *Shared) Use(ctx context.Context, instance string, events []Event, take, give bool) (time.Duration, error) {
	a, err := s.ask(ctx, instance, question{Use: &useOfDesktop{events, take, give}})
	return a.Left, err
}

// Close implements [Desktops]. Another process may have the desktops at once.
func (s *Shared) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.mu.Lock()
	for instance, stop := range s.served {
		stop()
		if fact, owned := s.facts[instance]; owned {
			_ = s.fleet.Forget(ctx, fact)
		}
	}
	clear(s.served)
	s.mu.Unlock()
	s.local.Close()
}

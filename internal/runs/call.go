package runs

import (
	"context"
	"time"

	"openclaw-mcp/internal/fleet"
)

const (
	// callAge is how long an unanswered call is found again: clients repeat soon.
	callAge = 10 * time.Minute
	// noteTime is how long a note to the other processes may take.
	noteTime = 5 * time.Second
)

// A Call is a claim that lasts until the caller has an answer: a process may be killed
// before its caller has so much as a handle, and the caller's client then calls again.
// As long as the process that has the call lives, the same call is another one.
type Call struct {
	m *Manager
	// Claim is nil where nothing could be claimed.
	Claim *Claim
	// Found says that the call repeats one whose process is gone: Claim is that one's.
	Found bool
	stop  func()
}

// ClaimCall claims a call for the run of a state.
func (m *Manager) ClaimCall(ctx context.Context, name string, what uint64, state State) Call {
	none := Call{m: m}
	stop, err := m.Config.Fleet.Serve("call/"+state.ID, func(context.Context, []byte, func([]byte) error) ([]byte, error) { return nil, nil })
	if err != nil {
		return none
	}
	c, err := m.Claim(ctx, "call/"+name, what, state)
	if err == nil && !c.Ours {
		switch {
		case time.Since(c.State.Started) > callAge, m.answeredElsewhere(ctx, c.State.ID):
			err = c.Replace(ctx, what, state)
		case m.answers(ctx, "call/"+c.State.ID):
			err = fleet.ErrChanged // it is that one's
		default:
			stop()
			return Call{m: m, Claim: c, Found: true}
		}
	}
	if err != nil {
		stop()
		return none
	}
	return Call{m: m, Claim: c, stop: stop}
}

// Answered says that the caller has an answer.
func (c Call) Answered(ctx context.Context) {
	if c.Claim != nil {
		c.m.LetGo(ctx, c.Claim)
	}
	if c.stop != nil {
		c.stop()
	}
}

// AnsweredElsewhere says that the call which began a run has its answer from this
// process, though another one began it.
func (m *Manager) AnsweredElsewhere(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if _, _, err := m.Config.Fleet.Create(ctx, answeredFact(id), nil); err != nil {
		m.Config.Log.Debug("that a call has its answer could not be noted", "error", err)
	}
}

func (m *Manager) answeredElsewhere(ctx context.Context, id string) bool {
	_, answered, _ := m.Config.Fleet.Find(ctx, answeredFact(id))
	return answered
}

func answeredFact(id string) string { return "answered/" + id }

// LetGo forgets a claim of which nothing came, also at the end of a call.
func (m *Manager) LetGo(ctx context.Context, c *Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if err := c.Forget(ctx); err != nil {
		m.Config.Log.Debug("a claim could not be let go", "error", err)
	}
}

// NoteEnd notes how a claimed run ended, for who repeats the call.
func (m *Manager) NoteEnd(ctx context.Context, c *Claim, l *Live) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if err := c.Over(ctx, l); err != nil {
		m.Config.Log.Debug("the end of a run could not be noted", "error", err)
	}
}

// HasOwner reports whether a process has a run.
func (m *Manager) HasOwner(ctx context.Context, id string) bool { return m.answers(ctx, runName(id)) }

// answers reports whether a process that serves a name can be asked.
func (m *Manager) answers(ctx context.Context, name string) bool {
	for try := range 2 {
		if try > 0 && !Pause(ctx, grace) { // it may only just have begun
			break
		}
		var failed error
		for _, err := range m.Config.Fleet.Ask(ctx, name, []byte(askPing)) {
			failed = err
		}
		if failed == nil {
			return true
		}
	}
	return false
}

package runs

import (
	"context"
	"encoding/json"
	"errors"

	"openclaw-mcp/internal/fleet"
)

// A Claim is what all processes of a principal know of a piece of work that has a
// name, such as an idempotency key, and must not be done twice. Whoever claims it
// does it, and says so before it has any effect (Sending); who finds it claimed joins
// the run, and may take it over as long as nothing was sent. Each step is a
// compare-and-swap: one who was taken for dead and wakes up learns that it lost the
// claim before it does anything.
type Claim struct {
	m    *Manager
	fact fleet.Fact

	What   uint64 // hash of what was asked for
	State  State  // of the run that does it
	Sent   bool   // it may have happened
	Ours   bool   // this process is to do it
	result []byte // lastReport of the run
}

type claimFact struct {
	What   uint64          `json:"w"`
	State  []byte          `json:"s"`
	Sent   bool            `json:"e,omitempty"`
	Result json.RawMessage `json:"r,omitempty"`
}

// Claim claims a piece of work for the run of a state. Where it is claimed already,
// the Claim is the one that holds.
func (m *Manager) Claim(ctx context.Context, name string, what uint64, state State) (*Claim, error) {
	c := &Claim{m: m, What: what, State: state}
	fact, ours, err := m.Config.Fleet.Create(ctx, "claim/"+name, c.marshal())
	if err != nil {
		return nil, err
	}
	return c, c.read(fact, ours)
}

// FindClaim reads a claim that somebody has made.
func (m *Manager) FindClaim(ctx context.Context, name string) (*Claim, bool, error) {
	fact, ok, err := m.Config.Fleet.Find(ctx, "claim/"+name)
	if err != nil || !ok {
		return nil, false, err
	}
	c := &Claim{m: m}
	return c, true, c.read(fact, false)
}

func (c *Claim) marshal() []byte {
	b, _ := json.Marshal(claimFact{What: c.What, State: c.State.marshal(), Sent: c.Sent, Result: c.result}) // nothing in it can fail
	return b
}

func (c *Claim) read(fact fleet.Fact, ours bool) error {
	var f claimFact
	if err := json.Unmarshal(fact.Value, &f); err != nil {
		return errOtherVersion
	}
	state, err := unmarshalHandle(f.State)
	c.fact, c.What, c.State, c.Sent, c.Ours, c.result = fact, f.What, state, f.Sent, ours, f.Result
	return err
}

// change writes the claim as it is now, if nobody else has changed it.
func (c *Claim) change(ctx context.Context) error {
	fact, err := c.m.Config.Fleet.Change(ctx, c.fact, c.marshal())
	if err == nil {
		c.fact = fact
	}
	return err
}

// Sending says that the work is about to have an effect. Unless it returns nil, it
// must not: ErrChanged says that another process has taken the claim over.
func (c *Claim) Sending(ctx context.Context, state State) error {
	c.State, c.Sent = state, true
	return c.change(ctx)
}

// Replace claims the work anew for another run, where nothing came of the one that
// had it.
func (c *Claim) Replace(ctx context.Context, what uint64, state State) error {
	c.What, c.State, c.Sent, c.result = what, state, false, nil
	err := c.change(ctx)
	c.Ours = err == nil
	return err
}

// TakeOver claims the work of a process that is gone for the same run here, if nothing
// was sent: then Ours is true. ErrChanged says that yet another process did.
func (c *Claim) TakeOver(ctx context.Context) error {
	mine := c.marshal() // should the claim have been let go, it is ours
	fact, ours, err := c.m.Config.Fleet.Create(ctx, c.fact.Name, mine)
	if err != nil {
		return err
	}
	if err := c.read(fact, ours); err != nil || ours || c.Sent {
		return err
	}
	if err := c.change(ctx); err != nil {
		return err
	}
	c.Ours = true
	if c.m.Config.TookOver != nil {
		c.m.Config.TookOver(c.State.Kind)
	}
	return nil
}

// Over says how the run ended, for who repeats the call later.
func (c *Claim) Over(ctx context.Context, l *Live) error {
	c.State, c.result = l.State(), l.lastReport()
	return c.change(ctx)
}

// Ended reports whether the claim says how the run ended.
func (c *Claim) Ended() bool { return len(c.result) > 0 }

// End ends a run as the claim says that it ended, and reports false where it does not
// say.
func (c *Claim) End(l *Live) bool { return l.endAs(c.result) }

// GiveUp is Forget for the claim of a process that is gone: ErrChanged says that it, or
// another one, goes on with the work.
func (c *Claim) GiveUp(ctx context.Context) error { return c.m.Config.Fleet.Forget(ctx, c.fact) }

// Forget lets the claim go: nothing has happened, and whoever comes next may do it.
func (c *Claim) Forget(ctx context.Context) error {
	err := c.m.Config.Fleet.Forget(ctx, c.fact)
	if errors.Is(err, fleet.ErrChanged) {
		return nil // it is another process's, or another run's, by now
	}
	return err
}

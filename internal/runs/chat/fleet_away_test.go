package chat

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// away is a fleet whose engine can't be reached.
type away struct {
	fleet.Fleet
	create, change bool
	forget         *atomic.Bool
}

func (a away) Forget(ctx context.Context, f fleet.Fact) error {
	if a.forget != nil && a.forget.Load() {
		return fleet.ErrAway
	}
	return a.Fleet.Forget(ctx, f)
}

func (a away) Create(ctx context.Context, name string, value []byte) (fleet.Fact, bool, error) {
	if a.create {
		return fleet.Fact{}, false, fleet.ErrAway
	}
	return a.Fleet.Create(ctx, name, value)
}

func (a away) Change(ctx context.Context, f fleet.Fact, value []byte) (fleet.Fact, error) {
	if a.change {
		return fleet.Fact{}, fleet.ErrAway
	}
	return a.Fleet.Change(ctx, f, value)
}

// TestFleetAway sends while the others can't be asked: with a key, nothing is sent and
// the error says so; without one, the message goes.
func TestFleetAway(t *testing.T) {
	t.Parallel()
	for name, engine := range map[string]away{"at first": {create: true}, "before sending": {change: true}} {
		w := &world{Upstream: runstest.Start(t, emulatortest.Options{Agent: script("hi")}, nil)}
		engine.Fleet = fleet.Alone()
		w.Fleet = engine
		w.m = w.process(testKey, "")
		session := w.session()
		r, _, err := w.m.chat.Send(t.Context(), Request{Instance: w.ID, Session: session, Message: "a", IdempotencyKey: "k"})
		if err == nil {
			err = w.Done(r, nil).Err
		}
		if outcome(err) != client.OutcomeNotSent || !errors.Is(err, fleet.ErrAway) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := w.users(session); n != 0 {
			t.Errorf("%s: %d messages were sent", name, n)
		}
		if u := w.Done(w.send(Request{Session: session, Message: "b"}), nil); u.Text != "hi" {
			t.Errorf("%s: got %+v", name, u)
		}
		if u := w.Done(w.send(Request{Message: "c"}), nil); u.Text != "hi" {
			t.Errorf("%s: got %+v", name, u)
		}
	}
}

// The end of a reply is noted when the others can be told again.
func TestFleetAwayAtTheEnd(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w := &world{Upstream: runstest.Start(t, emulatortest.Options{Agent: gated(gate)}, nil)}
	gone := new(atomic.Bool)
	w.Fleet = away{Fleet: fleet.Alone(), forget: gone}
	w.m = w.process(testKey, "")
	session := w.session()
	r := w.send(Request{Session: session, Message: "a"})
	eventually(t, "the first word", func() bool { return runstest.Now(t, r).Text == "re: " })
	gone.Store(true)
	close(gate)
	if u := w.Done(r, nil); u.Text != "re: a" || u.Status != runs.StatusCompleted {
		t.Errorf("got %+v", u)
	}
	if _, ok, err := w.m.Config.Fleet.Find(t.Context(), placeName(w.ID+"\x00"+session)); err != nil || !ok {
		t.Errorf("the list is there: %v, %v", ok, err)
	}
	gone.Store(false)
	w.nothingLeft(w.m, session)
}

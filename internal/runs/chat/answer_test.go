package chat

import (
	"errors"
	"sync"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// callers starts an upstream and a process of each of two callers of its key.
func callers(t *testing.T) (w *world, alice, bob *process) {
	t.Helper()
	w = &world{Upstream: runstest.Start(t, emulatortest.Options{Agent: script("Which colour?")}, nil)}
	w.Fleet = fleet.Alone()
	t.Cleanup(func() { _ = w.Fleet.Close() })
	return w, w.process(testKey, "alice"), w.process(testKey, "bob")
}

// asked sends a message by a caller and gives the question that its reply is.
func (w *world) asked(p *process, session string) runs.State {
	w.Helper()
	r, _ := w.sendAt(p, Request{Session: session, Message: "paint it"})
	state, err := p.Inspect(w.Done(r, nil).Handle)
	if err != nil {
		w.Fatal(err)
	}
	return state
}

// One last word may end the replies of two callers. It is answered once, also where both
// answer at the same moment.
func TestAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	w, alice, bob := callers(t)
	session := w.session()
	hers := w.asked(alice, session)
	his := hers
	his.ID = runs.NewID()
	var wg sync.WaitGroup
	var errs [2]error
	for i, one := range []struct {
		p     *process
		state runs.State
		text  string
	}{{alice, hers, "red"}, {bob, his, "blue"}} {
		wg.Go(func() { _, errs[i] = one.p.chat.Answer(t.Context(), one.state, one.text) })
	}
	wg.Wait()
	late := 0
	for _, err := range errs {
		if errors.Is(err, ErrAnswered) {
			late++
		} else if err != nil {
			t.Error(err)
		}
	}
	if late != 1 {
		t.Errorf("got %v", errs)
	}
	eventually(t, "the answer", func() bool { return w.users(session) == 2 })
}

// What somebody wrote to the session since is an answer, too.
func TestAnswerAfterAnotherCallersMessage(t *testing.T) {
	t.Parallel()
	w, alice, bob := callers(t)
	session := w.session()
	question := w.asked(alice, session)
	r, _ := w.sendAt(bob, Request{Session: session, Message: "blue"})
	w.Done(r, nil)
	if _, err := alice.chat.Answer(t.Context(), question, "red"); !errors.Is(err, ErrAnswered) {
		t.Errorf("got %v", err)
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
}

// Who repeats an answer joins the first; another one of the same caller comes too late.
func TestAnswerRepeated(t *testing.T) {
	t.Parallel()
	w, alice, _ := callers(t)
	session := w.session()
	question := w.asked(alice, session)
	for range 2 {
		r, err := alice.chat.Answer(t.Context(), question, "red")
		if err != nil {
			t.Fatal(err)
		}
		if u := w.Done(r, nil); u.Text != "Which colour?" {
			t.Errorf("got %+v", u)
		}
	}
	if _, err := alice.chat.Answer(t.Context(), question, "blue"); !errors.Is(err, ErrAnswered) {
		t.Errorf("got %v", err)
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
}

// A question whose answer could not be sent still waits, for anybody.
func TestAnswerNotSent(t *testing.T) {
	t.Parallel()
	w, alice, bob := callers(t)
	session := w.session()
	hers := w.asked(alice, session)
	his := hers
	his.ID = runs.NewID()
	alice.Close()
	if _, err := alice.chat.Answer(t.Context(), hers, "red"); err == nil || errors.Is(err, ErrAnswered) {
		t.Errorf("got %v", err)
	}
	if _, err := bob.chat.Answer(t.Context(), his, "blue"); err != nil {
		t.Errorf("got %v", err)
	}
	eventually(t, "the answer", func() bool { return w.users(session) == 2 })
}

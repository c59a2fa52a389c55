package runs_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// idle is a run that does nothing until it is stopped.
type idle struct{}

func (idle) Resume(context.Context) {}
func (idle) Result() any            { return nil }
func (idle) Shared() any            { return nil }
func (idle) CancelNote() string     { return "" }
func (idle) Size() int              { return 0 }

// Each process lists the runs of all processes of its principal, newest first, for as
// long as they live.
func TestListEverywhere(t *testing.T) {
	shared := fleet.Alone()
	defer func() { _ = shared.Close() }()
	process := func(principal string) (*runs.Manager, func()) {
		f, err := fleet.Sealed(shared, "key", principal)
		if err != nil {
			t.Fatal(err)
		}
		m, err := runs.NewManager(runs.Config{APIKey: "key", Principal: principal, Fleet: f})
		if err != nil {
			t.Fatal(err)
		}
		kill := func() {
			m.Close()
			_ = f.Close()
		}
		t.Cleanup(kill)
		return m, kill
	}
	start := func(m *runs.Manager, about string, at time.Time) string {
		state := runs.NewState(runs.KindChat, "i")
		state.Started = at
		l := m.NewLive(state)
		l.Describe(about)
		err := m.Start(t.Context(), l, idle{}, func(ctx context.Context) { <-ctx.Done() })
		if err != nil {
			t.Fatal(err)
		}
		return m.Seal(state)
	}
	now := time.Now().Truncate(time.Second)
	one, kill := process("alice")
	two, _ := process("alice")
	watcher, _ := process("alice") // which has no runs of its own
	bob, _ := process("bob")
	start(one, "first", now.Add(-time.Minute))
	handle := start(two, "second", now.Add(-time.Second))
	start(one, "third", now)
	start(bob, "of another", now)
	if _, err := one.TakeUp(mustInspect(t, one, handle), func(*runs.Live) runs.Work { return idle{} }); err != nil {
		t.Fatal(err)
	}
	list := func(m *runs.Manager) (all []string) {
		t.Helper()
		found, err := m.ListEverywhere(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, u := range found {
			if _, err := m.Inspect(u.Handle); err != nil || u.Kind != runs.KindChat || u.Status != runs.StatusRunning || u.Instance != "i" {
				t.Errorf("listed is %+v, %v", u, err)
			}
			all = append(all, u.About)
		}
		return all
	}
	await := func(m *runs.Manager, n int) []string {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
			// Who took a run up does not know what it is about; its own process may be later.
			if all := list(m); len(all) == n && !slices.Contains(all, "") || time.Now().After(deadline) {
				return all
			}
		}
	}
	for _, m := range []*runs.Manager{watcher, two} {
		if all := await(m, 3); len(all) != 3 || all[0] != "third" || all[1] != "second" || all[2] != "first" {
			t.Errorf("listed are %q", all)
		}
	}
	if all := await(bob, 1); len(all) != 1 || all[0] != "of another" {
		t.Errorf("another principal lists %q", all)
	}
	kill()
	if all := await(watcher, 1); len(all) != 1 || all[0] != "second" {
		t.Errorf("after the first process is gone, listed are %q", all)
	}
	// While nobody can be asked, a process lists its own, and says so.
	_ = two.Config.Fleet.Close()
	apart, err := runs.NewManager(runs.Config{APIKey: "key", Principal: "alice", Fleet: away{shared}})
	if err != nil {
		t.Fatal(err)
	}
	defer apart.Close()
	start(apart, "own", now)
	if found, err := apart.ListEverywhere(t.Context()); len(found) != 1 || !errors.Is(err, fleet.ErrAway) {
		t.Errorf("listed are %+v, %v", found, err)
	}
}

func mustInspect(t *testing.T, m *runs.Manager, handle string) runs.State {
	t.Helper()
	state, err := m.Inspect(handle)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// away is a fleet whose engine can't be reached.
type away struct{ fleet.Fleet }

func (away) Find(context.Context, string) (fleet.Fact, bool, error) {
	return fleet.Fact{}, false, fleet.ErrAway
}

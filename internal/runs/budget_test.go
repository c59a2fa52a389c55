package runs

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openclaw-mcp/client"
)

// The texts of all runs share a budget: who has ended makes room, one caller can't take all
// of it, and little always finds room.
func TestBudget(t *testing.T) {
	t.Parallel()
	shared := NewBudget(2 << 20)
	manager := func(who string) *Manager {
		m, err := NewManager(Config{APIKey: testKey, Principal: who, Texts: shared})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return m
	}
	alice, bob := manager("alice"), manager("bob")
	words := strings.Repeat("é", 32<<10) // 64 KiB
	fill := func(l *Live) int {
		for range 32 {
			l.Append(words)
		}
		return len(l.Text())
	}
	notes := func(l *Live) []string { return l.summary().Notes }
	first, second := begin(t, alice), begin(t, alice)
	if n := fill(first); n < 800<<10 || n > 900<<10 || !slices.Equal(notes(first), []string{client.NoteNoRoom}) {
		t.Errorf("the first has %d bytes, %q", n, notes(first))
	}
	if n := fill(second); n != freeText {
		t.Errorf("there is no room, but the second has %d bytes", n)
	}
	other := begin(t, bob)
	if n := fill(other); n < 64<<10 || n > 256<<10 {
		t.Errorf("another caller's has %d bytes", n)
	}
	first.End(StatusCompleted, nil)
	if n := fill(other); n < 800<<10 || alice.Knows(first.State().ID) {
		t.Errorf("there is room again, but another caller's has %d bytes; the one that ended is kept: %v", n, alice.Knows(first.State().ID))
	}
	if text := first.Text(); !strings.HasPrefix(text, words) {
		t.Errorf("who has it reads %d bytes", len(text))
	}
	// What a history has is held to the same.
	second.SetText(words + words)
	if n := len(second.Text()); n > 256<<10 || n < freeText {
		t.Errorf("set, the second has %d bytes", n)
	}
	alice.Close()
	bob.Close()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.used != 0 || len(shared.of) != 0 {
		t.Errorf("%d bytes of %d callers are left", shared.used, len(shared.of))
	}
}

// A run that was let go of takes no room, and takes it again when it is followed again.
func TestBudgetOfLeftRuns(t *testing.T) {
	t.Parallel()
	m := newTestManager(t)
	l := begin(t, m)
	l.Append(strings.Repeat("x", 1<<20))
	used := func() int {
		b := m.Config.Texts
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.used
	}
	if used() < 1<<20 || !l.Leave() || used() != 0 {
		t.Errorf("left, it takes %d bytes", used())
	}
	release := l.Keep()
	defer release()
	l.Append("y")
	if used() < 1<<20 {
		t.Errorf("followed again, it takes %d bytes", used())
	}
	// The longest message that there may be can be sent where nothing else is there.
	l.Stop()
	m.mu.Lock()
	m.drop(l)
	m.mu.Unlock()
	for range 2 {
		big := m.NewLive(NewState(KindChat, "i"))
		if err := m.Start(t.Context(), big, heavy{idle{big}}, idle{big}.Resume); err != nil {
			t.Fatal(err)
		}
		big.Stop()
		m.mu.Lock()
		m.drop(big)
		m.mu.Unlock()
	}
}

// heavy is a run of a message of 64 MiB.
type heavy struct{ idle }

func (heavy) Size() int { return 64 << 20 }

// What ended runs are kept with counts, also what is not text: those that ended first make
// room, whoever they belong to, and one that finds none is not kept.
func TestBudgetOfEndedRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := NewBudget(1 << 20)
		var managers []*Manager
		for _, who := range []string{"alice", "bob", "carol"} {
			m, err := NewManager(Config{APIKey: testKey, Principal: who, Texts: shared})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			managers = append(managers, m)
		}
		finish := func(m *Manager, size int) (kept func() bool) {
			l := m.NewLive(NewState(KindCommand, "i"))
			w := &printed{idle: idle{l}}
			if err := m.Start(t.Context(), l, w, func(context.Context) {
				l.Change(func() { w.size = size })
				l.End(StatusCompleted, nil)
			}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Second)
			return func() bool { return m.Knows(l.State().ID) }
		}
		var kept []func() bool
		for _, m := range managers {
			kept = append(kept, finish(m, 400<<10))
		}
		if kept[0]() || !kept[1]() || !kept[2]() {
			t.Errorf("kept: %t, %t, %t", kept[0](), kept[1](), kept[2]())
		}
		if shared.used != 800<<10 {
			t.Errorf("%d bytes are in use", shared.used)
		}
		if small, large := finish(managers[0], 100), finish(managers[0], 2<<20); small() || large() || shared.used != 0 {
			t.Errorf("kept: %t, %t, and %d bytes", small(), large(), shared.used)
		}
	})
}

// printed is a run with an output.
type printed struct {
	idle
	size int
}

func (p *printed) Size() int { return p.size }

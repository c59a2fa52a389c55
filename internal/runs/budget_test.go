package runs

import (
	"slices"
	"strings"
	"testing"

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

package terminals

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
)

// unconnected gives a terminal that shows what it is told.
func unconnected(t *testing.T, m *Manager, cols, rows int) *terminal {
	t.Helper()
	id := newID()
	if err := m.reserve(id, cols, rows); err != nil {
		t.Fatal(err)
	}
	s := m.newTerminal(id, "i", client.TerminalOptions{Cols: cols, Rows: rows}, nil, place{})
	s.idler = time.NewTimer(time.Hour)
	s.cancel = func() {}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[id], m.all[id] = s, s
	return s
}

// say has a terminal show output as it comes from the service.
func (t *terminal) say(output string) {
	t.take(client.TerminalEvent{Output: output})
	t.manager.cfg.Budget.settle(t)
}

// Terminals share a budget: those that nobody has looked at for longest forget old output,
// those that have ended make room for new ones, and a new one for which there is none is
// refused.
func TestBudget(t *testing.T) {
	budget := NewBudget(2*leastOf(80, 24) + 2<<20)
	manager := func(who string) *Manager {
		m, err := NewManager(Config{APIKey: testKey, Principal: who, Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	alice, bob := manager("alice"), manager("bob")
	old, young := unconnected(t, alice, 80, 24), unconnected(t, bob, 80, 24)
	read := func(s *terminal) View {
		v, err := s.Read(t.Context(), Query{Part: PartNew})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	read(old)
	read(young)
	for i := range 20_000 {
		line := fmt.Sprintf("line %d of many\r\n", i)
		old.say(line)
		young.say(line + strings.Repeat("x", 60) + "\r\n")
	}
	if budget.used > budget.limit {
		t.Errorf("they take %d bytes", budget.used)
	}
	v := read(old)
	if kept := int64(len(v.Text)); kept > maxLog/4 || v.Dropped == 0 || !strings.HasSuffix(v.Text, "line 19999 of many\r\n") {
		t.Errorf("the old one keeps %d bytes, %d are gone", kept, v.Dropped)
	}
	if v := read(young); len(v.Text) < maxLog {
		t.Errorf("the young one keeps %d bytes", len(v.Text))
	}
	if text := old.screen.text(); !strings.Contains(text, "line 19999 of many") || !strings.Contains(text, "line 19980 of many") {
		t.Errorf("the screen of the old one: %s", text)
	}
	if err := alice.reserve("large", 400, 200); err != nil {
		t.Errorf("a large one: %v", err)
	}
	if err := alice.reserve("second", 400, 200); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "of all callers") || len(alice.open) != 2 {
		t.Errorf("another large one: %v, %d are open", err, len(alice.open))
	}
	if err := alice.reserve("large", 500, 300); !errors.Is(err, ErrLimit) {
		t.Errorf("a larger one: %v", err)
	}
	old.finish(StatusExited, "the shell has ended", nil)
	young.finish(StatusExited, "the shell has ended", nil)
	if err := alice.reserve("huge", 480, 270); err != nil || len(alice.all) != 0 || len(bob.all) != 1 {
		t.Errorf("one that needs the room of one that has ended: %v, %d and %d are kept", err, len(alice.all), len(bob.all))
	}
	alice.release("huge", false)
	alice.Close()
	bob.Close()
	if len(budget.shares) != 0 || budget.used != 0 || budget.least != 0 {
		t.Errorf("%d terminals and %d bytes are left, %d at least", len(budget.shares), budget.used, budget.least)
	}
}

// A screen has as many different marks as there is room for, and forgets those that are gone
// from it before it forgets others.
func TestManyMarks(t *testing.T) {
	s := newScreen(40, 10)
	for i := range 100_000 {
		feed(s, fmt.Sprintf("e%c%c", 0x300+i%60, 0x300+i/60%60), 100)
		if n := len(s.marks.list); n > maxMarked {
			t.Fatalf("%d different marks", n)
		}
	}
	feed(s, "\x1b[H\x1b[2J"+strings.Repeat("e\u0301 o\u0308\u0304\r\n", 3), 100)
	if got := s.text(); got != strings.TrimSpace(strings.Repeat("e\u0301 o\u0308\u0304\n", 3)) {
		t.Errorf("%q", got)
	}
}

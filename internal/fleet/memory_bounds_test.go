package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// The facts of one caller are bounded, and no other caller pays for that. Large ones leave
// room for small ones, and what is forgotten gives its room back.
func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	m := Alone()
	defer m.Close()
	mine, yours := m.Of("me"), m.Of("you")
	large := bytes.Repeat([]byte("x"), 1<<20)
	var facts []Fact
	var err error
	for len(facts) < 1000 {
		var f Fact
		if f, _, err = mine.Create(t.Context(), fmt.Sprint("large ", len(facts)), large); err != nil {
			break
		}
		facts = append(facts, f)
	}
	if !errors.Is(err, ErrFull) || len(facts) != maxFacts/2>>20-1 {
		t.Errorf("%d large facts: %v", len(facts), err)
	}
	small, ours, err := mine.Create(t.Context(), "small", nil)
	if err != nil || !ours {
		t.Fatal(err)
	}
	if _, err := mine.Change(t.Context(), small, large); !errors.Is(err, ErrFull) {
		t.Errorf("a small one that grows: %v", err)
	}
	if _, ok, _ := mine.Find(t.Context(), "small"); !ok {
		t.Error("a change that was refused did something")
	}
	if _, ours, err := yours.Create(t.Context(), "large", large); err != nil || !ours {
		t.Errorf("another caller: %v", err)
	}
	if facts[0], err = mine.Change(t.Context(), facts[0], []byte("short")); err != nil {
		t.Error(err)
	}
	if _, err := mine.Change(t.Context(), small, large[:1<<19]); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	for _, f := range facts {
		if err := mine.Forget(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
	if used := m.owners["me"].size; used > 1<<20 {
		t.Errorf("%d bytes are still counted", used)
	}
	m.ForgetAll("me")
	m.ForgetAll("nobody")
	if _, ok, _ := mine.Find(t.Context(), "small"); ok || m.owners["me"] != nil {
		t.Error("a fact is left of a caller that is forgotten")
	}
	if _, ok, _ := yours.Find(t.Context(), "large"); !ok {
		t.Error("another caller's fact is gone as well")
	}
}

package fleettest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"openclaw-mcp/internal/fleet"
)

func facts(t *testing.T, a, b fleet.Fleet) {
	ctx := t.Context()
	if f, ok, err := a.Find(ctx, name); ok || err != nil {
		t.Fatalf("found %+v, %v", f, err)
	}
	first, ours, err := a.Create(ctx, name, []byte("one"))
	if err != nil || !ours || first.Name != name || string(first.Value) != "one" {
		t.Fatalf("got %+v, %v, %v", first, ours, err)
	}
	same, ours, err := b.Create(ctx, name, []byte("other"))
	if err != nil || ours || same.Name != name || string(same.Value) != "one" {
		t.Errorf("got %+v, %v, %v", same, ours, err)
	}
	two, err := b.Change(ctx, same, []byte("two"))
	if err != nil || two.Name != name || string(two.Value) != "two" {
		t.Errorf("got %+v, %v", two, err)
	}
	if _, err := a.Change(ctx, first, []byte("three")); !errors.Is(err, fleet.ErrChanged) {
		t.Errorf("an old fact was changed: %v", err)
	}
	if err := a.Forget(ctx, first); !errors.Is(err, fleet.ErrChanged) {
		t.Errorf("an old fact was forgotten: %v", err)
	}
	eventually(t, "the change to be found", func() bool {
		f, ok, err := a.Find(ctx, name)
		if err != nil || !ok {
			t.Fatalf("got %v, %v", ok, err)
		}
		return string(f.Value) == "two"
	})
	three, err := b.Change(ctx, two, []byte("")) // an empty value is one
	if err != nil || len(three.Value) != 0 {
		t.Errorf("got %+v, %v", three, err)
	}
	if err := a.Forget(ctx, three); err != nil {
		t.Error(err)
	}
	if err := b.Forget(ctx, three); err != nil {
		t.Errorf("forgotten twice: %v", err)
	}
	if _, err := b.Change(ctx, three, []byte("four")); !errors.Is(err, fleet.ErrChanged) {
		t.Errorf("a fact that is gone was changed: %v", err)
	}
	again, ours, err := b.Create(ctx, name, []byte("one"))
	if err != nil || !ours {
		t.Errorf("got %+v, %v, %v", again, ours, err)
	}
	if _, err := a.Change(ctx, first, []byte("five")); !errors.Is(err, fleet.ErrChanged) {
		t.Errorf("an older fact of the same value was changed: %v", err)
	}
}

// factsOnce has many go for one fact: one gets it, and no change is lost.
func factsOnce(t *testing.T, a, b fleet.Fleet) {
	ctx := t.Context()
	var wg sync.WaitGroup
	var won atomic.Int32
	const each = 8
	for i := range each {
		wg.Go(func() {
			f := []fleet.Fleet{a, b}[i%2]
			fact, ours, err := f.Create(ctx, name, []byte("0"))
			if err != nil {
				t.Error(err)
				return
			}
			if ours {
				won.Add(1)
			}
			for added := 0; added < each; {
				_, err := f.Change(ctx, fact, fmt.Append(nil, number(string(fact.Value))+1))
				switch {
				case err == nil:
					added++
				case !errors.Is(err, fleet.ErrChanged):
					t.Error(err)
					return
				}
				if fact, _, err = f.Create(ctx, name, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	last, _, err := a.Create(ctx, name, nil)
	if n := won.Load(); n != 1 || err != nil || string(last.Value) != strconv.Itoa(each*each) {
		t.Errorf("%d made it, and it counts %q, %v", n, last.Value, err)
	}
}

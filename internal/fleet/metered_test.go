package fleet_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/fleettest"
)

// counts is a meter that notes what it is told.
type counts struct {
	mu  sync.Mutex
	all []string
}

func (c *counts) Asked(kind, outcome string, _ time.Duration) { c.Fact("ask "+kind, outcome) }

func (c *counts) Fact(op, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, op+" "+outcome)
}

func TestMetered(t *testing.T) {
	t.Run("contract", func(t *testing.T) {
		fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
			f := fleet.Metered(fleet.Alone(), &counts{})
			t.Cleanup(func() { _ = f.Close() })
			return f, f
		})
	})
	var c counts
	f := fleet.Metered(fleet.Alone(), &c)
	defer f.Close()
	ctx := t.Context()
	_, _ = fleettest.All(f.Ask(ctx, "run/1", nil))
	stop, err := f.Serve("run/1", func(_ context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		if len(body) > 0 {
			return nil, errors.New("no")
		}
		return nil, errors.Join(part(nil), part(nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, _ = fleettest.All(f.Ask(ctx, "run/1", nil))
	_, _ = fleettest.All(f.Ask(ctx, "run/1", []byte("x")))
	for range f.Ask(ctx, "run/1", nil) {
		break
	}
	fact, _, _ := f.Create(ctx, "key/1", nil)
	_, _, _ = f.Create(ctx, "key/1", nil)
	_, _ = f.Change(ctx, fact, nil)
	_, _ = f.Change(ctx, fact, nil)
	_, _, _ = f.Find(ctx, "key/1")
	_ = f.Forget(ctx, fact)
	want := []string{"ask run gone", "ask run ok", "ask run refused", "ask run ok", "create ok", "create taken", "change ok", "change changed", "find ok", "forget changed"}
	if !slices.Equal(c.all, want) {
		t.Errorf("counted\n%q, want\n%q", c.all, want)
	}
}

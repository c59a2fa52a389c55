package command

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// TestSettlesInTime waits for a start that never settles: as long as the caller's time lasts, or
// for the least look where that is longer, and no longer.
func TestSettlesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New(nil, "http://service.invalid", testKey)
		if err != nil {
			t.Fatal(err)
		}
		m, err := runs.NewManager(runs.Config{Client: c, APIKey: testKey})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		svc := New(m)
		svc.leastLook = 5 * time.Second
		for limit, want := range map[time.Duration]time.Duration{
			0: 5 * time.Second, time.Second: 5 * time.Second, 5 * time.Second: 5 * time.Second, 45 * time.Second: 45 * time.Second,
		} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			begun := time.Now()
			settled := svc.settles(ctx, &starting{began: begun, stopped: make(chan struct{}), settled: make(chan struct{})}, svc.leastLook)
			if took := time.Since(begun); settled || took != want {
				t.Errorf("with %s: got %v after %s, want %s", limit, settled, took, want)
			}
			cancel()
		}
	})
}

package transport

import (
	"context"
	"sync"
	"time"
)

// gate counts what is going on until it is shut, and tells when the last of it
// ended. Unlike a WaitGroup it decides each late arrival: in before the gate
// shut, and waited for, or not in at all.
type gate struct {
	mu    sync.Mutex
	count int
	done  chan struct{} // nil while open; closed when shut and empty
}

// enter counts one more, and reports false once the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done != nil {
		return false
	}
	g.count++
	return true
}

// leave ends what an enter began.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count--
	if g.done != nil && g.count == 0 {
		close(g.done)
	}
}

// shut lets nobody in any more. The channel closes when all have left.
func (g *gate) shut() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done == nil {
		g.done = make(chan struct{})
		if g.count == 0 {
			close(g.done)
		}
	}
	return g.done
}

// await waits for done, but no longer than limit or ctx.
func await(ctx context.Context, done <-chan struct{}, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

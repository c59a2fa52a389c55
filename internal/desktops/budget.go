package desktops

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/internal/rfb"
)

// DefaultPixels is a budget for one process: the largest screen that there may be, or
// eight of 1080p. A pixel takes 12 bytes while a desktop is open.
const DefaultPixels = rfb.DefaultMaxPixels

// Budget bounds the pixels of all desktops that are open in a process, whoever they
// belong to.
type Budget struct {
	limit int

	mu     sync.Mutex
	used   int
	locals []*Local
}

// NewBudget makes a budget.
func NewBudget(pixels int) *Budget { return &Budget{limit: pixels} }

// join has what l has open close for others. Whoever has nothing open yet stays out:
// anybody may bring such ones, and no one closes them.
func (b *Budget) join(l *Local) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.locals, l) {
		b.locals = append(b.locals, l)
	}
}

func (b *Budget) leave(l *Local) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.locals = slices.DeleteFunc(b.locals, func(other *Local) bool { return other == l })
}

// account gives the function that one connection reserves its pixels with. For its
// first screen, others that nobody uses are closed; later, it is refused instead:
// it is then reading, and might have to wait for itself.
func (b *Budget) account() func(pixels int) error {
	own := 0
	return func(pixels int) error {
		for {
			b.mu.Lock()
			fits := pixels <= 0 || b.used+pixels <= b.limit
			if fits {
				b.used += pixels
				own += pixels
			}
			used, locals := b.used, slices.Clone(b.locals)
			b.mu.Unlock()
			if fits {
				return nil
			}
			if own > 0 || !closeOldest(locals) {
				return fmt.Errorf("the desktops that are open in this server take %d of %d pixels, and this one needs %d more; try again when one of them has not been used for a while",
					used, b.limit, pixels)
			}
			runtime.GC() // what was closed is large, and the next screen is about to be
		}
	}
}

// closeOldest closes the connection that was not used for longest of those that
// nobody uses, and reports false where there is none.
func closeOldest(locals []*Local) bool {
	var owner *Local
	var oldest *desktop
	var used time.Time
	for _, l := range locals {
		l.mu.Lock()
		for _, d := range l.all {
			if d.conn != nil && d.calls == 0 && (oldest == nil || d.used.Before(used)) {
				owner, oldest, used = l, d, d.used
			}
		}
		l.mu.Unlock()
	}
	return oldest != nil && owner.disconnect(oldest)
}

// disconnect closes a connection unless it is in use again, which it reports.
func (l *Local) disconnect(d *desktop) bool {
	select {
	case d.lock <- struct{}{}:
	default:
		return false
	}
	defer func() { <-d.lock }()
	d.forget()
	if c := l.set(d, nil); c != nil {
		_ = c.Close()
	}
	return true
}

// forget drops what is large: what was shown last is remembered as its size alone.
func (d *desktop) forget() { d.mark, d.known = rfb.Mark{}, false }

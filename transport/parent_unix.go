//go:build unix

package transport

import (
	"context"
	"os"
	"time"
)

// WatchParent calls gone, once, when the process that started this one has
// died, until ctx is done. A stdio server whose client was killed is told by
// the end of its input, except where somebody else still holds the pipe open.
// It returns at once: a parent that dies from now on is noticed.
func WatchParent(ctx context.Context, gone func()) {
	parent := os.Getppid()
	go watchParent(ctx, parent, gone)
}

func watchParent(ctx context.Context, parent int, gone func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				gone()
				return
			}
		}
	}
}

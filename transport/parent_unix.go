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
func WatchParent(ctx context.Context, gone func()) {
	watchParent(ctx, os.Getppid(), gone)
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

package tools

import "context"

// Files that are in memory as a whole are bounded for the process: each takes several times
// its size, and how many are read at once is up to callers.
const (
	largeFile  = 1 << 20 // bytes from which on one counts
	largeFiles = 3       // how many calls may have one at once
)

var largeSlots = make(chan struct{}, largeFiles)

// takeLarge waits until the call may have a large file in memory, up to its end.
func (r *request) takeLarge(ctx context.Context) error {
	if r.large {
		return nil
	}
	select {
	case largeSlots <- struct{}{}:
		r.large = true
		return nil
	case <-ctx.Done():
		return &refused{"this server has as many large files in memory as it may", "try again, or use exec_command (tail, sed)."}
	}
}

// end gives back what the call had.
func (r *request) end() {
	if r.large {
		<-largeSlots
	}
}

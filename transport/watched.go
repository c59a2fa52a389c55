package transport

import (
	"fmt"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// maxWatched bounds what one caller watches in all of its sessions and streams.
const maxWatched = 5000

var errWatchesTooMuch = &codedError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf(
	"%d resources and tasks are watched in all sessions and streams of this caller, which is the limit: unsubscribe from some, or end a session or stream", maxWatched)}

// watchCount counts what each caller watches.
type watchCount struct {
	mu sync.Mutex
	by map[string]int // by whose share of the limits it takes
}

func newWatchCount() *watchCount { return &watchCount{by: make(map[string]int)} }

// take counts one more, and reports false where that is too many.
func (w *watchCount) take(share string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[share] >= maxWatched {
		return false
	}
	w.by[share]++
	return true
}

// give counts n less.
func (w *watchCount) give(share string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[share] -= n; w.by[share] == 0 {
		delete(w.by, share)
	}
}

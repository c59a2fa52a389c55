package transport

import (
	"slices"
	"sync"
	"time"
)

const (
	// lostCallMemory is how long a call whose connection was lost can still be
	// cancelled.
	lostCallMemory = 5 * time.Second
	// endedMemory and maxEnded bound what is remembered of answered calls; see
	// inflight.ended.
	endedMemory = time.Minute
	maxEnded    = 8192
)

// inflight finds the call that a cancel means. A key is a scope (a stdio
// connection, a legacy session, or what little identifies a modern HTTP client)
// and a request id.
type inflight struct {
	mu    sync.Mutex
	calls map[callID][]*Call
	// Modern HTTP has no sessions, so two clients of one scope may use one id.
	// A cancel that could mean either is not obeyed; and since a late cancel
	// must not hit another client's call that happens to have the same id,
	// answered calls are remembered for a while, too.
	ended map[callID]*endedCall // the latest of each id
	queue []*endedCall          // all of them, oldest first
	over  error                 // why no call may go on; nil while they may
}

type callID struct{ scope, id string }

type endedCall struct {
	id callID
	at time.Time
}

func newInflight() *inflight {
	return &inflight{calls: make(map[callID][]*Call), ended: make(map[callID]*endedCall)}
}

// add registers a call; where ids are unique by protocol, it refuses a second
// one with the same id.
func (f *inflight) add(id callID, c *Call, unique bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if unique && len(f.calls[id]) > 0 {
		return false
	}
	f.calls[id] = append(f.calls[id], c)
	if f.over != nil {
		c.cancel(f.over)
	}
	return true
}

// remove forgets a call: at once when it is about to be answered, a little later
// when its connection was lost before.
func (f *inflight) remove(id callID, c *Call, lost, unique bool) {
	if lost {
		time.AfterFunc(lostCallMemory, func() { f.remove(id, c, false, unique) })
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// A new slice: cancel reads the old one without the lock.
	rest := slices.DeleteFunc(slices.Clone(f.calls[id]), func(other *Call) bool { return other == c })
	if len(rest) > 0 {
		f.calls[id] = rest
	} else {
		delete(f.calls, id)
	}
	if unique {
		return
	}
	latest := &endedCall{id, time.Now()}
	f.ended[id] = latest
	f.queue = append(f.queue, latest)
	for len(f.queue) > maxEnded || latest.at.Sub(f.queue[0].at) >= endedMemory {
		oldest := f.queue[0]
		f.queue = f.queue[1:]
		if f.ended[oldest.id] == oldest {
			delete(f.ended, oldest.id)
		}
	}
}

// end ends all calls, and each that is still added.
func (f *inflight) end(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = cause
	for _, calls := range f.calls {
		for _, c := range calls {
			c.cancel(cause)
		}
	}
}

// claim is what there is of the calls that id may mean.
func (f *inflight) claim(id callID) claim {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := f.ended[id]
	return claim{Calls: len(f.calls[id]), Ended: ended != nil && time.Since(ended.at) < endedMemory}
}

// cancel cancels the one call that id means, and reports whether there was one.
func (f *inflight) cancel(id callID, reason string) bool {
	f.mu.Lock()
	calls := f.calls[id]
	ended := f.ended[id]
	f.mu.Unlock()
	if len(calls) != 1 || (ended != nil && time.Since(ended.at) < endedMemory) {
		return false
	}
	calls[0].cancelled(reason)
	return true
}

package transport

import (
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
	ended     map[callID]time.Time
	endedList []callID
	now       func() time.Time
}

type callID struct{ scope, id string }

func newInflight() *inflight {
	return &inflight{
		calls: make(map[callID][]*Call),
		ended: make(map[callID]time.Time),
		now:   time.Now,
	}
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
	return true
}

// remove forgets a call: at once when it was answered, a little later when its
// connection was lost before.
func (f *inflight) remove(id callID, c *Call, lost, unique bool) {
	if lost {
		time.AfterFunc(lostCallMemory, func() { f.drop(id, c) })
		return
	}
	f.drop(id, c)
	if unique {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.ended[id] = now
	f.endedList = append(f.endedList, id)
	for len(f.endedList) > 0 {
		oldest := f.endedList[0]
		if len(f.endedList) <= maxEnded && now.Sub(f.ended[oldest]) < endedMemory {
			break
		}
		if now.Sub(f.ended[oldest]) >= endedMemory || len(f.endedList) > maxEnded {
			delete(f.ended, oldest)
		}
		f.endedList = f.endedList[1:]
	}
}

func (f *inflight) drop(id callID, c *Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls[id]
	for i := range calls {
		if calls[i] == c {
			f.calls[id] = append(calls[:i:i], calls[i+1:]...)
			break
		}
	}
	if len(f.calls[id]) == 0 {
		delete(f.calls, id)
	}
}

// cancel cancels the one call that id means, and reports whether there was one.
func (f *inflight) cancel(id callID, reason string) bool {
	f.mu.Lock()
	calls := f.calls[id]
	ended, wasEnded := f.ended[id]
	ambiguous := len(calls) != 1 || (wasEnded && f.now().Sub(ended) < endedMemory)
	f.mu.Unlock()
	if ambiguous {
		return false
	}
	calls[0].cancelled(reason)
	return true
}

// len counts the calls in flight, lost ones included.
func (f *inflight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, calls := range f.calls {
		n += len(calls)
	}
	return n
}

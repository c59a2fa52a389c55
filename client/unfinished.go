package client

import (
	"fmt"
	"io"
)

// What streams hold of events, of a tool's arguments that come in pieces, and of the ids that came,
// is bounded for the process: there may be a thousand streams, and an event of each may have many MiB and never end.
const (
	freeEvent        = 64 << 10 // of each stream
	unfinishedEvents = 64 << 20 // of all streams, beyond that
	// eventCopies is how often a large event is there: as a line, as an event, in go-sse's
	// buffer, and as what go-sse gives. The buffers last as long as the stream.
	eventCopies = 4
)

// eventStock is what all streams of a process share.
var eventStock = newStock(unfinishedEvents)

// eventHold is what one stream has of it. Its zero value is ready.
type eventHold struct{ taken int }

// hold takes what an event of n bytes needs. It never waits: two streams that each held a
// part and waited for more would wait for each other forever.
func (h *eventHold) hold(n int) error {
	if n = eventCopies * max(0, n-freeEvent); n <= h.taken {
		return nil
	}
	if !eventStock.takeNow(n - h.taken) {
		return &Error{Err: ErrTooLarge, Outcome: OutcomeUnknown,
			Message: fmt.Sprintf("this server has no memory left for an event of more than %d bytes", freeEvent)}
	}
	h.taken = n
	return nil
}

// release gives back what is held, at the end of the stream.
func (h *eventHold) release() {
	if h.taken > 0 {
		eventStock.give(h.taken)
		h.taken = 0
	}
}

// heldReader holds what is read of an answer that is one event.
type heldReader struct {
	io.Reader
	eventHold
	read int
}

func (r *heldReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += n
	if none := r.hold(r.read); none != nil {
		return 0, none
	}
	return n, err
}

package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A legacy request's event stream can be resumed (MCP 2025-03-26 to 2025-11-25,
// transports, resumability): its events have ids, the newest are kept, and a
// client that lost the connection gets what it missed, and the rest, by a GET
// with Last-Event-ID. The request goes on meanwhile. While nobody reads, only
// so much is kept before whoever reports has to wait: nothing is dropped that
// the client never saw.
const (
	replayKeep  = 256 << 10       // bytes kept of a stream that is being read
	replayAhead = 512 << 10       // bytes that a stream may be ahead of a client that is away
	replayTight = 4 << 10         // of either, for a caller whose streams together keep too much
	replayMine  = 4 << 20         // bytes kept of all streams of one caller
	replayAll   = 16 << 20        // and of all callers; beyond it, whoever keeps more than its part keeps too much
	replayEnded = 2 * time.Minute // how long an ended stream can be read again
	maxReplays  = 64              // ended streams kept of one session
)

// replays are the resumable streams of one session. Their ids are random: one of
// another process, session or caller names no stream here.
type replays struct {
	share *replayShare // of the session's caller; set before the first stream

	mu     sync.Mutex
	byID   map[string]*replay
	byFrom map[string]*replay // those that took another stream over, by its last event
	ended  []*replay          // oldest first
	over   bool
}

// replay is one request's event stream.
type replay struct {
	owner *replays
	id    string
	from  string                     // the last event that the client saw of a stream that this one took over
	out   atomic.Pointer[postStream] // who reads it now, nil while nobody does

	mu      sync.Mutex
	changed *sync.Cond
	events  []replayEvent
	bytes   int
	seq     int64 // of the newest event
	ended   chan struct{}
	over    bool // no more events come
	gone    bool // the client did not come back in time
	freed   bool // nothing of it is kept
	timer   *time.Timer
	stop    func()                 // ends what other processes are offered; nil: nothing is
	giveUp  func()                 // called once, when the client lost the stream and did not come back
	sealed  func(over bool) string // the cursor behind the next event, which is the answer where over is true
}

type replayEvent struct {
	seq  int64
	id   string
	data []byte
}

// add makes a stream that is read by out.
func (s *replays) add(out *postStream, giveUp func(), sealed func(over bool) string) *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &replay{owner: s, id: requestStream + rand.Text(), from: out.from, ended: make(chan struct{}), giveUp: giveUp, sealed: sealed}
	r.changed = sync.NewCond(&r.mu)
	r.out.Store(out)
	if s.byID == nil {
		s.byID, s.byFrom = make(map[string]*replay), make(map[string]*replay)
	}
	s.byID[r.id] = r
	if r.from != "" {
		s.byFrom[r.from] = r
	}
	return r
}

// get finds the stream that goes on behind an event, and the number of that there.
func (s *replays) get(last eventRef) (r *replay, after int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byID[last.stream]; r != nil {
		return r, last.seq
	}
	return s.byFrom[last.whole], 0
}

func (s *replays) remove(r *replay) {
	s.mu.Lock()
	delete(s.byID, r.id)
	if s.byFrom[r.from] == r {
		delete(s.byFrom, r.from)
	}
	s.mu.Unlock()
	s.share.remove(r)
	r.free()
}

// keepEnded keeps an ended stream for a client that lost its last events.
func (s *replays) keepEnded(r *replay) {
	drop := s.share.keep(r)
	s.mu.Lock()
	s.ended = append(s.ended, r)
	for len(s.ended) > maxReplays || (s.over && len(s.ended) > 0) {
		drop = append(drop, s.ended[0])
		s.ended = s.ended[1:]
	}
	s.mu.Unlock()
	for _, old := range drop {
		old.owner.remove(old)
	}
	time.AfterFunc(replayEnded, func() { s.remove(r) })
}

// end forgets everything: the session is over.
func (s *replays) end() {
	s.mu.Lock()
	s.over = true
	all := s.byID
	s.byID, s.byFrom, s.ended = nil, nil, nil
	s.mu.Unlock()
	for _, r := range all {
		r.abandon()
	}
}

// started reports whether the client has an event to come back with.
func (r *replay) started() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq > 0 || r.from != ""
}

// send adds an event and writes it to the connection that reads the stream. Without
// one, the event is kept, which is not an error.
func (r *replay) send(data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.out.Load() == nil && r.bytes > r.limit(replayAhead) && !r.gone {
		r.changed.Wait()
	}
	return r.add(data, false)
}

// add is send for who holds the lock; over says that the event is the answer.
func (r *replay) add(data []byte, over bool) error {
	if r.gone {
		return ErrDisconnected
	}
	r.seq++
	e := replayEvent{r.seq, eventID(r.id, r.seq, r.sealed(over)), data}
	r.events = append(r.events, e)
	r.count(e.size())
	if out := r.out.Load(); out != nil {
		if err := out.event(e.id, data); err != nil {
			r.lose(out)
			return nil
		}
		for len(r.events) > 1 && r.bytes > r.limit(replayKeep) {
			r.count(-r.events[0].size())
			r.events[0].data = nil
			r.events = r.events[1:]
		}
	}
	return nil
}

func (e replayEvent) size() int { return len(e.id) + len(e.data) }

func (r *replay) count(n int) {
	r.bytes += n
	r.owner.share.count(n)
}

func (r *replay) limit(usual int) int {
	if r.owner.share.tooMuch() {
		return replayTight
	}
	return usual
}

// prime gives the client an id to come back with before there is anything to
// say (MCP 2025-11-25, transports). MCP suggests an event with empty data, but some
// clients parse the data of every event as JSON: the id stands alone.
func (r *replay) prime() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seq > 0 || r.over {
		return nil
	}
	return r.add(nil, false)
}

// finish adds the last event.
func (r *replay) finish(data []byte) error {
	r.mu.Lock()
	err := r.add(data, true)
	r.close()
	r.mu.Unlock()
	r.owner.keepEnded(r)
	return err
}

// close is called with the lock held.
func (r *replay) close() {
	if !r.over {
		r.over, r.sealed, r.giveUp = true, nil, nil // which hold the request
		close(r.ended)
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// lose notes that a connection no longer carries the stream, and gives the
// client a while to come back; the lock is held.
func (r *replay) lose(out *postStream) {
	if !r.out.CompareAndSwap(out, nil) || r.over || r.timer != nil {
		return
	}
	r.timer = time.AfterFunc(out.resumeFor, r.abandon)
}

// abandon gives the client up.
func (r *replay) abandon() {
	r.mu.Lock()
	r.gone = true
	giveUp := r.giveUp
	over := r.over
	r.close()
	r.changed.Broadcast()
	r.mu.Unlock()
	if !over {
		giveUp()
	}
	r.owner.remove(r)
}

// detach notes that a connection ended. It reports false where the client has
// no way to come back.
func (r *replay) detach(out *postStream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seq == 0 && r.from == "" && !r.over {
		return false
	}
	r.lose(out)
	return !r.gone
}

// attach has a new connection read the stream from behind an event on.
func (r *replay) attach(out *postStream, after int64) error {
	if old := r.out.Load(); old != nil {
		old.abort() // it is dead, or its client would not be here
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return ErrDisconnected
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	r.out.Store(out)
	for _, e := range r.events {
		if e.seq <= after {
			continue
		}
		if err := out.event(e.id, e.data); err != nil {
			r.lose(out)
			return err
		}
	}
	r.changed.Broadcast()
	return nil
}

// free lets the kept events go.
func (r *replay) free() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.freed = true
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
	r.count(-r.bytes)
	r.events, r.bytes = nil, 0
}

// resume serves a GET that reads a request's stream on.
func (h *HTTP) resume(w http.ResponseWriter, r *http.Request, s *session, last eventRef) {
	rp, after := s.replays.get(last)
	out := h.readAgain(w)
	if rp == nil {
		h.resumeAt(w, r, s, last, out)
		return
	}
	_ = h.readOn(r.Context(), rp, after, out)
}

// readOn has out read a stream from behind an event on, until that ends or another
// connection reads it. Else the error says why it is read no more.
func (h *HTTP) readOn(ctx context.Context, rp *replay, after int64, out *postStream) error {
	defer out.ended()
	if err := out.comment("open"); err != nil {
		return err
	}
	if err := rp.attach(out, after); err != nil {
		return err
	}
	tick := time.NewTicker(h.opts.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-rp.ended:
			return nil
		case <-ctx.Done():
			rp.detach(out)
			return ctx.Err()
		case <-tick.C:
			if rp.out.Load() != out {
				return nil
			}
			if err := out.comment("ping"); err != nil {
				rp.detach(out)
				return err
			}
		}
	}
}

// readAgain is the answer to a GET that reads a stream on.
func (h *HTTP) readAgain(w http.ResponseWriter) *postStream {
	return &postStream{
		w: w, rc: http.NewResponseController(w), limit: h.opts.WriteLimit, every: h.opts.Heartbeat,
		resumeFor: h.opts.ResumeFor, watch: h.opts.Watch,
	}
}

var errAborted = errors.New("another connection has taken over this stream")

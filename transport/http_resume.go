package transport

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// A legacy request's event stream can be resumed (MCP 2025-03-26 to 2025-11-25,
// transports, resumability): its events have ids, the newest are kept, and a
// client that lost the connection gets what it missed, and the rest, by a GET
// with Last-Event-ID. The request goes on meanwhile. While nobody reads, only
// so much is kept before whoever reports has to wait: nothing is dropped that
// the client never saw.
const (
	replayKeep  = 256 << 10 // bytes kept of a stream that is being read
	replayAhead = 512 << 10 // bytes that a stream may be ahead of a client that is away
	replayTight = 4 << 10   // of either, while all streams together keep more than replayAll
	replayAll   = 16 << 20
	replayEnded = 2 * time.Minute // how long an ended stream can be read again
	maxReplays  = 64              // ended streams kept of one session
)

// replays are the resumable streams of one session.
type replays struct {
	mu    sync.Mutex
	last  int64
	byID  map[int64]*replay
	ended []*replay // oldest first
	over  bool
}

// replayTotal is what all streams of this process keep, in bytes.
var replayTotal atomic.Int64

// replay is one request's event stream.
type replay struct {
	owner *replays
	id    int64
	out   atomic.Pointer[postStream] // who reads it now, nil while nobody does

	mu      sync.Mutex
	changed *sync.Cond
	events  []replayEvent
	bytes   int
	seq     int64 // of the newest event
	ended   chan struct{}
	over    bool // no more events come
	gone    bool // the client did not come back in time
	timer   *time.Timer
	giveUp  func()
}

type replayEvent struct {
	seq  int64
	data []byte
}

// add makes a stream that is read by out. giveUp is called, once, when its
// client lost it and did not come back.
func (s *replays) add(out *postStream, giveUp func()) *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	r := &replay{owner: s, id: s.last, ended: make(chan struct{}), giveUp: giveUp}
	r.changed = sync.NewCond(&r.mu)
	r.out.Store(out)
	if s.byID == nil {
		s.byID = make(map[int64]*replay)
	}
	s.byID[r.id] = r
	return r
}

func (s *replays) get(id int64) *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

func (s *replays) remove(r *replay) {
	s.mu.Lock()
	delete(s.byID, r.id)
	s.mu.Unlock()
	r.free()
}

// keepEnded keeps an ended stream for a client that lost its last events.
func (s *replays) keepEnded(r *replay) {
	s.mu.Lock()
	s.ended = append(s.ended, r)
	var drop []*replay
	for len(s.ended) > maxReplays || (s.over && len(s.ended) > 0) {
		drop = append(drop, s.ended[0])
		s.ended = s.ended[1:]
	}
	s.mu.Unlock()
	for _, old := range drop {
		s.remove(old)
	}
	time.AfterFunc(replayEnded, func() { s.remove(r) })
}

// end forgets everything: the session is over.
func (s *replays) end() {
	s.mu.Lock()
	s.over = true
	all := s.byID
	s.byID, s.ended = nil, nil
	s.mu.Unlock()
	for _, r := range all {
		r.abandon()
	}
}

// eventID names an event of a stream; those of the session's own stream have a
// plain number.
func (r *replay) eventID(seq int64) string {
	return strconv.FormatInt(r.id, 36) + "-" + strconv.FormatInt(seq, 10)
}

func parseEventID(s string) (stream, seq int64, ok bool) {
	a, b, ok := strings.Cut(s, "-")
	if !ok || a == "" || b == "" {
		return 0, 0, false
	}
	stream, err := strconv.ParseInt(a, 36, 64)
	seq, err2 := strconv.ParseInt(b, 10, 64)
	return stream, seq, err == nil && err2 == nil && stream > 0 && seq >= 0
}

// started reports whether the client has an event to come back with.
func (r *replay) started() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq > 0
}

// send adds an event and writes it to whoever reads the stream. Nobody there is
// no error: the event is kept.
func (r *replay) send(data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.out.Load() == nil && r.bytes > r.limit(replayAhead) && !r.gone {
		r.changed.Wait()
	}
	return r.add(data)
}

// add is send for who holds the lock.
func (r *replay) add(data []byte) error {
	if r.gone {
		return ErrDisconnected
	}
	r.seq++
	r.events = append(r.events, replayEvent{r.seq, data})
	r.count(len(data))
	if out := r.out.Load(); out != nil {
		if err := out.event(r.eventID(r.seq), data); err != nil {
			r.lose(out)
			return nil
		}
		for len(r.events) > 1 && r.bytes > r.limit(replayKeep) {
			r.count(-len(r.events[0].data))
			r.events[0].data = nil
			r.events = r.events[1:]
		}
	}
	return nil
}

func (r *replay) count(n int) {
	r.bytes += n
	replayTotal.Add(int64(n))
}

func (r *replay) limit(usual int) int {
	if replayTotal.Load() > replayAll {
		return replayTight
	}
	return usual
}

// prime gives the client an id to come back with before there is anything to
// say (MCP 2025-11-25).
func (r *replay) prime() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seq > 0 || r.over {
		return nil
	}
	return r.add(nil)
}

// finish adds the last event.
func (r *replay) finish(data []byte) error {
	r.mu.Lock()
	err := r.add(data)
	r.close()
	r.mu.Unlock()
	r.owner.keepEnded(r)
	return err
}

// close is called with the lock held.
func (r *replay) close() {
	if !r.over {
		r.over = true
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
	if r.seq == 0 && !r.over {
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
		if err := out.event(r.eventID(e.seq), e.data); err != nil {
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
	r.count(-r.bytes)
	r.events, r.bytes = nil, 0
}

// resume serves a GET that reads a request's stream on.
func (h *HTTP) resume(w http.ResponseWriter, r *http.Request, s *session, id, after int64) {
	rp := s.replays.get(id)
	if rp == nil {
		jsonAnswer(w, http.StatusBadRequest, errorMessage(nil, mcp.INVALID_REQUEST,
			"this stream can't be resumed: its request ended a while ago, or another server had it; a run goes on, and its handle reads it (list_runs, wait_run)"))
		return
	}
	out := &postStream{w: w, rc: http.NewResponseController(w), limit: h.opts.WriteLimit, resumeFor: h.opts.ResumeFor, watch: h.opts.Watch}
	defer out.ended()
	if out.comment("open") != nil || rp.attach(out, after) != nil {
		return
	}
	tick := time.NewTicker(h.opts.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-rp.ended:
			return
		case <-r.Context().Done():
			rp.detach(out)
			return
		case <-tick.C:
			if rp.out.Load() != out {
				return // another connection reads it now
			}
			if out.comment("ping") != nil {
				rp.detach(out)
				return
			}
		}
	}
}

var errAborted = errors.New("another connection has taken this stream over")

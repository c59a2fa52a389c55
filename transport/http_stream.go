package transport

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// postStream is the answer to one POST. It stays undecided between a JSON body
// and an event stream until the first message is sent: an answer that comes
// alone is plain JSON. All writes are serialised, each with a deadline of its
// own, so that a client that stopped reading is noticed and let go.
type postStream struct {
	mu       sync.Mutex
	w        http.ResponseWriter
	rc       *http.ResponseController
	limit    time.Duration
	every    time.Duration // heartbeat
	jsonOnly bool          // the client does not take event streams
	started  bool          // the event stream is open
	over     bool          // the answer is out

	replay    *replay  // legacy requests: the events go through it; nil before the first
	session   *session // whose replay it becomes; nil: it can't be resumed
	giveUp    func()   // see replays.add
	primes    bool     // the client's version takes an empty event as the first
	resumeFor time.Duration
	aborted   atomic.Bool
	watch     *Watch
}

func newPostStream(w http.ResponseWriter, r *http.Request, opts HTTPOptions) (*postStream, error) {
	s := &postStream{w: w, rc: http.NewResponseController(w), limit: opts.WriteLimit, every: opts.Heartbeat, resumeFor: opts.ResumeFor, watch: opts.Watch}
	if !accepts(r, "application/json") {
		return nil, errors.New("the Accept header must have application/json, and text/event-stream for progress")
	}
	s.jsonOnly = !accepts(r, "text/event-stream")
	return s, nil
}

// accepts reports whether the Accept header takes a media type; none takes all.
func accepts(r *http.Request, want string) bool {
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return true
	}
	major, _, _ := strings.Cut(want, "/")
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || params["q"] == "0" {
			continue
		}
		if media == want || media == "*/*" || media == major+"/*" {
			return true
		}
	}
	return false
}

var errJSONOnly = errors.New("the client takes no event stream (Accept), so nothing but the result can be sent to it")

// send writes one message as an event.
func (s *postStream) send(msg []byte) error {
	if s.jsonOnly {
		return errJSONOnly
	}
	if r := s.resumable(); r != nil {
		return r.send(msg)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frame("event: message\ndata: ", msg)
}

// resumable gives what the events go through where the stream can be resumed.
// Most answers are JSON alone and need none.
func (s *postStream) resumable() *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replay == nil && s.session != nil {
		s.replay = s.session.replays.add(s, s.giveUp)
	}
	return s.replay
}

// begun is resumable for who sends nothing.
func (s *postStream) begun() *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay
}

// event writes one message as an event that a client can refer to when it
// reconnects (Last-Event-ID).
func (s *postStream) event(id string, msg []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(msg) == 0 {
		return s.frame("id: "+id+"\ndata:", nil)
	}
	return s.frame("id: "+id+"\nevent: message\ndata: ", msg)
}

// retry tells the client when to connect again.
func (s *postStream) retry(after time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frame("retry: "+strconv.FormatInt(after.Milliseconds(), 10), nil)
}

// abort ends the writing to a connection that another one has replaced.
func (s *postStream) abort() {
	s.aborted.Store(true)
	_ = s.rc.SetWriteDeadline(time.Now())
}

// ended counts a stream that is closed.
func (s *postStream) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		s.watch.stream(-1)
	}
}

// comment writes an SSE comment, which keeps proxies and clients from giving up
// on a silent stream.
func (s *postStream) comment(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.jsonOnly {
		return nil
	}
	return s.frame(": ", []byte(text))
}

func (s *postStream) frame(prefix string, data []byte) error {
	if !s.started {
		s.started = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache, no-transform")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		s.w.WriteHeader(http.StatusOK)
		s.watch.stream(1)
	}
	// A deadline that is left standing would end the stream while it is silent.
	defer func() { _ = s.rc.SetWriteDeadline(time.Time{}) }()
	for _, part := range [][]byte{[]byte(prefix), data, []byte("\n\n")} {
		if _, err := s.Write(part); err != nil {
			return err
		}
	}
	return s.rc.Flush()
}

// writeStep is how much has to get through within one write limit: a client
// that reads a large answer slowly, but reads it, is not let go.
const writeStep = 64 << 10

// Write writes to the response. It is called with the lock held.
func (s *postStream) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if s.aborted.Load() {
			return n, errAborted
		}
		_ = s.rc.SetWriteDeadline(time.Now().Add(s.limit))
		var k int
		k, err = s.w.Write(b[n:min(n+writeStep, len(b))])
		n += k
	}
	return n, err
}

// finish sends the answer: as the last event of an open stream, else as JSON.
func (s *postStream) finish(answer []byte, status int) error {
	if r := s.begun(); r != nil && r.started() {
		s.setOver()
		return r.finish(answer)
	}
	s.discard()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.started {
		return s.frame("event: message\ndata: ", answer)
	}
	defer func() { _ = s.rc.SetWriteDeadline(time.Time{}) }()
	jsonHeader(s.w, status, len(answer))
	_, err := s.Write(answer)
	return err
}

// close ends the response without an answer, as a cancelled request wants it.
func (s *postStream) close() error {
	s.discard()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if !s.started {
		s.w.WriteHeader(http.StatusAccepted)
	}
	return nil
}

// setOver ends the comments.
func (s *postStream) setOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// discard lets a replay go that nobody will ask for.
func (s *postStream) discard() {
	if r := s.begun(); r != nil {
		r.abandon()
	}
}

// beat breaks the silence once.
func (s *postStream) beat() error {
	if s.primes {
		if err := s.resumable().prime(); err != nil {
			return err
		}
	}
	return s.comment("ping")
}

// heartbeat breaks the silence of a long call until stop is called.
func (s *postStream) heartbeat() (stop func()) {
	if s.jsonOnly {
		return func() {}
	}
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(s.every, func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped && s.beat() == nil {
			timer.Reset(s.every)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

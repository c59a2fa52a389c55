package transport

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tmaxmax/go-sse"
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
	noJSON   bool          // it takes nothing else
	started  bool          // the event stream is open
	over     bool          // the answer is out

	replay    *replay        // legacy requests: the events go through it; nil before the first
	open      func() *replay // makes that; nil: it can't be resumed
	from      string         // the last event that the client saw of another process's stream of the request
	call      *Call          // gives the client an id before the first message; nil: its version may not be given one
	resumeFor time.Duration
	aborted   atomic.Bool
	watch     *Watch

	beating sync.Mutex
	beats   *time.Timer // nil before and after them
}

func newPostStream(w http.ResponseWriter, r *http.Request, opts HTTPOptions) (*postStream, error) {
	s := &postStream{w: w, rc: http.NewResponseController(w), limit: opts.WriteLimit, every: opts.Heartbeat, resumeFor: opts.ResumeFor, watch: opts.Watch}
	s.noJSON, s.jsonOnly = !accepts(r, "application/json"), !accepts(r, "text/event-stream")
	if s.noJSON && s.jsonOnly {
		return nil, errors.New("the Accept header must include application/json, and text/event-stream for progress")
	}
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
		media, params, err := mediaType(part)
		if err != nil || params["q"] == "0" {
			continue
		}
		if media == want || media == "*/*" || media == major+"/*" {
			return true
		}
	}
	return false
}

// mediaType reads a media type. Most have no parameters.
func mediaType(s string) (media string, params map[string]string, err error) {
	if !strings.Contains(s, ";") {
		return strings.ToLower(strings.TrimSpace(s)), nil, nil
	}
	return mime.ParseMediaType(s)
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
	return s.writeEvent(messageEvent(msg))
}

// resumable gives what the events go through where the stream can be resumed.
// Most answers are JSON alone and need none.
func (s *postStream) resumable() *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replay == nil && s.open != nil {
		s.replay = s.open()
	}
	return s.replay
}

// currentReplay gives the replay, nil where nothing has gone through it.
func (s *postStream) currentReplay() *replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay
}

// event writes one message as an event that a client can refer to when it
// reconnects (Last-Event-ID). Without a message it is an id alone, which clients
// note without dispatching anything (HTML, server-sent events, section 9.2.6).
func (s *postStream) event(id string, msg []byte) error {
	e := &sse.Message{}
	if len(msg) > 0 {
		e = messageEvent(msg)
	}
	e.ID = sse.ID(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeEvent(e)
}

// messageEvent is the event that carries a JSON-RPC message, which is one line.
func messageEvent(msg []byte) *sse.Message {
	e := &sse.Message{Type: sse.Type("message")}
	e.AppendData(string(msg))
	return e
}

// retry tells the client when to connect again.
func (s *postStream) retry(after time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeEvent(&sse.Message{Retry: after})
}

// abort ends the writing to a connection that another one has replaced.
func (s *postStream) abort() {
	s.aborted.Store(true)
	_ = s.rc.SetWriteDeadline(time.Now())
}

// begun reports whether anything was written.
func (s *postStream) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
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
// on a silent stream, and which no client takes for an event.
func (s *postStream) comment(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.jsonOnly {
		return nil
	}
	e := &sse.Message{}
	e.AppendComment(text)
	return s.writeEvent(e)
}

// pass writes an event or comment that another process made.
func (s *postStream) pass(event []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(bytes.NewReader(event))
}

// writeEvent writes an event; the lock is held.
func (s *postStream) writeEvent(e *sse.Message) error { return s.write(e) }

// write opens the event stream if need be, and writes to it; the lock is held.
func (s *postStream) write(e io.WriterTo) error {
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
	if _, err := e.WriteTo(s); err != nil {
		return err
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
	if r := s.currentReplay(); r != nil && r.started() {
		s.setOver()
		return r.finish(answer)
	}
	s.discard()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.started || s.noJSON {
		return s.writeEvent(messageEvent(answer))
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

// setOver ends the comments, and lets the call go: the stream may be read again for a while.
func (s *postStream) setOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.open, s.call = nil, nil
}

// discard lets a replay go that nobody will ask for.
func (s *postStream) discard() {
	if r := s.currentReplay(); r != nil {
		r.abandon()
	}
}

// beat breaks the silence once.
func (s *postStream) beat() error {
	if s.call != nil {
		if err := s.call.primed(); err != nil {
			return err
		}
	}
	return s.comment("ping")
}

// startBeats breaks the silence of a long call until stopBeats is called.
func (s *postStream) startBeats() {
	if s.jsonOnly {
		return
	}
	s.beating.Lock()
	defer s.beating.Unlock()
	s.beats = time.AfterFunc(s.every, func() {
		s.beating.Lock()
		defer s.beating.Unlock()
		if s.beats != nil && s.beat() == nil {
			s.beats.Reset(s.every)
		}
	})
}

func (s *postStream) stopBeats() {
	s.beating.Lock()
	defer s.beating.Unlock()
	if s.beats != nil {
		s.beats.Stop()
		s.beats = nil
	}
}

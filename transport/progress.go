package transport

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
)

const (
	// progressInterval spaces a reporter's notifications, in the long run: about
	// 20 a second.
	progressInterval = 50 * time.Millisecond
	// heartbeatInterval is the longest silence of a reporter, so that clients
	// whose idle timer is reset by progress keep waiting.
	heartbeatInterval = 8 * time.Second
	// progressSpare is how many notifications may go out at once after a pause,
	// before what comes is joined. A stream of fewer events than one an interval
	// sees each of them forwarded at once, also when some come close together.
	progressSpare = 5.0
)

// Reporter turns a call's fine-grained news into progress notifications that a
// person can follow: text as it comes, a line for each other event, and a
// heartbeat while there is no news. Nothing is dropped and the order is kept:
// the messages, one after the other, hold every word that was reported. News go
// out at once as long as there are spare notifications (see progressSpare);
// then text is joined, and text and lines share a notification where they
// alternate.
type Reporter struct {
	call  *Call
	start time.Time

	mu        sync.Mutex
	pending   []piece
	showsText bool      // the last thing sent was text, perhaps in the middle of a word
	spare     float64   // notifications that may go out at once
	refilled  time.Time // when spare was counted
	flushing  *time.Timer
	heartbeat *time.Timer
	closed    bool
	err       error // the first failed write: the client is gone
}

// piece is something to report: a stretch of the reply, or a line of its own.
type piece struct {
	text []byte
	line bool
}

// NewReporter starts reporting on call. A call whose client wants no progress
// (or nil) gets a reporter that does nothing. Close it before the call ends.
func NewReporter(call *Call) *Reporter {
	r := &Reporter{call: call, start: time.Now(), spare: progressSpare, refilled: time.Now()}
	if !call.WantsProgress() {
		r.closed = true
		return r
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heartbeat = time.AfterFunc(heartbeatInterval, r.beat)
	return r
}

// Text reports a piece of the reply, exactly as it came. It blocks while the
// client does not read.
func (r *Reporter) Text(s string) {
	if s != "" {
		r.report(s, false)
	}
}

// Line reports anything else: a status, a tool's use.
func (r *Reporter) Line(s string) { r.report(s, true) }

func (r *Reporter) report(s string, line bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if n := len(r.pending); n > 0 && !line && !r.pending[n-1].line {
		r.pending[n-1].text = append(r.pending[n-1].text, s...)
	} else {
		r.pending = append(r.pending, piece{text: []byte(s), line: line})
	}
	if r.flushing != nil {
		return
	}
	if r.refill(); r.spare < 1 {
		wait := time.Duration(math.Ceil((1 - r.spare) * float64(progressInterval)))
		r.flushing = time.AfterFunc(wait, r.flushLater)
		return
	}
	r.flush()
}

// refill counts the spare notifications that time has brought.
func (r *Reporter) refill() {
	now := time.Now()
	r.spare = min(progressSpare, r.spare+float64(now.Sub(r.refilled))/float64(progressInterval))
	r.refilled = now
}

func (r *Reporter) flushLater() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushing = nil
	if !r.closed {
		r.flush()
	}
}

// flush sends what is pending. It is called with the lock held, and keeps it
// while it writes: a client that reads slowly slows the reporting down.
func (r *Reporter) flush() {
	if len(r.pending) == 0 {
		return
	}
	r.refill()
	if n := float64(len(r.pending)); n <= max(1, r.spare) {
		r.spare -= n
		for _, p := range r.pending {
			r.write(string(p.text))
		}
	} else {
		r.spare--
		var all strings.Builder
		for i, p := range r.pending {
			if i > 0 {
				all.WriteByte('\n')
			}
			all.Write(p.text)
		}
		r.write(all.String())
	}
	r.showsText = !r.pending[len(r.pending)-1].line
	clear(r.pending) // frees the texts
	r.pending = r.pending[:0]
}

func (r *Reporter) write(text string) {
	if r.err == nil {
		r.err = r.call.Progress(text)
	}
	r.heartbeat.Reset(heartbeatInterval)
}

func (r *Reporter) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	// In the middle of a reply a heartbeat has no words of its own: the stream
	// may have stalled inside a word.
	text := ""
	if !r.showsText {
		text = fmt.Sprintf("still running after %s", time.Since(r.start).Round(time.Second))
	}
	r.write(text)
}

// Close sends what is pending and stops the heartbeat. Nothing is sent after it
// returns. It may be called more than once.
func (r *Reporter) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.flush()
	r.closed = true
	r.heartbeat.Stop()
	if r.flushing != nil {
		r.flushing.Stop()
	}
}

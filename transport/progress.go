package transport

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// progressInterval spaces a call's notifications: five a second are as many as
	// a person can follow.
	progressInterval = 200 * time.Millisecond
	// firstHeartbeat is how long a person looks at nothing at most.
	firstHeartbeat = time.Second
	// heartbeatInterval is the longest silence after that, so that clients whose
	// idle timer is reset by progress keep waiting.
	heartbeatInterval = 5 * time.Second
	// lastProgressLead is how long the last notification is out before the result:
	// some SDKs drop progress that they read together with the result.
	lastProgressLead = 50 * time.Millisecond
	// progressWidth bounds a message, in characters.
	progressWidth = 160
)

// Reporter turns a call's fine-grained news into progress notifications. Their
// message is for a person, who sees only the newest one: the current line of the
// text, or what the call waits for. Their _meta is for programs and loses nothing:
// "openclaw-mcp/text" has the text that is new since the notification before,
// exactly, "openclaw-mcp/line" the line that is still being written, whose text comes once it
// is whole, and "openclaw-mcp/events" the other news, a line each.
type Reporter struct {
	call    *Call
	start   time.Time
	waiting Waiting

	mu        sync.Mutex
	text      strings.Builder // not sent yet
	events    []string        // not sent yet
	line      string          // still being written, and not sent as it stands
	tail      string          // all text from the current line on, as far as it is shown
	showing   string          // what a person is to see now, "" before the first news
	sent      time.Time       // the last notification
	flushing  *time.Timer
	heartbeat *time.Timer
	closed    bool
	err       error // the first failed write: the client is gone

	telling sync.Mutex // held by who tells together
	held    bool       // more comes before anything goes out; see Together
	sending []func()   // to call when what is pending goes out
}

// Waiting says what a call waits for, after so many seconds.
type Waiting func(seconds int) string

// NewReporter starts reporting on call. A call whose client wants no progress
// (or nil) gets a reporter that does nothing. Close it before the call ends.
func NewReporter(call *Call, waiting Waiting) *Reporter {
	r := &Reporter{call: call, waiting: waiting}
	if !call.WantsProgress() {
		r.closed = true
		return r
	}
	r.start = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heartbeat = time.AfterFunc(firstHeartbeat, r.beat)
	return r
}

// Text reports a piece of the reply, exactly as it came. It blocks while the
// client does not read.
func (r *Reporter) Text(s string) {
	if s == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.text.WriteString(s)
	r.line = ""
	r.tail = currentLine(r.tail + s)
	r.show(lastWords(r.call.open(r.tail))) // cut as it is going to be seen
	r.soon()
}

// Now reports how a line stands that is still being written.
func (r *Reporter) Now(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || strings.TrimSpace(line) == "" {
		return
	}
	r.line = line
	r.show(lastWords(currentLine(r.call.open(line))))
	r.soon()
}

// show is what a person is to see now, if it is anything. It is called with the lock held.
func (r *Reporter) show(line string) {
	if line != "" {
		r.showing = line
	}
}

// Line reports anything else: a status, a tool's use.
func (r *Reporter) Line(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.events = append(r.events, s)
	r.showing = lastWords(currentLine(r.call.outgoing().text(s)))
	r.soon()
}

// Together has tell report some news, all of which go out in one notification, and
// calls sending right before that.
func (r *Reporter) Together(tell, sending func()) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.hold(true)
	tell()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
	if r.closed {
		return
	}
	r.sending = append(r.sending, sending)
	r.soon()
}

func (r *Reporter) hold(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = on
}

// soon sends what is pending now, or once the interval allows it.
func (r *Reporter) soon() {
	if r.flushing != nil || r.held || r.nothingNew() {
		return
	}
	if wait := progressInterval - time.Since(r.sent); wait > 0 {
		r.flushing = time.AfterFunc(wait, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.flushing = nil
			if !r.closed && !r.held { // else who holds it sends it
				r.flush()
			}
		})
		return
	}
	r.flush()
}

// flush sends what is pending. It is called with the lock held, and keeps it while
// it writes: a client that reads slowly slows the reporting down.
func (r *Reporter) flush() {
	if !r.nothingNew() {
		r.write(r.showing)
	}
}

func (r *Reporter) nothingNew() bool { return r.text.Len() == 0 && len(r.events) == 0 && r.line == "" }

// write sends a message, and with it what is pending.
func (r *Reporter) write(message string) {
	for _, f := range r.sending {
		f()
	}
	r.sending = nil
	if r.err == nil {
		r.err = r.call.progress(message, &progressMeta{Text: r.text.String(), Line: r.line, Events: r.events, last: r.closed})
	}
	r.text.Reset()
	r.events, r.line = nil, ""
	r.sent = time.Now()
	r.heartbeat.Reset(heartbeatInterval)
}

func (r *Reporter) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.held {
		r.heartbeat.Reset(progressInterval)
		return
	}
	seconds := int(time.Since(r.start).Seconds())
	if r.showing == "" {
		r.write(r.waiting(seconds))
		return
	}
	r.write(fmt.Sprintf("%s (%d s)", r.showing, seconds))
}

// Close sends what is pending and stops the heartbeat. Nothing is sent after it
// returns. It may be called more than once.
func (r *Reporter) Close() { time.Sleep(r.finish()) }

// finish is Close without its wait, whose length it gives.
func (r *Reporter) finish() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0
	}
	r.closed = true
	if !r.nothingNew() || r.call.holds() {
		r.write(r.showing)
	}
	r.heartbeat.Stop()
	if r.flushing != nil {
		r.flushing.Stop()
	}
	if r.sent.IsZero() || r.err != nil {
		return 0
	}
	return lastProgressLead - time.Since(r.sent)
}

// currentLine is s from its last line that has something on it, or its end where
// that is long. Line ends behind it stay: what follows is a line of its own.
func currentLine(s string) string {
	if end := len(strings.TrimRight(s, "\r\n")); end > 0 {
		s = s[strings.LastIndexAny(s[:end], "\r\n")+1:]
	}
	const keep = 8 * progressWidth // room for what lastWords cuts
	if len(s) > keep {
		s = strings.ToValidUTF8(s[len(s)-keep:], "")
	}
	return s
}

// lastWords is the end of a line, cut between words where it has any.
func lastWords(line string) string {
	line = strings.TrimSpace(line)
	n := utf8.RuneCountInString(line)
	if n <= progressWidth {
		return line
	}
	runes := []rune(line)[n-progressWidth:]
	s := string(runes)
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 && i < len(s)/2 {
		s = strings.TrimSpace(s[i:])
	}
	return "…" + s
}

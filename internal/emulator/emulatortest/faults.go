package emulatortest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// AtStart, as the count of a cut or stall, means before the first byte or
// event: the client gets the header of the answer and nothing else.
const AtStart = -1

// Fault makes requests go wrong. The first fault of the list that applies to a
// request is the only one that does.
//
// None of them stops what the request has set off: a reply goes on upstream
// whatever happens to its stream.
type Fault struct {
	Endpoint string // named as in Calls, "POST /instances/{instance}/chat"; "" = every endpoint
	Call     int    // the n-th matching call since the faults were set, from 1; 0 = every call

	// Status answers so, instead of doing what was asked. Header alone, without
	// Status, changes the header of the normal answer.
	Status int
	Body   string
	Header http.Header

	After bool // with Status or Drop: do what was asked, to its end, and then answer so
	Drop  bool // close the connection with no answer

	// Cuts break the connection after so many bytes of the body or events of the
	// stream (a JSON answer is one event); 0 = no cut, AtStart = before the
	// first. CleanCut ends the body properly instead.
	CutBytes, CutEvents int
	CleanCut            bool

	// Stalls send nothing more after so many events or bytes, counted as in
	// cuts, until the client leaves, the server closes or Release is closed.
	StallEvents, StallBytes int

	// Garbage is put into the stream as it is, before event GarbageAt (from 1
	// on; 0 is 1).
	Garbage   string
	GarbageAt int

	Delay time.Duration // before anything else; ends with the request

	Socket *SocketFault // of a WebSocket

	// Release ends a stall when it is closed. Without a stall, the request
	// waits for it before anything else.
	Release <-chan struct{}
}

func (f *Fault) stalls() bool { return f.StallEvents != 0 || f.StallBytes != 0 }

// alters says whether the fault changes the bytes of the normal answer.
func (f *Fault) alters() bool {
	return f.stalls() || f.CutBytes != 0 || f.CutEvents != 0 || f.Garbage != "" || f.Socket != nil
}

// faultSet holds the faults and how many requests each of them has matched.
type faultSet struct {
	mu     sync.Mutex
	faults []Fault
	seen   []int
}

func (fs *faultSet) set(faults []Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.faults = append([]Fault(nil), faults...)
	fs.seen = make([]int, len(faults))
}

// next counts a request and gives the fault that applies to it, or nil.
func (fs *faultSet) next(endpoint string) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var applies *Fault
	for i, f := range fs.faults {
		if f.Endpoint != "" && f.Endpoint != endpoint {
			continue
		}
		fs.seen[i]++
		if applies == nil && (f.Call == 0 || f.Call == fs.seen[i]) {
			applies = &f
		}
	}
	return applies
}

// serve answers a request by handle, with the fault that applies, if any.
func (fs *faultSet) serve(ctx context.Context, endpoint string, w http.ResponseWriter, r *http.Request,
	handle func(http.ResponseWriter)) {
	f := fs.next(endpoint)
	if f == nil {
		handle(w)
		return
	}
	if !f.hold(ctx, r.Context()) {
		return
	}
	if f.Status != 0 || f.Drop {
		if f.After {
			handle(&discard{header: http.Header{}})
		}
		if f.Drop {
			panic(http.ErrAbortHandler) // net/http closes the connection
		}
		setHeader(w, f.Header)
		w.WriteHeader(f.Status)
		w.Write([]byte(f.Body))
		return
	}
	if !f.alters() && f.Header == nil {
		handle(w)
		return
	}
	fw := &faultWriter{ResponseWriter: w, fault: f, ctx: ctx, r: r}
	handle(fw)
	if fw.begun && !fw.stream {
		fw.endEvent()
	}
}

// hold is the time before an answer. It says whether the client is still there;
// the end of the server cuts it short.
func (f *Fault) hold(server, client context.Context) bool {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-server.Done():
		case <-client.Done():
		}
	}
	if f.Release != nil && !f.stalls() {
		select {
		case <-f.Release:
		case <-server.Done():
		case <-client.Done():
		}
	}
	return client.Err() == nil
}

func setHeader(w http.ResponseWriter, from http.Header) {
	for name, values := range from {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
}

// discard is where the answer of an After fault goes.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) Flush()                      {}

var errCut = errors.New("emulatortest: cut by a fault")

// faultWriter applies cuts, stalls and garbage to an answer.
type faultWriter struct {
	http.ResponseWriter
	fault   *Fault
	ctx     context.Context // of the server
	r       *http.Request
	bytes   int // of the body so far, without garbage
	events  int // complete so far
	header  bool
	stream  bool // each write is an event or a comment; otherwise the whole body is one event
	begun   bool // the event of an answer that is not a stream
	stalled bool // a stall happens once
	ended   bool // nothing more is sent
}

// Unwrap lets http.ResponseController through.
func (w *faultWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *faultWriter) WriteHeader(status int) {
	if w.header {
		return
	}
	w.header = true
	setHeader(w.ResponseWriter, w.fault.Header)
	w.stream = isStream(w.Header())
	w.ResponseWriter.WriteHeader(status)
	w.check()
}

// Write sends what the fault allows.
func (w *faultWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	event := w.stream && p[0] != ':'
	if event || !w.stream && !w.begun {
		w.begun = true
		w.beginEvent()
	}
	n, err := w.write(p)
	if event && err == nil {
		w.endEvent()
	}
	return n, err
}

// write sends what the limits in bytes allow.
func (w *faultWriter) write(p []byte) (int, error) {
	for done := 0; ; {
		if w.ended {
			return done, errCut
		}
		if done == len(p) {
			return done, nil
		}
		n := len(p) - done
		if limit := w.fault.StallBytes; !w.stalled && limit > w.bytes {
			n = min(n, limit-w.bytes)
		}
		if limit := w.fault.CutBytes; limit > w.bytes {
			n = min(n, limit-w.bytes)
		}
		n, err := w.ResponseWriter.Write(p[done : done+n])
		done += n
		w.bytes += n
		if err != nil {
			return done, err
		}
		w.check()
	}
}

// check stalls or cuts when the bytes or events so far are as many as a limit.
func (w *faultWriter) check() {
	f := w.fault
	if !w.stalled && (reached(f.StallEvents, w.events) || reached(f.StallBytes, w.bytes)) {
		w.stall()
	}
	if !w.ended && (reached(f.CutEvents, w.events) || reached(f.CutBytes, w.bytes)) {
		w.flush()
		w.ended = true
		if !f.CleanCut {
			panic(http.ErrAbortHandler)
		}
	}
}

func reached(limit, n int) bool { return limit == AtStart || limit > 0 && n >= limit }

// stall holds the handler, and with it the answer.
func (w *faultWriter) stall() {
	w.stalled = true
	w.flush()
	select {
	case <-w.fault.Release: // never, when nil
	case <-w.r.Context().Done():
		w.ended = true
	case <-w.ctx.Done():
		w.ended = true
	}
}

func (w *faultWriter) flush() { http.NewResponseController(w.ResponseWriter).Flush() }

func (w *faultWriter) beginEvent() {
	if w.fault.Garbage != "" && w.events+1 == max(w.fault.GarbageAt, 1) && !w.ended {
		w.ResponseWriter.Write([]byte(w.fault.Garbage))
	}
}

func (w *faultWriter) endEvent() {
	if !w.ended {
		w.events++
		w.check()
	}
}

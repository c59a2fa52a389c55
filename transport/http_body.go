package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// unreadFor is how long what is left of a body is waited for behind an answer to it.
// A client that is still sending gets to see the answer; one that sends nothing does
// not keep its connection.
const unreadFor = time.Second

// Guard keeps clients that send or read nothing from holding connections: it is
// GuardBodies with the first limit, and no write of an answer takes longer than the second
// one.
func Guard(next http.Handler, body, write time.Duration) http.Handler {
	return GuardBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Time{})                              // of the request before
		defer func() { _ = rc.SetWriteDeadline(time.Now().Add(write)) }() // for what is still to be flushed
		next.ServeHTTP(&hurriedWriter{w, rc, write}, r)
	}), body)
}

// hurriedWriter gives each write a deadline, which ends with it: HTTP/2 ends a stream at
// its deadline also when nothing is being written.
type hurriedWriter struct {
	http.ResponseWriter
	rc    *http.ResponseController
	limit time.Duration
}

// Write implements http.ResponseWriter.
func (w *hurriedWriter) Write(b []byte) (n int, err error) {
	defer func() { _ = w.rc.SetWriteDeadline(time.Time{}) }()
	for n < len(b) && err == nil {
		_ = w.rc.SetWriteDeadline(time.Now().Add(w.limit))
		var k int
		k, err = w.ResponseWriter.Write(b[n:min(n+writeStep, len(b))])
		n += k
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *hurriedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// GuardBodies gives every request that announces a body a deadline to send it: limit
// to come in, and hardly any more once it was answered without being read to its end.
// Such an answer closes the connection. net/http by itself waits for the body for ever
// (http.Server.ReadTimeout does not help: it ends streams as well).
func GuardBodies(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		rc := http.NewResponseController(w)
		g := &guardedWriter{ResponseWriter: w, rc: rc, body: &guardedBody{ReadCloser: r.Body, rc: rc}}
		_ = g.rc.SetReadDeadline(time.Now().Add(limit))
		defer g.decide()
		// A copy: net/http looks at the type of the body of its own.
		own := *r
		own.Body = g.body
		next.ServeHTTP(g, &own)
	})
}

// guardedBody notes when a body has been read to its end. From then on there is no
// deadline: it would count as the end of the connection.
type guardedBody struct {
	io.ReadCloser
	rc  *http.ResponseController
	mu  sync.Mutex
	end bool
}

func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.end = true
		b.mu.Unlock()
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (b *guardedBody) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}

// guardedWriter decides what becomes of the connection before the answer's header
// goes out.
type guardedWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	body    *guardedBody
	decided bool
}

func (w *guardedWriter) decide() {
	if w.decided {
		return
	}
	w.decided = true
	if !w.body.ended() {
		w.Header().Set("Connection", "close")
		_ = w.rc.SetReadDeadline(time.Now().Add(unreadFor))
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *guardedWriter) WriteHeader(status int) {
	w.decide()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *guardedWriter) Write(b []byte) (int, error) {
	w.decide()
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *guardedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/url"
	"sync/atomic"
	"time"
)

// body is the body of an answer. What its Read fails with is a complete
// *Error (io.EOF aside), whatever the reason: a cut connection, the caller's
// context, a time-out of ours. Close ends the request.
type body struct {
	core    *core
	req     call
	parent  context.Context // the caller's
	inner   context.Context // the request's own
	rc      io.ReadCloser
	cancel  context.CancelFunc
	timer   *time.Timer   // nil where there is no time-out
	idle    time.Duration // restarts timer at each read
	expired atomic.Bool   // timer fired
	slow    atomic.Bool   // the rest of an answer that waited took too long
	outcome Outcome       // of a failure from here on
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.idle > 0 {
		b.timer.Reset(b.idle)
	}
	n, err := b.rc.Read(p)
	if b.idle > 0 {
		// Only silence counts, not the time that the reader takes between.
		b.timer.Stop()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.core.finish(b.req, b.failure(err))
	}
	return n, err
}

// Close ends the request and frees what it holds.
func (b *body) Close() error {
	err := b.rc.Close()
	b.stop()
	return err
}

func (b *body) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.cancel()
}

// watchSilence limits the time between two pieces of the body from now on.
func (b *body) watchSilence(d time.Duration) {
	if d <= 0 {
		return
	}
	b.idle = d
	b.timer = time.AfterFunc(d, func() { b.expired.Store(true); b.cancel() })
	b.timer.Stop()
}

// hurry gives what is still to come a time, until the timer is stopped.
func (b *body) hurry(d time.Duration) *time.Timer {
	return time.AfterFunc(d, func() { b.slow.Store(true); b.cancel() })
}

// failure says why the request broke off.
func (b *body) failure(err error) *Error {
	e := &Error{Outcome: b.outcome}
	// The URL that http.Client puts in front holds ids and paths; Op says
	// enough.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	switch {
	case b.parent.Err() != nil:
		e.Err = b.parent.Err()
		if errors.Is(e.Err, context.DeadlineExceeded) {
			e.Message = "the caller's deadline passed before the answer was complete"
		} else {
			e.Message = "the call was cancelled before the answer was complete"
		}
	case b.slow.Load():
		e.Err = context.DeadlineExceeded
		e.Message = "the answer is large, and its rest did not come within " + waitedTime.String()
	case b.expired.Load() || errors.Is(b.inner.Err(), context.DeadlineExceeded):
		e.Err = context.DeadlineExceeded
		if b.idle > 0 {
			e.Message = "nothing came for " + b.idle.String()
		} else {
			e.Message = "no complete answer within " + b.req.timeout.String()
		}
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Err = io.ErrUnexpectedEOF
		e.Message = "the answer broke off: the connection was closed before its end"
	case errors.Is(err, io.EOF):
		e.Err = io.ErrUnexpectedEOF
		e.Message = "the connection was closed without an answer"
	default:
		e.Err = err
		e.Message = oneLine(cmp.Or(unreachable(err), err.Error()), maxErrorMessage)
	}
	return e
}

// peek reads up to n bytes for an error message; what stops it does not matter.
func (b *body) peek(n int64) []byte {
	raw, _ := io.ReadAll(io.LimitReader(b.rc, n))
	return raw
}

// readAll is [io.ReadAll] for what is said to have size bytes; less than 0 where
// that is not known.
func readAll(r io.Reader, size int64) ([]byte, error) {
	// No more than that on the peer's word alone.
	if size < 0 || size > 4<<20 {
		return io.ReadAll(r) // which copies a large one less often than a buffer grows
	}
	var b bytes.Buffer
	b.Grow(int(size) + bytes.MinRead) // MinRead is to find the end
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

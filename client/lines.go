package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// What streams hold of events that have not ended is bounded for the process: there may be a
// thousand streams, and an event of each may have many MiB and never end.
const (
	freeEvent        = 64 << 10 // of each stream
	unfinishedEvents = 64 << 20 // of all streams, beyond that
)

// eventStock is what all streams of a process share.
var eventStock = stock{free: unfinishedEvents, freed: make(chan struct{})}

// lineReader gives the lines of a stream, which end in LF, CRLF or CR. A CR ends
// its line at once: on a live stream, nothing may follow it for long.
//
// It looks at each byte once: a line of many MiB that arrives in small reads costs no more
// than its length. bufio.Scanner would keep the buffer of the longest line, and asks nobody
// before it makes it larger.
type lineReader struct {
	r        io.Reader
	limit    int    // of a line in bytes
	buf      []byte // what was read
	given    int    // how much of buf is out
	searched int    // how much of the rest was searched for a line's end
	afterCR  bool   // an LF that comes now belongs to the line before
	ended    bool   // the last line had an end; else the stream's end cut it off
	begun    bool   // a line was given
	err      error  // what ended the reads

	beside int       // what the caller holds of the event, besides buf
	taken  int       // of the stock
	since  time.Time // when that began
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{r: r, limit: limit}
}

// next gives a line without its end, valid until the following call, or what
// ended the reads. The byte order mark that a stream may begin with is left out.
func (l *lineReader) next() ([]byte, error) {
	for {
		rest := l.buf[l.given:]
		if l.afterCR && len(rest) > 0 {
			if l.afterCR = false; rest[0] == '\n' {
				l.given++
				continue
			}
		}
		end := lineEnd(rest[l.searched:])
		if l.ended = end >= 0; l.ended {
			end += l.searched
			l.afterCR = rest[end] == '\r'
			l.given++ // the end itself
		} else if l.searched = len(rest); l.err == nil {
			l.err = l.fill()
			continue
		} else if end = len(rest); end == 0 {
			return nil, l.err
		}
		l.given, l.searched = l.given+end, 0
		if end > l.limit {
			return nil, tooLarge(l.limit)
		}
		line := rest[:end:end]
		if !l.begun {
			l.begun = true
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		return line, nil
	}
}

// all gives the rest of the stream.
func (l *lineReader) all() ([]byte, error) {
	for l.err == nil {
		l.err = l.fill()
	}
	if !errors.Is(l.err, io.EOF) {
		return nil, l.err
	}
	if len(l.buf) > l.limit {
		return nil, tooLarge(l.limit)
	}
	return l.buf, nil
}

// fill reads on. Behind an error of its own, it has dropped what it had.
func (l *lineReader) fill() error {
	rest, size := l.buf[l.given:], cap(l.buf)
	switch {
	case len(rest) >= l.limit+2: // a line and its end
		l.buf, l.given, l.searched = nil, 0, 0
		return tooLarge(l.limit)
	case len(rest) == size:
		// Most streams bring little at a time, and there may be a thousand of them.
		size = min(max(2*size, 1<<10), l.limit+2)
	case size > freeEvent && len(rest) < size/4:
		size = max(2*len(rest), 1<<10)
	}
	if err := l.hold(size + l.beside); err != nil {
		l.buf, l.given, l.searched = nil, 0, 0
		return err
	}
	switch {
	case size != cap(l.buf):
		l.buf, l.given = append(make([]byte, 0, size), rest...), 0
	case len(l.buf) == size, len(rest) == 0:
		l.buf, l.given = append(l.buf[:0], rest...), 0
	}
	for range 100 { // as often as bufio does
		n, err := l.r.Read(l.buf[len(l.buf):size])
		if l.buf = l.buf[:len(l.buf)+n]; n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// own gives a line that was just given to the caller for good. A long one is not copied.
func (l *lineReader) own(line []byte) []byte {
	if len(line) <= freeEvent {
		l.beside += len(line)
		return bytes.Clone(line)
	}
	l.beside += cap(l.buf)
	l.buf, l.given = bytes.Clone(l.buf[l.given:]), 0
	return line
}

// join adds a line that was just given to those that the caller has, if any.
func (l *lineReader) join(lines, line []byte, any bool) ([]byte, error) {
	if !any {
		return l.own(line), nil
	}
	if more := len(lines) + 1 + len(line); more > cap(lines) {
		l.beside += more
		if err := l.hold(cap(l.buf) + l.beside); err != nil {
			return nil, err
		}
		lines = append(make([]byte, 0, 2*more), lines...)
	}
	return append(append(lines, '\n'), line...), nil
}

// done says that the event is dealt with.
func (l *lineReader) done() { l.beside, l.since = 0, time.Time{} }

// hold has n bytes in all counted as this stream's. It never waits: two streams that each held
// a part and waited for more would wait for each other forever.
func (l *lineReader) hold(n int) error {
	n = max(0, n-freeEvent)
	if n > l.taken && !eventStock.takeNow(n-l.taken) {
		return &Error{Err: ErrTooLarge, Outcome: OutcomeUnknown,
			Message: fmt.Sprintf("this server has no memory left for an event of more than %d bytes", freeEvent)}
	}
	if n < l.taken {
		eventStock.give(l.taken - n)
	}
	l.taken = n
	switch {
	case n == 0:
	case l.since.IsZero():
		l.since = time.Now()
	case time.Since(l.since) > largeTime:
		return &Error{Err: ErrTooLarge, Outcome: OutcomeUnknown,
			Message: fmt.Sprintf("an event of more than %d bytes did not end within %s", freeEvent, largeTime)}
	}
	return nil
}

// release gives back what is held, at the end.
func (l *lineReader) release() {
	l.buf, l.beside = nil, 0
	_ = l.hold(0)
}

// lineEnd finds the first CR or LF. LF is looked for first, so that a stream
// without any CR is not searched for one to its end at every line.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

func tooLarge(limit int) error {
	return &Error{
		Message: fmt.Sprintf("an event of the stream is larger than the size limit of %d bytes", limit),
		Outcome: OutcomeUnknown,
		Err:     ErrTooLarge,
	}
}

package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tmaxmax/go-sse"
)

// defaultEventLimit bounds one event of a stream. The service is known to send
// data lines of several MiB.
const defaultEventLimit = 16 << 20

// maxEventID is the longest id of an event, in bytes: they are kept while a stream lasts.
const maxEventID = 4 << 10

// frame is one step of a stream before anyone asks what it means: an SSE
// event, a comment, or a line of NDJSON.
type frame struct {
	name    string // of an SSE event
	id      string // the event's own id, "" when it has none
	data    []byte // owned by the frame
	comment bool   // nothing but a sign of life
	cut     bool   // the stream ended inside: the data may be incomplete
}

// readSSE gives every event and comment of an SSE stream until yield returns
// false or the reads end; the error is nil after io.EOF. go-sse reads the
// events, and an [eventReader] in front of it does what a reader of agents'
// replies needs besides.
func readSSE(r io.Reader, limit int, yield func(frame) bool) error {
	lines := newLineReader(r, limit)
	defer lines.release()
	in := &eventReader{lines: lines, limit: limit, comment: func() bool { return yield(frame{comment: true}) }}
	for ev, err := range sse.Read(in, &sse.ReadConfig{MaxEventSize: limit + len(eventStart) + 4}) {
		if err != nil {
			return err
		}
		f := frame{name: ev.Type, data: []byte(ev.Data), cut: in.cut}
		if len(ev.LastEventID) <= maxEventID {
			f.id = ev.LastEventID
		}
		if !yield(f) {
			return nil
		}
	}
	return nil
}

// eventStart goes before each event: go-sse carries an id on to the events that
// follow, and this one ends that, so that an event has its own id or none.
const eventStart = "id\n"

// eventReader is the stream that go-sse reads: the events that have a name or
// data, one at a time.
//
//   - Comments do not come out of go-sse: they are reported here.
//   - go-sse drops a last event that no blank line follows, as some services end
//     their streams: it gets one, and is marked as cut.
//   - go-sse searches an event from its start again at every read. A whole event
//     at hand takes few reads, however many it took to arrive.
type eventReader struct {
	lines   *lineReader
	limit   int
	comment func() bool // false: nobody listens any more
	event   []byte      // the lines of the event that is being read
	out     []byte      // what go-sse has not taken yet of the last event
	cut     bool        // of the last event
	err     error       // what comes behind it
}

// Read implements [io.Reader] for go-sse.
func (r *eventReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.out) == 0 {
		return 0, r.err
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// next reads lines up to the end of an event, or of the stream.
func (r *eventReader) next() error {
	r.event = append(r.event[:0], eventStart...)
	hasName, hasData := false, false
	for {
		line, err := r.lines.next()
		switch {
		case errors.Is(err, bufio.ErrTooLong) || len(r.event)+len(line) > len(eventStart)+r.limit:
			return tooLarge(r.limit)
		case errors.Is(err, ErrTooLarge):
			return err
		case err != nil:
			// A name without data says nothing here: the data that would have
			// followed is what was cut off.
			if hasData {
				r.out, r.cut = append(r.event, '\n'), true
			}
			return err
		case len(line) == 0:
			if hasName || hasData {
				r.out = append(r.event, '\n')
			}
			return nil
		}
		if err := r.lines.hold(len(r.event) + len(line)); err != nil {
			return err
		}
		switch name, _, _ := bytes.Cut(line, []byte(":")); string(name) {
		case "":
			if !r.comment() {
				return io.EOF
			}
		case "data":
			hasData = true
		case "event":
			hasName = true
		}
		r.event = append(append(r.event, line...), '\n')
	}
}

// lineReader gives the lines of a stream, which end in LF, CRLF or CR. A CR ends
// its line at once: on a live stream, nothing may follow it for long.
type lineReader struct {
	*bufio.Scanner
	eventHold
	searched int  // bytes of an unfinished line that were searched for its end
	afterCR  bool // an LF that comes now belongs to the line before
	ended    bool // the last line had an end; else the stream's end cut it off
	begun    bool // a line was given
}

func newLineReader(r io.Reader, limit int) *lineReader {
	l := &lineReader{Scanner: bufio.NewScanner(r)}
	// Most streams bring little at a time, and there may be a thousand of them.
	l.Buffer(make([]byte, 0, 1<<10), limit+2)
	l.Split(l.split)
	return l
}

// split is a [bufio.SplitFunc]. It looks at each byte once: a line of many MiB
// that arrives in small reads costs no more than its length.
func (l *lineReader) split(data []byte, atEOF bool) (advance int, line []byte, err error) {
	start := 0
	if l.afterCR && len(data) > 0 && data[0] == '\n' {
		start = 1
	}
	l.searched = max(l.searched, start)
	if i := lineEnd(data[l.searched:]); i >= 0 {
		end := l.searched + i
		l.searched, l.afterCR, l.ended = 0, data[end] == '\r', true
		return end + 1, data[start:end:end], nil
	}
	if !atEOF {
		l.searched = len(data)
		return 0, nil, l.hold(len(data))
	}
	l.searched, l.afterCR, l.ended = 0, false, false
	if len(data) == start {
		return start, nil, nil
	}
	return len(data), data[start:], nil
}

// next gives a line without its end, valid until the following call, or what
// ended the reads. The byte order mark that a stream may begin with is left out.
func (l *lineReader) next() ([]byte, error) {
	if !l.Scan() {
		if err := l.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	line := l.Bytes()
	if !l.begun {
		l.begun = true
		line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
	}
	return line, nil
}

// readLines gives every line of NDJSON that is not blank as a frame.
func readLines(r io.Reader, limit int, yield func(frame) bool) error {
	lines := newLineReader(r, limit)
	defer lines.release()
	for {
		line, err := lines.next()
		switch {
		case errors.Is(err, bufio.ErrTooLong) || len(line) > limit:
			return tooLarge(limit)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		// application/json-seq puts a record separator before each text.
		line = bytes.Trim(line, " \t\x1e")
		line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		if len(line) > 0 && !yield(frame{data: bytes.Clone(line), cut: !lines.ended}) {
			return nil
		}
	}
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

package client

import (
	"bytes"
	"errors"
	"io"
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
// false or the reads end; the error is nil after io.EOF.
//
// go-sse is not used: it drops a last event that no blank line follows, has no comments,
// and keeps the buffers of the largest event as long as the stream lasts.
func readSSE(r io.Reader, limit int, yield func(frame) bool) error {
	lines := newLineReader(r, limit)
	defer lines.release()
	for {
		f, err := readEvent(lines, func() bool { return yield(frame{comment: true}) })
		if f != nil && !yield(*f) || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		lines.done()
	}
}

// readEvent reads lines up to the end of an event that has a name or data, or of the
// stream: such an event may come with an error. It ends with io.EOF when comment returns
// false: nobody listens any more.
func readEvent(lines *lineReader, comment func() bool) (*frame, error) {
	var f frame
	hasName, hasData, size := false, false, 0
	for {
		line, err := lines.next()
		if err != nil {
			// A name without data says nothing here: the data that would have
			// followed is what was cut off.
			if f.cut = true; hasData && !errors.Is(err, ErrTooLarge) {
				return &f, err
			}
			return nil, err
		}
		if len(line) == 0 {
			if hasName || hasData {
				return &f, nil
			}
			f, size = frame{}, 0
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		if len(name) > 0 {
			size += len(line)
		} else if !comment() {
			return nil, io.EOF
		}
		if size > lines.limit {
			return nil, tooLarge(lines.limit)
		}
		switch string(name) {
		case "data":
			if f.data, err = lines.join(f.data, value, hasData); err != nil {
				return nil, err
			}
			hasData = true
		case "event":
			f.name, hasName = string(value), true
			lines.beside += len(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				f.id = ""
				if len(value) <= maxEventID {
					f.id = string(value)
				}
			}
		}
	}
}

// readLines gives every line of NDJSON that is not blank as a frame.
func readLines(r io.Reader, limit int, yield func(frame) bool) error {
	lines := newLineReader(r, limit)
	defer lines.release()
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// application/json-seq puts a record separator before each text.
		line = bytes.Trim(line, " \t\x1e")
		line = bytes.TrimPrefix(line, byteOrderMark)
		if len(line) > 0 && !yield(frame{data: lines.own(line), cut: !lines.ended}) {
			return nil
		}
		lines.done()
	}
}

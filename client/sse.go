package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// defaultEventLimit bounds one event of a stream. The service is known to send
// data lines of several MiB.
const defaultEventLimit = 16 << 20

// errLongLine ends a lineReader at a line above its limit.
var errLongLine = errors.New("line too long")

// lineReader cuts a stream into lines that end in LF, CRLF or CR. Unlike a
// bufio.Scanner it looks at each byte once: a line of many MiB that arrives in
// small reads costs no more than its length.
type lineReader struct {
	r      io.Reader
	limit  int
	chunk  []byte // what the last read gave and no line took yet
	buf    []byte // the memory under chunk
	full   bool   // the last read filled it
	spill  []byte // the head of a line that began in an earlier read
	skipLF bool   // the last line ended in CR: an LF right behind belongs to it
	err    error  // what ended the reads
}

// A reader begins with minRead bytes, since most streams bring little at a time
// and there may be a thousand of them; reads that fill its memory double it.
const (
	minRead = 1 << 10
	maxRead = 32 << 10
)

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{r: r, limit: limit, buf: make([]byte, minRead)}
}

// next gives a line without its end. It is valid until the following call.
// ended tells that the line's end was seen; a last line without one comes with
// ended false, and with it or after it the error that ended the reads.
func (l *lineReader) next() (line []byte, ended bool, err error) {
	l.spill = l.spill[:0]
	for {
		if l.skipLF && len(l.chunk) > 0 {
			l.skipLF = false
			if l.chunk[0] == '\n' {
				l.chunk = l.chunk[1:]
			}
		}
		if i := lineEnd(l.chunk); i >= 0 {
			line, l.skipLF = l.chunk[:i], l.chunk[i] == '\r'
			l.chunk = l.chunk[i+1:]
			if len(l.spill) > 0 {
				l.spill = append(l.spill, line...)
				line = l.spill
			}
			if len(line) > l.limit {
				return nil, false, errLongLine
			}
			return line, true, nil
		}
		l.spill = append(l.spill, l.chunk...)
		l.chunk = nil
		if len(l.spill) > l.limit {
			return nil, false, errLongLine
		}
		if l.err != nil {
			return l.spill, false, l.err
		}
		l.fill()
	}
}

// fill reads once, riding out a few empty reads.
func (l *lineReader) fill() {
	if l.full && len(l.buf) < maxRead {
		l.buf = make([]byte, 2*len(l.buf))
	}
	for range 100 {
		var n int
		n, l.err = l.r.Read(l.buf)
		l.chunk, l.full = l.buf[:n], n == len(l.buf)
		if n > 0 || l.err != nil {
			return
		}
	}
	l.err = io.ErrNoProgress
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
// It follows the EventSource specification, but for what a tolerant reader of
// agents' replies needs: an event that the stream's end cut off is given with
// cut set instead of being dropped (services forget the last blank line), one
// with a name and no data counts (`event: done`), and comments are reported.
// That, and that a long line must not be scanned anew at every read, is why
// go-sse's Read does not serve here.
func readSSE(r io.Reader, limit int, yield func(frame) bool) error {
	lines := newLineReader(r, limit)
	var (
		f       frame
		hasData bool
		size    int
		last    string // the latest event's name: most streams have few
	)
	for first := true; ; first = false {
		line, ended, err := lines.next()
		if first {
			line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		}
		if err == errLongLine {
			return tooLarge(limit)
		}
		if ended && len(line) == 0 {
			if (hasData || f.name != "") && !yield(f) {
				return nil
			}
			f, hasData, size = frame{}, false, 0
			continue
		}
		if size += len(line); size > limit {
			return tooLarge(limit)
		}
		name, value, colon := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case colon && len(name) == 0:
			if !yield(frame{comment: true}) {
				return nil
			}
		case string(name) == "data":
			if hasData {
				f.data = append(f.data, '\n')
			}
			f.data = append(f.data, value...)
			hasData = true
		case string(name) == "event":
			if string(value) != last {
				last = string(value)
			}
			f.name = last
		case string(name) == "id":
			if bytes.IndexByte(value, 0) < 0 {
				f.id = string(value)
			}
		}
		if err == nil {
			continue
		}
		// A name without data says nothing here: the data that would have
		// followed is what was cut off.
		if hasData {
			f.cut = true
			if !yield(f) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		return err
	}
}

// readLines gives every non-blank line as a frame, as readSSE does events.
func readLines(r io.Reader, limit int, yield func(frame) bool) error {
	lines := newLineReader(r, limit)
	for {
		line, ended, err := lines.next()
		if err == errLongLine {
			return tooLarge(limit)
		}
		// application/json-seq puts a record separator before each text.
		line = bytes.Trim(line, " \t\x1e")
		line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		if len(line) > 0 && !yield(frame{data: bytes.Clone(line), cut: !ended}) {
			return nil
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

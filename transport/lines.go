package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

var errLineTooLong = errors.New("line too long")

// readLine reads up to a newline or the end, without white space around it. A
// line of more than limit bytes is skipped whole, so that the next one can be
// read.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong {
			if len(line) > 0 && cap(line)-len(line) < len(part) {
				line = slices.Grow(line, len(line)) // append grows large slices by a quarter, copying each time
			}
			line = append(line, part...) // part is the reader's buffer: copy
			if tooLong = len(bytes.TrimRight(line, "\r\n")) > limit; tooLong {
				line = nil
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case tooLong && (err == nil || errors.Is(err, io.EOF)):
			return nil, errLineTooLong
		default:
			return bytes.TrimSpace(line), err
		}
	}
}

// lineWriter writes whole lines, one writer at a time.
type lineWriter struct {
	mu     sync.Mutex
	w      io.Writer
	broken func(error) // called once, on the first failed write

	emu  sync.Mutex
	fail error
}

// send writes msg and a newline. A failed write is reported to broken once, and
// repeated to every later caller.
func (l *lineWriter) send(msg []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.err(); err != nil {
		return err
	}
	if _, err := l.w.Write(append(msg, '\n')); err != nil {
		err = fmt.Errorf("standard output: %w", err)
		l.emu.Lock()
		l.fail = err
		l.emu.Unlock()
		l.broken(err)
		return err
	}
	return nil
}

// err gives the first failed write. It never waits for a write that blocks.
func (l *lineWriter) err() error {
	l.emu.Lock()
	defer l.emu.Unlock()
	return l.fail
}

package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Entry is a line of the audit log: who called what on which instance, and how
// it ended. It has no place for anything that a call says.
type Entry struct {
	Time      time.Time `json:"time"` // when the call came
	Principal string    `json:"principal"`
	Tool      string    `json:"tool"`
	Instance  string    `json:"instance,omitempty"`
	Outcome   string    `json:"outcome"`
	Code      string    `json:"code,omitempty"` // of a failure
	Duration  float64   `json:"duration_seconds"`
	Request   string    `json:"request"`         // names the call in this server's logs, too
	Trace     string    `json:"trace,omitempty"` // id of the trace that the call belongs to
}

// maxPending bounds the lines kept while the file can't be written: one for
// each call that was under way when that began.
const maxPending = 10_000

// Audit appends entries to a file, a line of JSON each.
//
// A line that can't be written, because the disk is full for one, is kept and
// tried again before the next call, which is refused while that fails: what the
// log can't tell of does not happen.
//
// Before each line the file is looked for by its name; where that is another
// file by now, or none, it is opened anew. So log rotation needs no signal.
type Audit struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	file    *os.File
	opened  os.FileInfo
	torn    bool     // the last write ended within a line
	pending [][]byte // not written yet, oldest first
	failed  int      // lines that could not be written at once
	lost    int      // lines dropped for want of room
}

// OpenAudit opens or creates a file that only its owner may read.
func OpenAudit(path string, log *slog.Logger) (*Audit, error) {
	a := &Audit{path: path, log: log}
	if err := a.open(); err != nil {
		return nil, err
	}
	return a, nil
}

// open is called with mu held, or by nobody else.
func (a *Audit) open() error {
	// A pipe would block the opening until somebody reads it.
	if st, err := os.Stat(a.path); err == nil && !writesAtOnce(st) {
		return fmt.Errorf("%s is not a regular file", a.path)
	}
	f, err := os.OpenFile(a.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if a.file != nil {
		_ = a.file.Close() // each line was a write of its own: nothing is left in it
	}
	a.file, a.opened, a.torn = f, st, false
	return nil
}

// writesAtOnce reports whether writing waits for no reader.
func writesAtOnce(st os.FileInfo) bool {
	return st.Mode().IsRegular() || st.Mode()&os.ModeCharDevice != 0
}

// Is reports whether the log goes to that file.
func (a *Audit) Is(f *os.File) bool {
	st, err := f.Stat()
	a.mu.Lock()
	defer a.mu.Unlock()
	return err == nil && os.SameFile(st, a.opened)
}

// Ready writes what could not be written before, and reports why that still
// fails.
func (a *Audit) Ready() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.flush()
}

// Write adds a line. A failure is logged and kept in mind; Ready tells of it.
func (a *Audit) Write(e Entry) {
	if a == nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil { // a struct of texts and numbers can be encoded, and so can't this be
		line = fmt.Appendf(nil, `{"request":%q}`, e.Request)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending) >= maxPending {
		a.lost++
		a.log.Error("the audit log lost a line for good", "request", e.Request, "lost", a.lost)
		return
	}
	a.pending = append(a.pending, append(line, '\n'))
	if err := a.flush(); err != nil {
		a.failed++
		a.log.Error("the audit log can't be written; calls are refused until it can", "error", err, "request", e.Request)
	}
}

// flush writes what is pending; mu is held.
func (a *Audit) flush() error {
	for len(a.pending) > 0 {
		if err := a.follow(); err != nil {
			return err
		}
		line := a.pending[0]
		if a.torn { // what stands there already must not spoil this line
			line = append([]byte{'\n'}, line...)
		}
		n, err := a.file.Write(line)
		if err == nil && n < len(line) {
			err = io.ErrShortWrite
		}
		if err != nil {
			a.torn = a.torn || n > 0
			return err
		}
		a.torn, a.pending = false, a.pending[1:]
	}
	return nil
}

// follow opens the file anew where its name leads elsewhere by now; mu is held.
func (a *Audit) follow() error {
	if st, err := os.Stat(a.path); err == nil && os.SameFile(st, a.opened) {
		return nil
	}
	return a.open()
}

// counts gives how many lines wait, could not be written at once, and are lost.
func (a *Audit) counts() (pending, failed, lost int) {
	if a == nil {
		return 0, 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pending), a.failed, a.lost
}

// Close tries what is pending once more.
func (a *Audit) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.flush()
	if n := len(a.pending); n > 0 {
		err = fmt.Errorf("%d lines of the audit log could not be written: %w", n, err)
	}
	return errors.Join(err, a.file.Close())
}

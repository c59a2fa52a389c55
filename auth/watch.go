package auth

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxFile    = 1 << 20
	checkEvery = time.Second
	// settleTime is how old a file must be for its time to tell of the next
	// change: clocks of file systems are coarse.
	settleTime = 2 * time.Second
)

// watched is what a file says, read again when the file changes.
type watched[T any] struct {
	path  string
	parse func([]byte) (T, error)
	log   *slog.Logger
	now   func() time.Time

	value atomic.Pointer[T]

	mu      sync.Mutex // held while the file is looked at
	checked time.Time
	seen    os.FileInfo // what was last read; nil: to be read in any case
	logged  string      // the last error
}

func watch[T any](path string, parse func([]byte) (T, error), log *slog.Logger) (*watched[T], error) {
	w := &watched[T]{path: path, parse: parse, log: log, now: time.Now}
	w.checked = w.now()
	if err := w.read(); err != nil {
		return nil, err
	}
	return w, nil
}

// get gives what the file says now, or last said when it is missing or broken.
func (w *watched[T]) get() T {
	// One request looks; others go on with what is known, even on a hung disk.
	if w.mu.TryLock() {
		if now := w.now(); now.Sub(w.checked) >= checkEvery {
			w.checked = now
			w.check()
		}
		w.mu.Unlock()
	}
	return *w.value.Load()
}

func (w *watched[T]) check() {
	st, err := os.Stat(w.path)
	if err == nil {
		if w.seen != nil && os.SameFile(st, w.seen) && st.ModTime().Equal(w.seen.ModTime()) && st.Size() == w.seen.Size() {
			return
		}
		err = w.read()
	}
	if err == nil {
		if w.logged != "" {
			w.log.Info("a file is good again", "file", w.path)
		}
		w.logged = ""
		return
	}
	if err.Error() != w.logged {
		w.logged = err.Error()
		w.log.Error("a changed file can't be used; what it said before still holds", "file", w.path, "error", err)
	}
}

func (w *watched[T]) read() error {
	w.seen = nil
	f, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", w.path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return fmt.Errorf("%s has more than %d bytes", w.path, maxFile)
	}
	v, err := w.parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	w.value.Store(&v)
	if w.now().Sub(st.ModTime()) > settleTime {
		w.seen = st
	}
	return nil
}

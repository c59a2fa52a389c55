// Package filewatch reads files when the program starts and again when they
// change, without a goroutine and without restarting anything.
package filewatch

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxSize is the largest file that is read, in bytes.
	MaxSize = 1 << 20
	// Interval is how often Get looks for changes, at most.
	Interval = time.Second
	// settleTime is how old a file must be before an unchanged modification time
	// proves that it did not change: the clocks of file systems are coarse.
	settleTime = 2 * time.Second
)

// Watcher holds what one or several files say.
type Watcher[T any] struct {
	paths []string
	parse func([][]byte) (T, error)
	log   *slog.Logger
	now   func() time.Time

	value atomic.Pointer[T]

	mu      sync.Mutex // held while the files are looked at
	checked time.Time
	seen    []os.FileInfo // of the files as last read; nil: read them in any case
	logged  string        // the last error
}

// New reads the files and parses them together: parse gets the content of each,
// in the order of paths. A file that cannot be read or parsed is an error here;
// later it is logged, once, and the last good value stays. Errors name the files;
// parse must see to it that its errors hold nothing secret.
func New[T any](log *slog.Logger, parse func(contents [][]byte) (T, error), paths ...string) (*Watcher[T], error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher[T]{paths: paths, parse: parse, log: log, now: time.Now}
	w.checked = w.now()
	if err := w.read(); err != nil {
		return nil, err
	}
	return w, nil
}

// Get gives what the files say now, or what they last said if one of them is
// missing or broken. It may be called from many goroutines and is cheap.
func (w *Watcher[T]) Get() T {
	// One caller looks; the others go on with what is known, even when the disk hangs.
	if w.mu.TryLock() {
		if now := w.now(); now.Sub(w.checked) >= Interval {
			w.checked = now
			w.check()
		}
		w.mu.Unlock()
	}
	return *w.value.Load()
}

func (w *Watcher[T]) check() {
	if w.unchanged() {
		return
	}
	err := w.read()
	switch {
	case err == nil && w.logged != "":
		w.logged = ""
		w.log.Info("a changed file can be used again", "file", w.name())
	case err != nil && err.Error() != w.logged:
		w.logged = err.Error()
		w.log.Error("a changed file can't be used; its last good content stays in use", "file", w.name(), "error", err)
	}
}

func (w *Watcher[T]) unchanged() bool {
	if w.seen == nil {
		return false
	}
	for i, path := range w.paths {
		st, err := os.Stat(path)
		if err != nil || !os.SameFile(st, w.seen[i]) || !st.ModTime().Equal(w.seen[i].ModTime()) || st.Size() != w.seen[i].Size() {
			return false
		}
	}
	return true
}

func (w *Watcher[T]) read() error {
	w.seen = nil
	contents, seen := make([][]byte, len(w.paths)), make([]os.FileInfo, len(w.paths))
	for i, path := range w.paths {
		var err error
		if contents[i], seen[i], err = readFile(path); err != nil {
			return err
		}
	}
	v, err := w.parse(contents)
	if err != nil {
		return fmt.Errorf("%s: %w", w.name(), err)
	}
	w.value.Store(&v)
	now := w.now()
	if !slices.ContainsFunc(seen, func(st os.FileInfo) bool { return now.Sub(st.ModTime()) <= settleTime }) {
		w.seen = seen
	}
	return nil
}

func (w *Watcher[T]) name() string { return strings.Join(w.paths, ", ") }

// WithoutMark takes the byte order mark off that some editors put before UTF-8 text.
func WithoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// Read reads a file as a Watcher does, once.
func Read(path string) ([]byte, error) {
	content, _, err := readFile(path)
	return content, err
}

// KeyPair is tls.LoadX509KeyPair with Read.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := Read(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := Read(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

func readFile(path string) ([]byte, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := Trusted(path, st); err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, nil, err
	}
	if len(content) > MaxSize {
		return nil, nil, fmt.Errorf("%s has more than %d bytes", path, MaxSize)
	}
	return WithoutMark(content), st, nil
}

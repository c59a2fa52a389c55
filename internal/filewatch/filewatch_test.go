package filewatch

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// harness is two watched files, a clock of their own and the log.
type harness struct {
	*Watcher[string]
	t    *testing.T
	a, b string
	now  time.Time
	log  bytes.Buffer
	read int // how often the files were parsed
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	dir := t.TempDir()
	h := &harness{t: t, a: filepath.Join(dir, "a"), b: filepath.Join(dir, "b")}
	h.write(h.a, "1")
	h.write(h.b, "2")
	var err error
	h.Watcher, err = New(slog.New(slog.NewTextHandler(&h.log, nil)), func(contents [][]byte) (string, error) {
		h.read++
		s := string(bytes.Join(contents, []byte("+")))
		if strings.Contains(s, "broken") {
			return "", errors.New("is broken")
		}
		return s, nil
	}, h.a, h.b)
	if err != nil {
		t.Fatal(err)
	}
	h.now = time.Now()
	h.Watcher.now = func() time.Time { return h.now }
	return h
}

func (h *harness) write(path, content string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// later gets the value after the interval has passed.
func (h *harness) later() string {
	h.now = h.now.Add(Interval)
	return h.Get()
}

func TestChangeOfEitherFile(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if got := h.Get(); got != "1+2" {
		t.Fatalf("got %q", got)
	}
	h.write(h.a, "3") // of the same size and at about the same time
	if got := h.Get(); got != "1+2" {
		t.Errorf("looked before the interval had passed: %q", got)
	}
	if got := h.later(); got != "3+2" {
		t.Errorf("a change of the first file: %q", got)
	}
	h.write(h.b, "4")
	if got := h.later(); got != "3+4" {
		t.Errorf("a change of the second file: %q", got)
	}
}

func TestSettledFilesAreNotReadAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.now = h.now.Add(settleTime + time.Minute)
	h.later()
	before := h.read
	h.later()
	h.later()
	if h.read != before {
		t.Errorf("unchanged files were read %d more times", h.read-before)
	}
	h.write(h.b, "5")
	if err := os.Chtimes(h.b, h.now, h.now); err != nil {
		t.Fatal(err)
	}
	if got := h.later(); got != "1+5" {
		t.Errorf("a change after that: %q", got)
	}
}

func TestBrokenFileKeepsTheLastValue(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.write(h.a, "broken")
	for range 3 {
		if got := h.later(); got != "1+2" {
			t.Errorf("a broken file: %q", got)
		}
	}
	if err := os.Remove(h.a); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := h.later(); got != "1+2" {
			t.Errorf("a missing file: %q", got)
		}
	}
	if n := strings.Count(h.log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors logged for two faults:\n%s", n, &h.log)
	}
	h.write(h.a, "6")
	if got := h.later(); got != "6+2" || strings.Count(h.log.String(), "can be used again") != 1 {
		t.Errorf("a mended file: %q, and the log\n%s", got, &h.log)
	}
}

func TestRefusedAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "missing",
		dir:                           "is not a regular file",
		large:                         "has more than 1048576 bytes",
	} {
		_, err := New(nil, func([][]byte) (int, error) { return 0, nil }, path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// A file that others can write is refused, at start and later.
func TestOthersCanWrite(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("\ufeffgood"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(contents [][]byte) (string, error) { return string(contents[0]), nil }
	w, err := New(nil, read, file)
	if err != nil || w.Get() != "good" {
		t.Fatalf("%v, %q", err, w.Get())
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := New(nil, read, file); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(file, []byte("of somebody else"), 0o666); err != nil {
		t.Fatal(err)
	}
	w.checked = time.Time{}
	if got := w.Get(); got != "good" {
		t.Errorf("what others wrote counts: %q", got)
	}
}

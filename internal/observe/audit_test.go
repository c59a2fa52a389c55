package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// requestsIn gives the names of the calls in a log, "?" for a line that is torn.
func requestsIn(t *testing.T, path string) (names []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			e.Request = "?"
		}
		names = append(names, e.Request)
	}
	return names
}

func openAudit(t *testing.T, path string) (*Audit, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	a, err := OpenAudit(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return a, &log
}

func TestAuditKeepsWhatItMissed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	a, log := openAudit(t, path)
	a.Write(Entry{Request: "1"})
	if err := a.Ready(); err != nil {
		t.Fatal(err)
	}
	_ = a.file.Close() // from now on each write fails, as on a full disk
	for i := range maxPending + 2 {
		a.Write(Entry{Request: fmt.Sprint("missed ", i)})
	}
	if err := a.Ready(); err == nil {
		t.Error("it is ready and can't write")
	}
	if pending, failed, lost := a.counts(); pending != maxPending || failed != maxPending || lost != 2 {
		t.Errorf("%d pending, %d failed, %d lost", pending, failed, lost)
	}
	if !strings.Contains(log.String(), "can't be written") || !strings.Contains(log.String(), "lost a line for good") {
		t.Errorf("the log says nothing of it: %.300s", log)
	}
	// Room again, in a file that ends within a line.
	if err := os.WriteFile(path, []byte(`{"request":"to`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.open(); err != nil {
		t.Fatal(err)
	}
	a.torn = true
	if err := a.Ready(); err != nil {
		t.Fatal(err)
	}
	got := requestsIn(t, path)
	if len(got) != maxPending+1 || got[0] != "?" || got[1] != "missed 0" || got[maxPending] != fmt.Sprint("missed ", maxPending-1) {
		t.Errorf("the file has %d lines: %.5q …", len(got), got)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestAuditFollowsItsName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	a, _ := openAudit(t, path)
	a.Write(Entry{Request: "1"})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	a.Write(Entry{Request: "2"})
	a.Write(Entry{Request: "3"})
	if err := os.Truncate(path, 0); err != nil { // the other way of rotating
		t.Fatal(err)
	}
	a.Write(Entry{Request: "4"})
	if got := fmt.Sprint(requestsIn(t, path+".1"), requestsIn(t, path)); got != "[1] [4]" {
		t.Errorf("the files hold %s", got)
	}
	// Its folder is gone: nothing can be written, and Close says so.
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	a.Write(Entry{Request: "5"})
	if err := a.Close(); err == nil || !strings.Contains(err.Error(), "1 lines") {
		t.Errorf("Close: %v", err)
	}
}

// Lines of calls that end at once stay whole.
func TestAuditConcurrent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	a, _ := openAudit(t, path)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				a.Write(Entry{Request: fmt.Sprint(i, j), Instance: "line\nbreak\u2028\x00"})
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, name := range requestsIn(t, path) {
		seen[name] = true
	}
	if len(seen) != 16*50 || seen["?"] {
		t.Errorf("%d calls, torn lines: %v", len(seen), seen["?"])
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestAuditNone(t *testing.T) {
	t.Parallel()
	var a *Audit
	a.Write(Entry{})
	if a.Ready() != nil || a.Close() != nil {
		t.Error("no audit log is in the way of calls")
	}
}

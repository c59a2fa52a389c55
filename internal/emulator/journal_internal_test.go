package emulator

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// A change that cannot be kept is logged, and the service goes on; what was kept
// before is still there.
func TestJournalCannotWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := New(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := s.AddInstance("k")
	if err != nil || log.Len() > 0 {
		t.Fatalf("%v, %s", err, &log)
	}
	readOnly, err := os.Open(s.journal.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.journal.file.Close(); err != nil {
		t.Fatal(err)
	}
	s.journal.file = readOnly
	lost, err := s.AddInstance("k")
	if err != nil || !strings.Contains(log.String(), "will not survive a restart") {
		t.Errorf("%v, the log is %s", err, &log)
	}
	if got := s.Instances("k"); len(got) != 2 || got[1] != lost {
		t.Errorf("instances %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s, err = New(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Instances("k"); len(got) != 1 || got[0] != kept {
		t.Errorf("afterwards instances %q, want %q", got, kept)
	}
}

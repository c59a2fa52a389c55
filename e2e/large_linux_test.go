//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// peakMemory is the most that a process ever had in memory, in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no VmHWM in %s", b)
	}
	kB, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kB << 10
}

const (
	peakLimit = 150 << 20
	budget    = 20000 // the default one
)

// A large file or output takes little memory here and little room in a result,
// which says what was left out and how to read it.
func TestLargeResultsAreBounded(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	dir := up.Workspace(up.instance)
	size, output := 50_000_000, 100_000_000
	if raceEnabled { // which makes it slow
		size, output = size/10, output/10
	}
	lines := writeLines(t, filepath.Join(dir, "big.txt"), size)
	if err := os.WriteFile(filepath.Join(dir, "one-line.txt"), []byte(strings.Repeat("y", size)), 0o644); err != nil {
		t.Fatal(err)
	}
	s := connect(t, up.env())
	bounded := func(r result, wants ...string) {
		t.Helper()
		if len(r.Text) > budget+2000 || len(r.Text) < budget*9/10 {
			t.Errorf("the text has %d bytes, the budget is %d", len(r.Text), budget)
		}
		for _, want := range wants {
			if !strings.Contains(r.Text, want) {
				t.Errorf("the text lacks %q; it ends with %q", want, r.Text[max(0, len(r.Text)-600):])
			}
		}
	}
	read := s.ok(t, "read_file", params{"path": "/workspace/big.txt"})
	bounded(read, "read on with read_file {", `"line":`)
	whole, err := os.ReadFile(filepath.Join(dir, "big.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if both := read.str("content") + s.follow(t, read).str("content"); !strings.HasPrefix(string(whole), both) {
		t.Error("what is read on does not follow")
	}
	deep := s.ok(t, "read_file", params{"path": "/workspace/big.txt", "line": lines})
	if !strings.HasPrefix(deep.str("content"), fmt.Sprintf("line %d ", lines)) || deep.str("next") != "" {
		t.Errorf("the last line is %q", deep.str("content"))
	}
	flatFile := s.ok(t, "read_file", params{"path": "/workspace/one-line.txt"})
	bounded(flatFile, "read on with read_file {", `"offset":`)
	bounded(s.follow(t, flatFile), "read on with read_file {")
	far := s.ok(t, "read_file", params{"path": "/workspace/one-line.txt", "offset": size - 5})
	if far.str("content") != "yyyyy" {
		t.Errorf("the last bytes are %q", far.str("content"))
	}
	t.Logf("peak memory after two files of %d MB: %d MB", size/1_000_000, peakMemory(t, s.proc.cmd.Process.Pid)>>20)

	flat := s.ok(t, "exec_command", params{"command": fmt.Sprintf(`head -c %d /dev/zero | tr '\0' x`, output)})
	bounded(flat, "bytes left out", "exit code 0", "wait_run {")
	omitted, err := flat.Data["omitted_stdout_bytes"].(interface{ Int64() (int64, error) }).Int64()
	if kept := int64(strings.Count(flat.str("stdout"), "x")); err != nil || omitted+kept != int64(output) {
		t.Errorf("%d bytes shown and %d left out of %d", kept, omitted, output)
	}
	// Twice the file, with quotes and characters that JSON escapes.
	text := s.ok(t, "exec_command", params{"command": "cat big.txt big.txt; echo the end; echo trouble >&2; exit 3"})
	bounded(text, "line 1 ", "the end", "trouble", "bytes left out", "exit code 3")

	// In the background nothing is lost: the rest can be read.
	r := s.ok(t, "exec_command", params{"command": "cat big.txt", "background": true, "wait_seconds": 30})
	bounded(r, "wait_run {", "bytes left out", "exit code 0")
	if r.str("status") != "completed" {
		t.Errorf("status %q", r.str("status"))
	}
	next := s.ok(t, "wait_run", params{"runs": []string{r.str("run")}}).run(0)
	head, _, _ := strings.Cut(r.str("stdout"), "\n[…")
	more, _, _ := strings.Cut(next.str("stdout"), "\n[…")
	if len(more) < 5000 || !strings.HasPrefix(string(whole), head+more) {
		t.Errorf("what is read on with the handle does not follow: %q … %q", head[max(0, len(head)-100):], more[:min(100, len(more))])
	}

	peak := peakMemory(t, s.proc.cmd.Process.Pid)
	t.Logf("peak memory after outputs of %d MB: %d MB", output/1_000_000, peak>>20)
	if peak > peakLimit && !raceEnabled { // the race detector multiplies it
		t.Errorf("the binary took %d MB", peak>>20)
	}
}

// writeLines writes a text file of about size bytes, and gives its last line.
func writeLines(t *testing.T, path string, size int) (last int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for n := 0; n < size; {
		last++
		k, _ := fmt.Fprintf(w, "line %d \"quoted\"\tC:\\path <b>&amp; ünïcode 🦀\n", last)
		n += k
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return last
}

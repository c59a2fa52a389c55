package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ctrl-C cancels the call's own work, and none of the person's other processes.
func TestCancelsOwnWorkOnly(t *testing.T) {
	t.Parallel()
	p := newPerson(t, accountOf(t, 1)...)
	start := func(ctx context.Context, command string) <-chan int {
		ended := make(chan int, 1)
		go func() {
			ended <- Run(ctx, "dev", []string{"call", "exec_command", "command=" + command}, p.environ, strings.NewReader(""), io.Discard, io.Discard)
		}()
		return ended
	}
	const until = "while [ ! -e %s ]; do sleep 0.1; done"
	other := start(t.Context(), "touch other; "+strings.Replace(until, "%s", "end", 1))
	p.wants(0, "", "", "call", "exec_command", "command="+strings.Replace(until, "%s", "other", 1))

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	own := start(ctx, "touch own; exec sleep 600")
	p.wants(0, "", "", "call", "exec_command", "command="+strings.Replace(until, "%s", "own", 1))
	interrupt()
	if code := <-own; code != 130 {
		t.Errorf("the cancelled call: exit code %d", code)
	}
	p.wants(0, "", "", "call", "exec_command", "command=touch end")
	if code := <-other; code != 0 {
		t.Errorf("the other call: exit code %d", code)
	}
}

// `logs` shows a run from its start. Ctrl-C ends `logs -f` and leaves the run alone.
func TestStopsFollowing(t *testing.T) {
	t.Parallel()
	p := newPerson(t, accountOf(t, 1)...)
	p.wants(0, "follows it", "", "call", "exec_command", "command=echo begun; touch begun; while [ ! -e end ]; do sleep 0.1; done; echo over", "background=true")
	p.wants(0, "", "", "call", "exec_command", "command=while [ ! -e begun ]; do sleep 0.1; done")
	p.wants(0, "begun", "", "logs")

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var errs bytes.Buffer
	shown, out := io.Pipe()
	defer shown.Close()
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, "dev", []string{"logs", "-f"}, p.environ, strings.NewReader(""), out, &errs) }()
	if _, err := io.ReadFull(shown, make([]byte, len("begun\n"))); err != nil {
		t.Fatal(err)
	}
	interrupt()
	if code := <-ended; code != 130 || !strings.Contains(errs.String(), "stopped following; the run goes on") {
		t.Errorf("exit code %d, %q", code, &errs)
	}

	// The server has not heard yet that nobody waits: its end does not wait for that.
	c := newConsole("dev", p.environ, strings.NewReader(""), io.Discard, io.Discard)
	cfg, stop, err := c.settings()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	s, err := c.connect(t.Context(), cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.follow(ctx, "wait_run", map[string]any{"runs": []string{c.keptRuns(cfg)[0].Run}}, nil); !errors.Is(err, errCancelled) || !s.left {
		t.Errorf("it ends with %v; closing waits for the call: %t", err, !s.left)
	}
	_ = s.close()

	p.wants(0, "", "", "call", "exec_command", "command=touch end")
	p.wants(0, "begun\nover\n", "", "logs", "-f")
}

// A folder that can't be used is named; a run that can't be kept for status is left with
// its handle.
func TestNoPlaceToKeep(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	file := filepath.Join(p.home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(file, "local")
	p.environ = append(p.environ, "OPENCLAW_LOCAL_DIR="+folder)
	p.wants(1, "the local instance can't be kept in "+folder+" (OPENCLAW_LOCAL_DIR names another folder)", "", "status", "--local")

	p.environ = append(accountOf(t, 1), "OPENCLAW_MCP_STATE_DIR="+p.home)
	p.wants(0, "status won't list it: no home folder is known\nopenclaw-mcp logs -f run_", "", "call", "exec_command", "command=while [ ! -e end ]; do sleep 0.1; done", "background=true")
	p.wants(0, "", "", "call", "exec_command", "command=touch end")
}

//go:build unix

package files

import (
	"errors"
	"syscall"
	"testing"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/fleettest"
)

// TestStopped has a process be stopped, which keeps its connections: nothing that it
// was not asked yet happens when it goes on.
func TestStopped(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	p := start(t, dir, "serve").ready(t)
	signal := func(s syscall.Signal) {
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if s == syscall.SIGSTOP { // which takes until all of its threads have heard
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
				t.Fatalf("it is %v, %v", status, err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	if got, err := fleettest.All(f.Ask(t.Context(), "x", []byte("slow"))); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("got %q, %v", got, err)
	}
	signal(syscall.SIGCONT)
	if got, err := fleettest.All(f.Ask(t.Context(), "x", []byte("1"))); err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	select {
	case line := <-p.lines:
		t.Errorf("it was asked what nobody waits for: %q", line)
	default:
	}
	// Stopped in the middle of an answer, it is lost.
	var last error
	for part, err := range f.Ask(t.Context(), "x", []byte("slow")) {
		if last = err; part != nil {
			signal(syscall.SIGSTOP)
		}
	}
	if !errors.Is(last, fleet.ErrLost) {
		t.Errorf("got %v", last)
	}
	signal(syscall.SIGCONT)
	if got := p.says(t); got != "left" {
		t.Errorf("it says %q", got)
	}
}

package runs

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

// TestStartLost loses the answer to a start: the command is found to be
// running, or not, and is started once.
func TestStartLost(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tt := range map[string]struct {
		faults []emulator.Fault
		want   client.Outcome // "" is a start
		ran    bool
	}{
		"lost":       {[]emulator.Fault{{Call: 1, After: true, Drop: true}}, "", true},
		"a page":     {[]emulator.Fault{{Call: 1, After: true, Status: 504, Body: "<html>", Header: html}}, "", true},
		"cut":        {[]emulator.Fault{{Call: 1, CutBytes: 5}}, "", true},
		"other":      {[]emulator.Fault{{Call: 1, After: true, Status: 200, Body: `{"stdout":"motd","exit_code":0}`}}, "", true},
		"and a poll": {[]emulator.Fault{{Call: 1, After: true, Drop: true}, {Call: 2, Drop: true}}, "", true},
		"dropped":    {[]emulator.Fault{{Call: 1, Drop: true}}, client.OutcomeNotSent, false},
		"refused":    {[]emulator.Fault{{Call: 1, Status: 409, Body: `{"message":"not ready"}`}}, client.OutcomeRejected, false},
		"not ready": {[]emulator.Fault{{Call: 1, Status: 200, Body: `{"stdout":"","stderr":"agent not ready","exit_code":1}`}},
			client.OutcomeRejected, false},
		"all dropped": {[]emulator.Fault{{Call: 1, After: true, Drop: true}, {Drop: true}}, client.OutcomeUnknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{})
			for i := range tt.faults {
				tt.faults[i].Endpoint = execEndpoint
			}
			w.srv.SetFaults(tt.faults...)
			r, err := w.m.StartCommand(t.Context(), CommandRequest{Instance: w.id, Command: "echo x >>count; echo out", Detach: true})
			if outcome(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Fatalf("got %v", err)
			}
			w.srv.SetFaults()
			if tt.want == client.OutcomeUnknown {
				list := w.m.List()
				if len(list) != 1 || !strings.Contains(err.Error(), "list_runs") {
					t.Fatalf("got %v, and a list of %v", err, list)
				}
				r = w.open(w.m, list[0].Handle)
			}
			if !tt.ran {
				if list := w.m.List(); len(list) != 1 || list[0].Status != StatusFailed {
					t.Errorf("listed are %v", list)
				}
				if w.sh("cat count 2>/dev/null; ls -A /tmp/openclaw-mcp 2>/dev/null; true") != "" {
					t.Error("something was started")
				}
				return
			}
			if u := w.done(r, nil); u.Status != StatusCompleted || u.Exec.Stdout.Head != "out\n" {
				t.Errorf("got %+v", u)
			}
			if got := w.sh("cat count"); got != "x\n" {
				t.Errorf("it ran %d times", len(got)/2)
			}
		})
	}
}

// TestLacks runs a command in a sandbox that can't detach it.
func TestLacks(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"setsid", "base64"} {
		w := startBehind(t, emulator.Options{}, wrapped(func(s string) string { return "PATH=/workspace/bin\n" + s }))
		bin := filepath.Join(w.srv.Workspace(w.id), "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"sh", "mkdir", "cat", "wc", "tail", "head", "base64", "mv", "sleep", "setsid"} {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			if name != tool {
				if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		r := w.command(CommandRequest{Command: "echo out; exit 4", Dir: "/usr/lib", Detach: true})
		u := w.done(r, nil)
		if u.Status != StatusCompleted || u.Exec.Stdout.Head != "out\n" || code(u) != "4" || !strings.Contains(strings.Join(u.Notes, ""), tool) {
			t.Errorf("%s: got %+v", tool, u)
		}
		// With what is needed and no more (no timeout, find or stat), it works.
		if path, err := exec.LookPath(tool); err == nil {
			_ = os.Symlink(path, filepath.Join(bin, tool))
		}
		if what := w.m.lacking(w.id); what != tool {
			t.Errorf("it is remembered that the sandbox lacks %q", what)
		}
		w.m.lacks = map[string]lack{w.id: {tool, time.Now().Add(-lacksFor)}}
		r = w.command(CommandRequest{Command: "echo out; exit 4", Dir: "/usr/lib", Detach: true, Timeout: time.Minute})
		if u := w.done(r, nil); !r.state.Detached || code(u) != "4" || u.Exec.Stdout.Head != "out\n" || len(u.Notes) != 0 {
			t.Errorf("%s: got %+v", tool, u)
		}
	}
	// A full or read-only /tmp.
	w := startBehind(t, emulator.Options{}, wrapped(func(s string) string { return strings.ReplaceAll(s, runsDir, "/proc/none") }))
	if u := w.done(w.command(CommandRequest{Command: "echo out", Detach: true}), nil); u.Exec.Stdout.Head != "out\n" || !strings.Contains(strings.Join(u.Notes, ""), "room") {
		t.Errorf("got %+v", u)
	}
}

// TestPollFaults has the sandbox not answer for a while, and answer nonsense.
func TestPollFaults(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulator.Fault{
		"refused":  {Status: 503, Body: `{"message":"asleep"}`},
		"dropped":  {Drop: true},
		"cut":      {CutBytes: 60},
		"nonsense": {Status: 200, Body: `{"stdout":"openclaw-mcp:exited zero","exit_code":0}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{})
			r := w.command(CommandRequest{Command: "echo out", Detach: true})
			var faults []emulator.Fault
			for call := 1; call <= 3; call++ {
				f.Endpoint, f.Call = execEndpoint, call
				faults = append(faults, f)
			}
			w.srv.SetFaults(faults...)
			// With no time to try again, that is said.
			if u := <-nowait(t, r); u.Status != StatusRunning || len(u.Notes) != 1 || u.Handle == "" {
				t.Errorf("got %+v", u)
			}
			if u := w.done(r, nil); u.Status != StatusCompleted || u.Exec.Stdout.Head != "out\n" {
				t.Errorf("got %+v", u)
			}
		})
	}
	w := start(t, emulator.Options{})
	r := w.command(CommandRequest{Command: "true", Detach: true})
	w.srv.SetFaults(emulator.Fault{Endpoint: execEndpoint, Status: 404})
	if _, err := r.Wait(t.Context(), UntilDone, 0, nil); err == nil {
		t.Error("an instance that is not there was waited for")
	}
	if _, err := r.Cancel(t.Context()); err == nil {
		t.Error("an instance that is not there was cancelled")
	}
}

// TestStartCancelled starts a command for a caller that has gone.
func TestStartCancelled(t *testing.T) {
	var calls atomic.Int32
	w := startBehind(t, emulator.Options{}, wrapped(func(s string) string { calls.Add(1); return s }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.m.StartCommand(ctx, CommandRequest{Instance: w.id, Command: "true", Detach: true}); outcome(err) != client.OutcomeNotSent || calls.Load() != 0 {
		t.Errorf("got %v after %d calls", err, calls.Load())
	}
	if _, err := w.m.StartCommand(t.Context(), CommandRequest{Instance: w.id, Command: "bad \xff", Detach: true}); outcome(err) != client.OutcomeNotSent {
		t.Errorf("got %v", err)
	}
}

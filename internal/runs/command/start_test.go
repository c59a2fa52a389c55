package command

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// TestStartLost loses the answer to a start: the command is found to be
// running, or not, and is started once.
func TestStartLost(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tt := range map[string]struct {
		faults []emulatortest.Fault
		want   client.Outcome // "" is a start
		ran    bool
	}{
		"lost":       {[]emulatortest.Fault{{Call: 1, After: true, Drop: true}}, "", true},
		"a page":     {[]emulatortest.Fault{{Call: 1, After: true, Status: 504, Body: "<html>", Header: html}}, "", true},
		"cut":        {[]emulatortest.Fault{{Call: 1, CutBytes: 5}}, "", true},
		"other":      {[]emulatortest.Fault{{Call: 1, After: true, Status: 200, Body: `{"stdout":"motd","exit_code":0}`}}, "", true},
		"and a poll": {[]emulatortest.Fault{{Call: 1, After: true, Drop: true}, {Call: 2, Drop: true}}, "", true},
		"dropped":    {[]emulatortest.Fault{{Call: 1, Drop: true}}, client.OutcomeNotSent, false},
		"refused":    {[]emulatortest.Fault{{Call: 1, Status: 409, Body: `{"message":"not ready"}`}}, client.OutcomeRejected, false},
		"not ready": {[]emulatortest.Fault{{Call: 1, Status: 200, Body: `{"stdout":"","stderr":"agent not ready","exit_code":1}`}},
			client.OutcomeRejected, false},
		"all dropped": {[]emulatortest.Fault{{Call: 1, After: true, Drop: true}, {Drop: true}}, client.OutcomeUnknown, true},
	} {
		if !thorough && name != "lost" && name != "dropped" && name != "all dropped" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{})
			for i := range tt.faults {
				tt.faults[i].Endpoint = execEndpoint
			}
			w.Srv.SetFaults(tt.faults...)
			r, err := w.m.commands.Start(t.Context(), Request{Instance: w.ID, Command: "echo x >>count; echo out", Detach: true})
			if outcomeIn(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Fatalf("got %v", err)
			}
			w.Srv.SetFaults()
			if tt.want == client.OutcomeUnknown {
				list := w.m.List()
				if len(list) != 1 || !strings.Contains(err.Error(), "list_runs") {
					t.Fatalf("got %v, and a list of %v", err, list)
				}
				r.Run = w.open(w.m, list[0].Handle)
			}
			if !tt.ran {
				list := w.m.List()
				if len(list) != 1 || list[0].Status != runs.StatusFailed {
					t.Fatalf("listed are %v", list)
				}
				state, err := w.m.Inspect(list[0].Handle)
				if err != nil {
					t.Fatal(err)
				}
				// What keeps a late request from starting it may be there.
				if dir := w.folderOf(state); w.sh("cat count 2>/dev/null; [ ! -d "+dir+" ] || [ -e "+dir+"/cancelled ] || echo "+dir) != "" {
					t.Error("something was started")
				}
				return
			}
			if u := w.Done(r, nil); u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" {
				t.Errorf("got %+v", u)
			}
			if got := w.sh("cat count"); got != "x\n" {
				t.Errorf("it ran %d times", len(got)/2)
			}
		})
	}
}

// TestMissingTools runs a command in a sandbox that can't detach it.
func TestMissingTools(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"setsid", "base64"} {
		if !thorough && tool != "setsid" {
			continue
		}
		w := startBehind(t, emulatortest.Options{Sandbox: emulator.SandboxAuto}, runstest.Wrapped(func(s string) string { return "PATH=/workspace/bin\n" + s }))
		bin := filepath.Join(w.Srv.Workspace(w.ID), "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"sh", "mkdir", "cat", "wc", "tail", "head", "base64", "mv", "chmod", "sleep", "setsid"} {
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
		r := w.command(Request{Command: "echo out; exit 4", Dir: "/usr/lib", Detach: true})
		u := w.Done(r, nil)
		if u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" || code(u) != "4" || !strings.Contains(strings.Join(u.Notes, ""), tool) {
			t.Errorf("%s: got %+v", tool, u)
		}
		// With what is needed and no more (no timeout, find or stat), it works.
		if path, err := exec.LookPath(tool); err == nil {
			_ = os.Symlink(path, filepath.Join(bin, tool))
		}
		if what := w.m.commands.lacking(w.ID); what != tool {
			t.Errorf("it is remembered that the sandbox lacks %q", what)
		}
		w.m.commands.missing = map[string]missingTools{w.ID: {tool, time.Now().Add(-missingFor)}}
		r = w.command(Request{Command: "echo out; exit 4", Dir: "/usr/lib", Detach: true, Timeout: time.Minute})
		if u := w.Done(r, nil); r.Instance() != w.ID || code(u) != "4" || output(u).Stdout.Head != "out\n" || len(u.Notes) != 0 {
			t.Errorf("%s: got %+v", tool, u)
		}
	}
	// A full or read-only /tmp.
	w := startBehind(t, emulatortest.Options{}, runstest.Wrapped(func(s string) string { return strings.ReplaceAll(s, "/tmp/openclaw-mcp", "/proc/none") }))
	if u := w.Done(w.command(Request{Command: "echo out", Detach: true}), nil); output(u).Stdout.Head != "out\n" || !strings.Contains(strings.Join(u.Notes, ""), "a place to write to") {
		t.Errorf("got %+v", u)
	}
}

// TestPollFaults has the sandbox not answer for a while, and answer nonsense.
func TestPollFaults(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulatortest.Fault{
		"refused":  {Status: 503, Body: `{"message":"asleep"}`},
		"dropped":  {Drop: true},
		"cut":      {CutBytes: 60},
		"nonsense": {Status: 200, Body: `{"stdout":"openclaw-mcp:exited zero","exit_code":0}`},
	} {
		if !thorough && name != "cut" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{})
			r := w.command(Request{Command: "echo out", Detach: true})
			var faults []emulatortest.Fault
			for call := 1; call <= 3; call++ {
				f.Endpoint, f.Call = execEndpoint, call
				faults = append(faults, f)
			}
			w.Srv.SetFaults(faults...)
			// With no time to try again, that is said.
			if u := runstest.Now(t, r); u.Status != runs.StatusRunning || len(u.Notes) != 1 || u.Handle == "" {
				t.Errorf("got %+v", u)
			}
			if u := w.Done(r, nil); u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" {
				t.Errorf("got %+v", u)
			}
		})
	}
	w := start(t, emulatortest.Options{})
	r := w.command(Request{Command: "true", Detach: true})
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: execEndpoint, Status: 404})
	if _, err := r.Wait(t.Context(), runs.UntilDone, 0, nil); err == nil {
		t.Error("an instance that is not there was waited for")
	}
	if _, err := r.Cancel(t.Context()); err == nil {
		t.Error("an instance that is not there was cancelled")
	}
}

// TestStartCancelled starts a command for a caller that has gone.
func TestStartCancelled(t *testing.T) {
	var calls atomic.Int32
	w := startBehind(t, emulatortest.Options{}, runstest.Wrapped(func(s string) string { calls.Add(1); return s }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.m.commands.Start(ctx, Request{Instance: w.ID, Command: "true", Detach: true}); outcomeIn(err) != client.OutcomeNotSent || calls.Load() != 0 {
		t.Errorf("got %v after %d calls", err, calls.Load())
	}
	if _, err := w.m.commands.Start(t.Context(), Request{Instance: w.ID, Command: "bad \xff", Detach: true}); outcomeIn(err) != client.OutcomeNotSent {
		t.Errorf("got %v", err)
	}
}

// TestSlowStart opens the handle of a command elsewhere while its start is under
// way: that it has no files yet is not taken for a loss.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	w, held, hold := startHeld(t)
	r := w.command(soon("echo x >>count; echo out"))
	<-held
	other := w.process(testKey, "")
	elsewhere := w.open(other, r.Handle())
	if u := runstest.Now(t, elsewhere); u.Status != runs.StatusRunning || len(u.Notes) != 1 {
		t.Errorf("got %s, %v, notes %q", u.Status, u.Err, u.Notes)
	}
	waited := make(chan *runs.Update)
	go func() { waited <- w.Done(elsewhere, nil) }()
	close(hold)
	if u := <-waited; u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" {
		t.Errorf("got %s, %v", u.Status, u.Err)
	}
	// When files that were seen are gone, that is a loss, for every process.
	handle := w.Done(w.open(other, r.Handle()), nil).Handle
	w.sh("rm -rf " + w.folder(r))
	for _, m := range []*process{other, w.process(testKey, "")} {
		if u := w.Done(w.open(m, handle), nil); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "gone") {
			t.Errorf("got %s, %v", u.Status, u.Err)
		}
	}
	// So it is when they were never seen, after a while.
	state := runs.NewState(runs.KindCommand, w.ID)
	state.Flags, state.Started = flagDetached, time.Now().Add(-startGrace)
	if u := w.Done(w.open(other, other.Seal(state)), nil); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "never started") {
		t.Errorf("got %s, %v", u.Status, u.Err)
	}
}

// TestLateStart loses the answer to a start and delivers the request after the
// caller was told that the command did not start: it never does.
func TestLateStart(t *testing.T) {
	t.Parallel()
	late := make(chan func(), 1)
	w := startBehind(t, emulatortest.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte("echo x >>count")) {
				again := r.Clone(context.WithoutCancel(r.Context()))
				late <- func() { next.ServeHTTP(httptest.NewRecorder(), again) }
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(rw, r)
		})
	})
	r := w.command(soon("echo x >>count"))
	if u := w.Done(r, nil); u.Status != runs.StatusFailed || outcomeIn(u.Err) != client.OutcomeNotSent {
		t.Errorf("got %s, %v", u.Status, u.Err)
	}
	(<-late)()
	if got := w.sh("cat count 2>/dev/null; true"); got != "" {
		t.Error("it ran")
	}
}

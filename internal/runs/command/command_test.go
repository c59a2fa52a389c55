package command

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

func TestAttached(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Exec: dialect})
			u := w.Done(w.command(Request{Command: "echo out; echo err >&2; exit 3"}), nil)
			want, ok := map[emulatortest.Dialect][3]string{emulatortest.Output: {"out\nerr\n", "", "3"}, emulatortest.Bare: {"out\n", "", "none"}}[dialect]
			if !ok {
				want = [3]string{"out\n", "err\n", "3"}
			}
			if got := [3]string{output(u).Stdout.Head, output(u).Stderr.Head, code(u)}; u.Status != runs.StatusCompleted || got != want {
				t.Errorf("got %s %q", u.Status, got)
			}
			u = w.Done(w.command(Request{Command: "echo begun; sleep 20", Timeout: 3 * time.Second}), nil)
			if dialect != emulatortest.Bare && !output(u).TimedOut || u.Status != runs.StatusCompleted || output(u).Stdout.Head != "begun\n" {
				t.Errorf("got %+v", output(u))
			}
			u = w.Done(w.command(Request{Command: "pwd; echo 'it''s'", Dir: "/usr/lib"}), nil)
			if output(u).Stdout.Head != "/usr/lib\nits\n" {
				t.Errorf("got %+v", output(u))
			}
		})
	}
}

// notReady is the answer of a sandbox that has just booted.
var notReady = emulatortest.Fault{Endpoint: execEndpoint, Status: 200, Body: `{"stdout":"","stderr":"agent not ready","exit_code":1}`}

func TestAttachedFailures(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Sandbox: emulator.SandboxAuto}) // where ps shows its own processes alone
	for name, tt := range map[string]struct {
		fault emulatortest.Fault
		want  client.Outcome
	}{
		"asleep":       {emulatortest.Fault{Status: 503, Body: `{"message":"asleep"}`}, client.OutcomeRejected},
		"gateway":      {emulatortest.Fault{Status: 504, After: true, Body: "<html>"}, client.OutcomeUnknown},
		"lost":         {emulatortest.Fault{After: true, Drop: true}, client.OutcomeUnknown},
		"lost midways": {emulatortest.Fault{CutBytes: 10}, client.OutcomeUnknown},
	} {
		tt.fault.Endpoint = execEndpoint
		w.Srv.SetFaults(tt.fault)
		before := w.Srv.Calls(execEndpoint)
		r := w.command(Request{Command: "echo hi"})
		if u := w.Done(r, nil); u.Status != runs.StatusFailed || outcomeIn(u.Err) != tt.want {
			t.Errorf("%s: got %+v", name, u)
		}
		if n := w.Srv.Calls(execEndpoint) - before; n != 1 {
			t.Errorf("%s: %d posts", name, n)
		}
		// Another process can't know of it.
		if u := w.Done(w.open(w.process(testKey, ""), r.Handle()), nil); u.Status != runs.StatusFailed || outcomeIn(u.Err) != client.OutcomeUnknown {
			t.Errorf("%s: elsewhere: %+v", name, u)
		}
	}
	// An exit code is a command's own, whatever it printed.
	w.Srv.SetFaults(notReady)
	if u := w.Done(w.command(Request{Command: "echo hi"}), nil); u.Status != runs.StatusCompleted || code(u) != "1" || !output(u).NotReady {
		t.Errorf("got %+v", u)
	}
	w.Srv.SetFaults()
	r := w.command(Request{Command: "sleep 30"})
	eventually(t, "the command", func() bool { return strings.Contains(w.sh("ps -ef"), "sleep 30") })
	if note, err := r.Cancel(t.Context()); err != nil || note == "" {
		t.Errorf("got %q, %v", note, err)
	}
	if u := w.Done(r, nil); u.Status != runs.StatusCancelled {
		t.Errorf("got %+v", u)
	}
}

// TestDetached runs commands of all sorts on their own.
func TestDetached(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for shell, wrap := range shells() {
			dialect := emulatortest.Snake
			if (mode == emulator.SandboxAuto) == (shell == "bash") {
				dialect = emulatortest.Bare
			}
			t.Run(fmt.Sprintf("%s/%s/%s", mode, shell, dialect), func(t *testing.T) {
				t.Parallel()
				testDetached(t, startBehind(t, emulatortest.Options{Sandbox: mode, Exec: dialect}, runstest.Wrapped(wrap)))
			})
		}
	}
}

func testDetached(t *testing.T, w *world) {
	type want struct {
		stdout, stderr, code string
	}
	type test struct {
		req  Request
		want want
	}
	cases := map[string]test{
		"both outputs": {Request{Command: "echo out; echo err >&2; exit 3"}, want{"out\n", "err\n", "3"}},
		"no output":    {Request{Command: "true"}, want{"", "", "0"}},
		"quotes":       {Request{Command: `printf '%s|' "it's" '"' \\ '$HOME' "a  b"`}, want{`it's|"|\|$HOME|a  b|`, "", "0"}},
		"a here-document": {Request{Command: "cat <<'EOF'\n'quo\"ted' $HOME `x` \\\n\tend\nEOF\necho $((1+1))"},
			want{"'quo\"ted' $HOME `x` \\\n\tend\n2\n", "", "0"}},
		"leading dashes":      {Request{Command: "-n 2>/dev/null || echo -n"}, want{"", "", "0"}},
		"no final newline":    {Request{Command: "printf abc"}, want{"abc", "", "0"}},
		"a mark in it":        {Request{Command: "echo openclaw-mcp:gone 0 0; echo ."}, want{"openclaw-mcp:gone 0 0\n.\n", "", "0"}},
		"characters":          {Request{Command: "printf 'aé👋\\n'; printf 'ünö' >&2"}, want{"aé👋\n", "ünö", "0"}},
		"a directory":         {Request{Command: "pwd", Dir: "/usr/lib"}, want{"/usr/lib\n", "", "0"}},
		"a signal":            {Request{Command: "kill -9 $$"}, want{"", "", "137"}},
		"input":               {Request{Command: "cat; echo end"}, want{"end\n", "", "0"}},
		"time to spare":       {Request{Command: "echo quick", Timeout: time.Minute}, want{"quick\n", "", "0"}},
		"its own background":  {Request{Command: "echo soon; sleep 0.2 && echo late & wait"}, want{"soon\nlate\n", "", "0"}},
		"a command not there": {Request{Command: "no-such-command-xyz 2>/dev/null"}, want{"", "", "127"}},
	}
	if !thorough {
		maps.DeleteFunc(cases, func(name string, _ test) bool {
			return !slices.Contains([]string{"both outputs", "a here-document", "a directory", "a signal"}, name)
		})
	}
	started := map[string]runs.Run{}
	for name, tt := range cases {
		tt.req.Detach = true
		started[name] = w.command(tt.req)
	}
	late := w.command(Request{Command: "echo begun; sleep 60; echo never", Timeout: 4 * time.Second, Detach: true})
	other := w.process(testKey, "")
	for name, tt := range cases {
		p := &runstest.Record{}
		u := w.Done(started[name], p)
		got := want{output(u).Stdout.Head, output(u).Stderr.Head, code(u)}
		if name == "leading dashes" {
			got.stdout = tt.want.stdout // sh's echo -n differs
		}
		if got != tt.want || u.Status != runs.StatusCompleted || u.More || output(u).TimedOut {
			t.Errorf("%s: got %s %+v, want %+v", name, u.Status, got, tt.want)
		}
		if joined := p.Joined(); name != "leading dashes" && joined != tt.want.stdout+tt.want.stderr && joined != tt.want.stderr+tt.want.stdout {
			t.Errorf("%s: progress was %q", name, joined)
		}
		if output(u).StdoutSize != int64(len(output(u).Stdout.Head)) || output(u).StderrSize != int64(len(output(u).Stderr.Head)) {
			t.Errorf("%s: got sizes %d and %d", name, output(u).StdoutSize, output(u).StderrSize)
		}
		if again := w.Done(w.open(other, u.Handle), nil); output(again).Stdout.Head+output(again).Stderr.Head != "" || code(again) != tt.want.code {
			t.Errorf("%s: read again: %+v", name, output(again))
		}
	}
	u := w.Done(late, nil)
	if code(u) != "124" || !output(u).TimedOut || output(u).Stdout.Head != "begun\n" {
		t.Errorf("a time-out: %s %+v", code(u), output(u))
	}
	if list := w.m.List(); len(list) != len(cases)+1 || list[0].Kind != runs.KindCommand {
		t.Errorf("%d commands are listed", len(list))
	}
	if files, err := filepath.Glob(w.Srv.Workspace(w.ID) + "/*"); err != nil || len(files) != 0 {
		t.Errorf("left in the workspace: %v", files)
	}
}

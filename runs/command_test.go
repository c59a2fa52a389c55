package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

var modes = []emulator.SandboxMode{emulator.SandboxAuto, emulator.SandboxOff}

// command starts a command, and has its files cleared away in the end: without
// a sandbox they are this machine's.
func (w *world) command(req CommandRequest) *Run {
	w.Helper()
	req.Instance = w.id
	r, err := w.m.StartCommand(w.Context(), req)
	if err != nil {
		w.Fatal(err)
	}
	w.tidy(r)
	return r
}

func (w *world) tidy(r *Run) {
	if dir := runDir(r.state.ID); r.state.Detached {
		w.Cleanup(func() { os.RemoveAll(dir) })
	}
}

// sh runs a command in the sandbox, past all runs.
func (w *world) sh(command string) string {
	w.Helper()
	res, err := w.c.Terminal.Exec(context.WithoutCancel(w.Context()), w.id, client.ExecRequest{Command: command, Timeout: 20 * time.Second})
	if err != nil {
		w.Fatal(err)
	}
	return res.Stdout.Head
}

// wrapped changes the commands that reach the upstream.
func wrapped(change func(string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				var body map[string]any
				if err := json.NewDecoder(r.Body).Decode(&body); err == nil {
					body["command"] = change(body["command"].(string))
				}
				raw, _ := json.Marshal(body)
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(raw))), int64(len(raw))
			}
			next.ServeHTTP(rw, r)
		})
	}
}

func code(u *Update) string {
	switch {
	case u.Exec == nil:
		return "no exec"
	case u.Exec.ExitCode == nil:
		return "none"
	}
	return fmt.Sprint(*u.Exec.ExitCode)
}

func TestAttached(t *testing.T) {
	t.Parallel()
	for _, dialect := range []emulator.Dialect{emulator.Snake, emulator.Camel, emulator.Wrapped, emulator.Output, emulator.Bare} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{Exec: dialect})
			u := w.done(w.command(CommandRequest{Command: "echo out; echo err >&2; exit 3"}), nil)
			want, ok := map[emulator.Dialect][3]string{emulator.Output: {"out\nerr\n", "", "3"}, emulator.Bare: {"out\n", "", "none"}}[dialect]
			if !ok {
				want = [3]string{"out\n", "err\n", "3"}
			}
			if got := [3]string{u.Exec.Stdout.Head, u.Exec.Stderr.Head, code(u)}; u.Status != StatusCompleted || got != want {
				t.Errorf("got %s %q", u.Status, got)
			}
			u = w.done(w.command(CommandRequest{Command: "echo begun; sleep 20", Timeout: 300 * time.Millisecond}), nil)
			if dialect != emulator.Bare && !u.Exec.TimedOut || u.Status != StatusCompleted || u.Exec.Stdout.Head != "begun\n" {
				t.Errorf("got %+v", u.Exec)
			}
			u = w.done(w.command(CommandRequest{Command: "pwd; echo 'it''s'", Dir: "/usr/lib"}), nil)
			if u.Exec.Stdout.Head != "/usr/lib\nits\n" {
				t.Errorf("got %+v", u.Exec)
			}
		})
	}
}

func TestAttachedFailures(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	for name, tt := range map[string]struct {
		fault emulator.Fault
		want  client.Outcome
	}{
		"not ready":    {emulator.Fault{Status: 200, Body: `{"stdout":"","stderr":"agent not ready","exit_code":1}`}, client.OutcomeRejected},
		"asleep":       {emulator.Fault{Status: 503, Body: `{"message":"asleep"}`}, client.OutcomeRejected},
		"gateway":      {emulator.Fault{Status: 504, After: true, Body: "<html>"}, client.OutcomeUnknown},
		"lost":         {emulator.Fault{After: true, Drop: true}, client.OutcomeUnknown},
		"lost midways": {emulator.Fault{CutBytes: 10}, client.OutcomeUnknown},
	} {
		tt.fault.Endpoint = execEndpoint
		w.srv.SetFaults(tt.fault)
		before := w.srv.Calls(execEndpoint)
		r := w.command(CommandRequest{Command: "echo hi"})
		if u := w.done(r, nil); u.Status != StatusFailed || outcome(u.Err) != tt.want {
			t.Errorf("%s: got %+v", name, u)
		}
		if n := w.srv.Calls(execEndpoint) - before; n != 1 {
			t.Errorf("%s: %d posts", name, n)
		}
		// Another process can't know of it.
		if u := w.done(w.open(w.manager(testKey, ""), r.Handle()), nil); u.Status != StatusFailed || outcome(u.Err) != client.OutcomeUnknown {
			t.Errorf("%s: elsewhere: %+v", name, u)
		}
	}
	w.srv.SetFaults()
	r := w.command(CommandRequest{Command: "sleep 30"})
	eventually(t, "the command", func() bool { return strings.Contains(w.sh("ps -ef"), "sleep 30") })
	if note, err := r.Cancel(t.Context()); err != nil || note == "" {
		t.Errorf("got %q, %v", note, err)
	}
	if u := w.done(r, nil); u.Status != StatusCancelled {
		t.Errorf("got %+v", u)
	}
	w.sh("pkill -x sleep || killall sleep")
}

// TestDetached runs commands of all sorts on their own, in all the shells that
// this machine has.
func TestDetached(t *testing.T) {
	t.Parallel()
	plain := func(s string) string { return s }
	shells := map[string]func(string) string{"bash": plain}
	for _, name := range []string{"dash", "busybox", "zsh"} {
		if path, err := exec.LookPath(name); err == nil {
			if name == "busybox" {
				path += " sh"
			}
			shells[name] = func(s string) string { return "exec " + path + " -c " + quote(s) }
		}
	}
	for _, mode := range modes {
		for shell, wrap := range shells {
			dialect := emulator.Snake
			if (mode == emulator.SandboxAuto) == (shell == "bash") {
				dialect = emulator.Bare
			}
			t.Run(fmt.Sprintf("%s/%s/%s", mode, shell, dialect), func(t *testing.T) {
				t.Parallel()
				testDetached(t, startBehind(t, emulator.Options{Sandbox: mode, Exec: dialect}, wrapped(wrap)))
			})
		}
	}
}

func testDetached(t *testing.T, w *world) {
	type want struct {
		stdout, stderr, code string
	}
	cases := map[string]struct {
		req  CommandRequest
		want want
	}{
		"both outputs": {CommandRequest{Command: "echo out; echo err >&2; exit 3"}, want{"out\n", "err\n", "3"}},
		"no output":    {CommandRequest{Command: "true"}, want{"", "", "0"}},
		"quotes":       {CommandRequest{Command: `printf '%s|' "it's" '"' \\ '$HOME' "a  b"`}, want{`it's|"|\|$HOME|a  b|`, "", "0"}},
		"a here-document": {CommandRequest{Command: "cat <<'EOF'\n'quo\"ted' $HOME `x` \\\n\tend\nEOF\necho $((1+1))"},
			want{"'quo\"ted' $HOME `x` \\\n\tend\n2\n", "", "0"}},
		"leading dashes":      {CommandRequest{Command: "-n 2>/dev/null || echo -n"}, want{"", "", "0"}},
		"no final newline":    {CommandRequest{Command: "printf abc"}, want{"abc", "", "0"}},
		"a mark in it":        {CommandRequest{Command: "echo openclaw-mcp:gone 0 0; echo ."}, want{"openclaw-mcp:gone 0 0\n.\n", "", "0"}},
		"characters":          {CommandRequest{Command: "printf 'aé👋\\n'; printf 'ünö' >&2"}, want{"aé👋\n", "ünö", "0"}},
		"a directory":         {CommandRequest{Command: "pwd", Dir: "/usr/lib"}, want{"/usr/lib\n", "", "0"}},
		"no directory":        {CommandRequest{Command: "pwd", Dir: "/no/ such'dir"}, want{"", "cd: /no/ such'dir: no such directory, or no permission\n", "1"}},
		"a signal":            {CommandRequest{Command: "kill -9 $$"}, want{"", "", "137"}},
		"input":               {CommandRequest{Command: "cat; echo end"}, want{"end\n", "", "0"}},
		"time to spare":       {CommandRequest{Command: "echo quick", Timeout: time.Minute}, want{"quick\n", "", "0"}},
		"its own background":  {CommandRequest{Command: "sleep 0.2 && echo late & echo soon; wait"}, want{"soon\nlate\n", "", "0"}},
		"a command not there": {CommandRequest{Command: "no-such-command-xyz 2>/dev/null"}, want{"", "", "127"}},
	}
	runs := map[string]*Run{}
	for name, tt := range cases {
		tt.req.Detach = true
		runs[name] = w.command(tt.req)
	}
	late := w.command(CommandRequest{Command: "echo begun; sleep 60; echo never", Timeout: time.Second, Detach: true})
	other := w.manager(testKey, "")
	for name, tt := range cases {
		p := &record{}
		u := w.done(runs[name], p)
		got := want{u.Exec.Stdout.Head, u.Exec.Stderr.Head, code(u)}
		if name == "leading dashes" {
			got.stdout = tt.want.stdout // sh's echo -n differs
		}
		if got != tt.want || u.Status != StatusCompleted || u.More || u.Exec.TimedOut {
			t.Errorf("%s: got %s %+v, want %+v", name, u.Status, got, tt.want)
		}
		if joined := p.joined(); name != "leading dashes" && joined != tt.want.stdout+tt.want.stderr && joined != tt.want.stderr+tt.want.stdout {
			t.Errorf("%s: progress was %q", name, joined)
		}
		if u.Exec.StdoutSize != int64(len(u.Exec.Stdout.Head)) || u.Exec.StderrSize != int64(len(u.Exec.Stderr.Head)) {
			t.Errorf("%s: got sizes %d and %d", name, u.Exec.StdoutSize, u.Exec.StderrSize)
		}
		if again := w.done(w.open(other, u.Handle), nil); again.Exec.Stdout.Head+again.Exec.Stderr.Head != "" || code(again) != tt.want.code {
			t.Errorf("%s: read again: %+v", name, again.Exec)
		}
	}
	u := w.done(late, nil)
	if code(u) != "124" || !u.Exec.TimedOut || u.Exec.Stdout.Head != "begun\n" {
		t.Errorf("a time-out: %s %+v", code(u), u.Exec)
	}
	if list := w.m.List(); len(list) != 16 || list[0].Kind != KindCommand {
		t.Errorf("%d commands are listed", len(list))
	}
	if files, err := filepath.Glob(w.srv.Workspace(w.id) + "/*"); err != nil || len(files) != 0 {
		t.Errorf("left in the workspace: %v", files)
	}
}

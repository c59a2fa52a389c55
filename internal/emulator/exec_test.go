//go:build unix

package emulator_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

var markers atomic.Int64

// marker is an argument of sleep by which a process is found.
func marker() string { return fmt.Sprintf("9%d.%d", os.Getpid(), markers.Add(1)) }

// count gives the number of processes of this machine that sleep for a marker.
func count(t *testing.T, marker string) int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		if strings.TrimSpace(line) == "sleep "+marker {
			n++
		}
	}
	return n
}

func gone(t *testing.T, marker string) {
	t.Helper()
	eventually(t, "the end of the processes", func() bool { return count(t, marker) == 0 })
}

// modes runs a test in each sandbox mode; all have to keep the promises.
func modes(t *testing.T, test func(*testing.T, emulator.SandboxMode)) {
	for _, mode := range sandboxModes {
		t.Run(string(mode), func(t *testing.T) { test(t, mode) })
	}
}

func (f *fixture) execBody(command string, timeout time.Duration) answer {
	f.Helper()
	return f.do("POST", f.in("/terminal/exec"), toJSON(map[string]any{"command": command, "timeout_ms": timeout.Milliseconds()}))
}

func TestExec(t *testing.T) {
	t.Setenv("OPENCLAW_API_KEY", "sk_live_secret")
	modes(t, func(t *testing.T, mode emulator.SandboxMode) {
		f := start(t, emulatortest.Options{Sandbox: mode})
		tests := []struct {
			command, stdout, stderr string
			code                    float64
		}{
			{"echo hi", "hi\n", "", 0},
			{"echo a; echo b >&2; exit 3", "a\n", "b\n", 3},
			{"kill -9 $$", "", "", 137},
			{`printf 'ü"\\\001\377\342\202'`, "ü\"\\\x01\ufffd\ufffd\ufffd", "", 0},
			{"cat", "", "", 0}, // there is no input
			{"env | grep -c -e sk_live -e OPENCLAW_API", "0\n", "", 1},
			{"cd ~ && touch home && cd - >/dev/null && ls", "home\n", "", 0},
		}
		for _, test := range tests {
			v := f.want(200, "POST", f.in("/terminal/exec"), toJSON(map[string]any{"command": test.command}))
			if get(t, v, "stdout") != test.stdout || get(t, v, "stderr") != test.stderr || get(t, v, "exit_code") != test.code {
				t.Errorf("%s: %v", test.command, v)
			}
		}
		if _, err := os.Stat(f.srv.Workspace(f.id) + "/home"); err != nil {
			t.Error("commands do not run in the workspace:", err)
		}
		f.want(413, "POST", f.in("/terminal/exec"), toJSON(map[string]any{"command": "true " + strings.Repeat("x", 128<<10)}))
		f.want(200, "POST", f.in("/terminal/exec"), toJSON(map[string]any{"command": "true " + strings.Repeat("x", 127<<10)}))
	})
}

func TestExecDialects(t *testing.T) {
	for dialect, want := range map[emulatortest.Dialect]string{
		emulatortest.Snake:   `{"stdout":"a\n","stderr":"b\n","exit_code":3,`,
		emulatortest.Camel:   `{"stdout":"a\n","stderr":"b\n","exitCode":3}`,
		emulatortest.Wrapped: `{"result":{"stdout":"a\n","stderr":"b\n","exitCode":3}}`,
		emulatortest.Output:  `{"output":"a\nb\n","exit_code":3,"timed_out":false}`,
		emulatortest.Bare:    `{"success":false,"stdout":"a\n"}`,
	} {
		f := start(t, emulatortest.Options{Exec: dialect, Sandbox: emulator.SandboxOff})
		if a := f.execBody("echo a; echo b >&2; exit 3", time.Minute); !strings.HasPrefix(a.body, want) {
			t.Errorf("%s: %s", dialect, a.body)
		}
	}
}

// The group dies at the time-out, children that do not listen included, and
// what was printed is there.
func TestExecTimeout(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode emulator.SandboxMode) {
		f := start(t, emulatortest.Options{Sandbox: mode})
		name := marker()
		a := f.execBody("echo begun; (trap '' TERM INT HUP; sleep "+name+") & sleep "+name, 200*time.Millisecond)
		if !strings.Contains(a.body, `"stdout":"begun\n"`) || !strings.Contains(a.body, `"exit_code":124,"timed_out":true`) {
			t.Error(a.body)
		}
		gone(t, name)
	})
}

// A process in the background neither holds up the answer nor dies of its pipe,
// and can be found and killed by a later command.
func TestExecBackground(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode emulator.SandboxMode) {
		f := start(t, emulatortest.Options{Sandbox: mode})
		out, code := f.exec("(while :; do echo tick; touch alive; sleep 0.01; done) & echo $! >pid; echo started")
		if code != 0 || !strings.Contains(out, "started\n") {
			t.Errorf("%q %d", out, code)
		}
		// It outlives its pipe: what it writes comes again.
		alive := f.srv.Workspace(f.id) + "/alive"
		for range 3 {
			_ = os.Remove(alive)
			eventually(t, "a sign of life", func() bool { _, err := os.Stat(alive); return err == nil })
		}
		if _, code := f.exec("kill -0 $(cat pid)"); code != 0 {
			t.Error("the process in the background is gone")
		}
		if _, code := f.exec("kill -9 $(cat pid)"); code != 0 {
			t.Error("cannot kill it")
		}
	})
}

// Leaving does not end a command before its time-out.
func TestExecOutlivesItsClient(t *testing.T) {
	f := start(t, emulatortest.Options{Sandbox: emulator.SandboxOff})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		f.request(ctx, "POST", f.in("/terminal/exec"), `{"command":"touch begun; until [ -e go ]; do sleep 0.01; done; touch done"}`)
	}()
	exists := func(name string) func() bool {
		return func() bool {
			_, err := os.Stat(f.srv.Workspace(f.id) + "/" + name)
			return err == nil
		}
	}
	eventually(t, "the command's begin", exists("begun"))
	cancel()
	<-left
	if err := os.WriteFile(f.srv.Workspace(f.id)+"/go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command's end", exists("done"))
}

func TestExecOutputIsBounded(t *testing.T) {
	f := start(t, emulatortest.Options{Sandbox: emulator.SandboxOff, MaxExecOutput: 100_000})
	v := f.want(200, "POST", f.in("/terminal/exec"), `{"command":"head -c 200000 /dev/zero | tr '\\0' x; echo end >&2"}`)
	if n := len(get(t, v, "stdout").(string)); n != 100_000 || get(t, v, "truncated") != true || get(t, v, "stderr") != "end\n" {
		t.Errorf("%d bytes, truncated %v", n, get(t, v, "truncated"))
	}
}

// Whatever a command has left running ends with its instance.
func TestStoppingKills(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode emulator.SandboxMode) {
		for _, how := range []string{"/shutdown", "/reboot", "close"} {
			f := start(t, emulatortest.Options{Sandbox: mode})
			name := marker()
			f.exec("setsid sleep " + name + " & sleep " + name + " & (setsid sh -c 'sleep " + name + " & sleep " + name + "' >/dev/null 2>&1 &) ; true")
			eventually(t, "four processes", func() bool { return count(t, name) == 4 })
			running := make(chan answer, 1)
			if how != "close" { // a command in the foreground is answered, too
				go func() { running <- f.execBody("sleep "+name, time.Minute) }()
				eventually(t, "the command", func() bool { return count(t, name) == 5 })
			}
			if how == "close" {
				f.srv.Close()
			} else {
				f.want(200, "POST", f.in(how), "")
				if a := <-running; !strings.Contains(a.body, `"exit_code":137`) {
					t.Errorf("%s: %s", how, a.body)
				}
			}
			if n := count(t, name); n != 0 {
				t.Errorf("%s: %d processes are left", how, n)
			}
		}
	})
}

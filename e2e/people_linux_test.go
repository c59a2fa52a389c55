//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/terminals"
)

// seat is the binary on a terminal, with somebody in front of it.
type seat struct {
	cmd    *exec.Cmd
	tty    *os.File
	screen *transcript
	done   chan struct{}
}

func sit(t *testing.T, env []string, args ...string) *seat {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := &seat{cmd: exec.Command(path, args...), screen: newTranscript(), done: make(chan struct{})}
	s.cmd.Env = append(environment(t.TempDir(), "TERM=xterm"), env...)
	// Tests that run in the background may have Ctrl-C ignored, and whom they
	// start would inherit that. What is caught is not inherited.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt)
	defer signal.Stop(caught)
	if s.tty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 160}); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(s.screen, s.tty) // a terminal that is closed ends with an error
		close(read)
	}()
	go func() {
		_ = s.cmd.Wait()
		<-read
		close(s.done)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.tty.Close()
		<-s.done
		for _, bad := range []string{"panic", "DATA RACE"} {
			if strings.Contains(s.screen.String(), bad) {
				t.Errorf("the screen has %q", bad)
			}
		}
		if t.Failed() {
			t.Logf("the screen:\n%q", shorten(s.screen.String(), 4000))
		}
	})
	return s
}

func (s *seat) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := s.tty.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

func (s *seat) sees(t *testing.T, re string) { t.Helper(); s.screen.match(t, regexp.MustCompile(re)) }

func (s *seat) exit(t *testing.T) syscall.WaitStatus {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatal("the binary does not end")
	}
	return s.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

const ctrlC, ctrlD = "\x03", "\x04"

func TestPersonColours(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	s := sit(t, up.env(), "chat", "run: printf 'a\\033[31mb'")
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.sees(t, `\x1b\[2mtool: exec`)
	if strings.Contains(s.screen.String(), "\x1b[31m") {
		t.Error("an instance's control sequences reach the terminal")
	}
	for _, variable := range []string{"NO_COLOR=1", "TERM=dumb"} {
		s := sit(t, append(up.env(), variable), "chat", "run: echo plain")
		s.exit(t)
		s.sees(t, "tool: exec")
		if strings.Contains(s.screen.String(), "\x1b") {
			t.Errorf("%s: there are control sequences", variable)
		}
	}
}

// sleeps reports whether a sleep with this argument runs.
func sleeps(t *testing.T, arg string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if b, _ := os.ReadFile(file); bytes.HasPrefix(b, []byte("sleep\x00"+arg+"\x00")) {
			return true
		}
	}
	return false
}

// Ctrl-C cancels a call and what it has set off.
func TestPersonCancels(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	const mark = "7301.25"
	s := sit(t, up.env(), "call", "exec_command", "command=sleep "+mark)
	eventually(t, "the command runs", func() bool { return sleeps(t, mark) })
	s.types(t, ctrlC)
	if code := s.exit(t).ExitStatus(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	eventually(t, "the command is gone", func() bool { return !sleeps(t, mark) })
	s.sees(t, "cancelled")
}

// The second Ctrl-C does not wait for the service.
func TestPersonCancelsTwice(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	const endpoint = "POST /instances/{instance}/terminal/exec"
	const mark = "7302.25"
	s := sit(t, up.env(), "call", "exec_command", "command=sleep "+mark)
	eventually(t, "the command runs", func() bool { return sleeps(t, mark) })
	up.SetFaults(emulatortest.Fault{Endpoint: endpoint, Delay: time.Hour})
	s.types(t, ctrlC)
	s.sees(t, "press Ctrl-C again to quit at once")
	s.types(t, ctrlC)
	if status := s.exit(t); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v, not by the signal", status)
	}
}

func TestPersonConfirms(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	env := append(up.env(), "OPENCLAW_MCP_CONFIRM=ask")
	const endpoint = "POST /instances/{instance}/shutdown"
	for _, tt := range []struct {
		keys        string
		code, calls int
	}{{"\r", 1, 0}, {"n\r", 1, 0}, {ctrlD, 1, 0}, {ctrlC, 130, 0}, {"yes\r", 0, 1}} {
		s := sit(t, env, "call", "shutdown_instance")
		s.sees(t, `down and ends everything that runs on it\. Go ahead\?\S*\r\n\[y/N\] $`)
		s.types(t, tt.keys)
		if code := s.exit(t).ExitStatus(); code != tt.code || up.Calls(endpoint) != tt.calls {
			t.Errorf("%q: exit code %d, %d calls, want %d, %d", tt.keys, code, up.Calls(endpoint), tt.code, tt.calls)
		}
	}
}

// A conversation: messages in one session, a reply that is stopped, the end.
func TestPersonChats(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	s := sit(t, append(up.env(), "NO_COLOR=1"), "chat")
	s.sees(t, `(?s)Ctrl-D ends.*> $`)
	s.types(t, "\r")
	s.types(t, "run: echo first-$((40+2))\r")
	s.sees(t, `(?s)first-42.*> $`)
	s.types(t, "wait 60\r")
	eventually(t, "the second message is sent", func() bool { return up.Calls("POST /instances/{instance}/chat/stream") == 2 })
	s.types(t, ctrlC)
	s.sees(t, `(?s)still running: /resume shows the rest; after this chat, use openclaw-mcp chat --resume.*> $`)
	s.types(t, ctrlD)
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// At the prompt, Ctrl-C clears the line, and on an empty one it says how to leave.
	s = sit(t, append(up.env(), "NO_COLOR=1"), "chat")
	s.sees(t, `> $`)
	s.types(t, "run: echo unsent"+ctrlC+ctrlC)
	s.sees(t, `(?s)Ctrl-D or /exit ends the chat\..*> $`)
	s.types(t, "/sessions\r")
	s.sees(t, `(?s) 1  .*run: echo first-.*> $`)
	s.types(t, ctrlD)
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("after Ctrl-C at the prompt: exit code %d", code)
	}
	if n := up.Calls("POST /instances/{instance}/chat/stream"); n != 2 {
		t.Errorf("%d messages were sent, want 2", n)
	}
	// SIGTERM ends it whatever is under way.
	s = sit(t, append(up.env(), "NO_COLOR=1"), "chat")
	s.sees(t, `> $`)
	s.types(t, "wait 60\r")
	eventually(t, "the message is sent", func() bool { return up.Calls("POST /instances/{instance}/chat/stream") == 3 })
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.exit(t).ExitStatus(); code != 130 {
		t.Errorf("SIGTERM in a reply: exit code %d", code)
	}
}

// Whoever starts the program alone at a terminal is told what it is.
func TestPersonIsGreeted(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--local"}} {
		s := sit(t, nil, args...)
		if code := s.exit(t).ExitStatus(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		s.sees(t, `openclaw-mcp login`)
		s.sees(t, `openclaw-mcp demo`)
	}
	s := sit(t, nil, "--local", "--http", "127.0.0.1:0")
	s.sees(t, `open http://127\.0\.0\.1:\d+`)
	s.types(t, ctrlC)
	s.exit(t)
}

// The key is not shown while it is typed, and the terminal is given back.
func TestPersonLogsIn(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	s := sit(t, []string{"OPENCLAW_API_BASE_URL=" + up.url}, "login")
	s.sees(t, `API key`)
	s.types(t, up.key+"\r")
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.sees(t, `Logged in to`)
	if strings.Contains(s.screen.String(), up.key) {
		t.Error("the key is shown")
	}
	s = sit(t, []string{"OPENCLAW_API_BASE_URL=" + up.url}, "login")
	s.sees(t, `API key`)
	s.types(t, ctrlC)
	if code := s.exit(t).ExitStatus(); code != 130 {
		t.Errorf("Ctrl-C: exit code %d", code)
	}
}

// Ctrl-C ends the demo at once, and leaves the terminal at the beginning of a line.
func TestPersonStopsDemo(t *testing.T) {
	t.Parallel()
	s := sit(t, nil, "demo")
	s.sees(t, `exec_command`)
	s.types(t, ctrlC)
	if code := s.exit(t).ExitStatus(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	s.sees(t, `cancelled\r\n$`)
}

// A line is edited, and brought back from the history; commands are not sent.
func TestPersonEdits(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	s := sit(t, append(up.env(), "NO_COLOR=1"), "chat")
	s.sees(t, `> $`)
	s.types(t, "run: echo eXt-$((40+2))\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x7fx\r")
	s.sees(t, `ext-42`)
	s.types(t, "\x1b[A\r")
	s.sees(t, `(?s)ext-42.*ext-42.*> $`)
	s.types(t, "/hel\t\r")
	s.sees(t, `/sessions +list the sessions`)
	s.types(t, "/run echo direct-$((40+2))\r")
	s.sees(t, `direct-42`)
	s.types(t, "/new\r")
	s.sees(t, `Started a new session`)
	s.types(t, "/sesions\r")
	s.sees(t, `did you mean /sessions`)
	s.types(t, "/new now\r")
	s.sees(t, `/new takes nothing after it, but got "now"`)
	if n := up.Calls("POST /instances/{instance}/chat/stream"); n != 2 {
		t.Errorf("%d messages were sent, want 2", n)
	}
	s.types(t, "/exit now\r")
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The cursor is on the character that is edited, whatever the others' widths.
func TestPersonEditsWide(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	s := sit(t, append(up.env(), "NO_COLOR=1"), "chat")
	s.sees(t, `> $`)
	_, first, _ := terminals.Picture(160, 24, s.screen.String())
	const left = "\x1b[D"
	shows := func(keys, line string, row, col int) {
		t.Helper()
		s.types(t, keys)
		eventually(t, fmt.Sprintf("after %q, %q and the cursor at %d, %d", keys, line, row, col), func() bool {
			text, y, x := terminals.Picture(160, 24, s.screen.String())
			rows := strings.Split(text, "\n")
			return y == first+row && x == col && strings.Join(rows[first-1:], "\n") == line
		})
	}
	shows("日本語", "> 日本語", 0, 9)
	shows(left+left, "> 日本語", 0, 5)
	shows("x", "> 日x本語", 0, 6)
	shows("\x7f\x1b[3~", "> 日語", 0, 5)
	shows("\x1b[H🎉", "> 🎉日語", 0, 5)
	shows("\x1b[Fe\u0301"+left, "> 🎉日語e\u0301", 0, 9)
	// A line that is wider than the terminal: a wide character is not cut in two.
	shows("\x03x", "> x", 0, 4)
	shows(strings.Repeat("語", 80), "> x"+strings.Repeat("語", 78)+"\n語語", 1, 5)
	shows(left+left+left, "> x"+strings.Repeat("語", 78)+"\n語語", 0, 158)
	shows("\x1b[3~", "> x"+strings.Repeat("語", 78)+"\n語", 0, 158)
	// What is sent is what the screen had, and it comes back from the history.
	s.types(t, "\x03run: echo 語"+left+"日\r")
	s.sees(t, `(?s)\n日語\r\n.*> $`)
	_, first, _ = terminals.Picture(160, 24, s.screen.String())
	shows("本\x1b[A", "> run: echo 日語", 0, 17)
	shows("\x1b[B", "> 本", 0, 5)
	shows("\x03\x1b[200~日\r本\x1b[201~"+left, "> 日\n本", 1, 1)
}

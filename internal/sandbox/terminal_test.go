//go:build !windows

package sandbox

import (
	"bufio"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// The scripts of terminals run under each shell, with a keeper of each kind that is
// installed; what typed them and what they start has a terminal of its own.

var keepers = []string{"tmux", "dtach", "screen"}

func (w *world) prepare(id string, more Params) Report {
	w.Helper()
	p := Params{"id": id, "new": true, "cols": 70, "rows": 20, "keep": 100, "start": "", "lead": "", "watch": ""}
	for _, name := range []string{"start", "lead", "watch"} {
		p[name] = Text("terminal_" + name)
	}
	maps.Copy(p, more)
	return w.run("terminal_prepare", p)
}

// has gives the world a program of this machine; its own folder comes first.
func (w *world) has(program string) {
	w.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		w.Fatalf("this test needs %s: .ci/install installs it", program)
	}
	link := filepath.Join(w.dir, program)
	_ = os.Remove(link)
	if err := os.Symlink(path, link); err != nil {
		w.Fatal(err)
	}
}

// onlyKeeper has the world's shells find nothing but a keeper besides what the
// scripts need.
func (w *world) onlyKeeper(keeper string) {
	w.Helper()
	if w.name != "busybox" {
		for _, name := range []string{"setsid", "stty", "mkdir", "chmod", "cat", "sleep", "tr", "id", "rm", "find", "date", "sed", "env", "ps", "base64", "head", "bash"} {
			w.has(name)
		}
		w.path = w.dir
	}
	if keeper != "" {
		w.has(keeper)
	}
}

// terminal is a service's terminal: a shell that somebody types into.
type terminal struct {
	*world
	tty  *os.File
	said chan string
	cmd  *exec.Cmd
	text string
}

func (w *world) terminal() *terminal {
	w.Helper()
	cmd := exec.Command(filepath.Join(w.dir, "sh"), "-i")
	cmd.Dir = w.workspace
	cmd.Env = []string{"PATH=" + w.path, "HOME=" + w.workspace, "PS1=ready> ", "TERM=xterm-256color", "LANG=C.UTF-8", "MINE=yes"}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 70, Rows: 20})
	if err != nil {
		w.Fatal(err)
	}
	t := &terminal{world: w, tty: tty, said: make(chan string, 100), cmd: cmd}
	go func() {
		defer close(t.said)
		r := bufio.NewReader(tty)
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			if n > 0 {
				t.said <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	w.Cleanup(t.hangUp)
	return t
}

// hangUp ends the terminal as a broken connection does.
func (t *terminal) hangUp() {
	_ = t.cmd.Process.Signal(syscall.SIGHUP)
	_ = t.cmd.Process.Kill()
	_ = t.tty.Close()
	_ = t.cmd.Wait()
	for range t.said {
	}
}

func (t *terminal) types(text string) {
	t.Helper()
	if _, err := io.WriteString(t.tty, text); err != nil {
		t.Fatal(err)
	}
}

// shows waits until something was printed.
func (t *terminal) shows(want string) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for !strings.Contains(t.text, want) {
		select {
		case s, ok := <-t.said:
			if t.text += s; !ok {
				t.Fatalf("%q never came: %q", want, t.text)
			}
		case <-limit:
			t.Fatalf("%q never came: %q", want, t.text)
		}
	}
	_, t.text, _ = strings.Cut(t.text, want)
}

// command types a line into the kept shell.
func (t *terminal) command(keeper, line string) {
	t.Helper()
	if keeper == "tmux" {
		line = "send-keys -l " + Quote(line) + "\nsend-keys Enter\n"
	} else {
		line += "\r"
	}
	t.types(line)
}

func TestTerminal(t *testing.T) {
	for _, keeper := range keepers {
		t.Run(keeper, func(t *testing.T) {
			inShells(t, func(t *testing.T, w *world) {
				w.onlyKeeper(keeper)
				r := w.prepare("t-1", nil)
				if r.Verb != "ready" || r.Word(0) != keeper || r.Number(2) != 70 || r.Number(3) != 20 {
					t.Fatalf("got %s %v", r.Verb, r.Words)
				}
				start := " sh " + Quote(r.Word(1)+"/start")
				t.Cleanup(func() { w.run("terminal_end", Params{"id": "t-1"}) })
				first := w.terminal()
				first.shows("ready> ")
				first.types(start + " new; exit\r")
				first.shows("openclaw-mcp:t-1:ready " + keeper)
				if keeper == "tmux" {
					first.shows("%session-changed")
				}
				first.command(keeper, "x=kept; echo $MINE-$((1+1)) $(stty size)")
				first.shows("yes-2 20 70")
				first.hangUp()

				if r := w.prepare("t-1", Params{"new": false, "start": "", "lead": "", "watch": ""}); r.Verb != "ready" || r.Word(0) != keeper || r.Number(4) < 0 {
					t.Fatalf("again: %s %v", r.Verb, r.Words)
				}
				second := w.terminal()
				second.shows("ready> ")
				second.types(start + " again; exit\r")
				second.shows("openclaw-mcp:t-1:ready " + keeper)
				if keeper == "tmux" {
					second.shows("%session-changed")
				}
				second.command(keeper, "echo $x-$x")
				second.shows("kept-kept")
				second.command(keeper, "exit 7")
				second.shows("openclaw-mcp:t-1:over 7")
				if r := w.prepare("t-1", Params{"new": false}); r.Verb != "gone" || r.Number(0) != 7 {
					t.Errorf("after its end: %s %v", r.Verb, r.Words)
				}
				// A request that is delivered late begins nothing.
				third := w.terminal()
				third.shows("ready> ")
				third.types(start + " new; exit\r")
				third.shows("openclaw-mcp:t-1:failed")
			})
		})
	}
}

// TestTerminalEnd ends what does not listen to a hang-up, in groups of its own.
func TestTerminalEnd(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.onlyKeeper("tmux")
		dir := w.prepare("t-2", nil).Word(1)
		first := w.terminal()
		first.shows("ready> ")
		first.types(" sh " + Quote(dir+"/start") + " new; exit\r")
		first.shows("%session-changed")
		first.command("tmux", `sh -c 'trap "" HUP TERM; echo deaf-$((1+1)); while :; do sleep 1; done'`)
		first.shows("deaf-2")
		pid, err := os.ReadFile(dir + "/pid")
		if err != nil {
			t.Fatal(err)
		}
		if r := w.run("terminal_end", Params{"id": "t-2"}); r.Verb != "over" {
			t.Fatalf("got %s %v", r.Verb, r.Words)
		}
		leader, _, _ := strings.Cut(string(pid), " ")
		left, _ := exec.Command("ps", "-o", "stat=,args=", "-s", leader).Output() // fails where there is none
		for line := range strings.Lines(string(left)) {
			if !strings.HasPrefix(line, "Z") {
				t.Errorf("left: %s", line)
			}
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the folder is left: %v", err)
		}
		if r := w.run("terminal_end", Params{"id": "t-2"}); r.Verb != "gone" {
			t.Errorf("again: %s", r.Verb)
		}
	})
}

// TestTerminalWatch ends a terminal that nobody is connected with, and not before.
func TestTerminalWatch(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.onlyKeeper("tmux")
		dir := w.prepare("t-3", Params{"keep": 3}).Word(1)
		first := w.terminal()
		first.shows("ready> ")
		first.types(" sh " + Quote(dir+"/start") + " new; exit\r")
		first.shows("%session-changed")
		// As long as somebody is connected, longer than it keeps without.
		first.command("tmux", "sleep 5; echo still-$((1+1))")
		first.shows("still-2")
		first.hangUp()
		w.eventually("the end of what nobody came back to", func() bool {
			_, err := os.Stat(dir)
			return os.IsNotExist(err)
		})
	})
}

// TestTerminalPlain says what is missing.
func TestTerminalPlain(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.onlyKeeper("")
		if r := w.prepare("t-4", nil); r.Verb != "plain" || strings.Join(r.Words, " ") != "no keeper" {
			t.Errorf("got %s %v", r.Verb, r.Words)
		}
		if r := w.prepare("t-4", Params{"new": false}); r.Verb != "gone" {
			t.Errorf("got %s %v", r.Verb, r.Words)
		}
		w.has("dtach")
		if w.name != "busybox" {
			_ = os.Remove(filepath.Join(w.dir, "stty"))
			if r := w.prepare("t-4", nil); r.Verb != "plain" || r.Word(1) != "stty" {
				t.Errorf("got %s %v", r.Verb, r.Words)
			}
		}
		// tmux of old has no way to type bytes.
		old := filepath.Join(w.dir, "tmux")
		_ = os.Remove(old)
		if err := os.WriteFile(old, []byte("#!/bin/sh\necho tmux 2.9a\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		w.has("stty")
		if r := w.prepare("t-5", nil); r.Verb != "ready" || r.Word(0) != "dtach" {
			t.Errorf("got %s %v", r.Verb, r.Words)
		}
	})
}

//go:build e2e

package e2e

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A terminal over the binary, in both eras.
func TestTerminalOverTheWire(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // the emulator has no terminals there
	}
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := c.connect(t, up.env())
		opened := s.ok(t, "open_terminal", params{"cols": 60, "rows": 12, "command": "echo first-$((6*7))"})
		term := opened.str("terminal")
		if !strings.HasPrefix(term, "term_") || opened.str("status") != "open" {
			t.Fatalf("opened: %s", opened.raw)
		}
		r := s.ok(t, "write_terminal", params{"terminal": term, "text": "stty size; read -p '? ' x; echo got-$x", "keys": []string{"enter"}, "wait_for": `^\? $`})
		if !strings.Contains(r.str("text"), "first-42") || !strings.Contains(r.str("text"), "12 60") {
			t.Errorf("the screen: %s", r.raw)
		}
		s.ok(t, "write_terminal", params{"terminal": term, "text": "漢字", "keys": []string{"enter"}, "wait_for": "^got-漢字$"})
		if r := s.ok(t, "read_terminal", params{"terminal": term, "view": "new", "cursor": 0}); !strings.Contains(r.str("text"), "got-漢字\n") {
			t.Errorf("the output: %s", r.raw)
		}
		if r := s.ok(t, "close_terminal", params{"terminal": term}); r.str("status") != "closed" {
			t.Errorf("closed: %s", r.raw)
		}
		eventually(t, "the terminal's end", func() bool { return up.OpenTerminals() == 0 })
	})
}

// A terminal is opened in a process that is killed in the middle of vim, and another
// one goes on with the same handle: what it showed is there, and each line runs once.
func TestTerminalOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // the emulator has no terminals there
	}
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		a := c.connect(t, up.env())
		term := a.ok(t, "open_terminal", params{"cols": 70, "rows": 15, "command": "PS1='> '; for i in $(seq 1 40); do echo line-$i; done"}).str("terminal")
		write := func(s *session, text, key, waitFor string) result {
			t.Helper()
			r := s.ok(t, "write_terminal", params{"terminal": term, "text": text, "keys": []string{key}, "wait_for": waitFor})
			if r.str("ended") != "pattern" {
				t.Fatalf("%q did not come: %s", waitFor, r.raw)
			}
			return r
		}
		write(a, "vim -u NONE -N poem.txt", "enter", `^~$`)
		write(a, "iEin Fichtenbaum steht einsam, 漢字", "enter", "漢字")
		write(a, "im Norden", "escape", "Norden")
		shown := write(a, ":echo 'nor'.'mal'", "enter", "^normal").str("text")
		a.proc.kill(t)

		b := c.connect(t, up.env())
		r := b.ok(t, "read_terminal", params{"terminal": term})
		if r.str("text") != shown || !strings.Contains(r.str("position"), "full-screen") || !strings.Contains(r.str("position"), "of 70") {
			t.Errorf("it was\n%s\nand is\n%s", shown, r.raw)
		}
		write(b, ":wq", "enter", `^> $`)
		if r := b.ok(t, "read_terminal", params{"terminal": term, "view": "scrollback"}); !strings.Contains(r.str("text"), "line-1\nline-2\n") {
			t.Errorf("the scrollback: %s", r.raw)
		}
		write(b, "echo again >>count; cat poem.txt count", "enter", "^again$")
		if r := b.ok(t, "read_file", params{"path": "/workspace/count"}); strings.Count(r.Text, "again") != 1 {
			t.Errorf("the line ran otherwise than once: %s", r.Text)
		}
		if r := b.ok(t, "read_file", params{"path": "/workspace/poem.txt"}); !strings.Contains(r.Text, "einsam, 漢字") || !strings.Contains(r.Text, "im Norden") {
			t.Errorf("the file: %s", r.Text)
		}
		// Its own end is as if it had begun here.
		b.ok(t, "write_terminal", params{"terminal": term, "text": "exit 3", "keys": []string{"enter"}})
		r = b.ok(t, "read_terminal", params{"terminal": term, "wait_for": "never", "wait_seconds": 30})
		if r.str("status") != "exited" || fmt.Sprint(r.Data["exit_code"]) != "3" {
			t.Errorf("after exit: %s", r.raw)
		}
	})
}

// Where nothing in the instance keeps the shell, another process of the same user asks
// the one that has it; once that is gone, so is the shell, which is said.
func TestTerminalWithoutKeeper(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // the emulator has no terminals there
	}
	path, remove, err := emulatortest.PathWithout("tmux", "abduco", "dtach", "screen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	up := newUpstream(t, emulatortest.Options{Path: path})
	state := t.TempDir()
	env := up.env("XDG_STATE_HOME=" + state)
	a, b := connect(t, env), connect(t, env)
	term := a.ok(t, "open_terminal", params{"command": "x=kept"}).str("terminal")
	if r := b.ok(t, "write_terminal", params{"terminal": term, "text": "echo $x-$x", "keys": []string{"enter"}, "wait_for": "^kept-kept$"}); r.str("ended") != "pattern" {
		t.Errorf("asked at its owner: %s", r.raw)
	}
	a.proc.kill(t)
	r := b.call(t, "write_terminal", params{"terminal": term, "text": "echo lost", "keys": []string{"enter"}})
	for _, want := range []string{"nothing was done", "tmux", "open_terminal"} {
		if !strings.Contains(string(r.raw), want) {
			t.Errorf("without %q: %s", want, r.raw)
		}
	}
}

// A model knows a terminal by a short name, which is the same in the next process.
func TestTerminalNameOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // the emulator has no terminals there
	}
	up := newUpstream(t, emulatortest.Options{})
	env := up.env("OPENCLAW_MCP_STATE_DIR="+t.TempDir(), "OPENCLAW_MCP_STRUCTURED=false")
	a := connect(t, env)
	if r := a.ok(t, "open_terminal", params{"command": "x=kept"}); !strings.Contains(r.Text, "[terminal term-1: open") {
		t.Fatalf("opened: %s", r.Text)
	}
	a.proc.kill(t)
	b := connect(t, env)
	if r := b.ok(t, "write_terminal", params{"terminal": "term-1", "text": "echo $x-$x", "keys": []string{"enter"}, "wait_for": "^kept-kept$"}); !strings.Contains(r.Text, "x=kept") {
		t.Errorf("in the next process: %s", r.Text)
	}
	if r := b.ok(t, "open_terminal", nil); !strings.Contains(r.Text, "[terminal term-2: open") {
		t.Errorf("another one: %s", r.Text)
	}
}

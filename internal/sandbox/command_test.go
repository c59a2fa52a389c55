//go:build !windows

package sandbox

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"openclaw-mcp/client"
)

// start is a request to start a command, with the answer to it.
type start struct {
	id       string
	params   Params
	report   Report
	answer   client.ExecResult
	answered bool // with the command's own output
}

func (w *world) start(command string, more Params) *start {
	w.Helper()
	s := &start{id: fmt.Sprint("run", len(w.starts()), rand.Text()), params: Params{
		"command": command, "dir": "", "limit": 0, "patience": 0, "inline": 1000, "sweep": true, "keep": 100, "keep_sent": 10,
		"supervise": Text("command_supervise"), "lead": Text("command_lead"), "timer": Text("command_timer"), "err": "err",
	}}
	maps.Copy(s.params, more)
	s.params["id"] = s.id
	script := New("command_start", s.params)
	s.answer = w.exec(script.Command)
	var err error
	s.report, err = script.Read(s.answer)
	s.answered = err != nil
	w.Cleanup(func() { // whatever of it still runs
		b, _ := os.ReadFile(s.report.Word(0) + "/pid")
		if pid, _, _ := strings.Cut(string(b), " "); pid != "" {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				_ = syscall.Kill(-n, syscall.SIGKILL)
			}
		}
	})
	return s
}

func (w *world) base() string { return fmt.Sprintf("%s/openclaw-mcp-%d", w.tmp, os.Geteuid()) }

func (w *world) starts() []string {
	all, _ := filepath.Glob(w.tmp + "/openclaw-mcp*/*")
	return all
}

func (w *world) poll(id string) Report {
	w.Helper()
	return w.run("command_poll", Params{"id": id, "out_from": 0, "err_from": 0, "room": 10_000, "tail": 0, "about": 0, "naps": 1, "brief": 0, "pause": "0.2", "least": 0})
}

func (w *world) kill(id string) string {
	w.Helper()
	r := w.run("command_kill", Params{"id": id, "starting": false})
	return strings.Join(append([]string{r.Verb}, r.Words...), " ")
}

// ended polls until the command has ended.
func (w *world) ended(id string) Report {
	w.Helper()
	var r Report
	w.eventually("the end of "+id, func() bool { r = w.poll(id); return r.Verb != "running" })
	return r
}

// TestCommandOnce delivers a start twice, and after a cancel.
func TestCommandOnce(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		s := w.start("echo x >>count", nil)
		script := New("command_start", s.params)
		if r, err := script.Read(w.exec(script.Command)); err != nil || r.Verb != "started" {
			t.Errorf("got %v, %v", r, err)
		}
		w.ended(s.id)
		if b, err := os.ReadFile(w.workspace + "/count"); err != nil || string(b) != "x\n" {
			t.Errorf("it ran %d times, %v", len(b)/2, err)
		}
		for i, name := range []string{"command_kill", "command_prevent"} {
			id := fmt.Sprint("late", i)
			p := Params{"id": id}
			if name == "command_kill" {
				p["starting"] = true
			}
			if r := w.run(name, p); r.Verb != "prevented" {
				t.Errorf("got %v", r)
			}
			s.params["id"] = id
			script := New("command_start", s.params)
			if r, err := script.Read(w.exec(script.Command)); err != nil || r.Verb != "started" {
				t.Errorf("got %v, %v", r, err)
			}
			if r := w.poll(id); r.Verb != "cancelled" {
				t.Errorf("got %v", r)
			}
		}
		if r := w.run("command_prevent", Params{"id": s.id}); r.Verb != "there" {
			t.Errorf("got %v", r)
		}
		if b, _ := os.ReadFile(w.workspace + "/count"); string(b) != "x\n" {
			t.Errorf("it ran %d times", len(b)/2)
		}
	})
}

// TestCommandTogether has both outputs of a command in the order in which they were written.
func TestCommandTogether(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		const command = "for i in 1 2 3; do echo out $i; echo err $i >&2; sh -c 'echo child >&2'; done; no-such-program-at-all"
		const want = "out 1\nerr 1\nchild\nout 2\nerr 2\nchild\nout 3\nerr 3\nchild\n"
		s := w.start(command, Params{"err": "out"})
		r := w.ended(s.id)
		if got := string(r.Part(0)); !strings.HasPrefix(got, want) || !strings.Contains(got, "not found") {
			t.Errorf("got %q", got)
		}
		if len(r.Part(1)) > 0 || r.Number(2) != 0 {
			t.Errorf("apart from it there is %q", r.Part(1))
		}
		// The answer of the request itself.
		s = w.start(command, Params{"err": "out", "patience": 20})
		if !s.answered || !strings.HasPrefix(s.answer.Stdout.Head, want) || s.answer.Stderr.Head != "" {
			t.Errorf("answered %v: %q, %q", s.answered, s.answer.Stdout.Head, s.answer.Stderr.Head)
		}
	})
}

// TestCommandMissingTools takes away what starting a command needs.
func TestCommandMissingTools(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		bin := t.TempDir()
		w.path = bin
		w.argv[0] = filepath.Join(w.dir, "sh")
		s := w.start("echo x >>count", nil)
		if got := s.report.MissingTools(); !strings.Contains(got, "setsid") || !strings.Contains(got, "base64") {
			t.Errorf("got %v", s.report)
		}
	})
}

//go:build e2e

// Package tasks has an agent do real jobs with nothing but the tools, through
// openclaw-mcp call, and counts what that takes. Its agent is a script: it makes the calls
// that a model makes, and goes on from what their texts say.
package tasks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"openclaw-mcp/e2e/program"
)

// patience is how long a call may take. Nothing takes as long.
const patience = 2 * time.Minute

// binary gives the program: the one that OPENCLAW_BINARY names, to compare versions, or the
// one that is built here.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("OPENCLAW_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "openclaw-tasks-")
	if err != nil {
		return "", err
	}
	built = dir
	return program.Build(dir)
})

// built is the folder of the program that was built.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// desk is where one job is done: an instance of its own, with nobody else on it.
type desk struct {
	*testing.T
	env       []string
	workspace string // on this machine

	calls, wrong, sent, got int // what the job took
}

// newDesk starts a service that goes on between the calls.
func newDesk(t *testing.T) *desk {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	d := &desk{T: t, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "OPENCLAW_LOCAL_DIR=" + home + "/local", "OPENCLAW_LOCAL_MODEL_URL=none",
	}}
	if err := os.Mkdir(home+"/local", 0o700); err != nil {
		t.Fatal(err)
	}
	serve := exec.Command(path, "--local")
	serve.Env = d.env
	in, err := serve.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the end of its client
		ended := make(chan struct{})
		go func() { _ = serve.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(patience):
			_ = serve.Process.Kill()
			t.Error("the service does not end")
		}
	})
	// Its answer says that it serves the instance: a call that came first would, and take the
	// runs with it.
	if _, err := io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"desk","version":"1"}}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(answer, `"result"`) {
		t.Fatalf("%v: %s", err, answer)
	}
	instance := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(d.call("list_instances"))
	if instance == "" {
		t.Fatal("there is no instance")
	}
	d.workspace = filepath.Join(home, "local", instance)
	d.calls, d.sent, d.got = 0, 0, 0
	return d
}

// put makes a file of the job.
func (d *desk) put(name, content string) {
	d.Helper()
	path := filepath.Join(d.workspace, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
		d.Fatal(err)
	}
}

// file is what a file holds now.
func (d *desk) file(name string) string {
	d.Helper()
	b, err := os.ReadFile(filepath.Join(d.workspace, name))
	if err != nil {
		d.Error(err)
	}
	return string(b)
}

// shell runs a command in the workspace, for a checker.
func (d *desk) shell(command string) (string, error) {
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = d.workspace
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// call calls a tool and gives the text that a model would read. Arguments are KEY=VALUE or
// KEY:=JSON.
func (d *desk) call(tool string, args ...string) string {
	d.Helper()
	text, err := d.try(tool, args...)
	if err != nil {
		d.Fatalf("%s %q: %v\n%s", tool, args, err, text)
	}
	return text
}

// try is call for a call that may fail.
func (d *desk) try(tool string, args ...string) (string, error) {
	d.Helper()
	path, err := binary()
	if err != nil {
		d.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"--local", "call", "--quiet", tool}, args...)...)
	cmd.Env = d.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	text := stdout.String()
	if err != nil {
		text += stderr.String()
		if !strings.Contains(text, "status: completed, exit code") { // a failing command is not a wrong call
			d.wrong++
		}
	}
	d.calls++
	d.sent += utf8.RuneCountInString(tool + strings.Join(args, ""))
	d.got += utf8.RuneCountInString(text)
	return text, err
}

// find gives the first group of a pattern in a text that a call gave.
func (d *desk) find(pattern, text string) string {
	d.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		d.Fatalf("there is no %s in:\n%s", pattern, text)
	}
	return m[1]
}

//go:build e2e

package e2e

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The demo shows a whole session, and leaves nothing behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	start := time.Now()
	p := launch(t, nil, "demo")
	_ = p.stdin.Close()
	out, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Fatal(err)
	}
	code := p.exit(t)
	t.Logf("the demo took %s and wrote %d lines", time.Since(start).Round(time.Millisecond), strings.Count(string(out), "\n"))
	if code != 0 || p.stderr.String() != "" {
		t.Errorf("exit code %d, standard error %q", code, p.stderr)
	}
	for _, want := range []string{"list_instances", "hello from", "# To do", "status: completed", "todo.md", "Done.", "openclaw-mcp install"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it lacks %q; it shows:\n%s", want, out)
		}
	}
	if strings.ContainsRune(string(out), '\x1b') {
		t.Error("it writes escape sequences to what is no terminal")
	}
	if left, err := os.ReadDir(p.tmp); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	// Its processes name its temporary directory.
	if left := processesWith(t, p.tmp); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// At a terminal, the demo has colours and takes its time, and no handle fills
// several lines.
func TestPersonSeesDemo(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := sit(t, nil, "demo")
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	t.Logf("the demo took %s", time.Since(start).Round(time.Millisecond))
	s.sees(t, `\x1b\[36m\$ exec_command`)
	if regexp.MustCompile(`[A-Za-z0-9_-]{80}`).MatchString(s.screen.String()) {
		t.Error("a handle is shown in full")
	}
}

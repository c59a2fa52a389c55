//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// At a terminal, a command's output is seen as it comes, and once.
func TestPersonSeesOutput(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	env := append(up.env(), "NO_COLOR=1")
	s := sit(t, env, "call", "exec_command", "command=echo first-$((40+2)); until [ -e go ]; do sleep 0.1; done; printf last-$((40+2))")
	s.sees(t, `first-42`)
	if code, _, stderr := execute(t, up.env(), "call", "write_file", "path=/workspace/go", "content="); code != 0 {
		t.Fatal(stderr)
	}
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.sees(t, `first-42\r\nlast-42\r\n\[status: completed, exit code 0\]`)
	for _, word := range []string{"first-42", "last-42"} {
		if n := strings.Count(s.screen.String(), word); n != 1 {
			t.Errorf("%q is shown %d times", word, n)
		}
	}
	// Of lines that are redrawn, the result has the last state alone; the screen had each.
	s = sit(t, env, "call", "exec_command", "command=for i in 1 2 3; do printf \"at-$i\\r\"; sleep 0.5; done; echo; exit 3")
	if code := s.exit(t).ExitStatus(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	s.sees(t, `at-3\r\n\[status: completed, exit code 3\]`)
	if n := strings.Count(s.screen.String(), "at-3"); n != 1 {
		t.Errorf("the last state is shown %d times", n)
	}
}

// At a terminal, install shows the change and asks before it makes it.
func TestPersonInstalls(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	dir := t.TempDir()
	config := filepath.Join(dir, "mcp.json")
	for _, tt := range []struct {
		args, keys, sees string
		code             int
		exists           bool // afterwards
	}{
		{"--local", "\r", `mcp\.json, line 1:(?s:.*)\+ (?s:.*)Change this file as shown above\?\r\n\[y/N\] \r\n.*nothing was changed`, 1, false},
		{"--local", ctrlC, `\[y/N\] (\^C)?\r\ncancelled`, 130, false},
		{"", "y\r", `Change this file as shown above, and save the API key in \S+/api-key\?(?s:.*)The key was written(?s:.*)Installed in`, 0, true},
		{"--uninstall", "n\r", `\[y/N\] n\r\n.*nothing was changed`, 1, true},
		{"--uninstall --yes", "", `Removed from`, 0, false},
	} {
		args := append([]string{"install", "cursor", "--config", config}, strings.Fields(tt.args)...)
		s := sit(t, []string{"XDG_CONFIG_HOME=" + dir, "OPENCLAW_API_KEY=" + up.key, "OPENCLAW_API_BASE_URL=" + up.url, "NO_COLOR=1"}, args...)
		if tt.keys != "" {
			s.sees(t, `\[y/N\] $`)
			s.types(t, tt.keys)
		}
		code := s.exit(t).ExitStatus()
		s.sees(t, tt.sees)
		if _, err := os.Stat(config); code != tt.code || (err == nil) != tt.exists {
			t.Errorf("%q, typed %q: exit code %d, the file: %v", tt.args, tt.keys, code, err)
		}
		if strings.Contains(s.screen.String(), up.key) {
			t.Error("the key is shown")
		}
	}
}

// A reply is broken between words at the terminal's width, and its code has no fences.
func TestPersonReadsReply(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("some words ", 20))
	up := newUpstream(t, emulatortest.Options{Agent: emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: words + "\n```sh\necho code\n```\nend"})
	})})
	s := sit(t, up.env(), "chat", "hello")
	if code := s.exit(t).ExitStatus(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	screen := s.screen.String()
	s.sees(t, `words some\r\nwords some`)
	s.sees(t, `words\r\n\x1b\[36mecho code\x1b\[0m\r\nend\r\n`)
	for line := range strings.SplitSeq(screen, "\r\n") {
		if len(line) > 160 {
			t.Errorf("a line has %d columns: %q", len(line), line)
		}
	}
}

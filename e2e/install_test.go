//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// What install writes for a client starts a server that reaches the account,
// with nothing but the entry: the key comes from its file.
func TestInstall(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	home := t.TempDir()
	code, stdout, stderr := execute(t, []string{"HOME=" + home, "USERPROFILE=" + home, "APPDATA=" + home, "OPENCLAW_API_KEY=" + up.key},
		"install", "claude-code", "--env", "OPENCLAW_API_BASE_URL="+up.url)
	if code != 0 || strings.Contains(stdout+stderr, up.key) {
		t.Fatalf("install: exit code %d\n%s\n%s", code, stdout, stderr)
	}
	b, err := os.ReadFile(filepath.Join(home, ".claude.json"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), up.key) {
		t.Errorf("the key is in the configuration:\n%s", b)
	}
	var config struct {
		MCPServers map[string]struct {
			Command string
			Args    []string
			Env     map[string]string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	entry := config.MCPServers["openclaw"]
	if path, err := binary(); err != nil || !sameFile(t, entry.Command, path) {
		t.Errorf("the entry starts %q, not this program %q", entry.Command, path)
	}
	var env []string
	for name, value := range entry.Env {
		env = append(env, name+"="+value)
	}
	s := connect(t, env, entry.Args...)
	if r := s.ok(t, "list_instances", nil); !strings.Contains(r.Text, up.instance) {
		t.Errorf("list_instances says %q", r.Text)
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// Errors of the command line have exit code 2, others 1.
func TestInstallRefused(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	broken := filepath.Join(home, "broken")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"install", "emacs"}, 2, "claude-desktop, claude-code, cursor"},
		{[]string{"install", "cursor"}, 2, "OPENCLAW_API_KEY_FILE"},
		{[]string{"install", "cursor", "--local", "--config", broken}, 1, "left as it is"},
		{[]string{"--http", "127.0.0.1:1", "install", "cursor"}, 2, "--http must be"},
	} {
		code, stdout, stderr := execute(t, []string{"HOME=" + home, "USERPROFILE=" + home, "APPDATA=" + home}, tt.args...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit code %d, want %d\n%s%s", tt.args, code, tt.code, stdout, stderr)
		}
	}
}

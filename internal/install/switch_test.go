package install

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A different entry is left alone without --force, also one of this program.
func TestSwitch(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.ok("cursor", "--local")
	config := u.path(".cursor", "mcp.json")
	u.env["OPENCLAW_API_KEY"] = testKey
	left := func(other string, args ...string) {
		t.Helper()
		if _, _, err := u.try(args...); err == nil || !strings.Contains(err.Error(), "--force") || u.read(config) != other {
			t.Errorf("%s: %v", other, err)
		}
	}
	left(u.read(config), "cursor")
	u.ok("cursor", "--force")
	if got := u.read(config); strings.Contains(got, "--local") || !strings.Contains(got, "OPENCLAW_API_KEY_FILE") {
		t.Errorf("with a key, the configuration is\n%s", got)
	}
	left(u.read(config), "cursor", "--local")
	u.ok("cursor", "--local", "--force")
	if got := u.read(config); !strings.Contains(got, "--local") || strings.Contains(got, "OPENCLAW_API_KEY_FILE") {
		t.Errorf("with --local, the configuration is\n%s", got)
	}
	for _, other := range []string{
		`{"mcpServers":{"openclaw":{"command":"/usr/bin/other"}}}`,
		`{"mcpServers":{"openclaw":{"command":"/opt/openclaw-mcp","args":["--http","x"]}}}`,
		`{"mcpServers":{"openclaw":{"url":"https://example.com/mcp"}}}`,
	} {
		u.write(config, []byte(other))
		left(other, "cursor", "--local")
	}
}

// A key that is there is not replaced by one that could not be checked.
func TestKeyIsNotLost(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	var answer error
	install := func(key string, force bool) error {
		var out strings.Builder
		return Run(Setup{
			Env:  func(name string) string { return map[string]string{"OPENCLAW_API_KEY": key}[name] },
			GOOS: "linux", Home: home, Exe: "/opt/openclaw-mcp", Now: time.Now, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
			TryKey: func(string) error { return answer },
		}, Options{Clients: []string{"cursor"}, Name: defaultName, Force: force})
	}
	kept := func() string {
		b, err := os.ReadFile(filepath.Join(home, ".config", "openclaw-mcp", "api-key"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	if err := install("sk_checked_0123456789", false); err != nil {
		t.Fatal(err)
	}
	answer = errors.New("no route")
	if err := install("sk_unchecked_0123456789", false); err == nil || !strings.Contains(err.Error(), "no route; --force") || kept() != "sk_checked_0123456789" {
		t.Errorf("%v; the key is %s", err, kept())
	}
	if err := install("sk_unchecked_0123456789", true); err != nil || kept() != "sk_unchecked_0123456789" {
		t.Errorf("with --force: %v; the key is %s", err, kept())
	}
}

// A key that the service refuses is not saved, and nothing is changed.
func TestKeyIsTried(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, tt := range []struct {
		answer error
		files  int
		said   string
	}{{ErrRefused, 0, ""}, {errors.New("no route"), 2, "Not checked: no route"}} {
		var out, errs strings.Builder
		err := Run(Setup{
			Env:  func(name string) string { return map[string]string{"OPENCLAW_API_KEY": testKey}[name] },
			GOOS: "linux", Home: home, Exe: "/opt/openclaw-mcp", Now: time.Now, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
			TryKey: func(string) error { return tt.answer },
		}, Options{Clients: []string{"cursor"}, Name: defaultName})
		if errors.Is(tt.answer, ErrRefused) != (err != nil) || !strings.Contains(errs.String(), tt.said) {
			t.Errorf("%v: %v, %q", tt.answer, err, &errs)
		}
		n := 0
		_ = filepath.WalkDir(home, func(_ string, d os.DirEntry, _ error) error {
			if d.Type().IsRegular() {
				n++
			}
			return nil
		})
		if n != tt.files {
			t.Errorf("%v: %d files, want %d", tt.answer, n, tt.files)
		}
	}
}

// Whoever names no client is told which are there.
func TestFoundClients(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	if _, _, err := u.try(); err == nil || strings.Contains(err.Error(), "found here") {
		t.Errorf("with none: %v", err)
	}
	u.write(u.path(".claude.json"), []byte("{}"))
	if err := os.MkdirAll(u.path(".codex"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := u.try(); err == nil || !strings.Contains(err.Error(), "found here: claude-code, codex; supported: ") {
		t.Errorf("%v", err)
	}
}

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// Every wrong value is refused at start, with exit code 2, the name of what is
// wrong and what is allowed.
func TestConfigRefused(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		env  string
		args []string
		want []string
	}{
		{env: "OPENCLAW_API_BASE_URL=ftp://x", want: []string{"http or https URL", "https://openclaw-as-a-service.com/api"}},
		{env: "OPENCLAW_API_BASE_URL=example.com/api", want: []string{"http or https URL"}},
		{env: "OPENCLAW_API_BASE_URL=http://", want: []string{"http or https URL"}},
		{env: "OPENCLAW_API_BASE_URL=http://:80/api", want: []string{"http or https URL"}},
		{env: "OPENCLAW_API_BASE_URL=https://example.com/api?x=1", want: []string{"without a user name, query or fragment"}},
		{env: "OPENCLAW_API_BASE_URL=http://a b/", want: []string{"http or https URL"}},
		{env: "OPENCLAW_API_KEY=two words", want: []string{"one word of ASCII characters"}},
		{env: "OPENCLAW_API_KEY=schlüssel", want: []string{"one word of ASCII characters"}},
		{env: "OPENCLAW_API_KEY_FILE=/no/such/file", want: []string{"no such file"}},
		{env: "OPENCLAW_API_KEY_FILE=" + empty, want: []string{"must hold one key"}},
		{env: "OPENCLAW_MCP_SOFT_DEADLINE=soon", want: []string{"duration", "45s"}},
		{env: "OPENCLAW_MCP_SOFT_DEADLINE=45x", want: []string{"duration", "45s"}},
		{env: "OPENCLAW_MCP_SOFT_DEADLINE=10ms", want: []string{"10ms", "from 1s to 1h"}},
		{env: "OPENCLAW_MCP_SOFT_DEADLINE=2h", want: []string{"from 1s to 1h"}},
		{env: "OPENCLAW_MCP_TASK_AFTER=-1s", want: []string{"-1s", "from 0s", "to 1h"}},
		{env: "OPENCLAW_MCP_TASK_AFTER=2h", want: []string{"to 1h"}},
		{env: "OPENCLAW_MCP_STALL_AFTER=0s", want: []string{"at least 1s"}},
		{env: "OPENCLAW_MCP_RUNS=-1", want: []string{"is -1", "0 or more"}},
		{env: "OPENCLAW_MCP_RUNS=many", want: []string{"whole number"}},
		{env: "OPENCLAW_MCP_MAX_RESULT_CHARS=many", want: []string{"whole number"}},
		{env: "OPENCLAW_MCP_MAX_RESULT_CHARS=10", want: []string{"from 1000 to 1048576"}},
		{env: "OPENCLAW_MCP_MAX_RESULT_CHARS=9999999", want: []string{"from 1000 to 1048576"}},
		{env: "OPENCLAW_MCP_READ_ONLY=perhaps", want: []string{"true or false"}},
		{env: "OPENCLAW_MCP_TOOLSETS=nonsense", want: []string{"nonsense", "instances"}},
		{env: "OPENCLAW_MCP_TOOLS=nonsense", want: []string{"nonsense", "send_chat_message"}},
		{env: "OPENCLAW_MCP_EXCLUDE_TOOLS=nonsense", want: []string{"nonsense", "send_chat_message"}},
		{env: "OPENCLAW_MCP_COMMANDS=(", want: []string{"regular expression"}},
		{env: "OPENCLAW_MCP_EXCLUDE_COMMANDS=[z-a]", want: []string{"regular expression"}},
		{env: "OPENCLAW_MCP_CONFIRM=maybe", want: []string{"maybe", "ask, allow or deny"}},
		{env: "OPENCLAW_MCP_LOG_LEVEL=loud", want: []string{"loud", "debug, info, warn or error"}},
		{env: "OPENCLAW_MCP_LOG_FORMAT=xml", want: []string{"xml", "text or json"}},
		{env: "OPENCLAW_MCP_HTTP=8080", want: []string{"host:port", "127.0.0.1:8080"}},
		{env: "OPENCLAW_MCP_HTTP=:8080", want: []string{"loopback", "127.0.0.1:8080"}},
		{env: "OPENCLAW_MCP_HTTP=0.0.0.0:8080", want: []string{"loopback", "authentication"}},
		{env: "OPENCLAW_MCP_HTTP=[::]:8080", want: []string{"loopback"}},
		{env: "OPENCLAW_MCP_HTTP=192.168.1.5:8080", want: []string{"loopback"}},
		{env: "OPENCLAW_MCP_HTTP=example.com:8080", want: []string{"loopback"}},
		{env: "OPENCLAW_MCP_HTTP=127.0.0.1:99999", want: []string{"host:port"}},
		{env: "OPENCLAW_LOCAL_MODEL_STEPS=0", want: []string{"from 1 to 200"}},
		{env: "OPENCLAW_LOCAL_MODEL_STEPS=few", want: []string{"whole number"}},
		{env: "OPENCLAW_LOCAL_MODEL_URL=localhost:11434", want: []string{"http or https URL", "http://127.0.0.1:11434"}},
		{env: "OPENCLAW_LOCAL_MODEL_URL=http://user:pass@localhost", want: []string{"without a user name"}},
		{env: "OPENCLAW_LOCAL_MODEL=m", want: []string{"needs OPENCLAW_LOCAL_MODEL_URL"}},
		{env: "OPENCLAW_LOCAL_MODEL_KEY=k", want: []string{"needs OPENCLAW_LOCAL_MODEL_URL"}},
		{env: "OPENCLAW_LOCAL_MODEL_KEY=two words", want: []string{"one word of ASCII characters"}},
		{env: "OPENCLAW_MCP_ADMIN=9090", want: []string{"host:port", "127.0.0.1:9090"}},
		{env: "OPENCLAW_MCP_ADMIN=127.0.0.1:x", want: []string{"host:port"}},
		{env: "OPENCLAW_MCP_ADMIN=example.com:9090", want: []string{"IP address or localhost"}},
		{env: "OPENCLAW_MCP_ADMIN=127.0.0.1:18080", args: []string{"--http", "localhost:18080"}, want: []string{"an address of its own"}},
		{env: "OPENCLAW_MCP_SLOW_CALL=-1s", want: []string{"up to 1h", "10s"}},
		{env: "OPENCLAW_MCP_SLOW_CALL=soon", want: []string{"duration"}},
		{env: "OPENCLAW_MCP_AUDIT_LOG=/no/such/folder/audit", want: []string{"no such file or directory"}},
		{env: "OPENCLAW_MCP_AUDIT_LOG=" + t.TempDir(), want: []string{"not a regular file"}},
		{args: []string{"--http", "0.0.0.0:8080"}, want: []string{"--http", "loopback"}},
		{args: []string{"--http", "nonsense"}, want: []string{"--http", "host:port"}},
		{args: []string{"--nonsense"}, want: []string{"-nonsense", "--help"}},
		{args: []string{"--http"}, want: []string{"-http", "--help"}},
		{args: []string{"serve"}, want: []string{`unknown command "serve"`, "--http", "--help"}},
		{args: []string{"demo", "now"}, want: []string{"demo takes no arguments", "now"}},
	} {
		t.Run(tt.env+strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			env := []string{"OPENCLAW_API_KEY=k"}
			name, _, _ := strings.Cut(tt.env, "=")
			if strings.HasPrefix(name, "OPENCLAW_API_KEY") {
				env = nil
			}
			code, stdout, stderr := execute(t, append(env, tt.env), tt.args...)
			if code != 2 || stdout != "" {
				t.Errorf("exit code %d, standard output %q", code, stdout)
			}
			for _, want := range append(tt.want, name) {
				if !strings.Contains(stderr, want) {
					t.Errorf("it lacks %q; it says:\n%s", want, stderr)
				}
			}
			if strings.Contains(stderr, "goroutine ") || strings.Count(stderr, "\n") > 8 {
				t.Errorf("that is no message for people:\n%s", stderr)
			}
		})
	}
	// All mistakes at once.
	_, _, stderr := execute(t, []string{"OPENCLAW_API_KEY=k", "OPENCLAW_MCP_CONFIRM=x", "OPENCLAW_MCP_LOG_LEVEL=y", "OPENCLAW_MCP_STALL_AFTER=1ms"})
	for _, want := range []string{"_CONFIRM", "_LOG_LEVEL", "_STALL_AFTER"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("several mistakes: it lacks %q; it says:\n%s", want, stderr)
		}
	}
}

func TestConfigNoKey(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := execute(t, nil)
	if code == 0 || stdout != "" {
		t.Errorf("exit code %d, standard output %q", code, stdout)
	}
	for _, want := range []string{"OPENCLAW_API_KEY", "OPENCLAW_API_KEY_FILE", "--local", "demo", "--help"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("it lacks %q; it says:\n%s", want, stderr)
		}
	}
}

func TestConfigHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		code, stdout, stderr := execute(t, nil, args...)
		lines := strings.Split(strings.TrimRight(stdout, "\n"), "\n")
		if code != 0 || stderr != "" || len(lines) > 45 {
			t.Errorf("%v: exit code %d, %d lines, standard error %q", args, code, len(lines), stderr)
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%v: a line has %d columns: %s", args, n, line)
			}
		}
		for _, want := range []string{"--local", "--http", "demo", "call", "chat", "OPENCLAW_API_KEY", "help settings"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("%v: it lacks %q", args, want)
			}
		}
	}
	if code, stdout, stderr := execute(t, []string{"OPENCLAW_MCP_LOG_LEVEL=wrong"}, "--version"); code != 0 || !strings.HasPrefix(stdout, "openclaw-mcp ") || stderr != "" {
		t.Errorf("--version: exit code %d, %q, %q", code, stdout, stderr)
	}
}

// A key from a file; variables that are set to nothing; the flag wins.
func TestConfigSources(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("\n  "+up.key+" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"OPENCLAW_API_KEY_FILE=" + file, "OPENCLAW_API_KEY=", "OPENCLAW_API_BASE_URL=" + strings.TrimSuffix(up.url, "/api") + "/",
		"OPENCLAW_INSTANCE_ID=", "OPENCLAW_MCP_SOFT_DEADLINE=", "OPENCLAW_MCP_MAX_RESULT_CHARS=", "OPENCLAW_MCP_LOG_LEVEL=",
		"OPENCLAW_MCP_READ_ONLY=", "OPENCLAW_MCP_TOOLSETS=", "OPENCLAW_MCP_CONFIRM=", "OPENCLAW_MCP_HTTP=", "OPENCLAW_MCP_COMMANDS=",
	}
	r := connect(t, env).ok(t, "check_service", nil)
	if r.Data["ok"] != true || r.str("longest_wait") != "45s" {
		t.Errorf("check_service: %s", r.Text)
	}
	env = up.env("OPENCLAW_MCP_HTTP=127.0.0.1:1", "OPENCLAW_MCP_SOFT_DEADLINE=1s", "OPENCLAW_INSTANCE_ID=elsewhere")
	s := combinations[3].connect(t, env) // its --http wins over the variable
	if r := s.call(t, "list_files", nil); !r.IsError || !strings.Contains(r.Text, "HTTP 404") {
		t.Errorf("the configured instance is not used: %s", r.Text)
	}
	r = s.ok(t, "send_chat_message", params{"message": "wait 30", "wait_seconds": 300, "instance": up.instance})
	if r.str("status") != "running" || !strings.Contains(r.Text, "waited 1s instead of 5m0s") {
		t.Errorf("the soft deadline: %s", r.Text)
	}
}

// A local service keeps its workspaces where it is told to.
func TestConfigLocalDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "workspaces")
	s := connect(t, []string{"OPENCLAW_LOCAL_DIR=" + dir, "OPENCLAW_MCP_STATE_DIR=" + t.TempDir()}, "--local")
	s.ok(t, "write_file", params{"path": "/workspace/kept.txt", "content": "kept"})
	_ = s.proc.stdin.Close()
	if code := s.proc.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*", "kept.txt"))
	if err != nil || len(kept) != 1 {
		t.Errorf("the file is not kept: %v, %v", kept, err)
	}
	if left, err := os.ReadDir(s.proc.tmp); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

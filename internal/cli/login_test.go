package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const goodKey = "sk_live_0123456789abcdef"

// someService has one instance for goodKey, and refuses other keys.
func someService(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer "+goodKey {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid key"}`)
			return
		}
		fmt.Fprint(w, `{"instances":[{"id":"inst_1","name":"mine","status":"ready"}]}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// person types commands, with a home folder of their own.
type person struct {
	t       *testing.T
	home    string
	environ []string
}

func newPerson(t *testing.T, environ ...string) *person {
	home := t.TempDir()
	return &person{t, home, append([]string{"HOME=" + home, "APPDATA=" + home, "LOCALAPPDATA=" + home, "USERPROFILE=" + home}, environ...)}
}

func (p *person) runs(stdin string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	code = Run(p.t.Context(), "dev", args, p.environ, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// wants runs a command, and says where what it prints is not as wanted.
func (p *person) wants(code int, want, stdin string, args ...string) {
	p.t.Helper()
	got, stdout, stderr := p.runs(stdin, args...)
	if got != code || !strings.Contains(stdout+stderr, want) {
		p.t.Errorf("%v: exit code %d, want %d; it says %q, want %q", args, got, code, stdout+stderr, want)
	}
	if strings.Contains(stdout+stderr, goodKey) {
		p.t.Errorf("%v shows the key: %q", args, stdout+stderr)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	url := someService(t)
	p := newPerson(t, "OPENCLAW_API_BASE_URL="+url)
	p.wants(2, "openclaw-mcp login", "", "status")
	p.wants(1, "The key was rejected (401) and was not saved", "wrong\n", "login")
	p.wants(1, "one word", "two words\n", "login")
	p.wants(2, "no key was given; yours is in your account at "+strings.TrimPrefix(url, "http://"), "\n", "login")
	p.wants(2, "--local needs no key", goodKey, "login", "--local")
	p.wants(2, "login takes no arguments; it asks for the key", "", "login", goodKey)
	if left, err := os.ReadDir(p.home); err != nil || len(left) > 0 {
		t.Fatalf("a refused key leaves %v, %v", left, err)
	}
	p.wants(0, "with the key sk_…cdef: 1 instance.", goodKey+"\n", "login")

	// Every command has the key now, and a variable still comes first.
	p.wants(0, "inst_1  ready  mine", "", "status")
	p.wants(2, "--local needs no key", "", "logout", "--local")
	p.wants(0, "api-key", "", "status")
	p.wants(0, "sk_…cdef", "", "config")
	p.wants(0, "inst_1", "", "call", "list_instances")
	p.environ = append(p.environ, "OPENCLAW_API_KEY=another_key_that_is_wrong")
	p.wants(1, "401", "", "status")
	p.wants(0, "ano…rong  ", "", "config")
	p.wants(0, "OPENCLAW_API_KEY is set, and takes precedence", goodKey+"\n", "login")
	p.environ = append(p.environ, "OPENCLAW_API_KEY=")

	p.wants(0, "Logged out", "", "logout")
	p.wants(0, "not logged in", "", "logout")
	p.wants(2, "openclaw-mcp login", "", "status")
}

// A key that could not be tried is not kept.
func TestLoginUntried(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	url := srv.URL
	srv.Close()
	p := newPerson(t, "OPENCLAW_API_BASE_URL="+url)
	p.wants(1, "could not be checked at "+url+" (OPENCLAW_API_BASE_URL): ", goodKey, "login")
	p.environ = nil
	p.wants(1, "can't tell where to save the key", goodKey, "login")
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "OPENCLAW_MCP_READ_ONLY=yes", "OPENCLAW_MCP_SOFT_DEADLINE=20", "OPENCLAW_MCP_TOKENS=a:0123456789abcdef", "OPENCLAW_API_BASE_URL=http://me:word@example.com")
	code, stdout, stderr := p.runs("", "config")
	if code != 2 || !strings.Contains(stderr, "OPENCLAW_MCP_TOKENS") || !strings.Contains(stderr, "OPENCLAW_API_BASE_URL") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	got := strings.Join(strings.Fields(stdout), " ")
	for _, want := range []string{"OPENCLAW_MCP_READ_ONLY yes environment", "OPENCLAW_MCP_CONFIRM ask default", "OPENCLAW_MCP_TOKENS *** environment"} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, stdout)
		}
	}
	// What most people need is shown although it is not set; with --local, what is used.
	for _, want := range []string{"OPENCLAW_API_KEY not set OPENCLAW_API_KEY_FILE not set OPENCLAW_API_BASE_URL http://me:xxxxx@example.com environment", "OPENCLAW_INSTANCE_ID not set"} {
		if !strings.Contains(got, want) || strings.Contains(got, "OPENCLAW_MCP_ADMIN") {
			t.Errorf("it lacks %q, or has too much:\n%s", want, stdout)
		}
	}
	_, stdout, _ = p.runs("", "config", "--local")
	if got := strings.Join(strings.Fields(stdout), " "); !strings.Contains(got, "OPENCLAW_API_KEY not needed --local") || strings.Contains(got, "example.com") {
		t.Errorf("with --local:\n%s", stdout)
	}
	for _, secret := range []string{"word", "0123456789"} {
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("it shows %q", secret)
		}
	}
	// Everything that is wrong is said at once, and each thing once.
	p = newPerson(t, "OPENCLAW_MCP_READ_ONLY=perhaps", "OPENCLAW_MCP_SOFT_DEADLINE=soon", "OPENCLAW_MCP_RATE_LIMIT=x", "OPENCLAW_MCP_TERMINALS=x",
		"OPENCLAW_MCP_CONFIRM=perhaps", "OPENCLAW_MCP_TOOLZ=chat", "OPENCLAW_MCP_AUTH=token")
	for _, args := range [][]string{{"config"}, {"--http", "127.0.0.1"}} {
		_, _, stderr = p.runs("", args...)
		for _, want := range []string{
			"OPENCLAW_MCP_READ_ONLY must be true or false (yes/no, on/off, 1/0 also work)",
			"OPENCLAW_MCP_SOFT_DEADLINE is not a valid duration: write 45s, 2m, 1h30m or a number of seconds",
			"OPENCLAW_MCP_RATE_LIMIT is not a valid number", "OPENCLAW_MCP_TERMINALS is not a valid whole number",
			`OPENCLAW_MCP_CONFIRM is "perhaps"`, "OPENCLAW_MCP_TOOLZ is not a setting", "OPENCLAW_MCP_AUTH is token, which needs",
		} {
			if strings.Count(stderr, "\n"+want) != 1 {
				t.Errorf("%v: it does not say %q once: %s", args, want, stderr)
			}
		}
		if n := strings.Count(stderr, "\n"); n != 7+len(args) {
			t.Errorf("%v: %d lines: %s", args, n, stderr)
		}
	}
}

// A program that lies in a folder of a build is one that may go away; a copy can
// be started.
func TestCopyProgram(t *testing.T) {
	t.Parallel()
	build, home := t.TempDir(), t.TempDir()
	exe := filepath.Join(build, "bin", "openclaw-mcp")
	for name, text := range map[string]string{"go.mod": "module x\n", "bin/openclaw-mcp": "#!/bin/sh\n"} {
		path := filepath.Join(build, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !passing(exe) || passing("/usr/local/bin/openclaw-mcp") {
		t.Errorf("passing: %v, %v", passing(exe), passing("/usr/local/bin/openclaw-mcp"))
	}
	to := filepath.Join(home, ".local", "bin", "openclaw-mcp")
	c := newConsole("dev", []string{"HOME=" + home, "PATH=/usr/bin"}, strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
	if got := c.placeOnPath(); got != "" {
		t.Errorf("a place that is not on PATH: %s", got)
	}
	c.environ = []string{"HOME=" + home, "PATH=/usr/bin" + string(os.PathListSeparator) + filepath.Dir(to)}
	if got := c.placeOnPath(); got != to && runtime.GOOS != "windows" {
		t.Errorf("the place is %q, want %q", got, to)
	}
	if err := copyProgram(exe, to); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(to); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o755 {
		t.Errorf("the copy: %v, %v", st, err)
	}
}

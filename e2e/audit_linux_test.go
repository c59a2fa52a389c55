//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A log that can't be written refuses calls, tells why, and makes up for what it
// missed.
func TestObserveAuditFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "audit")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	up := newUpstream(t, emulatortest.Options{})
	s := connect(t, up.env("OPENCLAW_MCP_AUDIT_LOG="+path, "OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	s.ok(t, "make_directory", params{"path": "/workspace/one"}) // it could not be known before
	r := s.call(t, "make_directory", params{"path": "/workspace/two"})
	if !r.IsError || !strings.Contains(r.Text, "audit log") || !strings.Contains(r.Text, "What happened: nothing") {
		t.Errorf("with a full disk: %s", r.Text)
	}
	if status, body := adminPage(t, s.proc, "/readyz"); status != 503 || !strings.Contains(body, "audit log") {
		t.Errorf("/readyz: %d, %q", status, body)
	}
	families, _ := scrape(t, s.proc)
	if n := value(families["openclaw_mcp_audit_lines_pending"], nil); n != 2 {
		t.Errorf("%v lines are pending, want 2", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	list := s.ok(t, "list_files", params{"path": "/workspace"})
	if strings.Contains(list.Text, "two") {
		t.Errorf("the refused call had an effect: %s", list.Text)
	}
	var got []string
	for _, e := range auditLines(t, path) {
		got = append(got, e.Tool+" "+e.Outcome)
	}
	if want := []string{"make_directory ok", "make_directory refused", "list_files ok"}; !slices.Equal(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
}

// The audit log may not go where the protocol goes.
func TestObserveAuditToStdout(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := execute(t, []string{"OPENCLAW_API_KEY=k", "OPENCLAW_MCP_AUDIT_LOG=/dev/stdout"})
	if code != 2 || stdout != "" || !strings.Contains(stderr, "OPENCLAW_MCP_AUDIT_LOG") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// Calls from the shell stand in the log, too, and are refused where it can't be written.
func TestAuditOfTheShell(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	path := filepath.Join(t.TempDir(), "audit")
	env := up.env("OPENCLAW_MCP_AUDIT_LOG="+path, "OPENCLAW_INSTANCE_ID="+up.instance)
	run := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := execute(t, env, args...)
		if code != want {
			t.Errorf("%q: exit code %d, want %d: %s%s", args, code, want, stdout, stderr)
		}
		return stdout + stderr
	}
	run(0, "call", "exec_command", "command=echo secret-word")
	run(1, "call", "read_file", "path=/workspace/none")
	run(0, "call", "list_instances", "--json")
	var got []string
	for _, e := range auditLines(t, path) {
		if e.Principal == "" || e.Request == "" || e.Duration <= 0 {
			t.Errorf("%+v", e)
		}
		got = append(got, e.Tool+" "+e.Instance+" "+e.Outcome)
	}
	want := []string{"exec_command " + up.instance + " ok", "read_file " + up.instance + " failed", "list_instances  ok"}
	if !slices.Equal(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "secret-word") {
		t.Errorf("%v, %s", err, b)
	}
	before := up.Mutations()
	for _, bad := range []string{filepath.Dir(path), filepath.Join(path, "below"), "/dev/stdout"} {
		env[len(env)-2] = "OPENCLAW_MCP_AUDIT_LOG=" + bad
		if said := run(2, "call", "make_directory", "path=/workspace/d"); !strings.Contains(said, "OPENCLAW_MCP_AUDIT_LOG") {
			t.Errorf("%s: %s", bad, said)
		}
	}
	if up.Mutations() != before {
		t.Error("a call that the log can't tell of went out")
	}
}

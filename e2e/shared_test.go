//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// What `--local` has is kept by default, and shared: by a client, by call and by
// chat at the same time. When the first process is killed, the next serves.
func TestLocalIsKeptAndShared(t *testing.T) {
	t.Parallel()
	env := []string{"XDG_DATA_HOME=" + t.TempDir(), "OPENCLAW_LOCAL_MODEL_URL=none"}
	run := func(want string, args ...string) {
		t.Helper()
		code, stdout, stderr := execute(t, env, append([]string{"--local"}, args...)...)
		if code != 0 || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%v: exit code %d, want %q: %q, %q", args, code, want, stdout, stderr)
		}
	}
	run("", "call", "write_file", "path=/workspace/a.txt", "content=kept-it")
	run("kept-it", "call", "read_file", "path=/workspace/a.txt")

	s := connect(t, env, "--local")
	if r := s.ok(t, "read_file", params{"path": "/workspace/a.txt"}); !strings.Contains(r.Text, "kept-it") {
		t.Errorf("a client reads %s", r.Text)
	}
	run("kept-it", "call", "read_file", "path=/workspace/a.txt")
	run("shared-42", "chat", "run: echo shared-$((40+2)) | tee b.txt")
	run("offline stand-in", "status")
	if r := s.ok(t, "read_file", params{"path": "/workspace/b.txt"}); !strings.Contains(r.Text, "shared-42") {
		t.Errorf("the client reads %s", r.Text)
	}
	// A command in the background outlives the call that started it, as long as
	// the client's process serves.
	run("logs -f 1 --local follows it", "call", "exec_command", "command=until [ -e stop ]; do sleep 0.1; done; echo from-behind", "background=true")
	run("until [ -e stop ]", "status")
	run("", "call", "write_file", "path=/workspace/stop", "content=")
	run("from-behind", "logs", "-f")

	second := connect(t, env, "--local")
	s.proc.kill(t)
	if r := second.ok(t, "read_file", params{"path": "/workspace/b.txt"}); !strings.Contains(r.Text, "shared-42") {
		t.Errorf("after the first was killed, the second reads %s", r.Text)
	}
	run("shared-42", "call", "read_file", "path=/workspace/b.txt")
}

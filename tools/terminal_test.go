package tools

import (
	"maps"
	"runtime"
	"strings"
	"testing"
)

// A directory that is not there is no failure of the command's: the result says that it was
// not started, and what may be named. A command that fails is none of the server's errors.
func TestExecNowhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // its shell has no directories like these
	}
	b := newHandleBench(t)
	b.put("file", "x")
	for name, more := range map[string]args{
		"on its own": {}, "in the background": {"background": true}, "within the request": {"timeout_seconds": 1},
		"with a key": {"idempotency_key": "k"},
	} {
		for cwd, why := range map[string]string{"/no/such/place": "was not found", "file": "is not a directory"} {
			a := args{"command": "touch ran", "cwd": cwd}
			maps.Copy(a, more)
			r := b.say("exec_command", a)
			for _, word := range []string{"\"" + cwd + "\" " + why, "the command was not started", "cwd must be a directory", "list_files", "make_directory"} {
				if !r.isErr || !strings.Contains(r.text, word) || strings.Contains(r.text, "exit code") {
					t.Errorf("%s, %q: %s\nlacks %q", name, cwd, r.text, word)
				}
			}
		}
	}
	if r := b.say("list_files", args{}); strings.Contains(r.text, "ran") {
		t.Errorf("a command ran: %s", r.text)
	}
	r := b.say("exec_command", args{"command": "echo 'cd: no such directory' >&2; exit 1", "cwd": "/"})
	if r.isErr || !strings.Contains(r.text, "[status: completed, exit code 1]") {
		t.Errorf("a command that fails by itself: %s", r.text)
	}
	r = b.say("exec_command", args{"command": "touch ran; echo a\x00b"})
	if !r.isErr || !strings.Contains(r.text, "must have no NUL") || !strings.Contains(r.text, "refused before it was sent") {
		t.Errorf("a command with a NUL: %s", r.text)
	}
}

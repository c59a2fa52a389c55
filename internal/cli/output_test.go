package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// lossy is a standard output that takes nothing.
type lossy struct{ err error }

func (l lossy) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: l.err}
}

// A result that could not be written is a failure, unless its reader has seen enough.
func TestLostResults(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	p := newPerson(t, accountOf(t, 1)...)
	for _, args := range [][]string{
		{"--help"}, {"--version"}, {"help", "settings"}, {"completion", "bash"}, {"man"},
		{"config"}, {"config", "--json"}, {"status"}, {"install", "--list"},
		{"call", "--list"}, {"call", "exec_command", "--help"}, {"call", "list_instances"}, {"call", "list_instances", "--json"},
		{"chat", "hello"}, {"doctor", "--no-chat", "--no-exec", "--no-sockets"}, {"demo"},
	} {
		for err, want := range map[error]int{full: 1, syscall.EPIPE: 0} {
			var errs bytes.Buffer
			code := Run(t.Context(), "dev", args, p.environ, strings.NewReader(""), lossy{err}, &errs)
			if code != want || strings.Contains(errs.String(), "openclaw-mcp: write /dev/stdout: no space left on device\n") != (want == 1) {
				t.Errorf("%v: %v: exit code %d, want %d; %q", args, err, code, want, &errs)
			}
		}
	}
	var errs bytes.Buffer
	if code := Run(t.Context(), "dev", []string{"call", "exec_command", "command=exit 7"}, p.environ, strings.NewReader(""), lossy{full}, &errs); code != 7 {
		t.Errorf("a command that failed: exit code %d, %q", code, &errs)
	}

	// logs -f does not follow a command for nobody.
	p.wants(0, "logs -f 1", "", "call", "exec_command", "command=for i in $(seq 600); do echo $i; sleep 0.2; done", "background=true")
	for err, want := range map[error]int{full: 1, syscall.EPIPE: 0} {
		if code := Run(t.Context(), "dev", []string{"logs", "-f"}, p.environ, strings.NewReader(""), lossy{err}, &errs); code != want {
			t.Errorf("logs -f: %v: exit code %d, want %d; %q", err, code, want, &errs)
		}
	}
}

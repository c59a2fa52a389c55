//go:build !windows

package sandbox

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"openclaw-mcp/client"
)

// shell is a shell of this machine, first in the search path as "sh".
type shell struct {
	name string
	dir  string   // of links
	path string   // search path
	argv []string // what runs a command
}

// shells gives the shells that scripts must run under. On CI each has to be there.
func shells(t *testing.T) []shell {
	t.Helper()
	var all []shell
	for _, name := range shellNames {
		program, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("CI") == "true" {
				t.Errorf("CI needs %s: apt-get install dash bash busybox", name)
			} else {
				t.Logf("not tested under %s, which is not installed", name)
			}
			continue
		}
		s := shell{name: name, dir: t.TempDir()}
		applets := []string{"sh"}
		s.path = s.dir + ":/usr/local/bin:/usr/bin:/bin"
		if name == "busybox" {
			// All of its programs, and no others.
			out, err := exec.Command(program, "--list").Output()
			if err != nil {
				t.Fatal(err)
			}
			applets, s.path = strings.Fields(string(out)), s.dir
		}
		for _, a := range applets {
			if err := os.Symlink(program, filepath.Join(s.dir, a)); err != nil {
				t.Fatal(err)
			}
		}
		s.argv = []string{filepath.Join(s.dir, "sh"), "-c"}
		all = append(all, s)
	}
	return all
}

// inShells runs a test under each shell.
func inShells(t *testing.T, test func(*testing.T, *world)) {
	t.Parallel()
	for _, s := range shells(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := &world{T: t, shell: s, tmp: t.TempDir(), workspace: t.TempDir()}
			test(t, w)
		})
	}
}

// world is an instance, so to speak: a shell, a /tmp and a workspace.
type world struct {
	*testing.T
	shell
	tmp, workspace string
	noProc         bool
	credential     *syscall.Credential // of who runs its commands; nil: whoever runs the tests
}

// command prepares a script as a service runs it. Its /tmp is the world's.
func (w *world) command(script string) *exec.Cmd {
	script = strings.ReplaceAll(script, "/tmp/openclaw-mcp", w.tmp+"/openclaw-mcp")
	if w.noProc {
		script = strings.ReplaceAll(script, "/proc/", "/none/")
	}
	cmd := exec.Command(w.argv[0], w.argv[1], script)
	cmd.Args[0] = "sh"
	cmd.Dir = w.workspace
	cmd.Env = []string{"PATH=" + w.path, "HOME=" + w.workspace, "TMPDIR=" + w.tmp, "OPENCLAW_EMULATOR_WORKSPACE=" + w.workspace}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: w.credential}
	return cmd
}

// exec runs a command to its end, which is when nobody holds its output any more.
func (w *world) exec(script string) client.ExecResult {
	w.Helper()
	var out, errs bytes.Buffer
	cmd := w.command(script)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatal(err)
	}
	code := cmd.ProcessState.ExitCode()
	return client.ExecResult{Stdout: client.Output{Head: out.String()}, Stderr: client.Output{Head: errs.String()}, ExitCode: &code}
}

// run runs a script and reads its report.
func (w *world) run(name string, p Params) Report {
	w.Helper()
	s := New(name, p)
	res := w.exec(s.Command)
	r, err := s.Read(res)
	if err != nil {
		w.Fatalf("%s: %v; it printed %q and %q", name, err, res.Stdout.Head, res.Stderr.Head)
	}
	return r
}

// eventually waits for something to become true.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("never came: %s", what)
		}
	}
}

//go:build linux

package emulator_test

import (
	"bufio"
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// sandboxed gives a server whose commands have a namespace. Only a system that
// refuses namespaces is an excuse.
func sandboxed(t *testing.T) *fixture {
	t.Helper()
	f := start(t, emulatortest.Options{})
	if info := f.srv.SandboxInfo(); !strings.Contains(info, "private mount") {
		if err := exec.Command("unshare", "-mpfr", "true").Run(); err != nil {
			t.Skip("no namespaces here:", info)
		}
		t.Fatal(info)
	}
	return f
}

func TestSandbox(t *testing.T) {
	_, hostBefore := os.Stat("/workspace")
	f := sandboxed(t)
	out, code := f.exec("pwd; echo x >/workspace/a; echo y >/tmp/only-here; cat /workspace/a; echo $HOME; ls /proc/self/exe >/dev/null && ls /usr >/dev/null; ls -A /tmp")
	if want := "/workspace\nx\n/workspace\nonly-here\n"; out != want || code != 0 {
		t.Errorf("%q, want %q", out, want)
	}
	if got, err := os.ReadFile(filepath.Join(f.srv.Workspace(f.id), "a")); string(got) != "x\n" {
		t.Errorf("the workspace has %q, %v", got, err)
	}
	if _, err := os.Stat("/tmp/only-here"); err == nil {
		t.Error("/tmp is shared")
	}
	if _, err := os.Stat("/workspace"); os.IsNotExist(hostBefore) && !os.IsNotExist(err) {
		t.Error("/workspace is on the host")
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	if strings.Contains(string(mounts), f.id) || strings.Contains(string(mounts), "openclaw-emulator") {
		t.Errorf("mounts show outside: %s", mounts)
	}
	// Another instance sees nothing of it.
	other, err := f.srv.AddInstance(f.key)
	if err != nil {
		t.Fatal(err)
	}
	f.id = other
	if out, _ := f.exec("ls -A /workspace /tmp"); strings.Contains(out, "only-here") || strings.Contains(out, "a\n") {
		t.Errorf("the other instance has %q", out)
	}
}

func TestSandboxLeavesNoZombies(t *testing.T) {
	f := sandboxed(t)
	for range 5 {
		f.exec("setsid sh -c 'exit 0' & (true &) ; (sleep 0.01 &)")
	}
	zombies := "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '"
	eventually(t, "no zombie", func() bool { out, _ := f.exec(zombies); return out == "0\n" })
	// The namespace survives a command that kills all it can, and its own end.
	f.exec("kill -9 -1")
	if out, _ := f.exec("echo alive"); out != "alive\n" {
		t.Errorf("after kill -9 -1: %q", out)
	}
}

// The end of the emulator by any means is the end of what it has started.
func TestSandboxDiesWithItsParent(t *testing.T) {
	sandboxed(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := marker()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperVar+"="+name, "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if !strings.HasPrefix(line, "true ") {
		t.Errorf("%q %v", line, err)
	}
	eventually(t, "two processes", func() bool { return count(t, name) == 2 })
	cmd.Process.Kill()
	cmd.Wait()
	gone(t, name)
}

// A program that ignores SIGPIPE, SIGINT or SIGQUIT does not pass that on.
func TestCommandsHaveTheUsualSignals(t *testing.T) {
	ignored := []os.Signal{syscall.SIGPIPE, syscall.SIGINT, syscall.SIGQUIT}
	signal.Ignore(ignored...)
	defer signal.Reset(ignored...)
	modes(t, func(t *testing.T, mode emulator.SandboxMode) {
		f := start(t, emulatortest.Options{Sandbox: mode})
		out, _ := f.exec("grep SigIgn /proc/self/status; yes 2>&1 | head -1")
		mask, rest, _ := strings.Cut(strings.TrimPrefix(out, "SigIgn:\t"), "\n")
		n, err := strconv.ParseUint(mask, 16, 64)
		const usual = 1<<(syscall.SIGPIPE-1) | 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGQUIT-1)
		if err != nil || n&usual != 0 || rest != "y\n" {
			t.Errorf("%q", out)
		}
	})
}

// What keeps commands from having a namespace is said in the program's own words.
func TestSandboxSaysWhatFailed(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	f := start(t, emulatortest.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	// A workspace that is gone can't be mounted.
	if err := os.RemoveAll(f.srv.Workspace(f.id)); err != nil {
		t.Fatal(err)
	}
	info := f.srv.SandboxInfo()
	if !strings.Contains(info, "plain processes") || !strings.Contains(info, "mount: ") || !strings.Contains(log.String(), "mount: ") {
		t.Errorf("info %q, log %q", info, &log)
	}
}

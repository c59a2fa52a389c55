//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// procInfo is a process as /proc shows it.
type procInfo struct {
	pid, parent int
	zombie      bool
	started     string // in clock ticks: with the pid, it names a process for good
	command     string
}

func readProc(pid int) (procInfo, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return procInfo{}, false
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 20 {
		return procInfo{}, false
	}
	p := procInfo{pid: pid, zombie: f[0] == "Z" || f[0] == "X", started: f[19]}
	p.parent, _ = strconv.Atoi(f[1])
	cmdline, _ := os.ReadFile(dir + "/cmdline")
	p.command = strings.ReplaceAll(string(cmdline), "\x00", " ")
	return p, true
}

func allProcesses(t testing.TB) []procInfo {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var all []procInfo
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProc(pid); ok && !p.zombie {
				all = append(all, p)
			}
		}
	}
	return all
}

// processesOf gives all descendants of a process.
func processesOf(t testing.TB, pid int) []procInfo {
	t.Helper()
	all := allProcesses(t)
	family := map[int]bool{pid: true}
	var out []procInfo
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if family[p.parent] && !family[p.pid] {
				family[p.pid], grew = true, true
				out = append(out, p)
			}
		}
	}
	return out
}

// processesWith gives the processes whose command line names a marker.
func processesWith(t testing.TB, marker string) []string {
	t.Helper()
	var out []string
	for _, p := range allProcesses(t) {
		if strings.Contains(p.command, marker) {
			out = append(out, p.command)
		}
	}
	return out
}

// alive reports whether this very process still runs.
func alive(p procInfo) bool {
	now, ok := readProc(p.pid)
	return ok && !now.zombie && now.started == p.started
}

// With --local nothing is left behind, whichever way it ends.
func TestStdioLocalLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process) error{
		"end of input": func(p *process) error { return p.stdin.Close() },
		"SIGTERM":      func(p *process) error { return p.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":       func(p *process) error { return p.cmd.Process.Signal(os.Interrupt) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, nil, "--local")
			s := newSession(t, p, newStdioWire(t, p, modern))
			before := processesWith(t, p.tmp)
			s.ok(t, "exec_command", params{"command": "sleep 1000 & setsid sleep 1001 & echo started"})
			r := s.ok(t, "exec_command", params{"command": "echo detached; sleep 1002", "background": true})
			s.ok(t, "wait_run", params{"runs": []string{r.str("run")}, "until": "news", "wait_seconds": 10})
			during := processesOf(t, p.cmd.Process.Pid)
			if err := end(p); err != nil {
				t.Fatal(err)
			}
			if code := p.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			eventually(t, "no process is left", func() bool { return !slices.ContainsFunc(during, alive) })
			if after := processesWith(t, p.tmp); len(after) > len(before) {
				t.Errorf("processes are left: %v", after)
			}
			// What is meant to be kept is in the user's folder, and not in use any more.
			left, err := filepath.Glob(filepath.Join(p.tmp, "*"))
			left = slices.DeleteFunc(left, func(name string) bool { return filepath.Base(name) == ".local" })
			if err != nil || len(left) > 0 {
				t.Errorf("files are left: %v, %v", left, err)
			}
			if left, err := filepath.Glob(filepath.Join(p.tmp, ".local/share/openclaw-mcp/local/.openclaw/served-by*")); err != nil || len(left) > 0 {
				t.Errorf("it is said to serve still: %v, %v", left, err)
			}
		})
	}
}

// Even after kill -9 of the binary the processes of its sandbox die.
func TestStdioLocalKilled(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "--local")
	s := newSession(t, p, newStdioWire(t, p, modern))
	s.ok(t, "exec_command", params{"command": "sleep 1000 & setsid sleep 1001 & echo started"})
	r := s.ok(t, "exec_command", params{"command": "echo detached; sleep 1002", "background": true})
	s.ok(t, "wait_run", params{"runs": []string{r.str("run")}, "until": "news", "wait_seconds": 10})
	during := processesOf(t, p.cmd.Process.Pid)
	if !slices.ContainsFunc(during, func(p procInfo) bool { return strings.Contains(p.command, "sleep") }) {
		t.Errorf("none of the commands is there: %v", during)
	}
	p.kill(t)
	if strings.Contains(p.stderr.String(), "plain processes") {
		t.Log("this system has no namespaces for the sandbox: what it runs outlives a kill -9")
		for _, q := range during {
			if proc, err := os.FindProcess(q.pid); err == nil && alive(q) {
				_ = proc.Kill()
			}
		}
		return
	}
	eventually(t, "the sandbox's processes die", func() bool { return !slices.ContainsFunc(during, alive) })
}

// A client that was killed while somebody else holds its pipes open has left.
func TestStdioParentDies(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _, _ = inR.Close(), inW.Close(), outR.Close() }() // inW stays open to the end
	log := filepath.Join(tmp, "log")
	// The shell is the client: it starts the server and is then killed.
	client := exec.Command("sh", "-c", `"$0" <&3 2>"$1" & echo $! >&2; wait`, path, log)
	client.Env = environment(tmp, "OPENCLAW_API_KEY=k", "OPENCLAW_API_BASE_URL=http://127.0.0.1:9")
	client.ExtraFiles = []*os.File{inR}
	client.Stdout = outW
	stderr, err := client.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	_ = outW.Close()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inW.Write(append(encodeRequest(t, modern, "1", "tools/list", nil), '\n')); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(outR).ReadString('\n'); err != nil || !strings.Contains(answer, `"result"`) {
		t.Fatalf("it does not serve: %q, %v", shorten(answer, 300), err)
	}
	server, ok := readProc(pid)
	if !ok {
		t.Fatal("the server is not there")
	}
	_ = client.Process.Kill()
	_ = client.Wait()
	start := time.Now()
	eventually(t, "the server ends when its client is dead", func() bool { return !alive(server) })
	t.Logf("the server ended %s after its client", time.Since(start).Round(time.Millisecond))
	if b, _ := os.ReadFile(log); !strings.Contains(string(b), "the client's process is gone") {
		t.Errorf("its log does not say why: %s", b)
	}
}

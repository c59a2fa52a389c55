//go:build e2e && !windows

package sandbox

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestCommandLikeDirect compares what a command that runs on its own sees and says with what it
// would if the service ran it: error messages, umask, signals, variables.
func TestCommandLikeDirect(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		for _, command := range []string{
			"no-such-command-xyz", "echo $((", "umask; umask 027; umask", "if", "echo \"$0\" $#; pwd", "printf 'a\\n\\n'; exit 3",
			"grep SigIgn /proc/self/status", "kill -9 $$", "cat; echo end", "env | grep -v -e ^RUN_OF_OPENCLAW_MCP= -e ^_= -e ^SHLVL= -e ^PWD= -e ^OLDPWD= -e ^LINES -e ^COLUMNS | sort",
			": '" + strings.Repeat("x\n", 200) + "'; nope", strings.Repeat(`: "'" '"' '\$'`+"\n", 3000) + "echo $LINENO",
			`: ` + strings.Repeat(`"'"`, 17_000), "# no newline at the end \\",
		} {
			direct := w.exec(command)
			s := w.start(command, Params{"patience": 100})
			name := command[:min(len(command), 40)]
			if !s.answered {
				t.Errorf("%s: it did not answer with the command's own output, but %v", name, s.report)
				continue
			}
			if got, want := s.answer, direct; got.Stdout != want.Stdout || got.Stderr != want.Stderr {
				t.Errorf("%s: got %q and %q, want %q and %q", name, got.Stdout.Head, got.Stderr.Head, want.Stdout.Head, want.Stderr.Head)
			}
			want := *direct.ExitCode
			if want < 0 {
				want = 137 // as a shell says it
			}
			if *s.answer.ExitCode != want {
				t.Errorf("%s: got code %d, want %d", name, *s.answer.ExitCode, want)
			}
		}
	})
}

// TestCommandLimit has commands run into their time limit, and others return the codes that the
// program timeout would.
func TestCommandLimit(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		for command, code := range map[string]string{
			"exit 124": "124", "exit 137": "137", "exit 143": "143", "kill -9 $$": "137", "sleep 600 & exit 5": "5",
		} {
			s := w.start(command, Params{"limit": 500})
			if r := w.ended(s.id); r.Verb != "exited" || r.Word(0) != code || r.Word(3) != "0" {
				t.Errorf("%s: got %v", command, r)
			}
		}
		for name, command := range map[string]string{
			"willing":  "echo begun; sleep 600; echo never",
			"children": "echo begun; sh -c 'sleep 600; :' & wait",
			"stubborn": "trap '' TERM; echo begun; sleep 600 & while :; do wait; sleep 1; done",
			"stopped":  "echo begun; kill -STOP $$",
			"gone":     "trap '' TERM; echo begun; sleep 600",
		} {
			s := w.start(command, Params{"limit": 1})
			r := w.ended(s.id)
			if r.Verb != "exited" || r.Word(0) != "124" || r.Word(3) != "1" || string(r.Part(0)) != "begun\n" {
				t.Errorf("%s: got %v, %q", name, r, r.Parts)
			}
			if pid := w.group(s.id); groupRuns(pid) {
				t.Errorf("%s: something of group %d still runs", name, pid)
			}
			// Nothing of ours is left either.
			w.eventually("the supervisor's end", func() bool { return !mentioned(w.base() + "/" + s.id) })
		}
	})
}

// group reads a command's process group.
func (w *world) group(id string) int {
	w.Helper()
	b, err := os.ReadFile(w.base() + "/" + id + "/pid")
	if err != nil {
		w.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(b))[0])
	if err != nil {
		w.Fatal(err)
	}
	return pid
}

// groupRuns reports whether a process of a group runs. The dead may wait to be collected.
func groupRuns(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, _ := os.ReadFile(name)
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(f) > 2 && f[0] != "Z" && f[0] != "X" && f[2] == strconv.Itoa(group) {
			return true
		}
	}
	return false
}

// mentioned reports whether a process has a text among its arguments.
func mentioned(text string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		if b, _ := os.ReadFile(name); strings.Contains(string(b), text) {
			return true
		}
	}
	return false
}

// TestCommandKill cancels commands with their children.
func TestCommandKill(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		for name, command := range map[string]string{
			"willing":  "sleep 600 & echo begun; wait",
			"stubborn": "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo begun; wait",
			"leader":   "trap 'exit 9' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo begun; wait",
		} {
			s := w.start(command, nil)
			w.eventually("the command", func() bool { return string(w.poll(s.id).Part(0)) == "begun\n" })
			group := w.group(s.id)
			if !groupRuns(group) {
				t.Fatalf("%s: nothing of group %d runs", name, group)
			}
			if got := w.kill(s.id); got != "killed none" || groupRuns(group) {
				t.Errorf("%s: got %s, runs: %v", name, got, groupRuns(group))
			}
			if r := w.ended(s.id); r.Verb != "cancelled" {
				t.Errorf("%s: got %v", name, r)
			}
			if got := w.kill(s.id); got != "over" {
				t.Errorf("%s: then got %s", name, got)
			}
		}
		if got := w.kill("none"); got != "gone none" {
			t.Errorf("got %s", got)
		}
		// Somebody removed its files.
		s := w.start("(setsid sleep 600 &); setsid sleep 600 & echo begun; wait", nil)
		w.eventually("the command", func() bool { return string(w.poll(s.id).Part(0)) == "begun\n" })
		group := w.group(s.id)
		if err := os.RemoveAll(w.base()); err != nil {
			t.Fatal(err)
		}
		got := w.kill(s.id)
		daemon, isDaemon := strings.CutPrefix(got, "killed apart,")
		if pid, err := strconv.Atoi(daemon); !isDaemon || err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil || groupRuns(group) {
			t.Errorf("without its files: got %s, runs: %v", got, groupRuns(group))
		}
		w.noProc = true
		if got := w.kill(s.id); got != "gone unchecked" {
			t.Errorf("got %s", got)
		}
	})
}

// away are commands whose work is not in their own group. Each writes "begun" once that is there,
// and has %s among its arguments.
var away = map[string]string{
	"timeout":     "timeout 600 sh -c 'echo begun; while :; do sleep 1; done' %s; echo over",
	"jobs":        "set -m; sh -c 'echo begun; while :; do sleep 1; done' %s & wait",
	"session":     "setsid sh -c 'trap \"\" TERM; echo begun; while :; do sleep 1; done' %s & wait",
	"grandchild":  "setsid sh -c 'sh -c \"echo begun; sleep 600; :\" %[1]s & wait' %[1]s & wait",
	"orphan":      "(timeout 600 sh -c 'echo begun; while :; do sleep 1; done' %s &); sleep 600",
	"late orphan": "trap 'exit 9' TERM; setsid sh -c 'trap \"\" TERM; echo begun; sleep 2; sleep 600' %s & while :; do sleep 1; done",
}

// TestCommandAway ends commands with work in groups and sessions of its own.
func TestCommandAway(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		limited, marks := map[string]*start{}, map[string]string{}
		for name, command := range away {
			marks[name] = rand.Text()
			limited[name] = w.start(fmt.Sprintf(command, marks[name]), Params{"limit": 1})
		}
		for name, command := range away {
			mark := rand.Text()
			s := w.start(fmt.Sprintf(command, mark), nil)
			w.eventually("the command", func() bool { return string(w.poll(s.id).Part(0)) == "begun\n" })
			if left, killed := strings.CutPrefix(w.kill(s.id), "killed "); !killed {
				t.Errorf("%s: cancelled: got %s", name, left)
			} else {
				w.nothingLeft(left, mark)
			}
		}
		for name, s := range limited {
			r := w.ended(s.id)
			if r.Word(0) != "124" || r.Word(3) != "1" {
				t.Errorf("%s: at its limit: got %v, %q", name, r, r.Part(0))
			}
			w.nothingLeft(r.Word(6), marks[name])
		}
	})
}

// nothingLeft waits until what a command is said to have left has ended: busybox has a watcher of
// its own for the program timeout, which ends by itself, on a slow machine after a while.
func (w *world) nothingLeft(left, mark string) {
	w.Helper()
	if left != "none" && !strings.HasPrefix(left, "apart,") {
		w.Errorf("left is %s", left)
	}
	pids := strings.Split(left, ",")[1:]
	if len(pids) > 0 && w.name != "busybox" {
		w.Errorf("left is %s", left)
	}
	w.eventually("the end of all of it", func() bool {
		return !mentioned(mark) && !slices.ContainsFunc(pids, func(pid string) bool { _, err := os.Stat("/proc/" + pid); return err == nil })
	})
}

// TestCommandLeft has commands leave a daemon behind, which is named and goes on, and others end
// where there is no /proc.
func TestCommandLeft(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		const daemon = "(setsid sh -c 'echo $$; sleep 600; :' &); sleep 600"
		check := func(s *start, left func() string) {
			t.Helper()
			var pid string
			w.eventually("the daemon", func() bool { pid = strings.TrimSpace(string(w.poll(s.id).Part(0))); return pid != "" })
			got := left()
			n, err := strconv.Atoi(pid)
			if err != nil || !groupRuns(n) || syscall.Kill(-n, syscall.SIGKILL) != nil {
				t.Errorf("the daemon %s was ended", pid)
			}
			// It and its child, in the order of /proc.
			if all, ok := strings.CutPrefix(got, "apart,"); !ok || !slices.Contains(strings.Split(all, ","), pid) {
				t.Errorf("left is %s, not the daemon %s", got, pid)
			}
		}
		s := w.start(daemon, nil)
		check(s, func() string { return strings.TrimPrefix(w.kill(s.id), "killed ") })
		if r := w.ended(s.id); !strings.HasPrefix(r.Word(6), "apart,") {
			t.Errorf("then %v is said", r)
		}
		s = w.start(daemon, Params{"limit": 2})
		check(s, func() string { return w.ended(s.id).Word(6) })
		w.noProc = true
		s = w.start("echo begun; sleep 600", nil)
		if got := w.kill(s.id); got != "killed unchecked" || groupRuns(w.group(s.id)) {
			t.Errorf("without /proc: got %s", got)
		}
		s = w.start("echo begun; sleep 600", Params{"limit": 1})
		if r := w.ended(s.id); r.Word(0) != "124" || r.Word(6) != "unchecked" {
			t.Errorf("without /proc: got %v", r)
		}
	})
}

// TestCommandSignals sends a command signals that shells ignore in what they start with "&".
func TestCommandSignals(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE} {
			s := w.start("echo begun; exec sleep 600", nil)
			w.eventually("the command", func() bool { return string(w.poll(s.id).Part(0)) == "begun\n" })
			if err := syscall.Kill(w.group(s.id), sig); err != nil {
				t.Fatal(err)
			}
			if r := w.ended(s.id); r.Verb != "exited" || r.Word(0) != strconv.Itoa(128+int(sig)) {
				t.Errorf("%v: got %v", sig, r)
			}
		}
	})
}

// TestCommandFolder puts other things where the commands' folder should be.
func TestCommandFolder(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		ends := func(s *start, base, inWay string) {
			t.Helper()
			if s.report.Verb != "started" || s.report.Word(0) != base+"/"+s.id || s.report.Word(1) != inWay {
				t.Errorf("got %v, %s", s.report, s.report.Part(0))
			}
			if r := w.ended(s.id); r.Verb != "exited" || string(r.Part(0)) != "hi\n" {
				t.Errorf("got %v", r)
			}
			for name, want := range map[string]os.FileMode{base: 0o700, base + "/" + s.id: 0o700, base + "/" + s.id + "/out": 0o600, base + "/" + s.id + "/cmd": 0o600} {
				if st, err := os.Lstat(name); err != nil || st.Mode().Perm() != want {
					t.Errorf("%s: %v, %v", name, st.Mode(), err)
				}
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		base := w.base()
		// A file under the old name, which once turned detaching off.
		must(os.WriteFile(w.tmp+"/openclaw-mcp", nil, 0o644))
		ends(w.start("echo hi", nil), base, "")
		// Ours, but open to all.
		must(os.Chmod(base, 0o777))
		ends(w.start("echo hi", nil), base, "")
		must(os.Rename(base, base+".away"))
		must(os.WriteFile(base, nil, 0o600))
		ends(w.start("echo hi", nil), base+".1", base)
		must(os.Rename(base+".1", base+".away1"))
		must(os.Symlink(t.TempDir(), base+".1"))
		ends(w.start("echo hi", nil), base+".2", base)
		if os.Geteuid() == 0 {
			must(os.Rename(base+".2", base+".away2"))
			must(os.Mkdir(base+".2", 0o777))
			must(os.Chown(base+".2", 12345, 12345))
			ends(w.start("echo hi", nil), base+".3", base)
			must(os.Rename(base+".3", base+".away3"))
		} else {
			must(os.Rename(base+".2", base+".away2"))
			must(os.WriteFile(base+".2", nil, 0o600))
		}
		must(os.WriteFile(base+".3", nil, 0o600))
		if s := w.start("echo x >>count", nil); s.report.Verb != "unwritable" || !strings.Contains(string(s.report.Part(0)), "is in the way") {
			t.Errorf("got %v, %s", s.report, s.report.Part(0))
		}
		// What an earlier version started is found.
		must(os.Remove(w.tmp + "/openclaw-mcp"))
		must(os.Rename(base+".away", w.tmp+"/openclaw-mcp"))
		if r := w.poll("run0"); r.Verb != "gone" && r.Verb != "exited" {
			t.Errorf("got %v", r)
		}
		old := w.tmp + "/openclaw-mcp/old"
		must(os.Mkdir(old, 0o755))
		for name, text := range map[string]string{"out": "hi\n", "err": "", "code": "3\n", "cmd": "x"} {
			must(os.WriteFile(old+"/"+name, []byte(text), 0o644))
		}
		if r := w.poll("old"); r.Verb != "exited" || r.Word(0) != "3" || string(r.Part(0)) != "hi\n" {
			t.Errorf("got %v", r)
		}
		// But not what somebody else put there.
		must(os.Rename(old, old+"2"))
		must(os.Symlink(old+"2", old))
		if r := w.poll("old"); r.Verb != "gone" {
			t.Errorf("got %v", r)
		}
	})
}

// TestCommandNowhere has no place to write to, or too little of it.
func TestCommandNowhere(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.tmp += "/none"
		s := w.start("echo x >>count", nil)
		if why := string(s.report.Part(0)); s.report.Verb != "unwritable" || !strings.Contains(why, "No such file") {
			t.Errorf("got %v, %q", s.report, why)
		}
		if os.Geteuid() != 0 {
			t.Skip("mounting a small file system takes root")
		}
		w.tmp = t.TempDir()
		if err := syscall.Mount("tmpfs", w.tmp, "tmpfs", 0, "size=16k"); err != nil {
			t.Skip("no mounts here: ", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(w.tmp, syscall.MNT_DETACH) })
		if err := os.WriteFile(w.tmp+"/fill", make([]byte, 16<<10), 0o600); err == nil {
			t.Log("there is room still")
		}
		s = w.start("echo x >>count", nil)
		if why := string(s.report.Part(0)); s.report.Verb != "unwritable" || why == "" {
			t.Errorf("got %v, %q", s.report, why)
		}
		if err := os.Remove(w.tmp + "/fill"); err != nil {
			t.Fatal(err)
		}
		// It fills its own folder: its code can't be saved, and that is said.
		s = w.start("cat /dev/zero", nil)
		if r := w.ended(s.id); r.Verb != "full" && r.Verb != "exited" {
			t.Errorf("got %v", r)
		}
		if _, err := os.Stat(w.workspace + "/count"); err == nil {
			t.Error("something ran")
		}
	})
}

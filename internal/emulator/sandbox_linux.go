package emulator

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// holderScript is process 1 of a namespace. $1 is the directory that becomes its
// root, $2 a table of what to mount there, $3 and $4 the directories of the host
// that become /workspace and /tmp.
//
// A single mount program works through the table. Parts of the host that can't
// be mounted are left out, so its exit code says nothing; what counts is whether
// the essential parts are there. Whatever it printed is on standard error.
//
// The script then waits for the end of its input, which comes when the emulator
// closes it or dies in any way. When the script ends, the kernel kills everything
// inside. While the shell waits for cat it also reaps orphaned processes. The loop
// is for commands that kill everything they see, including the cat.
const holderScript = `set -e
mount -a -T "$2" || true
cd "$1"
for part in workspace:"$3" tmp:"$4" dev:/dev; do
	[ "${part%%:*}" -ef "${part#*:}" ] || { echo "${part%%:*} was not mounted" >&2; exit 1; }
done
[ -e proc/self ] || mount --rbind /proc proc
pivot_root . .
umount -l .
cd /
echo ready
exec >/dev/null 2>&1
until cat; do :; done
`

// holder is the process that a namespace lives and dies with.
type holder struct {
	cmd     *exec.Cmd
	input   io.Closer
	root    string // the directory that the namespace has as its root
	nsenter string
	user    bool // it has a user namespace too
	done    chan struct{}
}

// startHolder makes a namespace, with its files in a new folder of scratch. It
// takes as long as the machine needs, at most until ctx ends.
func startHolder(ctx context.Context, scratch, workspace, tmp string) (_ *holder, err error) {
	for _, name := range []string{"nsenter", "mount", "umount", "pivot_root"} {
		if findProgram(name) == "" {
			return nil, fmt.Errorf("no namespace: the program %s is missing", name)
		}
	}
	h := &holder{nsenter: findProgram("nsenter"), user: os.Geteuid() != 0, done: make(chan struct{})}
	if h.root, err = os.MkdirTemp(scratch, "root-"); err != nil {
		return nil, fmt.Errorf("no namespace: %w", err)
	}
	table := h.root + ".fstab"
	defer os.Remove(table)
	if err := layOut(h.root, table, workspace, tmp); err != nil {
		os.RemoveAll(h.root)
		return nil, fmt.Errorf("no namespace: %w", err)
	}
	h.cmd = exec.Command("/bin/sh", "-c", holderScript, "sh", h.root, table, workspace, tmp)
	h.cmd.Env = environment("/")
	// Unsharing the mounts, unlike cloning them, also makes them private, so that
	// nothing of them shows outside.
	attr := &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	if h.user {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	h.cmd.SysProcAttr = attr
	var problem bytes.Buffer
	h.cmd.Stderr = &problem
	if h.input, err = h.cmd.StdinPipe(); err != nil {
		os.RemoveAll(h.root)
		return nil, fmt.Errorf("no namespace: %w", err)
	}
	output, err := h.cmd.StdoutPipe()
	if err == nil {
		err = h.cmd.Start()
	}
	if err != nil {
		h.input.Close()
		os.RemoveAll(h.root)
		return nil, fmt.Errorf("no namespace: %w", err)
	}
	// A mount can hang, for example on a network file system.
	stop := context.AfterFunc(ctx, func() { h.cmd.Process.Kill() })
	line, _ := bufio.NewReader(output).ReadString('\n')
	stop()
	ready := line == "ready\n"
	if !ready {
		h.input.Close() // for a script that is still running
	}
	go func() {
		h.cmd.Wait()
		close(h.done)
	}()
	if ready {
		return h, nil
	}
	h.stop()
	<-h.done
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if words := strings.Join(strings.Fields(problem.String()), " "); words != "" {
		return nil, fmt.Errorf("no namespace: %s (%s)", words, h.cmd.ProcessState)
	}
	return nil, fmt.Errorf("no namespace: the script that mounts its files ended early (%s)", h.cmd.ProcessState)
}

// layOut fills a directory with what a namespace needs as its root: a mount
// point for each directory of the host's root, its links, and the table of what
// to mount where.
func layOut(root, table, workspace, tmp string) error {
	var fstab strings.Builder
	mount := func(from, to, kind, options string) {
		fmt.Fprintf(&fstab, "%s %s %s %s 0 0\n", fstabPath(from), fstabPath(to), kind, options)
	}
	mount(root, root, "none", "bind") // only a mount can become the root
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := "/"+e.Name(), filepath.Join(root, e.Name())
		switch {
		case e.Name() == "workspace" || e.Name() == "tmp" || e.Name() == "proc":
		case e.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(from)
			if err == nil {
				err = os.Symlink(target, to)
			}
			if err != nil {
				return err
			}
		case e.IsDir():
			if err := os.Mkdir(to, 0o755); err != nil {
				return err
			}
			mount(from, to, "none", "rbind")
		}
	}
	for _, name := range []string{"workspace", "tmp", "proc"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
	}
	mount(workspace, filepath.Join(root, "workspace"), "none", "bind")
	mount(tmp, filepath.Join(root, "tmp"), "none", "bind")
	mount("proc", filepath.Join(root, "proc"), "proc", "defaults")
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	return os.WriteFile(table, []byte(fstab.String()), 0o600)
}

// fstabPath writes a path as fstab(5) has it.
func fstabPath(path string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
}

// command gives a program that runs a shell command inside, in /workspace. The
// shell goes there by itself: older versions of nsenter can't do it, and another
// program in between would double the cost.
func (h *holder) command(shell, command string) *exec.Cmd {
	args := []string{"-t", strconv.Itoa(h.cmd.Process.Pid), "-m", "-p"}
	if h.user {
		args = append(args, "-U", "--preserve-credentials")
	}
	cmd := exec.Command(h.nsenter, append(args, "--", shell, "-c", "cd /workspace; "+command)...)
	cmd.Env = environment("/workspace")
	return cmd
}

// dead says whether the namespace has ended by itself.
func (h *holder) dead() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// stop ends the namespace. Once it returns no process of it runs: the kernel
// lets process 1 go last.
func (h *holder) stop() {
	h.cmd.Process.Kill()
	select {
	case <-h.done:
	case <-time.After(5 * time.Second):
		// Everything in it is dead, but some process does not reap its zombie.
	}
	h.input.Close()
	os.RemoveAll(h.root) // its mounts are not visible here
}

// kill ends a command that was started by command: all that is in the process
// group of its nsenter, and nsenter's child. Not nsenter, which ends by itself
// with its child: if it went first, the child would become a zombie of the
// host's process 1, and the namespace could not end before that collects it.
func (h *holder) kill(nsenter int) {
	for range 50 { // again, for what forks meanwhile
		found := false
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == nsenter {
				continue
			}
			stat, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
			// The name, in parentheses, may hold anything; state, parent and
			// group come after it.
			f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			own := strconv.Itoa(nsenter)
			if len(f) < 3 || f[0] == "Z" || f[0] == "X" || f[1] != own && f[2] != own {
				continue
			}
			found = true
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if !found {
			return
		}
	}
}

// killMarked kills all processes with a string in their environment, which
// finds those that left their process group, and their children.
func killMarked(marker string) {
	self := os.Getpid()
	// What forks while it is being looked for turns up the next time, as does
	// what was killed and has not got round to dying.
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		found := false
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == self {
				continue
			}
			env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
			if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+marker+"\x00")) {
				continue
			}
			found = true
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if !found {
			return
		}
	}
}

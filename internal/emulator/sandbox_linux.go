package emulator

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// holderScript is process 1 of a namespace: $1 is the directory to build its
// root at, $2 becomes /workspace and $3 /tmp. The rest of the root is that of
// the host. All mounts are private, so nothing of them shows outside.
//
// It then waits for the end of its input, which comes when the emulator closes
// it or dies in whatever way, and its own end kills everything inside. As the
// shell waits it also collects the zombies of processes that lost their parent.
// The loop is for commands that kill everything they see, the cat included.
const holderScript = `set -e
root=$1
mount --make-rprivate /
mount -t tmpfs -o mode=0755 openclaw "$root"
for entry in /*; do
	name=${entry#/}
	case $name in workspace|tmp|proc) continue ;; esac
	if [ -L "$entry" ]; then
		ln -s "$(readlink "$entry")" "$root/$name"
	elif [ -d "$entry" ]; then
		mkdir "$root/$name"
		mount --rbind "$entry" "$root/$name" 2>/dev/null || rmdir "$root/$name"
	fi
done
mkdir "$root/workspace" "$root/tmp" "$root/proc" "$root/.host"
mount --bind "$2" "$root/workspace"
mount --bind "$3" "$root/tmp"
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
cd "$root"
pivot_root . .host
cd /
umount -l /.host
rmdir /.host
echo ready
exec >/dev/null 2>&1
until cat; do :; done
`

// holder is the process that a namespace lives and dies with.
type holder struct {
	cmd     *exec.Cmd
	input   io.Closer
	nsenter string
	user    bool // it has a user namespace too
	done    chan struct{}
}

// startHolder makes a namespace, in some tens of milliseconds.
func startHolder(root, workspace, tmp string) (*holder, error) {
	nsenter := findProgram("nsenter")
	for _, name := range []string{"nsenter", "mount", "umount", "pivot_root"} {
		if findProgram(name) == "" {
			return nil, fmt.Errorf("there is no %s program", name)
		}
	}
	h := &holder{nsenter: nsenter, user: os.Geteuid() != 0, done: make(chan struct{})}
	h.cmd = exec.Command("/bin/sh", "-c", holderScript, "sh", root, workspace, tmp)
	h.cmd.Env = environment("/")
	attr := &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if h.user {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	h.cmd.SysProcAttr = attr
	input, err := h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.input = input
	output, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var problem bytes.Buffer
	h.cmd.Stderr = &problem
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("no namespace: %w", err)
	}
	// A mount can hang, on a network file system for one.
	limit := time.AfterFunc(10*time.Second, func() { h.cmd.Process.Kill() })
	line, _ := bufio.NewReader(output).ReadString('\n')
	limit.Stop()
	go func() {
		h.cmd.Wait()
		close(h.done)
	}()
	if line != "ready\n" {
		h.stop()
		message, _, _ := strings.Cut(strings.TrimSpace(problem.String()), "\n")
		return nil, errors.New("no namespace: " + message)
	}
	return h, nil
}

// command gives a program that runs a shell command inside, in /workspace.
func (h *holder) command(shell, command string) *exec.Cmd {
	args := []string{"-t", strconv.Itoa(h.cmd.Process.Pid), "-m", "-p"}
	if h.user {
		args = append(args, "-U", "--preserve-credentials")
	}
	args = append(args, "--", "/bin/sh", "-c", `cd /workspace && exec "$0" -c "$1"`, shell, command)
	cmd := exec.Command(h.nsenter, args...)
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
		// All in it are dead, but somebody does not collect a zombie of his.
	}
	h.input.Close()
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

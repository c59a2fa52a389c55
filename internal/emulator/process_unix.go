//go:build unix

package emulator

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// searchPath is PATH for commands, whatever the parent's is. The later entries
// are for NixOS and for Homebrew.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" +
	":/run/current-system/sw/bin:/opt/homebrew/bin"

// environment is all that a command gets. None of the parent's variables is in
// it: they may hold API keys.
func environment(home string) []string {
	return []string{"HOME=" + home, "PATH=" + searchPath, "LANG=C.UTF-8", "TERM=xterm-256color"}
}

// findProgram gives the path of the first of several programs that exists, or "".
func findProgram(names ...string) string {
	for _, name := range names {
		for dir := range strings.SplitSeq(searchPath, ":") {
			path := filepath.Join(dir, name)
			if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return path
			}
		}
	}
	return ""
}

// restoreSignals gives commands the usual SIGPIPE, SIGINT and SIGQUIT. Children
// ignore the signals that this process ignores, and no shell can change that for
// what it runs. A signal that is caught, however, has its default effect in a
// child. So the ignored ones are caught here, and dropped, which is the same to
// this process.
func restoreSignals() {
	for _, s := range []os.Signal{syscall.SIGPIPE, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// ownGroup puts a command into a process group of its own.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup kills a command and all in its process group.
func killGroup(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }

// exitCode is that of a shell: 128+n after signal n.
func exitCode(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

package emulator

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// environment is all that a command gets: what Windows programs cannot do
// without, and none of the parent's other variables, which may hold API keys.
func environment(home string) []string {
	env := []string{"HOME=" + home, "USERPROFILE=" + home, "LANG=C.UTF-8"}
	for _, name := range []string{"PATH", "PATHEXT", "SystemRoot", "SystemDrive", "ComSpec", "TEMP", "TMP"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// findProgram gives the path of the first of several programs that exists.
// There is no POSIX shell in Windows itself, so cmd is the last resort.
func findProgram(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return filepath.Join(os.Getenv("SystemRoot"), "System32", "cmd.exe")
}

// restoreSignals has nothing to do: processes here don't inherit what is ignored.
func restoreSignals() {}

func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// killGroup kills a command and its descendants.
func killGroup(p *os.Process) {
	exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(p.Pid)).Run()
	p.Kill()
}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

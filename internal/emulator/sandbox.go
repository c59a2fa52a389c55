package emulator

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// sandbox says whether commands get a namespace of their own. It is found out
// at the first need, by trying.
type sandbox struct {
	mode    SandboxMode
	scratch string
	root    string // an empty directory; each namespace mounts its own root there
	probe   sync.Once
	ok      bool
	why     string
}

func (sb *sandbox) init(mode SandboxMode, scratch string) {
	sb.mode, sb.scratch, sb.root = mode, scratch, filepath.Join(scratch, "root")
}

func (sb *sandbox) works() bool {
	sb.probe.Do(func() {
		if sb.mode == SandboxOff {
			sb.why = "switched off"
			return
		}
		err := sb.try()
		sb.ok = err == nil
		if err != nil {
			sb.why = err.Error()
		}
	})
	return sb.ok
}

func (sb *sandbox) try() error {
	dir := filepath.Join(sb.scratch, "probe")
	for _, d := range []string{sb.root, dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	defer os.Remove(dir)
	h, err := startHolder(sb.root, dir, dir)
	if err != nil {
		return err
	}
	defer h.stop()
	out, err := h.command("/bin/sh", "test -d /workspace && test -d /proc/self").CombinedOutput()
	if err != nil {
		return fmt.Errorf("entering the namespace: %w %s", err, out)
	}
	return nil
}

func (sb *sandbox) info() string {
	if findProgram("bash", "sh") == "" {
		return "commands and terminals do not work, files do: there is no shell (bash or sh) on this machine"
	}
	if sb.works() {
		return "commands run in a private mount and process namespace, with the workspace as /workspace"
	}
	return "commands run as plain processes in the workspace directory, without a /workspace: " + sb.why
}

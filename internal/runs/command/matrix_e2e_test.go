//go:build e2e

package command

import (
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const thorough = true

var (
	modes      = []emulator.SandboxMode{emulator.SandboxAuto, emulator.SandboxOff}
	dialects   = []emulatortest.Dialect{emulatortest.Snake, emulatortest.Camel, emulatortest.Wrapped, emulatortest.Output, emulatortest.Bare}
	shellNames = []string{"dash", "busybox", "zsh"}
)

//go:build !e2e

package command

import (
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// The quick suite tests each behaviour in one setting; with the build tag e2e it is all of
// those in matrix_e2e_test.go.
const thorough = false

var (
	modes      = []emulator.SandboxMode{emulator.SandboxOff}
	dialects   = []emulatortest.Dialect{emulatortest.Snake, emulatortest.Bare}
	shellNames []string
)

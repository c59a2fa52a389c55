//go:build !e2e

package runstest

import (
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// Thorough is for tests that do more with the tag e2e.
const Thorough = false

// settings are those of a service whose test does not care: without a namespace and
// with the shell that takes the least time, unless all tests run (the tag e2e).
func settings(o emulatortest.Options) emulatortest.Options {
	if o.Sandbox == "" {
		o.Sandbox = emulator.SandboxOff
	}
	if o.Shell == "" {
		o.Shell = "sh"
	}
	return o
}

//go:build e2e

package emulator_test

import "openclaw-mcp/internal/emulator"

var sandboxModes = []emulator.SandboxMode{emulator.SandboxAuto, emulator.SandboxOff}

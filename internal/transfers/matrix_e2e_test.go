//go:build e2e

package transfers

import "openclaw-mcp/internal/emulator"

const thorough = true

var sandboxModes = []emulator.SandboxMode{emulator.SandboxAuto, emulator.SandboxOff}

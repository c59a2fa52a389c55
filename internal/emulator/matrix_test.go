//go:build !e2e

package emulator_test

import "openclaw-mcp/internal/emulator"

// sandboxModes are how commands are run in tests: with namespaces, as most are; with the tag e2e
// also without.
var sandboxModes = []emulator.SandboxMode{emulator.SandboxAuto}

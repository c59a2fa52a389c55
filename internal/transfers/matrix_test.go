//go:build !e2e

package transfers

import "openclaw-mcp/internal/emulator"

// The quick suite moves each kind of tree once; with the tag e2e they are larger, and go through
// all kinds of sandboxes and services.
const thorough = false

var sandboxModes = []emulator.SandboxMode{emulator.SandboxOff}

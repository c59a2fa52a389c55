//go:build e2e

package runstest

import "openclaw-mcp/internal/emulator/emulatortest"

// Thorough is for tests that do more with the tag e2e.
const Thorough = true

func settings(o emulatortest.Options) emulatortest.Options { return o }

package create

import (
	"os"
	"testing"

	"openclaw-mcp/internal/runs/runstest"
)

func TestMain(m *testing.M) { os.Exit(runstest.Main(m, os.Stderr)) }

package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestStateDir(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, tt := range []struct {
		system string
		set    map[string]string
		want   string // below root
	}{
		{"linux", map[string]string{"HOME": root}, ".local/state/openclaw-mcp"},
		{"linux", map[string]string{"HOME": "/other", "XDG_STATE_HOME": root}, "openclaw-mcp"},
		{"darwin", map[string]string{"HOME": root}, "Library/Application Support/openclaw-mcp/state"},
		{"windows", map[string]string{"LOCALAPPDATA": root}, "openclaw-mcp/state"},
		{"linux", nil, ""},
	} {
		want := ""
		if tt.want != "" {
			want = filepath.Join(root, filepath.FromSlash(tt.want))
		}
		if got := StateDir(tt.system, tt.set); got != want {
			t.Errorf("%s %v: got %q, want %q", tt.system, tt.set, got, want)
		}
	}
	if _, err := Read([]string{"OPENCLAW_MCP_STATE_DIR=relative"}); err == nil || !strings.Contains(err.Error(), "OPENCLAW_MCP_STATE_DIR") {
		t.Errorf("a relative folder: %v", err)
	}
	if c, err := Read([]string{"OPENCLAW_MCP_STATE_DIR=" + root, "HOME=/other"}); err != nil || c.StateDir != root {
		t.Errorf("got %q, %v", c.StateDir, err)
	}
}

func TestLocalDataDir(t *testing.T) {
	t.Parallel()
	root := t.TempDir() // absolute on any system
	for _, tt := range []struct {
		system string
		set    map[string]string
		want   string // below root
	}{
		{"linux", map[string]string{"HOME": root}, ".local/share/openclaw-mcp/local"},
		{"linux", map[string]string{"HOME": "/other", "XDG_DATA_HOME": root}, "openclaw-mcp/local"},
		{"linux", map[string]string{"HOME": root, "XDG_DATA_HOME": "relative"}, ".local/share/openclaw-mcp/local"},
		{"freebsd", map[string]string{"HOME": root}, ".local/share/openclaw-mcp/local"},
		{"darwin", map[string]string{"HOME": root}, "Library/Application Support/openclaw-mcp/local"},
		{"windows", map[string]string{"LOCALAPPDATA": root}, "openclaw-mcp/local"},
		{"windows", map[string]string{"HOME": root}, ""},
		{"linux", nil, ""},
	} {
		want := ""
		if tt.want != "" {
			want = filepath.Join(root, filepath.FromSlash(tt.want))
		}
		if got := DataDir(tt.system, tt.set); got != want {
			t.Errorf("%s %v: got %q, want %q", tt.system, tt.set, got, want)
		}
	}
	if _, err := Read([]string{"OPENCLAW_LOCAL_MODEL_URL=http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "OPENCLAW_LOCAL_DIR must be set") {
		t.Errorf("with no home: %v", err)
	}
}

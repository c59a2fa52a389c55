package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A name that is no setting is refused, with the one that was meant.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"OPENCLAW_MCP_READONLY":        "OPENCLAW_MCP_READ_ONLY",
		"OPENCLAW_MCP_TOOL":            "OPENCLAW_MCP_TOOLS",
		"OPENCLAW_MCP_EXCLUDED_TOOLS":  "OPENCLAW_MCP_EXCLUDE_TOOLS",
		"OPENCLAW_MCP_ALLOW_ORIGINS":   "OPENCLAW_MCP_ALLOWED_ORIGINS",
		"OPENCLAW_KEY":                 "OPENCLAW_API_KEY",
		"OPENCLAW_INSTANCE":            "OPENCLAW_INSTANCE_ID",
		"OPENCLAW_APIKEY":              "OPENCLAW_API_KEY",
		"OPENCLAW_API_URL":             "OPENCLAW_API_BASE_URL",
		"OPENCLAW_LOG_LEVEL":           "OPENCLAW_MCP_LOG_LEVEL",
		"openclaw_mcp_read_only":       "OPENCLAW_MCP_READ_ONLY",
		"OPENCLAW_MCP_COMPLETELY_ELSE": "help settings",
		"OPENCLAWMCP_READ_ONLY":        "OPENCLAW_MCP_READ_ONLY",
		"OPENCLAW-MCP-READ-ONLY":       "OPENCLAW_MCP_READ_ONLY",
		"OPEN_CLAW_MCP_READONLY":       "OPENCLAW_MCP_READ_ONLY",
		"OPENCLAW__MCP_TOOLS":          "OPENCLAW_MCP_TOOLS",
		"openclaw.mcp.exclude.path":    "OPENCLAW_MCP_EXCLUDE_PATHS",
		"CLAW_MCP_INSTANCES":           "OPENCLAW_MCP_INSTANCES",
		"OpenClaw-Api-Key":             "OPENCLAW_API_KEY",
		"OPENCLAWMCP_COMPLETELY_ELSE":  "begin with OPENCLAW_",
		"OPENCLAW_":                    "help settings",
	} {
		_, err := Read([]string{name + "=secret value"})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret value") {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	for _, s := range Settings() {
		if err := CheckName(s.Name); err != nil {
			t.Error(err)
		}
	}
	for _, set := range []string{"OPENCLAW_STATE_DIR=/x", "OPENCLAW_GATEWAY_TOKEN=x", "OPENCLAW_NO_RESPAWN=1", "OPENCLAW_EMULATOR=x", "OPENCLAW_MCP_READONLY=", "OPEN=1", "OPENCLAWD_HOME=/x", "OPENCLAWFOO=1", "MY_MCP_READ_ONLY=1", "GITHUB_MCP_TOOLS=x"} {
		if _, err := Read([]string{set}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// What a client did not replace, and what was copied with too much around it, is
// refused by the variable's name, and not repeated.
func TestSpelling(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"OPENCLAW_API_KEY", "OPENCLAW_INSTANCE_ID", "OPENCLAW_MCP_INSTANCES", "OPENCLAW_MCP_EXCLUDE_INSTANCES"} {
		for value, want := range map[string]string{
			"${OPENCLAW_API_KEY}":  "not replaced",
			"${input:key}":         "not replaced",
			"sk_${X}":              "not replaced",
			"{{key}}":              "not replaced",
			"$OPENCLAW_API_KEY":    "not replaced",
			"%OPENCLAW_API_KEY%":   "not replaced",
			`"sk_live_x"`:          "quotation mark",
			"'sk_live_x'":          "quotation mark",
			`sk_live_x"`:           "quotation mark",
			"OPENCLAW_API_KEY=abc": "NAME=value",
		} {
			if _, err := Read([]string{name + "=" + value}); err == nil || !strings.Contains(err.Error(), name+" ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sk_") {
				t.Errorf("%s=%s: got %v", name, value, err)
			}
		}
	}
	for _, set := range []string{"OPENCLAW_MCP_TRANSFER_ROOTS=${HOME}", "OPENCLAW_MCP_PUBLIC_URL=https://${HOST}/mcp", "OPENCLAW_MCP_PATHS=${workspaceFolder}"} {
		name, _, _ := strings.Cut(set, "=")
		if _, err := Read([]string{set}); err == nil || !strings.Contains(err.Error(), name+" holds a variable") {
			t.Errorf("%s: got %v", set, err)
		}
	}
	for _, set := range []string{"OPENCLAW_API_KEY=sk_live_AbC-1/2+3==", "OPENCLAW_API_KEY=AB=", "OPENCLAW_INSTANCE_ID=3f0c8a52-0000-4000-8000-000000000000", "OPENCLAW_MCP_COMMANDS=^echo ${x}$", "OPENCLAW_MCP_INSTANCES=dev-*"} {
		if _, err := Read([]string{set}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// A list that was set limits something, or is refused by its name.
func TestListsThatLimitNothing(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"OPENCLAW_MCP_TOOLS=,":                                   "holds nothing",
		"OPENCLAW_MCP_TOOLS= ":                                   "holds nothing",
		"OPENCLAW_MCP_TOOLSETS= , ":                              "holds nothing",
		"OPENCLAW_MCP_INSTANCES=,":                               "holds nothing",
		"OPENCLAW_MCP_PATHS=,,":                                  "holds nothing",
		"OPENCLAW_MCP_EXCLUDE_TOOLS=,":                           "holds nothing",
		"OPENCLAW_MCP_EXCLUDE_PATHS=,":                           "holds nothing",
		"OPENCLAW_MCP_ALLOWED_ORIGINS=,":                         "holds nothing",
		"OPENCLAW_MCP_EXCLUDE_PATHS=x,/workspace/a:/workspace/b": "(number 2) with a :",
		"OPENCLAW_MCP_PATHS=/workspace/a;/workspace/b":           "with a ;",
		"OPENCLAW_MCP_EXCLUDE_PATHS=~/x":                         "not replaced",
		"OPENCLAW_MCP_EXCLUDE_PATHS=\"/workspace/a\"":            "in quotes",
		"OPENCLAW_MCP_EXCLUDE_PATHS='/workspace/a,/workspace/b'": "in quotes",
		"OPENCLAW_MCP_EXCLUDE_INSTANCES=A;B":                     "with a ;",
		"OPENCLAW_MCP_EXCLUDE_INSTANCES=A B":                     "with a space",
		"OPENCLAW_MCP_INSTANCES={A}":                             "with a {",
	} {
		name, _, _ := strings.Cut(set, "=")
		if _, err := Read([]string{set}); err == nil || !strings.Contains(err.Error(), name+" ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", set, err, want)
		}
	}
	for _, set := range []string{"OPENCLAW_MCP_TOOLS=", "OPENCLAW_MCP_TOOLS=,read_file,", "OPENCLAW_MCP_EXCLUDE_PATHS=/workspace/a b/**/.env*, c~", "OPENCLAW_MCP_INSTANCES=dev-*, x:y@z.1_2"} {
		if _, err := Read([]string{set}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}

func TestEveryOriginNeedsAuthentication(t *testing.T) {
	t.Parallel()
	every := []string{"OPENCLAW_MCP_ALLOWED_ORIGINS=https://app.example,*", "OPENCLAW_MCP_HTTP=127.0.0.1:0"}
	if _, err := Read(every); err == nil || !strings.Contains(err.Error(), "OPENCLAW_MCP_ALLOWED_ORIGINS is *") {
		t.Errorf("got %v", err)
	}
	if _, err := Read(append(every, "OPENCLAW_MCP_AUTH=key")); err != nil {
		t.Error(err)
	}
}

// A key file that others can write is refused; one with a byte order mark is read.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("\ufeffsk_live_x\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Read([]string{"OPENCLAW_API_KEY_FILE=" + file}); err != nil || c.APIKey != "sk_live_x" {
		t.Errorf("got %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read([]string{"OPENCLAW_API_KEY_FILE=" + file}); err == nil || !strings.Contains(err.Error(), "OPENCLAW_API_KEY_FILE") || !strings.Contains(err.Error(), "chmod") {
			t.Errorf("mode %#o: got %v", mode, err)
		}
	}
}

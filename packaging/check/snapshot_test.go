//go:build snapshot

package check

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What goreleaser builds of the commit are the six binaries; that of this
// machine starts.
func TestSnapshot(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder(t, "SNAPSHOT"), "artifacts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var artifacts []struct{ Path, Type, GOOS, GOARCH string }
	if err := json.Unmarshal(text, &artifacts); err != nil {
		t.Fatal(err)
	}
	built := map[string]string{}
	for _, a := range artifacts {
		if a.Type == "Binary" {
			built[a.GOOS+"_"+a.GOARCH] = filepath.Join(folder(t, "SNAPSHOT"), "..", a.Path)
		}
	}
	if len(built) != 6 {
		t.Errorf("the binaries are %v", built)
	}
	out, err := exec.Command(built[runtime.GOOS+"_"+runtime.GOARCH], "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "-snapshot") {
		t.Errorf("--version: %q, %v", out, err)
	}
}

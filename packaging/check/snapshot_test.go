//go:build snapshot

package check

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What goreleaser makes of the commit is a release: an archive and an SBOM for
// each of the six systems, deb and rpm packages, and the checksums of all.
func TestSnapshot(t *testing.T) {
	root := folder(t, "RELEASE")
	dist := filepath.Join(root, "dist")
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var sums []string // as sha256sum prints them
	for _, target := range []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64"} {
		archive, binary := "openclaw-mcp_"+target+".tar.gz", "openclaw-mcp"
		if strings.HasPrefix(target, "windows") {
			archive, binary = "openclaw-mcp_"+target+".zip", "openclaw-mcp.exe"
		}
		names, err := filesIn(filepath.Join(dist, archive))
		if err != nil {
			t.Fatalf("%s: %v", archive, err)
		}
		for _, want := range []string{binary, "LICENSE", "README.md", "docs/configuration.md", "docs/chat.svg", "docs/clients/cursor.md", "openclaw-mcp.service"} {
			if !slices.Contains(names, "openclaw-mcp_"+target+"/"+want) {
				t.Errorf("%s lacks %s; it has %v", archive, want, names)
			}
		}
		files := []string{"openclaw-mcp_" + target + ".sbom.json", archive}
		if strings.HasPrefix(target, "linux") {
			files = []string{"openclaw-mcp_" + target + ".deb", "openclaw-mcp_" + target + ".rpm", files[0], files[1]}
		}
		for _, file := range files {
			sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(read(file)), file))
		}
		var sbom struct {
			Format     string `json:"bomFormat"`
			Components []struct{ Name string }
		}
		if err := json.Unmarshal(read("openclaw-mcp_"+target+".sbom.json"), &sbom); err != nil || sbom.Format != "CycloneDX" || len(sbom.Components) < 10 {
			t.Errorf("the SBOM for %s: %v, %s, %d components", target, err, sbom.Format, len(sbom.Components))
		}
	}
	if got := string(read("SHA256SUMS")); got != strings.Join(sums, "") {
		t.Errorf("SHA256SUMS is\n%s\nwant\n%s", got, strings.Join(sums, ""))
	}
}

// filesIn lists an archive.
func filesIn(path string) (names []string, err error) {
	if strings.HasSuffix(path, ".zip") {
		z, err := zip.OpenReader(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = z.Close() }()
		for _, f := range z.File {
			names = append(names, f.Name)
		}
		return names, nil
	}
	out, err := exec.Command("tar", "tzf", path).Output()
	return strings.Fields(string(out)), err
}

// The binary is what docs/packages.md has users build of the same source, byte
// for byte.
func TestSnapshotIsReproducible(t *testing.T) {
	root := folder(t, "RELEASE")
	found, err := filepath.Glob(filepath.Join(root, "dist", "openclaw-mcp_"+runtime.GOOS+"_"+runtime.GOARCH+"*", "openclaw-mcp"))
	if err != nil || len(found) != 1 {
		t.Fatalf("binaries for this system: %v, %v", found, err)
	}
	out, err := exec.Command(found[0], "--version").Output()
	version := strings.TrimSpace(strings.TrimPrefix(string(out), "openclaw-mcp "))
	if err != nil || !strings.HasSuffix(version, "-snapshot") {
		t.Fatalf("--version: %q, %v", out, err)
	}
	again := filepath.Join(t.TempDir(), "openclaw-mcp")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+version, "-o", again, ".")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	one, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Errorf("goreleaser's binary has %d bytes and another build %d, or they differ within", len(one), len(two))
	}
}

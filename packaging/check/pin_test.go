package check

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// The script writes what the registry says, again where that has changed, and nothing
// where the registry does not answer; --check tells what is not pinned.
func TestPinImages(t *testing.T) {
	var version atomic.Int64
	manifest := func(name string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"v":"%s %d"}}`, name, version.Load())
	}
	digest := func(name string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest(name)))) }
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		if !ok {
			return // GET /v2/: nobody has to log in
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		w.Header().Set("Docker-Content-Digest", digest(name))
		_, _ = fmt.Fprint(w, manifest(name))
	}))
	defer registry.Close()
	host := strings.TrimPrefix(registry.URL, "http://")

	dir := t.TempDir()
	dockerfile, manifests := filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "deployment.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const form = "FROM --platform=$BUILDPLATFORM %s AS build\nRUN true\nFROM %s\nCOPY --from=build /a /a\nFROM build AS more\n"
	write(dockerfile, fmt.Sprintf(form, host+"/golang:1.26", host+"/base"))
	write(manifests, "containers:\n  - name: a\n    image: openclaw-mcp:dev\n")
	script := func(args ...string) (string, error) {
		cmd := exec.Command("../pin-images.sh", args...)
		cmd.Env = append(os.Environ(), "DOCKERFILE="+dockerfile, "MANIFESTS="+manifests)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	holds := func(path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%v; %s is\n%s\nwant\n%s", err, path, got, want)
		}
	}
	if out, err := script("--check"); err == nil || !strings.Contains(out, "/golang:1.26 ") || !strings.Contains(out, "/base\n") {
		t.Errorf("what is not pinned passes: %v, %s", err, out)
	}
	for range 2 {
		if out, err := script(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		holds(dockerfile, fmt.Sprintf(form, host+"/golang:1.26@"+digest("golang"), host+"/base@"+digest("base")))
		if out, err := script("--check"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if out, err := script("kubernetes", host+"/openclaw-mcp:1.2.3"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		holds(manifests, "containers:\n  - name: a\n    image: "+host+"/openclaw-mcp:1.2.3@"+digest("openclaw-mcp")+"\n")
		version.Add(1)
	}
	registry.Close()
	before, _ := os.ReadFile(dockerfile)
	if out, err := script(); err == nil {
		t.Errorf("there is no registry, and it went well: %s", out)
	}
	holds(dockerfile, string(before))
}

// What is signed for publication is made of pinned images: the build asks before it does
// anything else.
func TestReleaseWantsPinnedImages(t *testing.T) {
	dir := t.TempDir()
	dockerfile, key := filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "key")
	for path, text := range map[string]string{dockerfile: "FROM golang:1.26 AS build\nFROM scratch\n", key: "a key"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "../build.sh")
	cmd.Env = append(os.Environ(), "DOCKERFILE="+dockerfile, "SIGNING_KEY="+key)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not pinned by digest") || strings.Contains(string(out), "=== ") {
		t.Errorf("%v: %s", err, out)
	}
}

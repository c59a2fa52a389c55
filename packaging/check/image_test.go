//go:build image && linux

package check

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// imageInfo is what buildah says of an image, in OCI's words.
type imageInfo struct {
	OCIv1 struct {
		Architecture string
		OS           string
		Config       struct {
			User, WorkingDir     string
			Env, Entrypoint, Cmd []string
			ExposedPorts         map[string]struct{}
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
}

func readJSON(t *testing.T, value any, path ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, value); err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
}

// blob is the path in an OCI layout of what has the digest.
func blob(digest string) string {
	return filepath.Join("blobs", strings.Replace(digest, ":", "/", 1))
}

// The image is its base and one layer more, which holds the binary alone; that
// is, byte for byte, what is built without an image. Nothing of the machine's
// settings got into it.
func TestImageHolds(t *testing.T) {
	dir := folder(t, "IMAGE")
	var image, base imageInfo
	readJSON(t, &image, dir, "image.json")
	readJSON(t, &base, dir, "base.json")
	got, under := image.OCIv1, base.OCIv1
	if got.OS != "linux" || got.Architecture != runtime.GOARCH {
		t.Errorf("the image is for %s/%s, want linux/%s", got.OS, got.Architecture, runtime.GOARCH)
	}
	if got.Config.User != "65534:65534" || !slices.Equal(got.Config.Entrypoint, []string{"/usr/bin/openclaw-mcp"}) || len(got.Config.Cmd) != 0 {
		t.Errorf("the image starts %q %q as %s", got.Config.Entrypoint, got.Config.Cmd, got.Config.User)
	}
	if !slices.Equal(got.Config.Env, under.Config.Env) {
		t.Errorf("the image sets %q, its base %q", got.Config.Env, under.Config.Env)
	}
	n := len(under.RootFS.DiffIDs)
	if n == 0 || len(got.RootFS.DiffIDs) != n+1 || !slices.Equal(got.RootFS.DiffIDs[:n], under.RootFS.DiffIDs) {
		t.Fatalf("the image's layers are %q, its base's %q; want one more", got.RootFS.DiffIDs, under.RootFS.DiffIDs)
	}

	var index struct{ Manifests []struct{ Digest string } }
	readJSON(t, &index, dir, "oci", "index.json")
	var manifest struct{ Layers []struct{ Digest string } }
	readJSON(t, &manifest, dir, "oci", blob(index.Manifests[0].Digest))
	layer, err := os.Open(filepath.Join(dir, "oci", blob(manifest.Layers[n].Digest)))
	if err != nil {
		t.Fatal(err)
	}
	defer layer.Close()
	unzipped, err := gzip.NewReader(layer)
	if err != nil {
		t.Fatal(err)
	}
	var inside []byte
	for entries := tar.NewReader(unzipped); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch name := strings.Trim(entry.Name, "/"); {
		case entry.Typeflag == tar.TypeDir && (name == "usr" || name == "usr/bin"):
		case entry.Typeflag == tar.TypeReg && name == "usr/bin/openclaw-mcp":
			if entry.Mode&0o7777 != 0o755 || entry.Uid != 0 || entry.Gid != 0 {
				t.Errorf("the binary is %o of %d:%d, want 755 of 0:0", entry.Mode, entry.Uid, entry.Gid)
			}
			if inside, err = io.ReadAll(entries); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("the layer also holds %s", entry.Name)
		}
	}
	outside, err := os.ReadFile(filepath.Join(dir, "openclaw-mcp"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(inside, outside) {
		t.Errorf("the image's binary (%d bytes) is not the one that is built without an image (%d bytes)", len(inside), len(outside))
	}
}

// enter makes of the folder $0 what a container sees: read-only, with /proc and
// /dev, the secrets where Kubernetes mounts them, and /tmp only if asked for.
// All of it is gone with the process. Then it becomes the image's program.
const enter = `set -e
mount --make-rprivate /
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount -t tmpfs -o mode=755 tmpfs "$0/run"
mkdir -p "$0/run/secrets/openclaw"
if [ -n "$CHECK_SECRETS" ]; then mount --bind -o ro "$CHECK_SECRETS" "$0/run/secrets/openclaw"; fi
if [ -n "$CHECK_TMP" ]; then mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"; fi
mount -o remount,bind,ro "$0"
user=$CHECK_USER
unset CHECK_SECRETS CHECK_TMP CHECK_USER
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$0" "$@"
`

// container prepares the image's own command, with arguments, as the process 1
// of a container. Variables named CHECK_ are for the script enter.
func container(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	var image imageInfo
	readJSON(t, &image, folder(t, "IMAGE"), "image.json")
	config := image.OCIv1.Config
	cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", enter, folder(t, "ROOT")}, config.Entrypoint, args)...)
	// Docker takes HOME from the image's /etc/passwd.
	cmd.Env = slices.Concat(config.Env, []string{"HOME=/nonexistent", "CHECK_USER=" + config.User}, env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func TestImageSays(t *testing.T) {
	for _, name := range []string{"bin/sh", "bin/bash", "bin/busybox"} {
		if _, err := os.Lstat(filepath.Join(folder(t, "ROOT"), name)); err == nil {
			t.Errorf("the image holds %s", name)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--version"}, 0, "openclaw-mcp " + folder(t, "VERSION") + "\n"},
		{[]string{"--help"}, 0, "Usage:"},
		{nil, 2, "set OPENCLAW_API_KEY"},
		{[]string{"--local"}, 1, "must be writable (TMPDIR names another)"},
	} {
		out, err := container(t, nil, c.args...).CombinedOutput()
		exit, _ := errors.AsType[*exec.ExitError](err)
		if code := map[bool]int{true: 0, false: -1}[err == nil]; (exit == nil && code != c.code) || (exit != nil && exit.ExitCode() != c.code) || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v\n%s\nwant exit status %d and %q", c.args, err, out, c.code, c.want)
		}
	}
}

// As an MCP client starts it: docker run -i --rm -e OPENCLAW_API_KEY.
func TestImageStdio(t *testing.T) {
	for _, cmd := range []*exec.Cmd{
		container(t, []string{"OPENCLAW_API_KEY=sk_test"}),
		container(t, []string{"CHECK_TMP=yes"}, "--local"),
	} {
		if tools := listTools(t, cmd); !strings.Contains(tools, `"exec_command"`) {
			t.Errorf("%q: the tools lack exec_command: %.200s", cmd.Args[3:], tools)
		}
	}
}

// The embedded service keeps files there; commands, which need a shell, are
// refused with the reason, as something that was not done.
func TestImageLocal(t *testing.T) {
	call := func(args ...string) (string, error) {
		t.Helper()
		out, err := container(t, []string{"CHECK_TMP=yes"}, append([]string{"call", "--local"}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := call("write_file", "path=/workspace/a", "content=hello"); err != nil || !strings.Contains(out, "5 bytes") {
		t.Errorf("write_file: %v: %s", err, out)
	}
	for _, tool := range [][]string{{"exec_command", "command=true"}, {"open_terminal"}} {
		out, err := call(tool...)
		if err == nil || !strings.Contains(out, "has none, as in its container image") || strings.Contains(out, "unknown") {
			t.Errorf("%q: %v: %s", tool, err, out)
		}
	}
}

// The Deployment's own settings and probes serve those who have a token. Only
// the addresses differ: they are this machine's, not a pod's.
func TestImageDeployment(t *testing.T) {
	text, err := os.ReadFile("../kubernetes/openclaw-mcp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(bytes.Split(text, []byte("\n---\n"))[0], &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	secrets := t.TempDir()
	for name, content := range map[string]string{"key": "sk_test\n", "tokens": "alice:0123456789abcdef0123456789abcdef\n"} {
		// Kubernetes gives a secret to the group fsGroup.
		path := filepath.Join(secrets, name)
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o440), os.Chown(path, 0, int(*pod.SecurityContext.FSGroup)), os.Chmod(path, 0o440)); err != nil {
			t.Fatal(err)
		}
	}
	ports := map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = freePort(t)
	}
	// The pod is ready once the service has answered.
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"instances":[]}`)
	}))
	defer service.Close()
	env := []string{"OPENCLAW_API_BASE_URL=" + service.URL, "CHECK_SECRETS=" + secrets, fmt.Sprintf("CHECK_USER=%d:%d", *pod.SecurityContext.RunAsUser, *pod.SecurityContext.RunAsGroup)}
	for _, v := range c.Env {
		for _, p := range c.Ports {
			v.Value = strings.Replace(v.Value, fmt.Sprintf("0.0.0.0:%d", p.ContainerPort), "127.0.0.1:"+ports[p.Name], 1)
		}
		env = append(env, v.Name+"="+v.Value)
	}
	cmd := container(t, env)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func(sig syscall.Signal) error {
		_ = cmd.Process.Signal(sig)
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			return fmt.Errorf("still running 30 s after %v", sig)
		}
	}
	defer func() { _ = stop(syscall.SIGKILL) }()

	client := http.Client{Timeout: 30 * time.Second}
	do := func(req *http.Request) (int, string, http.Header, error) {
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), resp.Header, err
	}
	probe := func(name string, p *corev1.Probe) error {
		req, err := http.NewRequest("GET", "http://127.0.0.1:"+ports[p.HTTPGet.Port.StrVal]+p.HTTPGet.Path, nil)
		if err != nil {
			return err
		}
		status, body, _, err := do(req)
		if err == nil && (status < 200 || status > 399) {
			err = fmt.Errorf("the %s probe is answered with %d: %s", name, status, body)
		}
		return err
	}
	passes := func(name string, p *corev1.Probe) {
		t.Helper()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		late := time.After(30 * time.Second)
		for {
			err := probe(name, p)
			if err == nil {
				return
			}
			select {
			case end := <-ended:
				ended <- end
				t.Fatalf("the server ended with %v: %s", end, said.String())
			case <-late:
				_ = stop(syscall.SIGKILL)
				t.Fatalf("%v: %s", err, said.String())
			case <-tick.C:
			}
		}
	}
	passes("startup", c.StartupProbe)
	passes("liveness", c.LivenessProbe)
	passes("readiness", c.ReadinessProbe)

	session := ""
	post := func(token, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("POST", "http://127.0.0.1:"+ports["mcp"]+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "mcp.example.com"
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
			req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
		}
		status, answer, header, err := do(req)
		if err != nil {
			t.Fatal(err)
		}
		if id := header.Get("Mcp-Session-Id"); id != "" {
			session = id
		}
		return status, answer
	}
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"check","version":"1"}}}`
	if status, body := post("wrong", initialize); status != http.StatusUnauthorized {
		t.Errorf("a wrong token is answered with %d: %s", status, body)
	}
	const alice = "0123456789abcdef0123456789abcdef"
	if status, body := post(alice, initialize); status != http.StatusOK {
		t.Errorf("initialize: %d: %s", status, body)
	}
	post(alice, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if status, body := post(alice, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`); status != http.StatusOK || !strings.Contains(body, `"exec_command"`) {
		t.Errorf("tools/list: %d: %.300s", status, body)
	}
	if err := stop(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v: %s", err, said.String())
	}
}

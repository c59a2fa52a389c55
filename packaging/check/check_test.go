// Package check holds what `make packages` has built to what it promises. It is
// a module of its own, so that the program's need not know of Kubernetes.
package check

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// folder gives the folder that the build names.
func folder(t *testing.T, variable string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Fatalf("%s is not set; run make packages", variable)
	}
	return dir
}

// binaryOf is the binary for a target, such as linux_amd64.
func binaryOf(t *testing.T, target string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder(t, "BINARIES"), target, "openclaw-mcp*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("binaries for %s: %v, %v; want one", target, found, err)
	}
	return found[0]
}

// Each binary is for the system that its name says, static, and without the
// paths of the machine that built it.
func TestBinaries(t *testing.T) {
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64", "windows_arm64"} {
		info, err := buildinfo.ReadFile(binaryOf(t, target))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, s := range info.Settings {
			got[s.Key] = s.Value
		}
		goos, goarch, _ := strings.Cut(target, "_")
		for key, want := range map[string]string{"GOOS": goos, "GOARCH": goarch, "CGO_ENABLED": "0", "-trimpath": "true"} {
			if got[key] != want {
				t.Errorf("%s was built with %s=%q, want %q", target, key, got[key], want)
			}
		}
	}
}

// runner says how a target's binary is started here; ok is false where it can't be.
func runner(target string) (command []string, ok bool) {
	if target == runtime.GOOS+"_"+runtime.GOARCH {
		return nil, true
	}
	emulator, err := exec.LookPath(map[string]string{"linux_arm64": "qemu-aarch64-static", "linux_amd64": "qemu-x86_64-static"}[target])
	return []string{emulator}, err == nil && runtime.GOOS == "linux"
}

// The binaries start, with nothing around them, and say their version.
func TestStart(t *testing.T) {
	started := 0
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64"} {
		before, ok := runner(target)
		if !ok {
			t.Logf("%s can't be started here", target)
			continue
		}
		started++
		command := append(before, binaryOf(t, target))
		for arg, want := range map[string]string{"--version": "openclaw-mcp " + folder(t, "VERSION") + "\n", "--help": "Usage:"} {
			cmd := exec.Command(command[0], append(command[1:], arg)...)
			cmd.Env = []string{"HOME=" + t.TempDir()}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s %s: %v\n%s\nwant %q", target, arg, err, out, want)
			}
		}
	}
	if started == 0 {
		t.Error("no binary could be started here")
	}
}

type manifest struct {
	Server struct {
		EntryPoint string `json:"entry_point"`
		Config     struct {
			Command string            `json:"command"`
			Args    []string          `json:"args"`
			Env     map[string]string `json:"env"`
		} `json:"mcp_config"`
	} `json:"server"`
	UserConfig map[string]struct {
		Default   any  `json:"default"`
		Sensitive bool `json:"sensitive"`
	} `json:"user_config"`
}

// A bundle starts as Claude Desktop starts it: unpacked, with what the user has
// typed in the places that the manifest names.
func TestBundle(t *testing.T) {
	dir := filepath.Join(folder(t, "BUNDLES"), runtime.GOOS+"_"+runtime.GOARCH)
	b, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if !m.UserConfig["api_key"].Sensitive {
		t.Error("the key is not marked as sensitive")
	}
	if _, err := os.Stat(filepath.Join(dir, m.Server.EntryPoint)); err != nil {
		t.Errorf("the entry point: %v", err)
	}
	for _, readOnly := range []string{"false", "true"} {
		fill := []string{"${__dirname}", dir}
		for name, setting := range m.UserConfig {
			value := fmt.Sprint(setting.Default)
			switch name {
			case "api_key":
				value = "sk_test"
			case "read_only":
				value = readOnly
			}
			fill = append(fill, "${user_config."+name+"}", value)
		}
		replace := strings.NewReplacer(fill...).Replace
		cmd := exec.Command(replace(m.Server.Config.Command), m.Server.Config.Args...)
		for name, value := range m.Server.Config.Env {
			cmd.Env = append(cmd.Env, name+"="+replace(value))
		}
		tools := listTools(t, cmd)
		if !strings.Contains(tools, `"read_file"`) {
			t.Errorf("read only %s: the tools lack read_file: %.200s", readOnly, tools)
		}
		if got := strings.Contains(tools, `"write_file"`); got != (readOnly == "false") {
			t.Errorf("read only %s: write_file is listed: %v", readOnly, got)
		}
	}
}

// listTools opens a session with a server over its pipes, and lists its tools.
func listTools(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"check","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
	} {
		if _, err := fmt.Fprintln(in, line); err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
	answer := ""
	for lines := bufio.NewReader(out); answer == ""; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("no list of tools: %v: %s", err, said.String())
		}
		if strings.Contains(line, `"id":2`) {
			answer = line
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v: %s", err, said.String())
	}
	return answer
}

// server.json is what the registry's own schema asks for.
func TestServerJSON(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(folder(t, "REGISTRY"), "internal/validators/schemas/2025-12-11.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder(t, "DIST"), "server.json"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(b []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	if err := check(text); err != nil {
		t.Error(err)
	}
	if err := check(bytes.Replace(text, []byte(`"name"`), []byte(`"nome"`), 1)); err == nil {
		t.Error("the schema accepts a server without a name: it checks nothing")
	}
}

// The release's description is what goreleaser's own schema asks for.
func TestGoreleaser(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(folder(t, "GORELEASER"), "www/docs/static/schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	check := func(b []byte) error {
		b, err := yaml.YAMLToJSONStrict(b)
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	if err := check(text); err != nil {
		t.Error(err)
	}
	if err := check(bytes.Replace(text, []byte("mod_timestamp:"), []byte("mod_timestump:"), 1)); err == nil {
		t.Error("the schema accepts a misspelt setting: it checks nothing")
	}
}

// The SBOMs name the program and every module that its binary does.
func TestSBOM(t *testing.T) {
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64", "windows_arm64"} {
		text, err := os.ReadFile(filepath.Join(folder(t, "DIST"), "openclaw-mcp_"+target+".sbom.json"))
		if err != nil {
			t.Fatal(err)
		}
		var bom struct {
			BOMFormat string
			Metadata  struct {
				Component struct{ Name, Version string }
			}
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(text, &bom); err != nil {
			t.Fatal(err)
		}
		if c := bom.Metadata.Component; bom.BOMFormat != "CycloneDX" || c.Name != "openclaw-mcp" || c.Version != folder(t, "VERSION") {
			t.Errorf("%s: the SBOM is of %s %s, in the format %s", target, c.Name, c.Version, bom.BOMFormat)
		}
		listed := map[string]bool{}
		for _, c := range bom.Components {
			listed[c.Name+" "+c.Version] = true
		}
		info, err := buildinfo.ReadFile(binaryOf(t, target))
		if err != nil || len(info.Deps) == 0 {
			t.Fatalf("%s: %v", target, err)
		}
		for _, dep := range info.Deps {
			if !listed[dep.Path+" "+dep.Version] {
				t.Errorf("%s: the SBOM lacks %s %s", target, dep.Path, dep.Version)
			}
		}
	}
}

// The manifests are objects that Kubernetes knows, field by field.
func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile("../kubernetes/openclaw-mcp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	var service corev1.Service
	var policy networkingv1.NetworkPolicy
	objects := bytes.Split(text, []byte("\n---\n"))
	if len(objects) != 3 {
		t.Fatalf("%d objects, want a Deployment, a Service and a NetworkPolicy", len(objects))
	}
	for i, object := range []any{&deployment, &service, &policy} {
		if err := yaml.UnmarshalStrict(objects[i], object); err != nil {
			t.Error(err)
		}
	}
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if s := c.SecurityContext; !*pod.SecurityContext.RunAsNonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation {
		t.Error("the container has more rights than it needs")
	}
	if c.Resources.Limits.Memory().IsZero() || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("the container lacks limits or probes")
	}
}

// The example's objects are objects that Kubernetes knows, and lead to the server's.
func TestKubernetesExample(t *testing.T) {
	read := func(file string, object any) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	var ingress networkingv1.Ingress
	read("../../examples/kubernetes/ingress.yaml", &ingress)
	var job batchv1.CronJob
	read("../../examples/kubernetes/pipeline.yaml", &job)
	text, err := os.ReadFile("../kubernetes/openclaw-mcp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	var service corev1.Service
	for i, object := range []any{&deployment, &service} {
		if err := yaml.UnmarshalStrict(bytes.Split(text, []byte("\n---\n"))[i], object); err != nil {
			t.Fatal(err)
		}
	}

	rule := ingress.Spec.Rules[0]
	backend, port := rule.HTTP.Paths[0].Backend.Service, service.Spec.Ports[0]
	if backend.Name != service.Name || backend.Port.Name != port.Name || rule.Host != ingress.Spec.TLS[0].Hosts[0] {
		t.Errorf("the Ingress leads from %s to %v; the Service is %s with the port %s", rule.Host, backend, service.Name, port.Name)
	}
	env := map[string]string{}
	for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
		env[variable.Name] = variable.Value
	}
	if public := env["OPENCLAW_MCP_PUBLIC_URL"]; public != "https://"+rule.Host+"/mcp" {
		t.Errorf("the Ingress is for %s; the server says that it is %s", rule.Host, public)
	}
	if hosts := env["OPENCLAW_MCP_ALLOWED_HOSTS"]; hosts != service.Name {
		t.Errorf("the server takes requests to the hosts %q; the pipeline calls %s", hosts, service.Name)
	}

	pod := job.Spec.JobTemplate.Spec.Template.Spec
	c := pod.Containers[0]
	if got := c.Env[0].Value; got != "http://"+service.Name+"/mcp" || port.Port != 80 {
		t.Errorf("the pipeline calls %s; the Service is %s:%d", got, service.Name, port.Port)
	}
	if !*pod.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation || c.Resources.Limits.Memory().IsZero() {
		t.Error("the pipeline's container has more rights than it needs, or no limits")
	}
	// Its README makes what the job names.
	readme, err := os.ReadFile("../../examples/kubernetes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{
		"configmap " + pod.Volumes[0].ConfigMap.Name + " --from-file=examples/python/" + filepath.Base(c.Command[1]),
		"generic " + c.Env[1].ValueFrom.SecretKeyRef.Name + " --from-literal=" + c.Env[1].ValueFrom.SecretKeyRef.Key + "=",
		"--from=cronjob/" + job.Name,
	} {
		if !strings.Contains(string(readme), made) {
			t.Errorf("the example's README does not say %s", made)
		}
	}
}

package check

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// The manifest of several replicas is of objects that Kubernetes knows, field by field,
// and they fit each other.
func TestKubernetesReplicas(t *testing.T) {
	text, err := os.ReadFile("../kubernetes/replicas.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]func() any{
		"Deployment":              func() any { return new(appsv1.Deployment) },
		"StatefulSet":             func() any { return new(appsv1.StatefulSet) },
		"Service":                 func() any { return new(corev1.Service) },
		"ConfigMap":               func() any { return new(corev1.ConfigMap) },
		"PodDisruptionBudget":     func() any { return new(policyv1.PodDisruptionBudget) },
		"HorizontalPodAutoscaler": func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
		"NetworkPolicy":           func() any { return new(networkingv1.NetworkPolicy) },
	}
	objects := map[string]any{}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			t.Fatal(err)
		}
		newObject := kinds[head.Kind]
		if newObject == nil {
			t.Fatalf("a %s is not expected", head.Kind)
		}
		object := newObject()
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		objects[head.Kind+" "+head.Metadata.Name] = object
	}
	deployment, ok := objects["Deployment openclaw-mcp"].(*appsv1.Deployment)
	nats, ok2 := objects["StatefulSet openclaw-mcp-nats"].(*appsv1.StatefulSet)
	scaler, ok3 := objects["HorizontalPodAutoscaler openclaw-mcp"].(*autoscalingv2.HorizontalPodAutoscaler)
	config, ok4 := objects["ConfigMap openclaw-mcp-nats"].(*corev1.ConfigMap)
	if !ok || !ok2 || !ok3 || !ok4 {
		t.Fatalf("an object is missing; there are %d", len(objects))
	}
	if deployment.Spec.Replicas != nil {
		t.Error("the Deployment and the autoscaler both say how many replicas there are")
	}
	if scaler.Spec.ScaleTargetRef.Name != deployment.Name {
		t.Error("the autoscaler is of something else")
	}
	for _, template := range []*corev1.PodTemplateSpec{&deployment.Spec.Template, &nats.Spec.Template} {
		for _, c := range template.Spec.Containers {
			if !*template.Spec.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation {
				t.Errorf("%s has more rights than it needs", c.Name)
			}
			if c.Resources.Limits.Memory().IsZero() || c.LivenessProbe == nil || c.ReadinessProbe == nil {
				t.Errorf("%s lacks limits or probes", c.Name)
			}
			for _, m := range c.VolumeMounts {
				if m.Name != "data" && !slices.ContainsFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
					t.Errorf("%s mounts %s, which is nothing", c.Name, m.Name)
				}
			}
		}
	}
	for _, name := range []string{"PodDisruptionBudget openclaw-mcp", "PodDisruptionBudget openclaw-mcp-nats", "NetworkPolicy openclaw-mcp", "NetworkPolicy openclaw-mcp-nats", "Service openclaw-mcp", "Service openclaw-mcp-nats"} {
		if objects[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	natsConfig(t, config.Data["nats.conf"])
}

// The compose file is one that Docker's own library loads.
func TestCompose(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithName("openclaw-mcp"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(project.Services) != 3 {
		t.Errorf("%d services, want openclaw-mcp, nats and nginx", len(project.Services))
	}
	natsConfig(t, project.Configs["nats"].Content)
	if c := project.Configs["nginx"].Content; !strings.Contains(c, "proxy_pass $replicas;") {
		t.Errorf("nginx is configured with:\n%s", c)
	}
}

// natsConfig has nats-server check a configuration. Certificates of this test take the
// place of those that it names; an old server does not know sync_interval.
func natsConfig(t *testing.T, text string) {
	t.Helper()
	program, err := exec.LookPath("nats-server")
	if err != nil {
		t.Fatal("this needs nats-server: apt-get install nats-server")
	}
	if !strings.Contains(text, "sync_interval: always") {
		t.Errorf("facts are not on the disk when they are acknowledged:\n%s", text)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	make := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=nats")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	text = strings.NewReplacer("sync_interval: always", "", "$POD_NAME", "n0",
		"/run/secrets/nats/tls.crt", cert, "/run/secrets/nats/tls.key", key, "/run/secrets/nats/ca.crt", cert,
		"/run/secrets/nats_cert", cert, "/run/secrets/nats_key", key, "/run/secrets/nats_ca", cert,
		"store_dir: /data", "store_dir: "+dir).Replace(text)
	path := filepath.Join(dir, "nats.conf")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-t", "-c", path).CombinedOutput(); err != nil {
		t.Errorf("nats-server refuses the configuration: %v\n%s\n%s", err, out, text)
	}
}

package emulator

import (
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The OpenAPI document has the endpoints that there are, and no others.
func TestOpenAPIEndpoints(t *testing.T) {
	raw, err := documents.ReadFile("documents/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, item := range doc.Paths {
		for key, method := range map[string]string{"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE"} {
			if item[key] != nil {
				described = append(described, method+" "+path)
			}
		}
	}
	for _, rt := range (&Server{}).table() {
		served = append(served, rt.name())
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described: %q\nserved: %q", described, served)
	}
}

package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"openclaw-mcp/tools"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGoldenREADME holds the README's generated parts to the code.
func TestGoldenREADME(t *testing.T) {
	const file = "README.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := section(t, section(t, string(b), "tools", toolTable()), "config", configTable())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Errorf("%s is not up to date with the code; run make golden", file)
	}
}

// section replaces what stands between a section's two markers.
func section(t *testing.T, text, name, body string) string {
	t.Helper()
	begin := strings.Index(text, "<!-- "+name+":begin")
	end := strings.Index(text, "<!-- "+name+":end -->")
	if begin < 0 || end < begin {
		t.Fatalf("README.md has no section %q", name)
	}
	line := begin + strings.Index(text[begin:], "\n") + 1
	return text[:line] + body + text[end:]
}

func toolTable() string {
	var b strings.Builder
	b.WriteString("| tool | effect | what it does |\n|---|---|---|\n")
	for _, tool := range tools.All() {
		what, _, _ := strings.Cut(tool.Description, ". ")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", tool.Name, tool.Effect, strings.TrimSuffix(what, "."))
	}
	return b.String()
}

func configTable() string {
	var b strings.Builder
	b.WriteString("| variable | meaning (default) |\n|---|---|\n")
	c := reflect.TypeFor[config]()
	for i := range c.NumField() {
		f := c.Field(i)
		doc := f.Tag.Get("doc")
		if d := f.Tag.Get("envDefault"); d != "" {
			doc += " (`" + d + "`)"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.Tag.Get("env"), doc)
	}
	return b.String()
}

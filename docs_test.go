package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"openclaw-mcp/tools"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGoldenREADME holds the generated parts of the documentation to the code.
func TestGoldenREADME(t *testing.T) {
	for file, sections := range map[string]map[string]string{
		"README.md":             {"tools": toolTable(), "config": configTable(isMain)},
		"docs/configuration.md": {"config": configReference()},
	} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := string(b)
		for name, body := range sections {
			want = section(t, file, want, name, body)
		}
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if string(b) != want {
			t.Errorf("%s is not up to date with the code; run make golden", file)
		}
	}
}

// The reference has every variable, each once.
func TestConfigReference(t *testing.T) {
	text := configReference()
	c := reflect.TypeFor[config]()
	for i := range c.NumField() {
		name := c.Field(i).Tag.Get("env")
		if n := strings.Count(text, "| `"+name+"` |"); name == "" || n != 1 {
			t.Errorf("the reference has %s (field %s) %d times, want once", name, c.Field(i).Name, n)
		}
	}
}

// Links between the pages lead to files that exist.
func TestDocsLinks(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	links := 0
	for _, page := range append(append(pages, deeper...), "README.md", "CONTRIBUTING.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(b, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links found: these are not all", links)
	}
}

// section replaces what stands between a section's two markers.
func section(t *testing.T, file, text, name, body string) string {
	t.Helper()
	begin := strings.Index(text, "<!-- "+name+":begin")
	end := strings.Index(text, "<!-- "+name+":end -->")
	if begin < 0 || end < begin {
		t.Fatalf("%s has no section %q", file, name)
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

// isMain tells the settings that most people need.
func isMain(f reflect.StructField) bool { return f.Tag.Get("help") == "main" }

func configTable(want func(reflect.StructField) bool) string {
	var b strings.Builder
	b.WriteString("| variable | meaning (default) |\n|---|---|\n")
	c := reflect.TypeFor[config]()
	for i := range c.NumField() {
		f := c.Field(i)
		if !want(f) {
			continue
		}
		doc := f.Tag.Get("doc")
		if d := f.Tag.Get("envDefault"); d != "" {
			doc += " (`" + d + "`)"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.Tag.Get("env"), doc)
	}
	return b.String()
}

// configGroups are the parts of the reference; a variable belongs to the first
// whose pattern its name matches.
var configGroups = []struct{ title, pattern string }{
	{"The service", `^OPENCLAW_(API|INSTANCE)_`},
	{"The embedded service", `^OPENCLAW_LOCAL_`},
	{"Watching the server", `^OTEL_|_(ADMIN|AUDIT_LOG|SLOW_CALL|LOG_LEVEL|LOG_FORMAT)$`},
	{"Rails", `_(READ_ONLY|TOOLSETS|TOOLS|INSTANCES|COMMANDS|PATHS|EXCLUDE_[A-Z]+|CONFIRM|TRANSFER_ROOTS)$`},
	{"Waiting and results", `_(SOFT_DEADLINE|STALL_AFTER|MAX_RESULT_CHARS)$`},
	{"Terminals and desktop", `_(TERMINAL[A-Z_]*|VNC_PASSWORD)$`},
	{"HTTP and what is left", ``},
}

// configReference is the whole reference: a table for each group.
func configReference() string {
	var b strings.Builder
	done := map[string]bool{}
	for _, g := range configGroups {
		pattern := regexp.MustCompile(g.pattern)
		table := configTable(func(f reflect.StructField) bool {
			name := f.Tag.Get("env")
			if done[name] || !pattern.MatchString(name) {
				return false
			}
			done[name] = true
			return true
		})
		fmt.Fprintf(&b, "\n## %s\n\n%s", g.title, table)
	}
	return b.String()
}

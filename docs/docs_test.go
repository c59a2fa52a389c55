// Package docs holds the pages to the code.
package docs

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/golden"
	"openclaw-mcp/tools"
)

// TestGoldenREADME holds the generated parts of the documentation to the code.
func TestGoldenREADME(t *testing.T) {
	for file, sections := range map[string]map[string]string{
		"../README.md":     {"owner": waysToInstall(ownerSettings(t)), "buttons": buttons(), "tools": familyTable()},
		"tools.md":         {"tools": toolTable()},
		"configuration.md": {"main": configTable(isMain), "config": configReference()},
	} {
		golden.Sections(t, file, sections)
	}
}

// The reference has every variable, each once.
func TestConfigReference(t *testing.T) {
	text := configReference()
	for _, setting := range config.Settings() {
		if n := strings.Count(text, "| `"+setting.Name+"` |"); n != 1 {
			t.Errorf("the reference has %s %d times, want once", setting.Name, n)
		}
	}
}

// Links between the pages lead to files that exist, and to headings that do.
func TestDocsLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?[^)]*\)`)
	links := 0
	for _, page := range append(append(pages, deeper...), "../README.md", "../CONTRIBUTING.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(b, -1) {
			target, heading := string(m[1]), string(m[2])
			if strings.Contains(target, "://") || target == releases {
				continue
			}
			links++
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
			} else if heading != "" && !hasHeading(t, file, heading) {
				t.Errorf("%s links to #%s of %s, which has no such heading", page, heading, file)
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links found: these are not all", links)
	}
}

// hasHeading reports whether a page has a heading of that anchor, as GitHub makes them.
func hasHeading(t *testing.T, page, anchor string) bool {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllSubmatch(b, -1) {
		words := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(string(m[1])), "")
		if strings.ReplaceAll(words, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// The README is short enough to be read.
func TestREADMELength(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > 150 {
		t.Errorf("the README has %d lines; more than 150 belong into docs/", n)
	}
}

// releases leads from the README, wherever it is shown on GitHub, to the
// repository's releases.
const releases = "../../releases"

// ownerSettings reads packaging/owner.env.
func ownerSettings(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../packaging/owner.env")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z]+)="?(.+?)"?$`).FindAllStringSubmatch(string(b), -1) {
		set[m[1]] = m[2]
	}
	if set["MODULE"] == "" || set["NPM"] == "" || set["TAP"] == "" || set["REPOSITORY"] == "" {
		t.Fatalf("packaging/owner.env sets only %v", set)
	}
	return set
}

// waysToInstall are those that work once the owner has published a release: the
// module then has an address.
func waysToInstall(owner map[string]string) string {
	if !strings.Contains(owner["MODULE"], ".") {
		return "Download a binary from the [releases](" + releases + ").\n"
	}
	return "Download a binary from the [releases](" + owner["REPOSITORY"] + "/releases), or:\n\n```console\n" +
		"$ brew install " + owner["TAP"] + "/openclaw-mcp\n" +
		"$ npx -y " + owner["NPM"] + " version\n" +
		"$ go install " + owner["MODULE"] + "@latest\n```\n"
}

// buttons are links that open a client and let it install the server, in the
// formats that https://code.visualstudio.com/docs/copilot/customization/mcp-servers
// and https://cursor.com/docs/mcp/install-links describe. GitHub shows https links
// alone, so each goes by its maker's redirect. The key is that of `openclaw-mcp login`.
func buttons() string {
	const image = "https://img.shields.io/badge/"
	vscode := url.Values{"name": {"openclaw"}, "config": {`{"type":"stdio","command":"openclaw-mcp"}`}}
	cursor := url.Values{"name": {"openclaw"}, "config": {base64.StdEncoding.EncodeToString([]byte(`{"command":"openclaw-mcp"}`))}}
	return "[![Install in VS Code](" + image + "VS_Code-Install-0098FF)](https://insiders.vscode.dev/redirect/mcp/install?" + vscode.Encode() + ")\n" +
		"[![Install in Cursor](" + image + "Cursor-Install-000000)](https://cursor.com/en/install-mcp?" + cursor.Encode() + ")\n"
}

// familyTable has a row for each family of tools.
func familyTable() string {
	var b strings.Builder
	b.WriteString("| family | tools |\n|---|---|\n")
	var families []string
	names := map[string][]string{}
	for _, tool := range tools.All() {
		if names[tool.Family] == nil {
			families = append(families, tool.Family)
		}
		names[tool.Family] = append(names[tool.Family], "`"+tool.Name+"`")
	}
	for _, family := range families {
		fmt.Fprintf(&b, "| %s | %s |\n", family, strings.Join(names[family], ", "))
	}
	return b.String()
}

func toolTable() string {
	effects := map[tools.Effect]string{tools.Reads: "reads", tools.Writes: "writes", tools.Destroys: "destructive"}
	var b strings.Builder
	b.WriteString("| tool | effect | what it does |\n|---|---|---|\n")
	for _, tool := range tools.All() {
		what, _, _ := strings.Cut(tool.Description, ". ")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", tool.Name, effects[tool.Effect], strings.TrimSuffix(what, "."))
	}
	return b.String()
}

// isMain tells the settings that most people need.
func isMain(s config.Setting) bool { return s.Main }

func configTable(want func(config.Setting) bool) string {
	var b strings.Builder
	b.WriteString("| variable | meaning (default) |\n|---|---|\n")
	for _, s := range config.Settings() {
		if !want(s) {
			continue
		}
		doc := s.Doc
		if s.Default != "" {
			doc += " (`" + s.Default + "`)"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.Name, doc)
	}
	return b.String()
}

// configGroups are the parts of the reference; a variable belongs to the first
// whose pattern its name matches.
var configGroups = []struct{ title, pattern string }{
	{"The OpenClaw cloud", `^OPENCLAW_(API|INSTANCE)_`},
	{"The local instance (`--local`)", `^OPENCLAW_LOCAL_`},
	{"Watching the server", `^OTEL_|_(ADMIN|AUDIT_LOG|SLOW_CALL|LOG_LEVEL|LOG_FORMAT)$`},
	{"Limits", `_(READ_ONLY|TOOLSETS|TOOLS|INSTANCES|COMMANDS|PATHS|EXCLUDE_[A-Z]+|CONFIRM|TRANSFER_ROOTS)$`},
	{"Waiting and results", `_(SOFT_DEADLINE|STALL_AFTER|TASK_AFTER|RUNS|MAX_RESULT_CHARS|STRUCTURED)$`},
	{"Terminals and desktop", `_(TERMINAL[A-Z_]*|VNC_PASSWORD)$`},
	{"HTTP", ``},
}

// configReference is the whole reference: a table for each group.
func configReference() string {
	var b strings.Builder
	done := map[string]bool{}
	for _, g := range configGroups {
		pattern := regexp.MustCompile(g.pattern)
		table := configTable(func(s config.Setting) bool {
			if done[s.Name] || !pattern.MatchString(s.Name) {
				return false
			}
			done[s.Name] = true
			return true
		})
		fmt.Fprintf(&b, "\n## %s\n\n%s", g.title, table)
	}
	return b.String()
}

// The functions that the walks name are in the files that they name.
func TestWalks(t *testing.T) {
	page, err := os.ReadFile("walk.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	found := 0
	for line := range strings.Lines(string(page)) {
		file, text := "", ""
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], "/") && regexp.MustCompile(`\.(go|sh)$`).MatchString(m[1]) {
				file = m[1]
				b, err := os.ReadFile("../" + file)
				if err != nil {
					t.Errorf("walk.md: %v", err)
				}
				text = string(b)
				continue
			}
			if file == "" || !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "`") {
				continue
			}
			found++
			if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + regexp.QuoteMeta(m[1]) + `[\[(]`).MatchString(text) {
				t.Errorf("walk.md: %s has no function %s", file, m[1])
			}
		}
	}
	if found < 40 {
		t.Errorf("the walks name only %d functions: these are not all", found)
	}
}

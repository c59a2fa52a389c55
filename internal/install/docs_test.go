package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each client's page shows the very files and entries that come of it.
func TestPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "docs", "clients")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients() {
		b, err := os.ReadFile(filepath.Join(dir, c.name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := string(b)
		fence := "json"
		if c.format == (tomlFormat{}) {
			fence = "toml"
		}
		for name, s := range map[string]server{
			"openclaw":      {command: "/usr/local/bin/openclaw-mcp", env: object{{"OPENCLAW_API_KEY_FILE", "/home/you/.config/openclaw-mcp/api-key"}}},
			"openclaw-http": {url: "https://claw.example/mcp"},
		} {
			entry, err := c.format.put(nil, c.container, name, rendering{members: c.entry(s)})
			if err != nil {
				t.Fatal(err)
			}
			if want := "```" + fence + "\n" + string(entry) + "```\n"; !strings.Contains(page, want) {
				t.Errorf("%s.md does not show\n%s", c.name, want)
			}
		}
		if !strings.HasPrefix(page, "# ") || !strings.Contains(strings.ToLower(page), strings.ToLower(c.title)) {
			t.Errorf("%s.md is not about %s", c.name, c.title)
		}
		if !strings.Contains(string(index), "]("+c.name+".md)") {
			t.Errorf("README.md does not lead to %s.md", c.name)
		}
		if c.name == "json" {
			continue
		}
		for _, goos := range []string{"linux", "darwin", "windows"} {
			path := filepath.ToSlash(c.path(places{goos: goos, home: "~", env: func(string) string { return "" }}))
			if goos == "windows" {
				path = strings.Replace(path, "~/AppData/Roaming", "%APPDATA%", 1)
				path = strings.ReplaceAll(strings.Replace(path, "~", "%USERPROFILE%", 1), "/", `\`)
			}
			if want := "| `" + path + "` |\n"; !strings.Contains(page, want) {
				t.Errorf("%s.md does not name %s for %s", c.name, path, goos)
			}
		}
	}
}

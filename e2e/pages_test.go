//go:build e2e && !windows

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// Every command on the clients' pages works, in the order of the page, for
// somebody who has nothing but the program. Each page ends with what it began with.
func TestClientPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("..", "docs", "clients", "*.md"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("%v: there are only %v", err, pages)
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			var script strings.Builder
			script.WriteString("set -eux\n")
			blocks := shellBlock.FindAllSubmatch(b, -1)
			for _, block := range blocks {
				script.WriteString(string(block[1]))
			}
			if len(blocks) == 0 || strings.Count(script.String(), "openclaw-mcp install") < 2 {
				t.Fatalf("there is nothing to run:\n%s", script.String())
			}
			home := t.TempDir()
			cmd := exec.Command("bash", "-c", script.String())
			cmd.Dir = home
			cmd.Env = append(environment(home), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "your-key\"") {
				t.Fatalf("%v\n%s", err, out)
			}
			err = filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".openclaw-mcp.bak") && filepath.Base(path) != "api-key" {
					t.Errorf("it leaves %s", path)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

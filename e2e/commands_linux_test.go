//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What docs/commands.md says can be typed as it stands.
func TestCommandsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, part := range strings.Split(string(page), "```") {
		block, isShell := strings.CutPrefix(part, "sh\n")
		if i%2 == 0 || !isShell {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
			if strings.Contains(line, "groff") {
				if _, err := exec.LookPath("groff"); err != nil {
					t.Log("there is no groff here; CI has it")
					continue
				}
			}
			n++
			t.Run(line, func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command("bash", "-c", line)
				cmd.Env = withBinary(t)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
	if n < 10 {
		t.Errorf("the page has %d commands: they were not found", n)
	}
}

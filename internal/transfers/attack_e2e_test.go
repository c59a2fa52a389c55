//go:build e2e && unix

package transfers

import (
	"os"
	"path/filepath"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// Names that a local tree has can't make the sandbox run or write anything else.
func TestTransferHostileTree(t *testing.T) {
	t.Parallel()
	for _, tools := range []string{"", "tar", "base64"} {
		if !thorough && tools != "" {
			continue
		}
		proxy := &requests{rewrite: only(t, without(tools)...)}
		m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, proxy.proxy)
		tree := map[string]item{}
		for _, name := range []string{"$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "\\'; touch pwned #", "-exec", "--checkpoint-action=exec=touch pwned", "$t", "a\nb; touch pwned", "%s\\0", "*", "?", "~", "-", "--"} {
			tree[name+"/"+name] = file(name)
			tree["l"+name] = item{target: "-"}
		}
		tree["'; touch pwned; '.bin"] = item{content: noise(partSize+1, 3)}
		plant(t, m.local("$(touch pwned)"), tree)
		m.move(runs.KindUpload, "$(touch pwned)", "/workspace/$(touch pwned)'`touch pwned`")
		want := survey(t, m.local("$(touch pwned)"))
		same(t, survey(t, m.remote("$(touch pwned)'`touch pwned`")), want)
		m.move(runs.KindDownload, "back", "/workspace/$(touch pwned)'`touch pwned`")
		same(t, survey(t, m.local("back")), want)
		if _, err := os.Stat(filepath.Join(m.Srv.Workspace(m.ID), "pwned")); err == nil {
			t.Error("a name was run")
		}
	}
}

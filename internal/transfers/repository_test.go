//go:build unix

package transfers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// gitFolder is what git takes the folder of this machine for: the path of a repository's
// folder, or "".
func gitFolder(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("git", "rev-parse", "--absolute-git-dir")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// bareRepository is a repository without a .git.
func bareRepository(dir string) map[string]item {
	return map[string]item{
		dir + "/HEAD": file("ref: refs/heads/main\n"), dir + "/config": file(pwn), dir + "/objects/x": file(""), dir + "/refs/x": file(""),
	}
}

// A folder does not become a repository by what comes, in one download or in several, in
// any order, and with what is here.
func TestDownloadMakesNoRepository(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, nil)
	plant(t, m.remote("all"), bareRepository("docs"))
	plant(t, m.remote("capital"), map[string]item{"Docs/config": file(pwn), "Docs/objects/x": file(""), "Docs/refs/x": file("")})
	plant(t, m.remote("shared"), map[string]item{
		"docs/HEAD": file("ref: refs/heads/main\n"), "docs/commondir": file("sub"), "docs/config.worktree": file("[core]\n\tbare = false\n"),
		"docs/sub/config": file(pwn), "docs/sub/objects/x": file(""), "docs/sub/refs/x": file(""),
	})
	plant(t, m.remote("reads"), map[string]item{"docs/HEAD": file("ref: refs/heads/main\n"), "docs/commondir": {target: "sub/where"}, "docs/sub/where": file("sub")})
	type step struct{ from, to string }
	for _, c := range []struct {
		name  string
		here  map[string]item
		all   bool
		steps []step
	}{
		{name: "at once", steps: []step{{"all", ""}}},
		{name: "a shared folder", steps: []step{{"shared", ""}}},
		{name: "a link to what says where it is", here: map[string]item{"docs/sub/objects/x": file(""), "docs/sub/refs/x": file("")}, steps: []step{{"reads", ""}}},
		{name: "what says where it is, later", here: map[string]item{"docs/HEAD": file("ref: refs/heads/main\n"), "docs/sub/objects/x": file(""), "docs/sub/refs/x": file("")}, steps: []step{{"shared/docs/commondir", "docs/commondir"}}},
		{name: "HEAD later", steps: []step{{"capital", ""}, {"all/docs/HEAD", "Docs/HEAD"}}},
		{name: "HEAD later, by its folder", here: map[string]item{"Docs/objects/x": file(""), "Docs/refs/x": file("")}, steps: []step{{"all/docs", "Docs"}}},
		{name: "HEAD last", steps: []step{{"all/docs/objects", "docs/objects"}, {"all/docs/refs", "docs/refs"}, {"all/docs/config", "docs/config"}, {"all/docs/HEAD", "docs"}}},
		{name: "HEAD first", steps: []step{{"all/docs/HEAD", "docs/HEAD"}, {"all/docs/config", "docs/"}, {"all/docs/objects", "docs/objects"}, {"all/docs/refs", "docs/refs/x"}}},
		{name: "by another name", steps: []step{{"all/docs/objects", "docs/objects"}, {"all/docs/refs", "docs/refs"}, {"all/docs/config", "docs/HEAD"}}},
		{name: "through a link", here: map[string]item{"docs/objects/x": file(""), "docs/refs/x": file(""), "link": {target: "docs"}}, steps: []step{{"all/docs", "link"}}},
		{name: "in a repository", here: map[string]item{".git": folder}, all: true, steps: []step{{"all", ""}, {"all/docs/HEAD", "docs/HEAD"}}},
	} {
		root := strings.ReplaceAll(c.name, " ", "-")
		plant(t, m.local(root), c.here)
		if c.here[".git"].mode != 0 {
			_ = exec.Command("git", "init", "-q", m.local(root)).Run()
		}
		for _, s := range c.steps {
			m.settle(m.begin(runs.KindDownload, root+"/"+s.to, "/workspace/"+s.from, func(r *Request) { r.All = c.all }))
		}
		for _, dir := range []string{"docs", "Docs"} {
			if _, err := os.Stat(m.local(root + "/" + dir)); err != nil {
				continue
			}
			if got := gitFolder(t, m.local(root+"/"+dir)); got != "" && filepath.Base(got) != ".git" {
				t.Errorf("%s: git takes %s for a repository", c.name, got)
			}
		}
	}
}

// What is a repository of this machine without a .git is left as it is.
func TestDownloadKeepsOutOfBareRepositories(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, nil)
	plant(t, m.remote("app"), map[string]item{"mine.git/config": file(pwn), "mine.git/hooks/post-update": file("#!/bin/sh\ntouch pwned"), "x": file("1")})
	plant(t, m.local(""), bareRepository("mine.git"))
	for _, all := range []bool{false, true} {
		before := survey(t, m.local("mine.git"))
		for from, to := range map[string]string{
			"app": "", "app/mine.git": "mine.git", "app/mine.git/config": "mine.git/config", "app/mine.git/hooks": "mine.git/hooks", "app/x": "mine.git/info/x",
		} {
			m.settle(m.begin(runs.KindDownload, to, "/workspace/"+from, func(r *Request) { r.All = all }))
			after := survey(t, m.local("mine.git"))
			same(t, after, before)
		}
		if survey(t, m.root)["x"] == "" {
			t.Error("what is beside it does not come")
		}
	}
	// With ignore: false, one may come to be where there is none.
	plant(t, m.remote("bare"), bareRepository("docs"))
	m.move(runs.KindDownload, "new", "/workspace/bare", func(r *Request) { r.All = true })
	if got := survey(t, m.local("new")); got["docs/HEAD"] == "" || got["docs/refs/x"] == "" {
		t.Errorf("%q", got)
	}
}

// Another download may bring the other parts while this one is under way.
func TestDownloadLooksAgainBeforeItWrites(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	plant(t, root, map[string]item{"docs/objects/x": file(""), "half/HEAD": file("")})
	dst, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	d := &downloading{transfer: &transfer{}, dst: &tree{Root: dst}, root: root, at: ".", made: map[string]bool{".": true}, old: map[string]os.FileMode{}}
	for name, ok := range map[string]bool{"docs/HEAD": false, "half/refs/x": false, "docs/refs/x": true, "half/x": true} {
		if err := d.mkdirFor(entry{name: name}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(root, "half/refs")); err == nil {
		t.Error("half/refs was made")
	}
}

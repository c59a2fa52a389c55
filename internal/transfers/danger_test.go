//go:build unix

package transfers

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// gitSpellings are names that some system takes for .git.
var gitSpellings = []string{
	".git", ".GIT", ".Git", "git~1", "GIT~1", "git~2", ".git.", ".git ", ".git. . .", ".g\u200cit", ".git\u200d", "\ufeff.git", ".g\u202ait", ".gi\u206ft",
	".git::$INDEX_ALLOCATION", ".git:x", ".git :x", ".g\u0130t", ".g\u0131t\u200c\\..\\.git",
}

func TestGitSpellings(t *testing.T) {
	t.Parallel()
	for _, name := range gitSpellings {
		for _, at := range []string{name, name + "/config", "sub/" + name, "sub/" + name + "/hooks/x", `sub\` + name + `\config`} {
			if !isOfGit(at) {
				t.Errorf("%q passes", at)
			}
		}
	}
	for _, name := range []string{"git", "a.git", ".gitignore", ".github/workflows/x.yml", ".gitattributes", "git~", "~git", "x~1", "gitx~1", ".gitkeep"} {
		if isOfGit(name) {
			t.Errorf("%q is taken for git's", name)
		}
	}
}

// What programs obey that find it is known by its name, and what they don't is not.
func TestRunsByName(t *testing.T) {
	t.Parallel()
	for name := range strings.FieldsSeq(`.hg/hgrc .HG/hgrc .jj/repo/config .svn/wc.db _darcs/prefs/defaults .emacs.d/init.el .helix/languages.toml .perldb mise.local.toml .mise.dev.toml
		mise/config.toml .rtx.toml .prototools .dir-locals-2.el pylintrc .pylintrc .pylintrc.toml .flake8 mypy.ini .coveragerc sitecustomize.py sub/x.pth python._pth ipython_config.py
		jupyter_notebook_config.py .ropeproject/config.py .pnp.cjs .pnp.loader.mjs .pnpmfile.mjs .eslintrc .eslintrc.json .prettierrc .xo-config.cjs .huskyrc .user.ini .php-cs-fixer.dist.php
		.Rprofile .RData app.Rproj .julia/config/startup.jl .luacheckrc .lazy.lua .nvim.lua .tmux.conf .tmuxp.yaml .ghci .ocamlinit .iex.exs .formatter.exs .sbclrc .octaverc .latexmkrc
		latexmkrc .irbrc .rspec .rubocop.yml .simplecov .bazelrc .bazelversion ansible.cfg Directory.Build.props .envrc .env.zsh .autoenv.zsh lefthook-local.yml .gdbinit .lldbinit-lldb
		.psqlrc .sqliterc .myclirc .vs/tasks.vs.json .vimspector.json .local.vimrc .kakrc .cvsrc Microsoft.PowerShell_profile.ps1 .venv.fish .terraform/providers/x EMACS~1/x`) {
		if !runsThere(folded(name), false) {
			t.Errorf("%s comes without a question", name)
		}
	}
	for name := range strings.FieldsSeq(`README.md main.py src/index.ts lib/x.d.ts a.lua .gitignore .gitattributes .github/workflows/ci.yml .editorconfig .env .python-version .nvmrc
		.dockerignore .prettierignore CLAUDE.md Makefile hgrc mise.md emacs.d/x local/x config/x run/x settings/x vs/x eslint.json tox.md python.path x.r .keep .coverage .DS_Store`) {
		if runsThere(folded(name), false) {
			t.Errorf("%s is asked about", name)
		}
	}
}

// deceitful has the instance list what it was asked to leave out.
func deceitful(command string) string {
	return strings.ReplaceAll(command, "skip=.git\n", "skip=.never\n")
}

// pwn is a configuration that has the next git command run another.
const pwn = "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch pwned; false\n\thooksPath = hooks\n"

// A hostile instance puts nothing into a repository of this machine, nor makes one,
// that the next git command obeys.
func TestDownloadKeepsOutOfGit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	proxy := &requests{rewrite: deceitful}
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, proxy.proxy)
	far := map[string]item{
		"honest": file("1"), "sub/honest": file("2"), "file/.git": file("gitdir: ../fake"), "link/.git": {target: "../fake"}, "to/config": {target: "../.git/config"},
		"fake/HEAD": file("ref: refs/heads/main\n"), "fake/config": file(pwn), "fake/objects/x": file(""), "fake/refs/x": file(""),
		"half/HEAD": file("ref: refs/heads/main\n"), "half/config": file(pwn), "fine/HEAD": file("not a repository"), "fine/Head/refs": file(""),
	}
	for _, name := range gitSpellings {
		if !strings.ContainsAny(name, `\/`) {
			far[name+"/config"], far["sub/"+name+"/config"], far["sub/"+name+"/hooks/post-checkout"] = file(pwn), file(pwn), file("#!/bin/sh\ntouch pwned")
		}
	}
	plant(t, m.remote("app"), far)
	git := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+t.TempDir())
		_ = cmd.Run() // "not a repository" is fine
	}
	for _, all := range []bool{false, true} {
		name := map[bool]string{false: "repo", true: "repo-all"}[all]
		repo := m.local(name)
		plant(t, repo, map[string]item{"half/objects/x": file(""), "half/refs/x": file("")})
		git(repo, "init", "-q")
		before := survey(t, filepath.Join(repo, ".git"))
		u := m.settle(m.begin(runs.KindDownload, name, "/workspace/app", func(r *Request) { r.All = all }))
		if moved(u).Files < 2 || moved(u).Skipped.Count < 20 {
			t.Errorf("all %v: %s, %v, %+v", all, u.Status, u.Err, moved(u))
		}
		same(t, survey(t, filepath.Join(repo, ".git")), before)
		got := survey(t, repo)
		for at := range got {
			if isOfGit(at) && !strings.HasPrefix(at, ".git/") && at != ".git" {
				t.Errorf("all %v: %q was made", all, at)
			}
		}
		if got["honest"] == "" || got["sub/honest"] == "" || got["fine/HEAD"] == "" {
			t.Errorf("all %v: there are only %q", all, got)
		}
		if !all {
			for _, dir := range []string{"", "sub", "fake", "half", "file", "link"} {
				git(filepath.Join(repo, dir), "status")
			}
			_ = filepath.WalkDir(repo, func(at string, _ os.DirEntry, _ error) error {
				if filepath.Base(at) == "pwned" {
					t.Errorf("git ran what came: %s", at)
				}
				return nil
			})
		}
	}
	// Into a repository's own folder, nothing goes at all.
	for _, to := range []string{"repo/.git/hooks", "repo/.git/config", "repo/.GIT/config"} {
		for _, from := range []string{"/workspace/app/sub", "/workspace/app/honest"} {
			before := survey(t, m.local("repo/.git"))
			u := m.settle(m.begin(runs.KindDownload, to, from, func(r *Request) { r.All = true }))
			if moved(u) != nil && moved(u).Files > 0 {
				t.Errorf("%s to %s: %+v", from, to, moved(u))
			}
			after := survey(t, m.local("repo/.git"))
			before["hooks"] = after["hooks"] // temporary files come and go in it
			maps.DeleteFunc(after, func(name, _ string) bool { return name == "config" && before[name] == "" })
			same(t, after, before)
		}
	}
	// A clone into a new folder is what ignore: false is for.
	u := m.settle(m.begin(runs.KindDownload, "clone", "/workspace/app", func(r *Request) { r.All = true }))
	if survey(t, m.local("clone"))[".git/config"] == "" {
		t.Errorf("%+v", moved(u))
	}
}

// What would run for no more than lying there is held back, until just that is agreed to.
func TestDownloadHoldsWhatWouldRun(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, nil)
	held := []string{".envrc", ".ENVRC", ".vscode/tasks.json", "sub/.vscode/settings.json", ".idea/workspace.xml", ".npmrc", "sub/.npmrc", ".husky/pre-commit", ".mcp.json",
		".claude/settings.json", "x.code-workspace", ".bashrc", "VSCODE~1/tasks.json", ".envrc.", ".con\ufb01g/x", ".pro\ufb01le", ".xse\u1e9eion", "Makefile", "sub/package.json", ".pdbrc", "sub/rust-toolchain.toml", ".mvn/jvm.config"}
	far := map[string]item{"main.go": file("1"), "new/Makefile": file("all:"), "sub/README.md": file("2"), "tools.vscode": file("3"), ".gitignore": file("x")}
	for _, name := range held {
		far[name] = file("run: " + name)
	}
	far["lib/.vscode"] = item{target: "../sub"}
	held = append(held, "lib/.vscode")
	plant(t, m.remote("app"), far)
	here := map[string]item{"Makefile": file("mine"), "sub/package.json": file("mine"), "main.go": file("old"), ".npmrc": file("mine")}
	plant(t, m.local("dst"), here)
	before := survey(t, m.local("dst"))

	u := m.move(runs.KindDownload, "dst", "/workspace/app")
	if moved(u).Held.Count != len(held) || moved(u).Files != 5 || moved(u).TotalFiles != 5 || moved(u).HeldDigest == "" {
		t.Fatalf("%+v", moved(u))
	}
	if some := moved(u).Held.Some; !slices.Contains(some, "lib/.vscode -> ../sub: "+WouldRun) {
		t.Errorf("the link does not say where it leads: %q", some)
	}
	got := survey(t, m.local("dst"))
	for _, name := range held {
		if got[name] != before[name] {
			t.Errorf("%s is %q", name, got[name])
		}
	}
	want := survey(t, m.remote("app"))
	if got["main.go"] != want["main.go"] || got["new/Makefile"] != want["new/Makefile"] {
		t.Errorf("%q", got)
	}

	// The agreement is to these contents only.
	digest := moved(u).HeldDigest
	agree := func(r *Request) { r.Agreed = digest }
	plant(t, m.remote("app"), map[string]item{".envrc": file("something else")})
	u = m.move(runs.KindDownload, "dst", "/workspace/app", agree)
	if moved(u).Held.Count != len(held) || moved(u).HeldDigest == digest {
		t.Fatalf("%+v", moved(u))
	}
	digest = moved(u).HeldDigest
	u = m.move(runs.KindDownload, "dst", "/workspace/app", agree)
	if moved(u).Held.Count != 0 {
		t.Fatalf("%+v", moved(u))
	}
	same(t, survey(t, m.local("dst")), survey(t, m.remote("app")))
	if u = m.move(runs.KindDownload, "dst", "/workspace/app"); moved(u).Held.Count != 0 || moved(u).Unchanged != len(far) {
		t.Errorf("what is here already is asked about: %+v", moved(u))
	}
	// One file, and one into such a folder.
	for _, to := range []string{"one/.envrc", ".vscode/one.json"} {
		if u = m.move(runs.KindDownload, to, "/workspace/app/main.go"); moved(u).Held.Count != 1 {
			t.Errorf("%s: %+v", to, moved(u))
		}
		if _, err := os.Lstat(m.local(to)); err == nil {
			t.Errorf("%s was made", to)
		}
	}
}

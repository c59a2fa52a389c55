//go:build unix

package transfers

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// A build file that comes in beside others of its tool is asked about: it may go before
// them, or add to them. In a place of its own it is not.
func TestDownloadAsksAboutBuildFiles(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, nil)
	here := map[string]item{
		"Makefile": file("mine"), "docker-compose.yml": file("mine"), "build.gradle": file("mine"), "justfile": file("mine"),
		"setup.py": file("mine"), "web/package.json": file("mine"), "rust/Cargo.toml": file("mine"), "sub/README": file("mine"),
	}
	held := []string{
		"GNUmakefile", "makefile", "compose.yaml", "docker-compose.override.yml", ".env", "settings.gradle", ".justfile", "conftest.py", "setup.cfg", "PyTest.ini",
		"web/vite.config.ts", "web/binding.gyp", "rust/build.rs", "GNUMAK~1", "Makefile",
	}
	free := []string{"sub/Makefile", "sub/GNUmakefile", "sub/conftest.py", "new/package.json", "new/vite.config.js", "web/.env", "rust/main.rs"}
	far := map[string]item{}
	for _, name := range slices.Concat(held, free) {
		far[name] = file("theirs: " + name)
	}
	plant(t, m.local("dst"), here)
	plant(t, m.remote("app"), far)
	before := survey(t, m.local("dst"))
	u := m.move(runs.KindDownload, "dst", "/workspace/app")
	if moved(u).Held.Count != len(held) || moved(u).Files != len(free) {
		t.Errorf("%+v", moved(u))
	}
	got := survey(t, m.local("dst"))
	for _, name := range held {
		if got[name] != before[name] {
			t.Errorf("%s is %q", name, got[name])
		}
	}
	for _, name := range free {
		if got[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	if u = m.move(runs.KindDownload, "dst/GNUmakefile", "/workspace/app/rust/main.rs"); moved(u).Held.Count != 1 {
		t.Errorf("one file: %+v", moved(u))
	}
	if u = m.move(runs.KindDownload, "empty", "/workspace/app"); moved(u).Held.Count != 0 || moved(u).Files != len(far) {
		t.Errorf("to an empty folder: %+v", moved(u))
	}
}

// Files are judged by where links lead, too.
func TestDownloadFollowsLinksToJudge(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, nil)
	plant(t, m.remote("app"), map[string]item{"tasks.json": file("run"), "deep/tasks.json": file("run")})
	plant(t, m.root, map[string]item{
		".vscode": folder, "conf": {target: ".vscode"}, "up/conf": {target: "../conf"}, "lib/x": file(""), "mine/.vscode": {target: "../lib"},
		"repo/.git/config": file("mine"), "repo/settings": {target: ".git"},
	})
	before := survey(t, m.local("repo/.git"))["config"]
	for to, in := range map[string]string{"conf": ".vscode", "up/conf/new": ".vscode/new", "mine/.vscode": "lib"} {
		u := m.move(runs.KindDownload, to, "/workspace/app")
		if moved(u).Held.Count != 2 || moved(u).Files != 0 || moved(u).HeldIn != filepath.Join(m.root, in) {
			t.Errorf("%s: %+v", to, moved(u))
		}
	}
	u := m.move(runs.KindDownload, "up/conf/tasks.json", "/workspace/app/tasks.json")
	if moved(u).Held.Count != 1 || moved(u).HeldIn != m.local(".vscode") {
		t.Errorf("one file: %+v", moved(u))
	}
	for _, to := range []string{"repo/settings", "repo/settings/hooks", "repo/settings/config"} {
		if u := m.settle(m.begin(runs.KindDownload, to, "/workspace/app/tasks.json")); u.Status != runs.StatusFailed {
			t.Errorf("%s: %s, %+v", to, u.Status, moved(u))
		}
	}
	if got := survey(t, m.local("repo/.git"))["config"]; got != before {
		t.Errorf("the configuration is %q, was %q", got, before)
	}
	for _, name := range []string{".vscode/tasks.json", ".vscode/new/tasks.json", "lib/tasks.json", "repo/.git/hooks"} {
		if _, err := os.Lstat(m.local(name)); err == nil {
			t.Errorf("there is %s", name)
		}
	}
}

// An agreement is to one place here, and to what comes from one place there.
func TestDownloadAgreementsAreForOnePlace(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, nil)
	far := map[string]item{".envrc": file("run"), "notes.txt": file("run")}
	plant(t, m.remote("app"), far)
	plant(t, m.remote("other"), far)
	digests := map[string]string{}
	for _, c := range [][2]string{
		{"/workspace/app", "dst"}, {"/workspace/app", "other"}, {"/workspace/other", "dst"},
		{"/workspace/app/notes.txt", "one/.inputrc"}, {"/workspace/app/notes.txt", "one/.bashrc"}, {"/workspace/app/notes.txt", "two/.bashrc"},
	} {
		u := m.move(runs.KindDownload, c[1], c[0])
		digest := moved(u).HeldDigest
		if was := digests[digest]; digest == "" || was != "" {
			t.Errorf("%s to %s: %q is that of %s", c[0], c[1], digest, was)
		}
		for other := range digests {
			if u := m.move(runs.KindDownload, c[1], c[0], func(r *Request) { r.Agreed = other }); moved(u).Held.Count != 1 {
				t.Errorf("%s to %s comes with the agreement to %s", c[0], c[1], digests[other])
			}
		}
		digests[digest] = c[0] + " to " + c[1]
	}
	u := m.move(runs.KindDownload, "one/.bashrc", "/workspace/app/notes.txt")
	if got := moved(u).Held.Some; len(got) != 1 || got[0] != ".bashrc: "+WouldRun || moved(u).HeldIn != m.local("one") {
		t.Errorf("the name is not that on this machine: %+v", moved(u))
	}
}

//go:build e2e && unix

package transfers

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

func TestTransferManySmallFiles(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	tree := map[string]item{}
	for i := range 2000 {
		tree[fmt.Sprintf("d%02d/f%04d.txt", i%37, i)] = file(strings.Repeat(fmt.Sprintf("line %d\n", i), i%90))
	}
	plant(t, m.local("src"), tree)
	want := survey(t, m.local("src"))
	before := m.Srv.Mutations()
	p := &runstest.Record{}
	run := m.begin(runs.KindUpload, "src", "/workspace")
	if u := m.Done(run, p); u.Status != runs.StatusCompleted {
		t.Fatal(u.Err)
	}
	if n := m.Srv.Mutations() - before; n > 40 {
		t.Errorf("2000 small files took %d requests", n)
	}
	same(t, survey(t, m.Srv.Workspace(m.ID)), want)
	if !p.Has("uploaded 2000 of 2000 files") {
		t.Errorf("progress is %v", p.Lines)
	}
	before = m.Srv.Mutations()
	m.move(runs.KindDownload, "back", "/workspace")
	if n := m.Srv.Mutations() - before; n > 40 {
		t.Errorf("2000 small files took %d requests", n)
	}
	same(t, survey(t, m.local("back")), want)
}

func TestTransferSingleFile(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	large := noise(partSize*3+5, 3)
	plant(t, m.root, map[string]item{"f.sh": {content: []byte("x"), mode: 0o755}, "large": {content: large}})
	for _, c := range []struct{ local, remote, lands string }{
		{"f.sh", "/workspace/g.sh", "g.sh"},
		{"f.sh", "/workspace/new/", "new/f.sh"},
		{"f.sh", "/workspace/new", "new/f.sh"}, // a folder by now
		{"f.sh", "/workspace/a/b/c", "a/b/c"},
		{"large", "/workspace/a/large", "a/large"},
		{"large", "/workspace/new", "new/large"},
	} {
		m.move(runs.KindUpload, c.local, c.remote)
		if got, want := survey(t, m.remote(filepath.Dir(c.lands)))[filepath.Base(c.lands)], survey(t, m.root)[c.local]; got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
	plant(t, m.root, map[string]item{"there": folder})
	plant(t, m.Srv.Workspace(m.ID), map[string]item{"link": {target: "g.sh"}})
	for _, c := range []struct{ remote, local, lands string }{
		{"/workspace/g.sh", "one", "one"},
		{"/workspace/g.sh", "there", "there/g.sh"},
		{"/workspace/g.sh", "x/y", "x/y"},
		{"/workspace/link", "linked", "linked"},
		{"/workspace/a/large", "big", "big"},
	} {
		m.move(runs.KindDownload, c.local, c.remote)
		want := "f.sh"
		if strings.HasSuffix(c.remote, "large") {
			want = "large"
		}
		if got, want := survey(t, m.local(filepath.Dir(c.lands)))[filepath.Base(c.lands)], survey(t, m.root)[want]; got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}

func TestTransferReplacesOrKeeps(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	keep := func(r *Request) { r.Keep = true }
	large := noise(partSize*2, 5)
	tree := map[string]item{"a": file("new"), "sub/b": file("new"), "c": file("same"), "exec": {content: []byte("e"), mode: 0o755}, "large": {content: large}}
	old := map[string]item{"a": file("old!"), "sub/b": {target: "../a"}, "c": file("same"), "exec": file("e"), "large": file("small"), "other": file("stays")}
	both := map[string]string{}
	plant(t, m.local("new"), tree)
	plant(t, m.remote("up"), old)
	plant(t, m.remote("up-keep"), old)
	plant(t, m.local("down"), old)
	plant(t, m.local("down-keep"), old)
	plant(t, m.remote("from"), tree)
	before := survey(t, m.local("down"))
	maps.Copy(both, survey(t, m.local("new")))
	both["other"] = before["other"]

	m.move(runs.KindUpload, "new", "/workspace/up")
	same(t, survey(t, m.remote("up")), both)
	m.move(runs.KindDownload, "down", "/workspace/from")
	same(t, survey(t, m.local("down")), both)

	u := m.move(runs.KindUpload, "new", "/workspace/up-keep", keep)
	same(t, survey(t, m.remote("up-keep")), before)
	if moved(u).Skipped.Count != 3 || moved(u).Unchanged != 2 {
		t.Errorf("%+v", moved(u))
	}
	u = m.move(runs.KindDownload, "down-keep", "/workspace/from", keep)
	same(t, survey(t, m.local("down-keep")), before)
	if moved(u).Skipped.Count != 3 || moved(u).Unchanged != 2 {
		t.Errorf("%+v", moved(u))
	}

	// What differs in nothing but its rights and its time gets these.
	for _, dir := range []string{m.remote("up"), m.local("down")} {
		for _, name := range []string{"a", "exec"} {
			if err := errors.Join(os.Chmod(filepath.Join(dir, name), 0o744), os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1e9, 0))); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.move(runs.KindUpload, "new", "/workspace/up")
	m.move(runs.KindDownload, "down", "/workspace/from")
	same(t, survey(t, m.remote("up")), both)
	same(t, survey(t, m.local("down")), both)

	// A file that is replaced here is read by nobody who could not read it before.
	plant(t, m.root, map[string]item{"private": {content: []byte("old"), mode: 0o600}})
	m.move(runs.KindDownload, "private", "/workspace/from/a")
	if st, _ := os.Stat(m.local("private")); st.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %s now", st.Mode())
	}
}

// What is in the way of a file is reported, and nothing else suffers.
func TestTransferConflicts(t *testing.T) {
	t.Parallel()
	for _, tools := range []string{"tar", "script"} {
		if !thorough && tools != "tar" {
			continue
		}
		proxy := &requests{}
		if tools == "script" {
			proxy.rewrite = only(t, without("tar")...)
		}
		m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, proxy.proxy)
		plant(t, m.local("src"), map[string]item{
			"file": file("f"), "dir/x": file("x"), "dir/y/z": file("z"), "ok": file("ok"), "l": {target: "ok"},
			"large": {content: noise(partSize*2, 1)}, "onto-link": file("1")})
		obstacles := map[string]item{"file/in": file("way"), "dir": file("way"), "large/in": file("way"), "onto-link": {target: "elsewhere"}, "elsewhere/in": file("e")}
		plant(t, m.remote("app"), obstacles)
		u := m.settle(m.begin(runs.KindUpload, "src", "/workspace/app"))
		if u.Status != runs.StatusFailed || moved(u).Failed.Count != 6 {
			t.Errorf("%s: %s, %+v", tools, u.Status, moved(u))
		}
		got := survey(t, m.remote("app"))
		if got["ok"] == "" || !strings.HasPrefix(got["dir"], "file of 3") || !strings.HasPrefix(got["file"], "folder") || !strings.HasPrefix(got["onto-link"], "file of 1") || len(got) != 10 {
			t.Errorf("%s: %q", tools, got)
		}
		plant(t, m.local("dst"), obstacles)
		m.move(runs.KindUpload, "src", "/workspace/clean")
		u = m.settle(m.begin(runs.KindDownload, "dst", "/workspace/clean"))
		if u.Status != runs.StatusFailed || moved(u).Failed.Count < 4 {
			t.Errorf("%s: %s, %+v", tools, u.Status, moved(u))
		}
		same(t, survey(t, m.local("dst")), got)
	}
}

func TestTransferIgnores(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	plant(t, m.local("repo"), map[string]item{
		".git/HEAD": file("ref"), ".gitignore": file("*.env\n/app/out\n"),
		"app/.gitignore": file("*.log\n!keep.log\nnode_modules/\n"),
		"app/a.go":       file("a"), "app/x.log": file("x"), "app/keep.log": file("k"), "app/prod.env": file("secret"),
		"app/out/o": file("o"), "app/sub/.gitignore": file("!x.log\ny"), "app/sub/x.log": file("x"), "app/sub/y": file("y"),
		"app/node_modules/m/i.js": file("m"), "app/lib/.git/config": file("c"), "app/lib/p.env": file("not of the outer repository's"), "app/" + stagePrefix + "old/x": file("x"),
	})
	u := m.move(runs.KindUpload, "repo/app", "/workspace/app")
	got := survey(t, m.remote("app"))
	want := survey(t, m.local("repo/app"))
	for name := range want {
		if strings.HasPrefix(name, "node_modules") || strings.HasPrefix(name, "lib/.git") || name == "lib/p.env" || strings.HasPrefix(name, "out") ||
			strings.HasPrefix(name, stagePrefix) || name == "x.log" || name == "prod.env" || name == "sub/y" {
			delete(want, name)
		}
	}
	same(t, got, want)
	if moved(u).Ignored != 8 {
		t.Errorf("%+v", moved(u))
	}
	all := func(r *Request) { r.All = true }
	m.move(runs.KindUpload, "repo/app", "/workspace/all", all)
	want = survey(t, m.local("repo/app"))
	maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, stagePrefix) })
	same(t, survey(t, m.remote("all")), want)

	m.move(runs.KindDownload, "all", "/workspace/all", all)
	same(t, survey(t, m.local("all")), want)
	m.move(runs.KindDownload, "some", "/workspace/all")
	maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, "lib/.git") })
	same(t, survey(t, m.local("some")), want)
}

// Links, FIFOs and what else is no file.
func TestTransferSkips(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	tree := map[string]item{
		"ok": file("1"), "in": {target: "./ok"}, "sub/in": {target: "../sub/../ok"}, "sub/up": {target: "../ok"},
		"abs": {target: "/etc/passwd"}, "up": {target: "../x"}, "sub/far": {target: "../../x"}, "trick": {target: "sub/up/../../x"},
		"fifo": {mode: fs.ModeNamedPipe},
	}
	plant(t, m.local("src"), tree)
	plant(t, m.remote("src"), tree)
	u := m.move(runs.KindUpload, "src", "/workspace/dst")
	d := m.move(runs.KindDownload, "dst", "/workspace/src")
	want := survey(t, m.local("src"))
	for _, name := range []string{"abs", "up", "sub/far", "trick", "fifo", "sub/in"} {
		delete(want, name)
	}
	same(t, survey(t, m.remote("dst")), want)
	same(t, survey(t, m.local("dst")), want)
	if moved(u).Skipped.Count != 6 || moved(d).Skipped.Count != 6 || moved(u).TotalFiles != 3 {
		t.Errorf("%+v %+v", moved(u), moved(d))
	}
}

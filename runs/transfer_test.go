//go:build unix

package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
)

// oddTree has what trees have that is not plain.
func oddTree(large int) map[string]item {
	tree := map[string]item{
		"plain.txt":              file("hello\n"),
		"program":                {content: []byte("#!/bin/sh\n"), mode: 0o755},
		"secret":                 {content: []byte("s"), mode: 0o600},
		"empty":                  file(""),
		"empty folder":           folder,
		"deep/er/and/deeper":     file("x"),
		"-rf":                    file("dash"),
		"--version":              file("dashes"),
		"with space":             file("1"),
		"quote'\"$(id)`":         file("2"),
		"line\nbreak/..x":        file("3"),
		"back\\slash":            file("4"),
		"cr\rname":               file("5"),
		"tab\t*?[x]":             file("6"),
		".hidden":                file("7"),
		"..double":               file("8"),
		"...":                    file("9"),
		"ünï/çödé":               file("10"),
		"not-utf8-\xff\xfe":      file("11"),
		".\xff":                  file("12"),
		"total":                  file("13"),
		strings.Repeat("n", 255): file("long"),
		strings.Repeat("d/", 60) + strings.Repeat("e", 200): file("deep"),
		"Case":       file("upper"),
		"case":       file("lower"),
		"link":       {target: "plain.txt"},
		"deep/up":    {target: "../plain.txt"},
		"to folder":  {target: "deep/er"},
		"dangling":   {target: "nowhere"},
		"nul.bin":    {content: []byte{0, 1, 2, 0xff, 0, '\n'}},
		"large.bin":  {content: noise(large, 7)},
		"parted.exe": {content: noise(partSize+4097, 8), mode: 0o755},
	}
	return tree
}

func TestTransferRoundTrip(t *testing.T) {
	for _, sandbox := range []emulator.SandboxMode{emulator.SandboxAuto, emulator.SandboxOff} {
		t.Run(string(sandbox), func(t *testing.T) {
			t.Parallel()
			m := startMover(t, emulator.Options{Sandbox: sandbox}, nil)
			plant(t, m.local("src"), oddTree(2<<20+13))
			want := survey(t, m.local("src"))

			u := m.move(KindUpload, "src", "/workspace/app")
			same(t, survey(t, m.remote("app")), want)
			files := 0
			for _, kind := range want {
				if kind != "folder" {
					files++
				}
			}
			if u.Moved.Files != files || u.Moved.TotalFiles != files || u.Moved.Bytes != u.Moved.TotalBytes || u.Moved.Bytes < 2<<20 {
				t.Errorf("%d files were moved: %+v", files, u.Moved)
			}
			m.move(KindDownload, "back", "/workspace/app")
			same(t, survey(t, m.local("back")), want)

			// Once more: there is nothing to do.
			for _, kind := range []Kind{KindUpload, KindDownload} {
				before := m.srv.Calls(writeEndpoint)
				u := m.move(kind, "back", "/workspace/app")
				links := 4
				if kind == KindDownload {
					links = 0
				}
				if u.Moved.Unchanged != files-links || u.Moved.Files != files || m.srv.Calls(writeEndpoint) != before {
					t.Errorf("%s: of %d files: %+v", kind, files, u.Moved)
				}
			}
			same(t, survey(t, m.remote("app")), want)
			same(t, survey(t, m.local("back")), want)
		})
	}
}

func TestTransferManySmallFiles(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	tree := map[string]item{}
	for i := range 2000 {
		tree[fmt.Sprintf("d%02d/f%04d.txt", i%37, i)] = file(strings.Repeat(fmt.Sprintf("line %d\n", i), i%90))
	}
	plant(t, m.local("src"), tree)
	want := survey(t, m.local("src"))
	before := m.srv.Mutations()
	p := &told{}
	run := m.begin(KindUpload, "src", "/workspace")
	if u := m.done(run, p); u.Status != StatusCompleted {
		t.Fatal(u.Err)
	}
	if n := m.srv.Mutations() - before; n > 40 {
		t.Errorf("2000 small files took %d requests", n)
	}
	same(t, survey(t, m.srv.Workspace(m.id)), want)
	if all := strings.Join(p.lines, "\n"); !strings.Contains(all, "uploaded 2000 of 2000 files") {
		t.Errorf("progress is %q", all)
	}
	before = m.srv.Mutations()
	m.move(KindDownload, "back", "/workspace")
	if n := m.srv.Mutations() - before; n > 40 {
		t.Errorf("2000 small files took %d requests", n)
	}
	same(t, survey(t, m.local("back")), want)
}

// A tree that may be moved may hold folders that may not.
func TestTransferRails(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	m.m.cfg.AllowPath = func(p string) error {
		if p == "/workspace/app/private" || strings.HasPrefix(p, "/workspace/app/private/") {
			return errors.New("no")
		}
		return nil
	}
	tree := map[string]item{"a": file("1"), "private/b": file("2"), "sub/private": file("3")}
	plant(t, m.local("src"), tree)
	u := m.move(KindUpload, "src", "/workspace/app")
	want := survey(t, m.local("src"))
	delete(want, "private")
	delete(want, "private/b")
	same(t, survey(t, m.remote("app")), want)
	plant(t, m.remote("app"), tree)
	d := m.move(KindDownload, "back", "/workspace/app")
	same(t, survey(t, m.local("back")), want)
	if u.Moved.Skipped.Count != 1 || d.Moved.Skipped.Count != 2 {
		t.Errorf("%+v %+v", u.Moved, d.Moved)
	}
	plant(t, m.root, map[string]item{"private": file("4")})
	if u := m.settle(m.begin(KindUpload, "private", "/workspace/app/")); u.Status != StatusFailed {
		t.Errorf("%s", u.Status)
	}
}

func TestTransferSingleFile(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
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
		m.move(KindUpload, c.local, c.remote)
		if got, want := survey(t, m.remote(filepath.Dir(c.lands)))[filepath.Base(c.lands)], survey(t, m.root)[c.local]; got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
	plant(t, m.root, map[string]item{"there": folder})
	plant(t, m.srv.Workspace(m.id), map[string]item{"link": {target: "g.sh"}})
	for _, c := range []struct{ remote, local, lands string }{
		{"/workspace/g.sh", "one", "one"},
		{"/workspace/g.sh", "there", "there/g.sh"},
		{"/workspace/g.sh", "x/y", "x/y"},
		{"/workspace/link", "linked", "linked"},
		{"/workspace/a/large", "big", "big"},
	} {
		m.move(KindDownload, c.local, c.remote)
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
	m := startMover(t, emulator.Options{}, nil)
	keep := func(r *TransferRequest) { r.Keep = true }
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

	m.move(KindUpload, "new", "/workspace/up")
	same(t, survey(t, m.remote("up")), both)
	m.move(KindDownload, "down", "/workspace/from")
	same(t, survey(t, m.local("down")), both)

	u := m.move(KindUpload, "new", "/workspace/up-keep", keep)
	same(t, survey(t, m.remote("up-keep")), before)
	if u.Moved.Skipped.Count != 3 || u.Moved.Unchanged != 2 {
		t.Errorf("%+v", u.Moved)
	}
	u = m.move(KindDownload, "down-keep", "/workspace/from", keep)
	same(t, survey(t, m.local("down-keep")), before)
	if u.Moved.Skipped.Count != 3 || u.Moved.Unchanged != 2 {
		t.Errorf("%+v", u.Moved)
	}

	// A file that is replaced here keeps its rights.
	plant(t, m.root, map[string]item{"private": {content: []byte("old"), mode: 0o600}})
	m.move(KindDownload, "private", "/workspace/from/a")
	if st, _ := os.Stat(m.local("private")); st.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %s now", st.Mode())
	}
}

// What is in the way of a file is reported, and nothing else suffers.
func TestTransferConflicts(t *testing.T) {
	t.Parallel()
	for _, tools := range []string{"tar", "script"} {
		proxy := &requests{}
		if tools == "script" {
			proxy.rewrite = only(t, without("tar")...)
		}
		m := startMover(t, emulator.Options{Sandbox: emulator.SandboxOff}, proxy.proxy)
		plant(t, m.local("src"), map[string]item{
			"file": file("f"), "dir/x": file("x"), "dir/y/z": file("z"), "ok": file("ok"), "l": {target: "ok"},
			"large": {content: noise(partSize*2, 1)}, "onto-link": file("1")})
		obstacles := map[string]item{"file/in": file("way"), "dir": file("way"), "large/in": file("way"), "onto-link": {target: "elsewhere"}, "elsewhere/in": file("e")}
		plant(t, m.remote("app"), obstacles)
		u := m.settle(m.begin(KindUpload, "src", "/workspace/app"))
		if u.Status != StatusFailed || u.Moved.Failed.Count != 6 {
			t.Errorf("%s: %s, %+v", tools, u.Status, u.Moved)
		}
		got := survey(t, m.remote("app"))
		if got["ok"] == "" || !strings.HasPrefix(got["dir"], "file of 3") || got["file"] != "folder" || !strings.HasPrefix(got["onto-link"], "file of 1") || len(got) != 10 {
			t.Errorf("%s: %q", tools, got)
		}
		plant(t, m.local("dst"), obstacles)
		m.move(KindUpload, "src", "/workspace/clean")
		u = m.settle(m.begin(KindDownload, "dst", "/workspace/clean"))
		if u.Status != StatusFailed || u.Moved.Failed.Count < 4 {
			t.Errorf("%s: %s, %+v", tools, u.Status, u.Moved)
		}
		same(t, survey(t, m.local("dst")), got)
	}
}

func TestTransferIgnores(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	plant(t, m.local("repo"), map[string]item{
		".git/HEAD": file("ref"), ".gitignore": file("*.env\n/app/out\n"),
		"app/.gitignore": file("*.log\n!keep.log\nnode_modules/\n"),
		"app/a.go":       file("a"), "app/x.log": file("x"), "app/keep.log": file("k"), "app/prod.env": file("secret"),
		"app/out/o": file("o"), "app/sub/.gitignore": file("!x.log\ny"), "app/sub/x.log": file("x"), "app/sub/y": file("y"),
		"app/node_modules/m/i.js": file("m"), "app/lib/.git/config": file("c"), "app/lib/p.env": file("not of the outer repository's"), "app/" + stagePrefix + "old/x": file("x"),
	})
	u := m.move(KindUpload, "repo/app", "/workspace/app")
	got := survey(t, m.remote("app"))
	want := survey(t, m.local("repo/app"))
	for name := range want {
		if strings.HasPrefix(name, "node_modules") || strings.HasPrefix(name, "lib/.git") || name == "lib/p.env" || strings.HasPrefix(name, "out") ||
			strings.HasPrefix(name, stagePrefix) || name == "x.log" || name == "prod.env" || name == "sub/y" {
			delete(want, name)
		}
	}
	same(t, got, want)
	if u.Moved.Ignored != 8 {
		t.Errorf("%+v", u.Moved)
	}
	all := func(r *TransferRequest) { r.All = true }
	m.move(KindUpload, "repo/app", "/workspace/all", all)
	want = survey(t, m.local("repo/app"))
	maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, stagePrefix) })
	same(t, survey(t, m.remote("all")), want)

	m.move(KindDownload, "all", "/workspace/all", all)
	same(t, survey(t, m.local("all")), want)
	m.move(KindDownload, "some", "/workspace/all")
	maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, "lib/.git") })
	same(t, survey(t, m.local("some")), want)
}

func TestTransferLocalPaths(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	outside := t.TempDir()
	plant(t, outside, map[string]item{"secret": file("s")})
	plant(t, m.root, map[string]item{"out": {target: outside}, "rel": {target: "../" + filepath.Base(outside)}, "fifo": {mode: fs.ModeNamedPipe}, "f": file("f")})
	for _, p := range []string{outside, filepath.Join(outside, "secret"), m.root + "/../x", "/etc/passwd", "/", "../x", "out", "out/secret", "rel/secret", "", "a\x00b", "fifo", "missing", "../" + filepath.Base(outside)} {
		_, _, err := m.m.StartTransfer(t.Context(), KindUpload, TransferRequest{Instance: m.id, Local: p, Remote: "/workspace/x"})
		if !errors.Is(err, ErrLocalPath) {
			t.Errorf("upload of %q: %v", p, err)
		}
	}
	plant(t, m.srv.Workspace(m.id), map[string]item{"d/f": file("new"), "d/out/secret": file("new"), "d/f2": file("2")})
	for _, p := range []string{"out", "out/x", "rel"} {
		u := m.settle(m.begin(KindDownload, p, "/workspace/d"))
		if u.Status != StatusFailed || !errors.Is(u.Err, ErrLocalPath) {
			t.Errorf("download to %q: %s, %v", p, u.Status, u.Err)
		}
	}
	// A link that is in the destination is not followed out of it either.
	if u := m.settle(m.begin(KindDownload, "", "/workspace/d")); u.Status != StatusFailed || u.Moved.Failed.Count != 2 {
		t.Errorf("%+v, %v", u.Moved, u.Err)
	}
	if got := survey(t, outside); len(got) != 1 || got["secret"] == survey(t, m.remote("d/out"))["secret"] {
		t.Errorf("outside is %q", got)
	}
	if b, _ := os.ReadFile(m.local("f2")); string(b) != "2" {
		t.Errorf("f2 is %q", b)
	}
	if _, _, err := m.manager(testKey, "").StartTransfer(t.Context(), KindUpload, TransferRequest{Instance: m.id, Local: m.local("f"), Remote: "/workspace/x"}); !errors.Is(err, ErrLocalPath) {
		t.Errorf("without roots: %v", err)
	}
}

// Links, FIFOs and what else is no file.
func TestTransferSkips(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	tree := map[string]item{
		"ok": file("1"), "in": {target: "./ok"}, "sub/in": {target: "../sub/../ok"}, "sub/up": {target: "../ok"},
		"abs": {target: "/etc/passwd"}, "up": {target: "../x"}, "sub/far": {target: "../../x"}, "trick": {target: "sub/up/../../x"},
		"fifo": {mode: fs.ModeNamedPipe},
	}
	plant(t, m.local("src"), tree)
	plant(t, m.remote("src"), tree)
	u := m.move(KindUpload, "src", "/workspace/dst")
	d := m.move(KindDownload, "dst", "/workspace/src")
	want := survey(t, m.local("src"))
	for _, name := range []string{"abs", "up", "sub/far", "trick", "fifo", "sub/in"} {
		delete(want, name)
	}
	same(t, survey(t, m.remote("dst")), want)
	same(t, survey(t, m.local("dst")), want)
	if u.Moved.Skipped.Count != 6 || d.Moved.Skipped.Count != 6 || u.Moved.TotalFiles != 3 {
		t.Errorf("%+v %+v", u.Moved, d.Moved)
	}
}

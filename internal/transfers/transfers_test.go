//go:build unix

package transfers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// oddTree has what trees have that is not plain.
func oddTree(large int) map[string]item {
	tree := map[string]item{
		"plain.txt":              file("hello\n"),
		"program":                {content: []byte("#!/bin/sh\n"), mode: 0o755},
		"secret":                 {content: []byte("s"), mode: 0o600, time: time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)},
		"fixed":                  {content: []byte("f"), mode: 0o444, time: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
		"odd\nand fixed":         {content: []byte("f"), mode: 0o400, time: time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)},
		"empty":                  file(""),
		"empty folder":           folder,
		"private folder":         {mode: fs.ModeDir | 0o700},
		"private folder/in":      file("in"),
		"fixed folder\nodd":      {mode: fs.ModeDir | 0o750},
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
		"parted.exe": {content: noise(partSize+4097, 8), mode: 0o755, time: time.Date(2010, 6, 1, 12, 0, 0, 0, time.UTC)},
		"parted.ro":  {content: noise(partSize+4097, 9), mode: 0o440},
	}
	return tree
}

func TestTransferRoundTrip(t *testing.T) {
	for _, sandbox := range sandboxModes {
		t.Run(string(sandbox), func(t *testing.T) {
			t.Parallel()
			m := startMover(t, emulatortest.Options{Sandbox: sandbox}, nil)
			plant(t, m.local("src"), oddTree(2<<20+13))
			want := survey(t, m.local("src"))

			u := m.move(runs.KindUpload, "src", "/workspace/app")
			same(t, survey(t, m.remote("app")), want)
			files := 0
			for _, kind := range want {
				if !strings.HasPrefix(kind, "folder") {
					files++
				}
			}
			if moved(u).Files != files || moved(u).TotalFiles != files || moved(u).Bytes != moved(u).TotalBytes || moved(u).Bytes < 2<<20 {
				t.Errorf("%d files were moved: %+v", files, moved(u))
			}
			m.move(runs.KindDownload, "back", "/workspace/app")
			same(t, survey(t, m.local("back")), want)

			// Once more: there is nothing to do.
			for _, kind := range []runs.Kind{runs.KindUpload, runs.KindDownload} {
				before := m.Srv.Calls(writeEndpoint)
				u := m.move(kind, "back", "/workspace/app")
				links := 4
				if kind == runs.KindDownload {
					links = 0
				}
				if moved(u).Unchanged != files-links || moved(u).Files != files || m.Srv.Calls(writeEndpoint) != before {
					t.Errorf("%s: of %d files: %+v", kind, files, moved(u))
				}
			}
			same(t, survey(t, m.remote("app")), want)
			same(t, survey(t, m.local("back")), want)
		})
	}
}

// A tree that may be moved may hold folders that may not.
func TestTransferRails(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	m.m.files.cfg.AllowPath = func(p string) error {
		if p == "/workspace/app/private" || strings.HasPrefix(p, "/workspace/app/private/") {
			return errors.New("no")
		}
		return nil
	}
	tree := map[string]item{"a": file("1"), "private/b": file("2"), "sub/private": file("3")}
	plant(t, m.local("src"), tree)
	u := m.move(runs.KindUpload, "src", "/workspace/app")
	want := survey(t, m.local("src"))
	delete(want, "private")
	delete(want, "private/b")
	same(t, survey(t, m.remote("app")), want)
	plant(t, m.remote("app"), tree)
	d := m.move(runs.KindDownload, "back", "/workspace/app")
	same(t, survey(t, m.local("back")), want)
	if moved(u).Skipped.Count != 1 || moved(d).Skipped.Count != 2 {
		t.Errorf("%+v %+v", moved(u), moved(d))
	}
	plant(t, m.root, map[string]item{"private": file("4")})
	if u := m.settle(m.begin(runs.KindUpload, "private", "/workspace/app/")); u.Status != runs.StatusFailed {
		t.Errorf("%s", u.Status)
	}
}

func TestTransferLocalPaths(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	outside := t.TempDir()
	plant(t, outside, map[string]item{"secret": file("s")})
	plant(t, m.root, map[string]item{"out": {target: outside}, "rel": {target: "../" + filepath.Base(outside)}, "fifo": {mode: fs.ModeNamedPipe}, "f": file("f")})
	for _, p := range []string{outside, filepath.Join(outside, "secret"), m.root + "/../x", "/etc/passwd", "/", "../x", "out", "out/secret", "rel/secret", "", "a\x00b", "fifo", "missing", "../" + filepath.Base(outside)} {
		_, _, err := m.m.files.Start(t.Context(), runs.KindUpload, Request{Instance: m.ID, Local: p, Remote: "/workspace/x"})
		if !errors.Is(err, ErrLocalPath) {
			t.Errorf("upload of %q: %v", p, err)
		}
	}
	plant(t, m.Srv.Workspace(m.ID), map[string]item{"d/f": file("new"), "d/out/secret": file("new"), "d/f2": file("2")})
	for _, p := range []string{"out", "out/x", "rel"} {
		u := m.settle(m.begin(runs.KindDownload, p, "/workspace/d"))
		if u.Status != runs.StatusFailed || !errors.Is(u.Err, ErrLocalPath) {
			t.Errorf("download to %q: %s, %v", p, u.Status, u.Err)
		}
	}
	// A link that is in the destination is not followed out of it either.
	if u := m.settle(m.begin(runs.KindDownload, "", "/workspace/d")); u.Status != runs.StatusFailed || moved(u).Failed.Count != 2 {
		t.Errorf("%+v, %v", moved(u), u.Err)
	}
	if got := survey(t, outside); len(got) != 1 || got["secret"] == survey(t, m.remote("d/out"))["secret"] {
		t.Errorf("outside is %q", got)
	}
	if b, _ := os.ReadFile(m.local("f2")); string(b) != "2" {
		t.Errorf("f2 is %q", b)
	}
	if _, _, err := m.other(runstest.Key, "").files.Start(t.Context(), runs.KindUpload, Request{Instance: m.ID, Local: m.local("f"), Remote: "/workspace/x"}); !errors.Is(err, ErrLocalPath) {
		t.Errorf("without roots: %v", err)
	}
}

// A service that cuts off the output of commands and does not say so gives all of every file.
func TestDownloadSilentlyCut(t *testing.T) {
	for _, most := range []int{8 << 10, 64 << 10} {
		for name, remark := range map[string]string{"end": "", "middle": "\n... [truncated] ...\n"} {
			if !runstest.Thorough && (most > 8<<10 || name == "end") {
				continue
			}
			t.Run(fmt.Sprintf("%d, %s", most, name), func(t *testing.T) {
				t.Parallel()
				m := startMover(t, emulatortest.Options{}, emulatortest.Cutting(most, remark))
				tree := map[string]item{"large": {content: noise(60_000, 1)}}
				for i := range 80 {
					tree[fmt.Sprintf("folder %d/file %d", i%10, i)] = item{content: noise(i*20, uint64(i))}
				}
				plant(t, m.remote("app"), tree)
				m.move(runs.KindDownload, "back", "/workspace/app")
				same(t, survey(t, m.local("back")), survey(t, m.remote("app")))
			})
		}
	}
}

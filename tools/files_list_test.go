package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

func names(out listFilesOut) []string {
	var all []string
	for _, f := range out.Entries {
		all = append(all, strings.TrimPrefix(f.Path, out.Path+"/"))
	}
	return all
}

func TestListFiles(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]emulator.Options{
		"off": {}, "sandbox": {Sandbox: emulator.SandboxAuto}, "names": {FileNames: true}, "wrapped": {Messages: emulator.Wrapped, Exec: emulator.Output},
		"camel": {Messages: emulator.Camel, Exec: emulator.Bare}, "no exec": {}, "no stat, no gzip": {}, "sh": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, opts)
			switch name {
			case "no exec":
				b.noExec()
			case "sh":
				b.rewriteExec(func(c string) string { return "exec sh -c " + shellQuote(c) })
			case "no stat, no gzip":
				b.without("stat", "gzip")
			}
			b.put("b.txt", "12345")
			b.put("a/c.go", "1")
			b.put("a/d/e.go", "12")
			b.put(".hidden", "")
			for want, a := range map[string]args{
				"a .hidden b.txt":                     {},
				"a a/d .hidden a/c.go a/d/e.go b.txt": {"depth": 3},
				"a a/d .hidden a/c.go b.txt":          {"depth": 2, "path": "."},
				"d c.go d/e.go":                       {"path": "a", "depth": 20},
				"a/c.go a/d/e.go":                     {"glob": "*.go", "depth": 5},
				"a/d/e.go":                            {"glob": "**/d/*.go"},
				"a/c.go":                              {"glob": "a/*.go"},
				"b.txt":                               {"glob": "[a-c].t?t"},
				"":                                    {"glob": "*.rs"},
			} {
				got := call[listFilesOut](b, "list_files", a)
				if strings.Join(names(got), " ") != want || got.Total != len(got.Entries) || got.Next != "" {
					t.Errorf("%v: got %v of %d, want %s", a, names(got), got.Total, want)
				}
			}
			got := call[listFilesOut](b, "list_files", args{"depth": 2, "glob": "b.txt"})
			if f := got.Entries[0]; f.Type != "file" || name != "names" && name != "no stat, no gzip" && (f.Size == nil || *f.Size != 5 || !strings.HasPrefix(f.ModifiedAt, time.Now().UTC().Format("2006"))) {
				t.Errorf("got %+v", f)
			}
			b.refuse("list_files", args{"path": "none"}, "none")
			b.refuse("list_files", args{"path": "none", "depth": 3}, "none")
			b.refuse("list_files", args{"path": "b.txt"})
			b.refuse("list_files", args{"path": "b.txt", "depth": 3})
			b.refuse("list_files", args{"path": "..", "depth": 2})
			b.refuse("list_files", args{"path": "/etc"}, "under /workspace")
			b.refuse("list_files", args{"glob": "[a"}, "glob")
			b.refuse("list_files", args{"depth": 21}, "depth", "20")
			b.refuse("list_files", args{"sort": "age"}, "sort", "modified")
			b.refuse("list_files", args{"cursor": "x"}, "cursor")
		})
	}
}

// TestListOdd: names of every kind, links, and what is neither file nor
// directory.
func TestListOdd(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{})
	for _, n := range oddNames {
		b.put("odd/"+n, "x")
	}
	b.put("bad/caf\xe9", "x")
	if err := os.Symlink("..", b.path("odd/link")); err != nil {
		t.Fatal(err)
	}
	got := call[listFilesOut](b, "list_files", args{"depth": 5})
	want := []string{"bad", "odd", `bad/caf\xe9`, "odd/link"}
	for _, n := range oddNames {
		want = append(want, "odd/"+n)
	}
	have := names(got)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("got %q, want %q", have, want)
	}
	for _, f := range got.Entries {
		if strings.HasSuffix(f.Path, "/link") && f.Type != "symlink" {
			t.Errorf("got %+v", f)
		}
	}
	if !strings.Contains(got.Note, "not UTF-8") {
		t.Errorf("note %q", got.Note)
	}
	text := b.try("list_files", args{"depth": 5}).Text
	if !strings.Contains(text, `"odd/new\nline"`) || !strings.Contains(text, "symlink") || strings.Count(text, "\n") != len(want)+1 {
		t.Errorf("the text is %s", text)
	}
	// Every name that is shown as it is can be used.
	for _, f := range got.Entries {
		if f.Type == "file" && !strings.Contains(f.Path, `\xe9`) {
			if out := call[readFileOut](b, "read_file", args{"path": f.Path, "offset": -1}); out.Content != "x" {
				t.Errorf("%q: got %q", f.Path, out.Content)
			}
		}
	}
	b.refuse("read_file", args{"path": "caf\uFFFD"}, "not UTF-8")
}

// TestListPages goes through a directory of 10,000 files, some of which come and
// go meanwhile, at one level and through find.
func TestListPages(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{Dir: memoryDir(t)})
	for i := range 10000 {
		name := b.path(fmt.Sprintf("many/f%05d", i))
		if i == 0 {
			if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []args{{"path": "many", "limit": 1000}, {"depth": 2, "glob": "many/f*", "limit": 1000, "sort": "size"}} {
		b.deps.MaxResultChars = 100000
		seen := map[string]int{}
		calls := 0
		for {
			calls++
			out := call[listFilesOut](b, "list_files", a)
			for _, f := range out.Entries {
				seen[f.Path]++
			}
			if out.Cursor == "" || calls > 30 {
				break
			}
			next := nextCall(t, out.Next)
			if next["cursor"] != out.Cursor {
				t.Errorf("cursor %q, next %q", out.Cursor, out.Next)
			}
			// What the page ended with goes, and so nothing may be lost with it.
			if calls == 2 {
				last := out.Entries[len(out.Entries)-1].Path
				if err := os.Remove(b.path(strings.TrimPrefix(last, "/workspace/"))); err != nil {
					t.Fatal(err)
				}
				defer b.put(strings.TrimPrefix(last, "/workspace/"), "")
			}
			a = next
		}
		for name, n := range seen {
			if n != 1 {
				t.Fatalf("%v: %s came %d times", a, name, n)
			}
		}
		if len(seen) < 9998 || calls < 10 {
			t.Errorf("%v: %d files in %d calls", a, len(seen), calls)
		}
	}
	b.refuse("list_files", args{"path": "many", "cursor": call[listFilesOut](b, "list_files", args{"path": "many"}).Cursor, "sort": "size"}, "another listing")
}

// TestListHuge: 50,000 entries, whose listing comes in several parts.
func TestListHuge(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{Dir: memoryDir(t)})
	b.without("gzip")
	for d := range 50 {
		dir := b.path(fmt.Sprintf("d%02d", d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if err := os.Symlink("nowhere", filepath.Join(dir, fmt.Sprintf("link-%d", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := call[listFilesOut](b, "list_files", args{"depth": 3, "limit": 60})
	if out.Total != 50050 || len(out.Entries) != 60 || out.Entries[59].Type != "symlink" {
		t.Errorf("got %d of %d", len(out.Entries), out.Total)
	}
	if n := b.srv.Calls(execEndpoint); n < 2 || n > 12 {
		t.Errorf("it took %d commands", n)
	}
	left, _ := filepath.Glob("/tmp/openclaw-mcp-list-*")
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"*.go", "a.go", true}, {"*.go", "x/y/a.go", true}, {"*", ".hidden", true}, {"a?c", "abc", true}, {"a?c", "a/c", false},
		{"[!a]b", "xb", true}, {"[^a]b", "ab", false}, {"src/*.ts", "src/a.ts", true}, {"src/*.ts", "src/x/a.ts", false},
		{"src/**/*.ts", "src/a.ts", true}, {"src/**/*.ts", "src/x/y/a.ts", true}, {"**", "a/b", true}, {"**/b", "b", true},
		{"a/**", "a", true}, {"a/**", "a/b/c", true}, {"a/**/b/**/c", "a/x/b/y/b/c", true}, {"a/**/b/**/c", "a/x/y/c", false},
		{"./a/*", "a/b", true}, {"**/**/a", "a", true}, {`\*`, "*", true},
	} {
		g, err := newGlob(tt.pattern)
		if err != nil || g.match(tt.path) != tt.want {
			t.Errorf("%s of %s: got %v, %v", tt.pattern, tt.path, !tt.want, err)
		}
	}
	g, _ := newGlob(strings.Repeat("**/a*/", 30) + "b")
	if g.match(strings.Repeat("aaaa/", 200) + "c") {
		t.Error("it matches")
	}
}

func FuzzParseFind(f *testing.F) {
	f.Add([]byte("2\n81a4_5_1700000000\nl\n#\n./a\x00./b\nc\x00"))
	f.Add([]byte("1\n#\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, e := range parseFind(raw).entries {
			if e.kind == "" {
				t.Errorf("%q has no type", e.rel)
			}
		}
	})
}

package tools

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/sandbox"
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
	for name, opts := range map[string]emulatortest.Options{
		"off": {}, "sandbox": {Sandbox: emulator.SandboxAuto}, "names": {FileNames: true}, "wrapped": {Messages: emulatortest.Wrapped, Exec: emulatortest.Output},
		"camel": {Messages: emulatortest.Camel, Exec: emulatortest.Bare}, "no exec": {}, "no stat, no gzip": {}, "sh": {},
	} {
		if !thorough && name != "off" && name != "no exec" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, opts)
			switch name {
			case "no exec":
				b.noExec()
			case "sh":
				b.rewriteExec(func(c string) string { return "exec sh -c " + sandbox.Quote(c) })
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
			if got := call[listFilesOut](b, "list_files", args{"glob": "*.go"}); got.Total != 0 || !strings.Contains(got.Note, `subfolders are not searched; glob: "**/*.go"`) {
				t.Errorf("*.go: got %v, notes %q", names(got), got.Note)
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

func TestListSizes(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("one", "1")
	b.put("two", "12")
	if r := b.say("list_files", args{}); !strings.Contains(r.text, "one  1 byte  ") || !strings.Contains(r.text, "two  2 bytes  ") {
		t.Errorf("got %s", r.text)
	}
}

// TestListOdd: names of every kind, links, and what is neither file nor
// directory.
func TestListOdd(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
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
		if !thorough && !slices.Contains(someNames(), strings.TrimPrefix(f.Path, "/workspace/odd/")) {
			continue
		}
		if f.Type == "file" && !strings.Contains(f.Path, `\xe9`) {
			if out := call[readFileOut](b, "read_file", args{"path": f.Path, "offset": -1}); out.Content != "x" {
				t.Errorf("%q: got %q", f.Path, out.Content)
			}
		}
	}
	b.refuse("read_file", args{"path": "caf\uFFFD"}, "not UTF-8")
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
		{"*.{ts,tsx}", "x/a.tsx", true}, {"*.{ts,tsx}", "a.js", false}, {"{src,lib}/*.go", "lib/a.go", true}, {`\{a\}`, "{a}", true},
	} {
		g, err := newGlob("glob", tt.pattern)
		if err != nil || g.match(tt.path) != tt.want {
			t.Errorf("%s of %s: got %v, %v", tt.pattern, tt.path, !tt.want, err)
		}
	}
	g, _ := newGlob("glob", strings.Repeat("**/a*/", 30)+"b")
	if g.match(strings.Repeat("aaaa/", 200) + "c") {
		t.Error("it matches")
	}
	for _, pattern := range []string{"[a", "{a", `\`, strings.Repeat("{a,b}", 7), strings.Repeat("{a,{b,c}}", 30)} {
		if _, err := newGlob("glob", pattern); err == nil {
			t.Errorf("%s is taken", pattern)
		}
	}
	for pattern, want := range map[string]int{"*.go": 1, "a**": 1, "a/b/*": 3, "{a,b/c}/d": 3, "a/**": 9, "a/b/c/d/e/f/g/h/i/j": 9} {
		if g, err := newGlob("glob", pattern); err != nil || g.depth(9) != want {
			t.Errorf("%s: depth %d, %v; want %d", pattern, g.depth(9), err, want)
		}
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

// TestListWhole: a service may list less than there is; with a shell, that does not matter. What the
// shell could not read is told.
func TestListWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	for _, name := range []string{"d/a", "d/.env", "d/sub/x"} {
		b.put(name, "")
	}
	short := func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/files") {
			_, _ = w.Write([]byte(`[{"name":"a","type":"file"}]`))
		}
		return strings.HasSuffix(r.URL.Path, "/files")
	}
	b.rewriteExec(func(c string) string {
		return "find() { command find \"$@\" && echo './sub: Permission denied' >&2; }\n" + c
	})
	rewrite := b.between
	b.between = func(w http.ResponseWriter, r *http.Request) bool { return short(w, r) || rewrite(w, r) }
	r := b.try("list_files", args{"path": "d"})
	if out := decodeOut[listFilesOut](b, r); out.Total != 3 || !strings.Contains(r.Text, "1 error on the way") {
		t.Errorf("got %s", r.Text)
	}
	b.noExec()
	refuse := b.between
	b.between = func(w http.ResponseWriter, r *http.Request) bool { return short(w, r) || refuse(w, r) }
	if out := call[listFilesOut](b, "list_files", args{"path": "d"}); out.Total != 1 {
		t.Errorf("without a shell: got %+v", out)
	}
}

// TestMissingByScript: where the service has no file endpoints, an error says what the script found.
func TestMissingByScript(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("f", "x")
	for name, target := range map[string]string{"nowhere": "none", "loop": "loop"} {
		if err := os.Symlink(target, b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/files") {
			http.Error(w, "Cannot GET "+r.URL.Path, http.StatusNotFound)
			return true
		}
		return false
	}
	for _, tt := range []struct{ tool, path, want string }{
		{"read_file", "none", "there is no"}, {"read_file", "nowhere", "there is no"}, {"read_file", "loop", "circles"},
		{"list_files", "none", "there is no"}, {"list_files", "f", "must be a directory"}, {"read_file", "f/x", "there is no"},
	} {
		b.refuse(tt.tool, args{"path": tt.path}, tt.want, "nothing was changed")
	}
}

// TestListCircle: without a shell, a link that the service follows does not make a folder endless.
func TestListCircle(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.noExec()
	refuse := b.between
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/files") {
			return refuse(w, r)
		}
		list := `[{"name":"f","type":"file","size":3},{"name":"sub","type":"directory"}]`
		if strings.HasSuffix(r.URL.Query().Get("path"), "/sub") {
			list = `[{"name":"g","type":"file","size":1},{"name":"up","type":"directory"}]` // which leads to ".."
		}
		_, _ = w.Write([]byte(list))
		return true
	}
	got := call[listFilesOut](b, "list_files", args{"path": "d", "depth": 20})
	if strings.Join(names(got), " ") != "sub sub/up f sub/g" || !strings.Contains(got.Note, "leads back") {
		t.Errorf("got %v, %s", names(got), got.Note)
	}
}

//go:build unix

package emulator_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

func read(path string) string { return "/files/read?path=" + path }

func TestFiles(t *testing.T) {
	f := start(t, emulatortest.Options{Sandbox: emulator.SandboxOff})
	write := f.in("/files/write")
	f.want(200, "POST", write, `{"path":"/workspace/a/b/c.txt","content":"hü\n"}`)
	f.want(200, "POST", write, `{"path":"rel.txt","content":""}`)
	f.want(200, "POST", f.in("/files/upload"), `{"targetDir":"/workspace/up","fileName":"x y.txt","content":"up"}`)
	for range 2 {
		f.want(200, "POST", f.in("/files/mkdir"), `{"path":"/workspace/deep/er"}`)
	}
	for path, want := range map[string]string{
		"/workspace/a/b/c.txt": "hü\n", "a/b/c.txt": "hü\n", "a/./x/../b/c.txt": "hü\n", "rel.txt": "", "up/x%20y.txt": "up",
	} {
		if got := get(t, f.want(200, "GET", f.in(read(path)), ""), "content"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	var names []string
	for _, e := range f.want(200, "GET", f.in("/files"), "").([]any) {
		names = append(names, get(t, e, "type").(string)+" "+get(t, e, "path").(string))
	}
	want := []string{"directory /workspace/a", "directory /workspace/deep", "file /workspace/rel.txt", "directory /workspace/up"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		status       int
		method, path string
		body         string
	}{
		{404, "GET", read("none"), ""},
		{404, "GET", read("a/none/c"), ""},
		{404, "GET", "/files?path=none", ""},
		{409, "GET", read("a"), ""},
		{409, "GET", "/files?path=rel.txt", ""},
		{409, "GET", read("rel.txt/x"), ""},
		{422, "GET", "/files/read", ""},
		{409, "POST", "/files/write", `{"path":"a","content":""}`},
		{409, "POST", "/files/write", `{"path":"/workspace","content":""}`},
		{409, "POST", "/files/write", `{"path":"rel.txt/x","content":""}`},
		{409, "POST", "/files/mkdir", `{"path":"rel.txt"}`},
		{422, "POST", "/files/write", `{"path":"x"}`},
		{422, "POST", "/files/write", `{"path":"x","content":5}`},
		{422, "POST", "/files/write", `{"path":"x\u0000","content":""}`},
		{422, "POST", "/files/upload", `{"targetDir":"/workspace","fileName":"a/b","content":""}`},
		{422, "POST", "/files/upload", `{"targetDir":"/workspace","fileName":"..","content":""}`},
		{422, "POST", "/files/upload", `{"targetDir":"/workspace","content":""}`},
	} {
		if a := f.do(test.method, f.in(test.path), test.body); a.status != test.status || strings.Contains(a.body, f.srv.Workspace(f.id)) {
			t.Errorf("%s %s %s: got %d %s, want %d", test.method, test.path, test.body, a.status, a.body, test.status)
		}
	}
}

func TestFilesStayInside(t *testing.T) {
	f := start(t, emulatortest.Options{Sandbox: emulator.SandboxOff})
	work := f.srv.Workspace(f.id)
	secret := filepath.Join(filepath.Dir(work), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"abs": secret, "rel": "../secret", "dir": "..", "absdir": filepath.Dir(work), "loop": "loop", "chain": "rel",
		"good": "/workspace/file", "gooddir": "/workspace/sub", "fine": "sub/../file", "viadir": "gooddir/inner",
	} {
		if err := os.Symlink(target, filepath.Join(work, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		"../secret", "/workspace/../secret", "/etc/passwd", "/workspacex", "/", "a/../../secret",
		"abs", "rel", "chain", "dir/secret", "absdir/secret",
	} {
		for _, a := range []answer{
			f.do("GET", f.in(read(path)), ""),
			f.do("POST", f.in("/files/write"), toJSON(map[string]any{"path": path, "content": "x"})),
			f.do("POST", f.in("/files/mkdir"), toJSON(map[string]any{"path": path + "/new"})),
		} {
			if a.status != 403 {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	f.want(409, "GET", f.in(read("loop")), "")
	f.want(403, "GET", f.in("/files?path=dir"), "")
	if got, _ := os.ReadFile(secret); string(got) != "secret" {
		t.Errorf("written outside: %q", got)
	}
	// Links that stay in the workspace work, absolute ones too.
	f.want(200, "POST", f.in("/files/write"), `{"path":"file","content":"1"}`)
	f.want(200, "POST", f.in("/files/write"), `{"path":"sub/inner","content":"2"}`)
	for path, want := range map[string]string{"good": "1", "gooddir/inner": "2", "fine": "1", "viadir": "2"} {
		if got := get(t, f.want(200, "GET", f.in(read(path)), ""), "content"); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	// Reading a pipe must not wait for its other end.
	if err := syscall.Mkfifo(filepath.Join(work, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.want(409, "GET", f.in(read("pipe")), "")
	f.want(200, "GET", f.in("/files"), "") // with links to nowhere in it
}

func TestFilesForms(t *testing.T) {
	binary := []byte("a\x00\xff\xfe")
	put := func(f *fixture) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(f.srv.Workspace(f.id), "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.srv.Workspace(f.id), "d", "bin"), binary, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := start(t, emulatortest.Options{})
	put(f)
	v := f.want(200, "GET", f.in(read("d/bin")), "")
	if got, _ := base64.StdEncoding.DecodeString(get(t, v, "content").(string)); !bytes.Equal(got, binary) || get(t, v, "encoding") != "base64" {
		t.Errorf("%v", v)
	}
	f = start(t, emulatortest.Options{RawFiles: true, FileNames: true})
	put(f)
	if a := f.do("GET", f.in(read("d/bin")), ""); a.body != string(binary) {
		t.Errorf("raw: %q", a.body)
	}
	if a := f.do("GET", f.in("/files"), ""); a.body != `{"files":["d/","d/bin"]}` {
		t.Errorf("names: %s", a.body)
	}
	if a := f.do("GET", f.in("/files?path=d"), ""); a.body != `{"files":["bin"]}` {
		t.Errorf("names: %s", a.body)
	}
}

// A large text is answered whole, with a rune across every kind of boundary.
func TestFilesLarge(t *testing.T) {
	f := start(t, emulatortest.Options{})
	want := strings.Repeat("ä€😀\n\"", 1<<20/12)
	if err := os.WriteFile(filepath.Join(f.srv.Workspace(f.id), "big"), []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := get(t, f.want(200, "GET", f.in(read("big")), ""), "content"); got != want {
		t.Error("the content differs")
	}
}

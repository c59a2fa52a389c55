package tools

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"sync"
	"testing"

	"openclaw-mcp/internal/emulator"
)

func TestWritePlain(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{})
	got := call[writeFileOut](b, "write_file", args{"path": "new/dir/a.txt", "content": "hé\r\n"})
	if got.Bytes != 5 || got.SHA256 != hashOf([]byte("hé\r\n")) || got.Path != "/workspace/new/dir/a.txt" {
		t.Errorf("got %+v", got)
	}
	b.want("new/dir/a.txt", "hé\r\n")
	if w, e := b.srv.Calls(writeEndpoint), b.srv.Calls(execEndpoint); w != 1 || e != 0 {
		t.Errorf("it took %d files/write and %d terminal/exec", w, e)
	}
	b.refuse("write_file", args{"path": "new/", "content": ""}, "directory")
	b.refuse("write_file", args{"path": "/workspace", "content": ""}, "directory")
	b.refuse("write_file", args{"path": "new", "content": ""}, "directory")
	b.refuse("write_file", args{"path": "/etc/x", "content": ""}, "under /workspace")
	b.refuse("write_file", args{"path": "a", "content": "", "mode": "replace"}, "mode", "overwrite")
	b.refuse("write_file", args{"path": "a", "content": "?", "encoding": "base64"}, "content", "base64")
	b.refuse("write_file", args{"path": "a", "content": "", "if_match": "abc"}, "if_match", "64")
	b.refuse("write_file", args{"path": "a\x00b", "content": ""}, "NUL")
}

// writers runs a test with and without a namespace, flock and stat.
func writers(t *testing.T, test func(*bench)) {
	for name, opts := range map[string]emulator.Options{
		"off": {}, "sandbox": {Sandbox: emulator.SandboxAuto}, "bare": {Exec: emulator.Bare, Messages: emulator.Wrapped}, "merged": {Exec: emulator.Output, RawFiles: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, opts))
		})
	}
	t.Run("sh", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, emulator.Options{})
		b.rewriteExec(func(c string) string { return "exec sh -c " + shellQuote(c) })
		test(b)
	})
	for _, lacking := range [][]string{{"flock", "sha256sum", "shasum"}} {
		t.Run("without "+strings.Join(lacking, ", "), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, emulator.Options{})
			b.without(lacking...)
			test(b)
		})
	}
}

func TestWriteModes(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		got := call[writeFileOut](b, "write_file", args{"path": "d/a", "content": "one\n", "mode": "create"})
		if got.SHA256 != hashOf([]byte("one\n")) || got.Bytes != 4 {
			b.Errorf("got %+v", got)
		}
		b.refuse("write_file", args{"path": "d/a", "content": "x", "mode": "create"}, "exists", "nothing was changed")
		b.want("d/a", "one\n")
		got = call[writeFileOut](b, "write_file", args{"path": "d/a", "content": "two\n", "mode": "append"})
		if got.SHA256 != hashOf([]byte("one\ntwo\n")) || got.Bytes != 8 {
			b.Errorf("got %+v", got)
		}
		call[writeFileOut](b, "write_file", args{"path": "e/f/b", "content": "new", "mode": "append"})
		b.want("e/f/b", "new")

		if err := os.Chmod(b.path("d/a"), 0o754); err != nil {
			b.Fatal(err)
		}
		b.refuse("write_file", args{"path": "d/a", "content": "x", "if_match": strings.Repeat("0", 64)}, got.SHA256, "nothing was changed")
		b.refuse("write_file", args{"path": "d/none", "content": "x", "if_match": got.SHA256}, "no such file")
		b.refuse("write_file", args{"path": "q/none", "content": "x", "if_match": got.SHA256}, "no such file")
		b.gone("q")
		got = call[writeFileOut](b, "write_file", args{"path": "d/a", "content": "three", "if_match": strings.ToUpper(got.SHA256)})
		b.want("d/a", "three")
		if info, _ := os.Stat(b.path("d/a")); info.Mode().Perm() != 0o754 {
			b.Errorf("the permissions became %v", info.Mode())
		}
		binary := "\x00\xff\xfe\n"
		call[writeFileOut](b, "write_file", args{"path": "bin", "content": base64.StdEncoding.EncodeToString([]byte(binary)), "encoding": "base64"})
		b.want("bin", binary)
		call[writeFileOut](b, "write_file", args{"path": "empty", "content": "", "mode": "create"})
		b.want("empty", "")
		for _, name := range oddNames {
			call[writeFileOut](b, "write_file", args{"path": "odd/" + name + "/" + name, "content": name, "mode": "create"})
			b.want("odd/"+name+"/"+name, name)
		}
		b.refuse("write_file", args{"path": strings.Repeat("n", 256), "content": "", "mode": "create"}, "nothing was changed")

		// Links: followed where they stay inside.
		for name, target := range map[string]string{"link": "d/a", "abs": "/workspace/d/a", "out": "/tmp/x", "dirlink": "/tmp", "up": "../.."} {
			if err := os.Symlink(target, b.path(name)); err != nil {
				b.Fatal(err)
			}
		}
		call[writeFileOut](b, "write_file", args{"path": "link", "content": "4", "if_match": got.SHA256})
		call[writeFileOut](b, "write_file", args{"path": "abs", "content": "5", "mode": "append"})
		b.want("d/a", "45")
		for _, p := range []string{"out", "dirlink/evil", "up/evil", "dirlink/deep/evil"} {
			b.refuse("write_file", args{"path": p, "content": "x", "mode": "append"}, "leads out of")
		}
		b.refuse("write_file", args{"path": "../evil", "content": "x", "mode": "append"}, "leads out of")
		b.refuse("write_file", args{"path": "d", "content": "x", "mode": "append"}, "directory")
		if err := mkfifo(b.path("pipe")); err != nil {
			b.Fatal(err)
		}
		b.refuse("write_file", args{"path": "pipe", "content": "x", "mode": "append"}, "FIFO")
		b.clean()
	})
}

var oddNames = []string{"-rf", "--", "a b", " lead", "new\nline", "end\n", `q"u'o$t\e` + "`x`", "*?[a]", "ünï\t☃", "$(touch evil)", ";rm", strings.Repeat("l", 255), "=", "!", "..."}

// TestWriteLarge: 20 MB arrive as a whole or not at all.
func TestWriteLarge(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulator.Options{})
	content := strings.Repeat("0123456789abcde\n", 20<<20/16)
	b.put("big", "old")
	for i, f := range []emulator.Fault{
		{Endpoint: writeEndpoint, Call: 4, Status: 500},
		{Endpoint: writeEndpoint, Call: 2, Drop: true},
		{Endpoint: execEndpoint, Call: 2, Status: 502, Body: "<html>"},
	} {
		content := content
		if i > 0 {
			content = content[:5<<20] // is in parts, too, and faster
		}
		b.srv.SetFaults(f)
		b.refuse("write_file", args{"path": "big", "content": content})
		b.want("big", "old")
		b.clean()
	}
	b.srv.SetFaults()
	got := call[writeFileOut](b, "write_file", args{"path": "big", "content": content})
	if got.Bytes != 20<<20 || got.SHA256 != hashOf([]byte(content)) {
		t.Errorf("got %+v", got)
	}
	b.want("big", content)
	b.clean()

	// The answer to the last step is lost, but the step was made.
	b.srv.SetFaults(emulator.Fault{Endpoint: execEndpoint, Call: 2, Drop: true, After: true})
	small := strings.Repeat("x", 100<<10)
	if got := call[writeFileOut](b, "write_file", args{"path": "big", "content": small, "if_match": got.SHA256}); got.SHA256 != hashOf([]byte(small)) {
		t.Errorf("got %+v", got)
	}
	b.srv.SetFaults()
	// What would be refused is refused before anything is sent.
	before := b.srv.Calls(writeEndpoint)
	b.refuse("write_file", args{"path": "big", "content": content[:5<<20], "mode": "create"}, "exists")
	if n := b.srv.Calls(writeEndpoint); n != before {
		t.Errorf("%d parts were sent in vain", n-before)
	}
	noise := make([]byte, 5<<20+1)
	_, _ = rand.New(rand.NewSource(1)).Read(noise)
	call[writeFileOut](b, "write_file", args{"path": "noise", "content": base64.StdEncoding.EncodeToString(noise), "encoding": "base64"})
	b.want("noise", string(noise))

	// With no commands, one request has to do.
	b.noExec()
	call[writeFileOut](b, "write_file", args{"path": "big", "content": content[:5<<20]})
	b.want("big", content[:5<<20])
	b.refuse("write_file", args{"path": "big", "content": "x", "mode": "append"}, "not found", "nothing was changed")
	b.refuse("edit_file", args{"path": "big", "old_text": "abc", "new_text": "x"}, "nothing was changed")
	b.clean()
}

// TestWriteRaces: of writers that go by the same content, one wins.
func TestWriteRaces(t *testing.T) {
	t.Parallel()
	for _, lacking := range []string{"", "flock"} {
		b := newBench(t, emulator.Options{})
		if lacking != "" {
			b.without(lacking)
		}
		b.put("f", "start")
		hash := hashOf([]byte("start"))
		var wg sync.WaitGroup
		results := make([]Result, 10)
		created := make([]Result, 10)
		for i := range results {
			wg.Go(func() {
				results[i] = b.try("write_file", args{"path": "f", "content": fmt.Sprint("by ", i), "if_match": hash})
				created[i] = b.try("write_file", args{"path": "g", "content": fmt.Sprint("by ", i), "mode": "create"})
				if r := b.try("write_file", args{"path": "log", "content": fmt.Sprintf("line %d\n", i), "mode": "append"}); r.IsError {
					t.Error(r.Text)
				}
			})
		}
		wg.Wait()
		for name, all := range map[string][]Result{"f": results, "g": created} {
			winner := -1
			for i, r := range all {
				switch {
				case !r.IsError && winner >= 0:
					t.Errorf("%s: both %d and %d won", name, winner, i)
				case !r.IsError:
					winner = i
				case !strings.Contains(r.Text, "nothing was changed"):
					t.Errorf("%s: %s", name, r.Text)
				}
			}
			b.want(name, fmt.Sprint("by ", winner))
		}
		log, _ := os.ReadFile(b.path("log"))
		if strings.Count(string(log), "\n") != len(results) || len(log) != 7*len(results) {
			t.Errorf("the log is %q", log)
		}
		b.clean()
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		b.put("a.go", "package a\n\nfunc one() {}\nfunc two() {}\nfunc one2() {}\n")
		if err := os.Chmod(b.path("a.go"), 0o600); err != nil {
			b.Fatal(err)
		}
		got := call[editFileOut](b, "edit_file", args{"path": "a.go", "old_text": "func two() {}", "new_text": "func two() {\n}"})
		b.want("a.go", "package a\n\nfunc one() {}\nfunc two() {\n}\nfunc one2() {}\n")
		if want := "@@ -2,4 +2,5 @@\n \n func one() {}\n-func two() {}\n+func two() {\n+}\n func one2() {}\n"; got.Diff != want {
			b.Errorf("got the diff\n%swant\n%s", got.Diff, want)
		}
		b.refuse("edit_file", args{"path": "a.go", "old_text": "func", "new_text": "f"}, "3 times", "lines 3, 4, 6", "replace_all")
		got = call[editFileOut](b, "edit_file", args{"path": "a.go", "old_text": "func", "new_text": "f", "replace_all": true, "if_match": got.SHA256})
		if got.Replacements != 3 {
			b.Errorf("got %+v", got)
		}
		b.refuse("edit_file", args{"path": "a.go", "old_text": "f two()  {", "new_text": ""}, "not in the file", "line 4")
		b.refuse("edit_file", args{"path": "a.go", "old_text": "zzz", "new_text": ""}, "not in the file")
		b.refuse("edit_file", args{"path": "a.go", "old_text": "f", "new_text": "f"}, "same")
		b.refuse("edit_file", args{"path": "a.go", "old_text": "one()", "new_text": "", "if_match": strings.Repeat("a", 64)}, got.SHA256)
		b.refuse("edit_file", args{"path": "none", "old_text": "a", "new_text": "b"}, "none")
		b.refuse("edit_file", args{"path": "/etc/passwd", "old_text": "a", "new_text": "b"}, "leads out")
		if info, _ := os.Stat(b.path("a.go")); info.Mode().Perm() != 0o600 {
			b.Errorf("the permissions became %v", info.Mode())
		}
		b.put("crlf", "one\r\ntwo\r\n")
		b.refuse("edit_file", args{"path": "crlf", "old_text": "one\ntwo", "new_text": "x"}, "CRLF")
		call[editFileOut](b, "edit_file", args{"path": "crlf", "old_text": "one\r\ntwo", "new_text": "x\r\ny"})
		b.want("crlf", "x\r\ny\r\n")
		b.put("latin", "caf\xe9 one\n\x00")
		call[editFileOut](b, "edit_file", args{"path": "latin", "old_text": "one", "new_text": "zwei"})
		b.want("latin", "caf\xe9 zwei\n\x00")
		le := utf16Order(encUTF16LE)
		b.put("wide", "\xff\xfe"+string(toUTF16("one 😀\n", le)))
		call[editFileOut](b, "edit_file", args{"path": "wide", "old_text": "one", "new_text": "Ж"})
		b.want("wide", "\xff\xfe"+string(toUTF16("Ж 😀\n", le)))
		large := strings.Repeat("0123456789abcde\n", 20000)
		b.put("large", large+"here\n"+large)
		call[editFileOut](b, "edit_file", args{"path": "large", "old_text": "here", "new_text": "there"})
		b.want("large", large+"there\n"+large)
		b.clean()
	})
}

func TestEditDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ content, from, to, diff string }{
		{"a\nb\nc\n", "b\n", "", "@@ -1,3 +1,2 @@\n a\n-b\n c\n"},
		{"a\nb\nc\n", "b\n", "b", "@@ -1,3 +1,2 @@\n a\n-b\n-c\n+bc\n"},
		{"a\nb", "b", "c", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"},
		{"x x\n1\n2\n3\n4\n5\nx\n", "x", "y\nz", "@@ -1,3 +1,5 @@\n-x x\n+y\n+z y\n+z\n 1\n 2\n@@ -5,3 +7,4 @@\n 4\n 5\n-x\n+y\n+z\n"},
	} {
		e, err := newEdit([]byte(tt.content), editFileIn{OldText: tt.from, NewText: tt.to, ReplaceAll: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.diff(1000); got != tt.diff {
			t.Errorf("%q: got\n%swant\n%s", tt.content, got, tt.diff)
		}
	}
	e, _ := newEdit([]byte(strings.Repeat("x\n\n\n\n\n\n", 100)), editFileIn{OldText: "x", NewText: "y", ReplaceAll: true})
	if got := e.diff(300); len(got) > 400 || !strings.Contains(got, "more replacements are not shown") {
		t.Errorf("got %q", got)
	}
}

// TestEditRaces: whatever succeeds is in the file, the rest is told, and
// nothing is mixed up: through one bridge and through several.
func TestEditRaces(t *testing.T) {
	t.Parallel()
	const n = 20
	b := newBench(t, emulator.Options{})
	second := newServicesOf(b)
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("line %d: old", i))
	}
	b.put("f", strings.Join(all, "\n")+"\nshared\n")
	var wg sync.WaitGroup
	own, shared := make([]Result, n), make([]Result, n)
	for i := range n {
		tools := b
		if i%5 == 0 {
			tools = second
		}
		wg.Go(func() {
			own[i] = tools.try("edit_file", args{"path": "f", "old_text": fmt.Sprintf("line %d: old", i), "new_text": fmt.Sprintf("line %d: new", i)})
		})
		wg.Go(func() {
			shared[i] = tools.try("edit_file", args{"path": "f", "old_text": "\nshared\n", "new_text": fmt.Sprintf("\nby %d\n", i)})
		})
	}
	wg.Wait()
	winner := -1
	for i := range n {
		if !own[i].IsError {
			all[i] = fmt.Sprintf("line %d: new", i)
		} else if !strings.Contains(own[i].Text, "nothing was changed") {
			t.Errorf("%d: %s", i, own[i].Text)
		}
		switch {
		case !shared[i].IsError && winner >= 0:
			t.Errorf("both %d and %d won", winner, i)
		case !shared[i].IsError:
			winner = i
		case !strings.Contains(shared[i].Text, "nothing was changed"):
			t.Errorf("%d: %s", i, shared[i].Text)
		}
	}
	b.want("f", strings.Join(all, "\n")+fmt.Sprintf("\nby %d\n", winner))
	lost := 0
	for _, r := range own {
		if r.IsError {
			lost++
		}
	}
	if lost > n/4 {
		t.Errorf("%d of %d edits of different lines gave up", lost, n)
	}
	b.clean()
}

// newServicesOf is a second bridge to the same instance.
func newServicesOf(b *bench) *bench {
	s, err := b.deps.Services(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	deps := *b.deps
	other := NewServices(s.Client, nil)
	deps.Services = func(context.Context) (*Services, error) { return other, nil }
	c := &bench{T: b.T, srv: b.srv, id: b.id, dir: b.dir, deps: &deps}
	return c
}

// A written file is linked as the resource that shows it.
func TestWriteFileLink(t *testing.T) {
	b := newBench(t, emulator.Options{})
	out := call[writeFileOut](b, "write_file", args{"path": "/workspace/a b/ü#?.txt", "content": "x"})
	links := out.links()
	want := "openclaw://instances/" + b.id + "/files/workspace/a%20b/%C3%BC%23%3F.txt"
	if len(links) != 1 || links[0].URI != want || !strings.HasPrefix(links[0].MIMEType, "text/plain") {
		t.Errorf("got %+v, want a link to %s", links, want)
	}
}

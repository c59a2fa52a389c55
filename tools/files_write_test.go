package tools

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/sandbox"
)

func TestWritePlain(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	got := call[writeFileOut](b, "write_file", args{"path": "new/dir/a.txt", "content": "hé\r\n"})
	if *got.Bytes != 5 || got.SHA256 != hashOf([]byte("hé\r\n")) || got.Path != "/workspace/new/dir/a.txt" {
		t.Errorf("got %+v", got)
	}
	b.want("new/dir/a.txt", "hé\r\n")
	if w, e := b.srv.Calls(writeEndpoint), b.srv.Calls(execEndpoint); w != 1 || e != 1 { // which measures the file
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

// The size and the hash are those of the file, also where a service changes what it writes, or they are not given.
func TestWrittenIsMeasured(t *testing.T) {
	t.Parallel()
	for _, shell := range []bool{true, false} {
		b := newBench(t, emulatortest.Options{})
		if !shell {
			b.noExec()
		}
		before := b.between
		b.between = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/files/write") {
				body, _ := io.ReadAll(r.Body)
				body = bytes.ReplaceAll(body, []byte(`\n\n`), nil)
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
			return before != nil && before(w, r)
		}
		r := b.try("write_file", args{"path": "a", "content": "line\n\n"})
		got := decodeOut[writeFileOut](b, r)
		switch {
		case shell && (got.Bytes == nil || *got.Bytes != 4 || got.SHA256 != hashOf("line") || !strings.Contains(r.Text, "not what was sent, which has 6 bytes")):
			t.Errorf("got %s", r.Text)
		case !shell && (got.Bytes != nil || got.SHA256 != "" || !strings.Contains(r.Text, "6 bytes were sent")):
			t.Errorf("without a shell: got %s", r.Text)
		}
	}
}

// writers runs a test with and without a namespace, flock and stat, or in one setting.
func writers(t *testing.T, test func(*bench)) {
	if !thorough {
		test(newBench(t, emulatortest.Options{}))
		return
	}
	for name, opts := range map[string]emulatortest.Options{
		"off": {}, "sandbox": {Sandbox: emulator.SandboxAuto}, "bare": {Exec: emulatortest.Bare, Messages: emulatortest.Wrapped}, "merged": {Exec: emulatortest.Output, RawFiles: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, opts))
		})
	}
	t.Run("sh", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, emulatortest.Options{})
		b.rewriteExec(func(c string) string { return "exec sh -c " + sandbox.Quote(c) })
		test(b)
	})
	for _, lacking := range [][]string{{"flock", "sha256sum", "shasum"}} {
		t.Run("without "+strings.Join(lacking, ", "), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, emulatortest.Options{})
			b.without(lacking...)
			test(b)
		})
	}
}

func TestWriteModes(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		got := call[writeFileOut](b, "write_file", args{"path": "d/a", "content": "one\n", "mode": "create"})
		if got.SHA256 != hashOf([]byte("one\n")) || *got.Bytes != 4 {
			b.Errorf("got %+v", got)
		}
		b.refuse("write_file", args{"path": "d/a", "content": "x", "mode": "create"}, "exists", "nothing was changed")
		b.want("d/a", "one\n")
		got = call[writeFileOut](b, "write_file", args{"path": "d/a", "content": "two\n", "mode": "append"})
		if got.SHA256 != hashOf([]byte("one\ntwo\n")) || *got.Bytes != 8 {
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
		for _, name := range someNames() {
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

var oddNames = []string{"-rf", "--", "a b", " lead", "new\nline", "end\n", `q"u'o$t\e` + "`x`", "*?[a]", "ünï\t☃", "$(touch evil)", ";rm", strings.Repeat("l", 255), "=", "!", "...", allOdd}

// allOdd has much of what shells and programs misread.
const allOdd = "-rf q\"u'o$t\\e`x`\n"

// someNames is all odd names or, in the quick suite, the oddest.
func someNames() []string {
	if thorough {
		return oddNames
	}
	return []string{allOdd}
}

// TestEditLineEnds: new text gets the line ends that the file has, if all are alike.
// An edit that would take all memory or all time is refused, or takes little.
func TestEditBombs(t *testing.T) {
	t.Parallel()
	line := []byte(strings.Repeat("a", 1<<20))
	for _, tt := range []struct {
		content  []byte
		in       editFileIn
		refusal  string
		replaced int
	}{
		{line, editFileIn{OldText: "a", NewText: strings.Repeat("b", 1<<20)}, "the file would have 1099511627776 bytes", 0},
		{append(line, 'a'), editFileIn{OldText: "a", NewText: "b"}, "there 1048577 times", 0},
		{line, editFileIn{OldText: "a", NewText: "b"}, "", 1 << 20}, // each looked for the ends of the line
		{line, editFileIn{OldText: "aa", NewText: ""}, "", 1 << 19},
	} {
		tt.in.ReplaceAll = true
		done := make(chan struct{})
		go func() {
			defer close(done)
			e, err := newEdit(tt.content, tt.in)
			if tt.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) {
					t.Errorf("want %q, got %v", tt.refusal, err)
				}
				return
			}
			if diff := e.diff(1000); err != nil || len(e.at) != tt.replaced || !strings.HasPrefix(diff, "@@ -1,1 +1,") {
				t.Errorf("%d were replaced, %v, %.100s", len(e.at), err, diff)
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%.10s for %q takes too long", tt.in.NewText, tt.in.OldText)
		}
	}
}

func TestEditLineEnds(t *testing.T) {
	for _, tt := range []struct{ name, content, from, to, want, lineEnds string }{
		{"CRLF stays", "a\r\nb\r\nc\r\n", "b", "B1\nB2", "a\r\nB1\r\nB2\r\nc\r\n", "crlf"},
		{"old text with LF is found", "a\r\nb\r\nc\r\n", "a\nb\n", "x\n", "x\r\nc\r\n", "crlf"},
		{"CRLF as given", "a\r\nb\r\n", "a\r\n", "x\r\n", "x\r\nb\r\n", ""},
		{"no end at the end", "a\r\nb", "b", "b\nc", "a\r\nb\r\nc", "crlf"},
		{"LF stays", "a\nb\n", "b", "B1\r\nB2", "a\nB1\nB2\n", "lf"},
		{"old text with CRLF is found", "a\nb\n", "a\r\nb", "x", "x\n", "lf"},
		{"mixed: as given", "a\r\nb\nc\r\n", "b\n", "B1\nB2\n", "a\r\nB1\nB2\nc\r\n", ""},
		{"one line: as given", "a", "a", "b\nc", "b\nc", ""},
		{"a lone CR is no line end", "a\r\nb\r\n", "b", "b\rc", "a\r\nb\rc\r\n", ""},
		{"UTF-16", "\xff\xfe" + string(toUTF16("a\r\nb\r\n", utf16Order(encUTF16LE))), "b", "c\nd",
			"\xff\xfe" + string(toUTF16("a\r\nc\r\nd\r\n", utf16Order(encUTF16LE))), "crlf"},
	} {
		e, err := newEdit([]byte(tt.content), editFileIn{OldText: tt.from, NewText: tt.to})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if string(e.result) != tt.want || e.lineEnds != tt.lineEnds {
			t.Errorf("%s: got %q and %q, want %q and %q", tt.name, e.result, e.lineEnds, tt.want, tt.lineEnds)
		}
	}
	_, err := newEdit([]byte("a\r\nb\nc\n"), editFileIn{OldText: "a\nb", NewText: "x"})
	if err == nil || !strings.Contains(err.Error(), "CRLF") {
		t.Errorf("mixed line ends: got %v", err)
	}
}

// TestEditOverlap: of places that overlap, none is meant.
func TestEditOverlap(t *testing.T) {
	in := editFileIn{OldText: "}\n}\n", NewText: "X\n"}
	content := []byte("if {\n}\n}\n}\nend\n")
	if _, err := newEdit(content, in); err == nil || !strings.Contains(err.Error(), "2 times, at lines 2, 3") {
		t.Errorf("got %v", err)
	}
	in.ReplaceAll = true
	if e, err := newEdit(content, in); err != nil || string(e.result) != "if {\nX\n}\nend\n" {
		t.Errorf("got %q, %v", e.result, err)
	}
}

// TestEditHardLink: all names of a file show its new content, and its mode stays.
func TestEditHardLink(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		b.put("a", "one\n")
		if err := os.Chmod(b.path("a"), 0o640); err != nil {
			b.Fatal(err)
		}
		if err := os.Link(b.path("a"), b.path("b")); err != nil {
			b.Fatal(err)
		}
		for i, edit := range []func() string{
			func() string {
				return call[editFileOut](b, "edit_file", args{"path": "a", "old_text": "one", "new_text": "two"}).SHA256
			},
			func() string {
				return call[writeFileOut](b, "write_file", args{"path": "b", "content": "two\n", "if_match": hashOf([]byte("two\n"))}).SHA256
			},
		} {
			hash := edit()
			b.want("a", "two\n")
			b.want("b", "two\n")
			if hash != hashOf([]byte("two\n")) {
				b.Errorf("%d: got the hash %s", i, hash)
			}
			one, _ := os.Stat(b.path("a"))
			two, _ := os.Stat(b.path("b"))
			if !os.SameFile(one, two) || one.Mode().Perm() != 0o640 {
				b.Errorf("%d: the link was parted, or the mode is %v", i, one.Mode())
			}
		}
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

// A written file is linked as the resource that shows it.
func TestWriteFileLink(t *testing.T) {
	b := newBench(t, emulatortest.Options{})
	out := call[writeFileOut](b, "write_file", args{"path": "/workspace/a b/ü#?.txt", "content": "x"})
	links := out.links()
	want := "openclaw://instances/" + b.id + "/files/workspace/a%20b/%C3%BC%23%3F.txt"
	if len(links) != 1 || links[0].URI != want || !strings.HasPrefix(links[0].MIMEType, "text/plain") {
		t.Errorf("got %+v, want a link to %s", links, want)
	}
}

// An instance that can't start a shell with a long command gets the content in parts.
func TestWriteByShortCommands(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter){
		"refused": func(w http.ResponseWriter) {
			http.Error(w, `{"message":"command too long"}`, http.StatusRequestEntityTooLarge)
		},
		"no shell": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"stdout":"","stderr":"sh: Argument list too long","exit_code":126}`)
		},
	} {
		b := newBench(t, emulatortest.Options{})
		b.between = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				return false
			}
			asked, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(asked))
			if len(asked) > 20_000 {
				refuse(w)
				return true
			}
			return false
		}
		content := lines(3000)
		b.put("text", "old")
		if r := b.try("write_file", args{"path": "text", "content": content, "executable": true}); r.IsError {
			t.Errorf("%s: got %s", name, r.Text)
		}
		b.want("text", content)
	}
}

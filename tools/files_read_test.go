package tools

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

// lines makes n numbered lines.
func lines(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// forms runs a test against every way in which files are read, or against the two main ones.
func forms(t *testing.T, test func(*bench)) {
	if !thorough {
		t.Run("snake", func(t *testing.T) {
			t.Parallel()
			test(newBench(t, emulatortest.Options{}))
		})
		t.Run("no exec", func(t *testing.T) {
			t.Parallel()
			b := newBench(t, emulatortest.Options{})
			b.noExec()
			test(b)
		})
		return
	}
	for name, opts := range map[string]emulatortest.Options{
		"snake":   {},
		"sandbox": {Sandbox: emulator.SandboxAuto},
		"raw":     {RawFiles: true, Exec: emulatortest.Output},
		"wrapped": {Messages: emulatortest.Wrapped, Exec: emulatortest.Wrapped},
		"bare":    {Messages: emulatortest.Camel, Exec: emulatortest.Bare},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, opts))
		})
	}
	for name, opts := range map[string]emulatortest.Options{"no exec": {}, "no exec, raw": {RawFiles: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, opts)
			b.noExec()
			test(b)
		})
	}
	t.Run("sh", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, emulatortest.Options{})
		b.rewriteExec(func(c string) string { return "exec sh -c " + sandbox.Quote(c) })
		test(b)
	})
	t.Run("no stat, no sha256sum", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, emulatortest.Options{})
		b.without("stat", "sha256sum")
		test(b)
	})
}

func TestReadSlices(t *testing.T) {
	t.Parallel()
	forms(t, func(b *bench) {
		text := lines(1000)
		b.put("a.txt", text)
		b.put("open.txt", "one\ntwo\nthree")
		b.put("empty", "")
		b.put("crlf.txt", "a\r\nb\r\n")
		for _, tt := range []struct {
			args               args
			content            string
			first, last, start int64
			more               bool
		}{
			{args{"path": "a.txt", "count": 2}, "line 1\nline 2\n", 1, 2, 0, true},
			{args{"path": "/workspace/a.txt", "line": 999}, "line 999\nline 1000\n", 999, 1000, int64(len(text)) - 19, false},
			{args{"path": "./x/../a.txt", "line": 500, "count": 1}, "line 500\n", 500, 500, int64(strings.Index(text, "line 500\n")), true},
			{args{"path": "a.txt", "line": -2}, "line 999\nline 1000\n", 999, 1000, int64(len(text)) - 19, false},
			{args{"path": "a.txt", "line": -2, "count": 1}, "line 999\n", 999, 999, int64(len(text)) - 19, true},
			{args{"path": "a.txt", "offset": 5, "count": 3}, "1\nl", 0, 0, 5, true},
			{args{"path": "a.txt", "offset": 0, "count": 4}, "line", 0, 0, 0, true},
			{args{"path": "a.txt", "offset": -5}, "1000\n", 0, 0, int64(len(text)) - 5, false},
			{args{"path": "open.txt", "line": -1}, "three", 3, 3, 8, false},
			{args{"path": "open.txt", "line": -50}, "one\ntwo\nthree", 1, 3, 0, false},
			{args{"path": "open.txt", "line": 3}, "three", 3, 3, 8, false},
			{args{"path": "open.txt", "offset": -500}, "one\ntwo\nthree", 0, 0, 0, false},
			{args{"path": "open.txt", "offset": 13}, "", 0, 0, 13, false},
			{args{"path": "empty"}, "", 0, 0, 0, false},
			{args{"path": "empty", "line": -5}, "", 0, 0, 0, false},
			{args{"path": "crlf.txt"}, "a\r\nb\r\n", 1, 2, 0, false},
		} {
			got := call[readFileOut](b, "read_file", tt.args)
			if got.Content != tt.content || got.FirstLine != tt.first || got.LastLine != tt.last || got.Offset != tt.start || (got.Next != "") != tt.more {
				b.Errorf("%v: got %q, lines %d to %d, offset %d, next %q; want %+v", tt.args, got.Content, got.FirstLine, got.LastLine, got.Offset, got.Next, tt)
			}
			if got.bytes != int64(len(tt.content)) {
				b.Errorf("%v: %d bytes", tt.args, got.bytes)
			}
		}
		if got := call[readFileOut](b, "read_file", args{"path": "a.txt", "count": 2, "hash": true}); got.SHA256 != hashOf([]byte(text)) || *got.Size != int64(len(text)) {
			b.Errorf("got %+v", got)
		}
		b.refuse("read_file", args{"path": "a.txt", "line": 1001}, "line", "1000 lines")
		b.refuse("read_file", args{"path": "open.txt", "line": 5}, "3 lines")
		b.refuse("read_file", args{"path": "a.txt", "offset": 100000}, "offset", fmt.Sprint(len(text)))
		b.refuse("read_file", args{"path": "none.txt"}, "none.txt", "list_files")
		b.refuse("read_file", args{"path": ".."})
		b.refuse("read_file", args{"path": "../../etc/passwd"}, "under /workspace")
		b.refuse("read_file", args{"path": "a.txt", "line": 1, "offset": 1}, "used together")
		b.refuse("read_file", args{"path": "sub/"}, "directory")
		b.refuse("read_file", args{"path": ""}, "path")
		if err := os.Mkdir(b.path("dir"), 0o755); err != nil {
			b.Fatal(err)
		}
		b.refuse("read_file", args{"path": "dir"}, "directory")
	})
}

// TestReadOn reads a file to its end by following what each result says.
func TestReadOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	long := strings.Repeat("é", 30000)
	for name, text := range map[string]string{
		"lines": lines(5000), "long": "short\n" + long + "\nshort again\n" + long, "no end": long,
		"bytes": strings.Repeat("\xe9t\xe9 ", 9000),
	} {
		for _, exec := range []bool{true, false} {
			if exec && !thorough && name != "long" {
				continue
			}
			if b.between = nil; !exec {
				b.noExec()
			}
			b.put("f", text)
			var got strings.Builder
			a := args{"path": "f"}
			for calls := 0; ; calls++ {
				out := call[readFileOut](b, "read_file", a)
				got.WriteString(text[out.Offset : out.Offset+out.bytes])
				if strings.ToValidUTF8(text[out.Offset:out.Offset+out.bytes], "") != strings.ReplaceAll(out.Content, "\uFFFD", "") {
					t.Errorf("%s: at %d: the content is another than the bytes", name, out.Offset)
				}
				if out.Next == "" || calls > 50 {
					break
				}
				a = nextCall(t, out.Next)
			}
			if got.String() != text {
				t.Errorf("%s: read %d bytes of %d", name, got.Len(), len(text))
			}
		}
	}
}

// nextCall reads the arguments of the call that a result suggests.
func nextCall(t *testing.T, next string) args {
	t.Helper()
	i, j := strings.Index(next, "{"), strings.Index(next, "}")
	if i < 0 || j < 0 {
		t.Fatalf("no call in %q", next)
	}
	return decodeArgs(t, next[i:j+1])
}

const tinyPNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func TestReadBinary(t *testing.T) {
	t.Parallel()
	forms(t, func(b *bench) {
		png, _ := base64.StdEncoding.DecodeString(tinyPNG)
		b.put("i.png", string(png))
		r := b.try("read_file", args{"path": "i.png"})
		if r.IsError || len(r.Images) != 1 || r.Images[0].Data != tinyPNG || r.Images[0].MIMEType != "image/png" || !strings.Contains(r.Text, "image/png") {
			b.Errorf("got %+v", r)
		}
		if c := r.mcp().Content; len(c) != 2 {
			b.Errorf("got %d content blocks", len(c))
		}
		// One that does not come with the first look.
		large := string(png) + strings.Repeat("\x00\xff\x10\x80", 20<<10)
		b.put("large.png", large)
		if r := b.try("read_file", args{"path": "large.png"}); r.IsError || len(r.Images) != 1 || r.Images[0].Data != base64.StdEncoding.EncodeToString([]byte(large)) {
			b.Errorf("large image: %s", text.Line(r.Text, 300))
		}
		b.put("huge.png", large+strings.Repeat("\x00", maxImage))
		if r := b.try("read_file", args{"path": "huge.png"}); r.IsError || len(r.Images) != 0 || !strings.Contains(r.Text, "too large to be shown") {
			b.Errorf("huge image: %s", text.Line(r.Text, 300))
		}
		b.put("elf", "\x7fELF\x02\x01\x01\x00"+strings.Repeat("\x00\x90", 500))
		got := call[readFileOut](b, "read_file", args{"path": "elf"})
		if got.Encoding != encHex || !strings.HasPrefix(got.Content, "00000000  7f 45 4c 46 02 01 01 00") || got.bytes != dumpLen || *got.Size != 1008 || got.Next == "" {
			b.Errorf("got %+v", got)
		}
		if got := call[readFileOut](b, "read_file", nextCall(b.T, got.Next)); !strings.HasPrefix(got.Content, "00000100  00 90") {
			b.Errorf("got %+v", got)
		}
		// Base64 in parts is that of the whole.
		var all strings.Builder
		a := args{"path": "large.png", "encoding": "base64"}
		b.deps.MaxResultChars = 200000
		for range 100 {
			got := call[readFileOut](b, "read_file", a)
			all.WriteString(got.Content)
			if got.Next == "" {
				break
			}
			a = nextCall(b.T, got.Next)
		}
		if all.String() != base64.StdEncoding.EncodeToString([]byte(large)) {
			b.Errorf("the parts' base64 is not the whole's: %d characters", all.Len())
		}
	})
}

func TestReadNotReady(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("a", "a")
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			_, _ = w.Write([]byte(`{"stdout":"","stderr":"sandbox agent not ready","exit_code":1}`))
			return true
		}
		return false
	}
	b.refuse("read_file", args{"path": "a"}, "not ready")
	b.refuse("edit_file", args{"path": "a", "old_text": "a", "new_text": "b"}, "not ready", "nothing")
	b.refuse("manage_files", args{"path": "a", "action": "delete"}, "not ready")
	b.want("a", "a")
}

// TestReadOnly: a read-only server reads without running anything.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("a/b.txt", lines(10))
	b.deps.Rails = func(context.Context) *Rails {
		return &Rails{ReadOnly: true, ExcludePaths: []string{"/workspace/secret"}}
	}
	b.put("secret", "x")
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			http.Error(w, `{"error":"read-only"}`, http.StatusForbidden)
			return true
		}
		return false
	}
	if got := call[readFileOut](b, "read_file", args{"path": "a/b.txt", "line": -1}); got.Content != "line 10\n" || got.FirstLine != 10 {
		t.Errorf("got %+v", got)
	}
	if got := call[listFilesOut](b, "list_files", args{"depth": 3}); len(got.Entries) != 2 {
		t.Errorf("got %+v", got)
	}
	b.refuse("read_file", args{"path": "secret"}, "excluded")
	b.refuse("write_file", args{"path": "x", "content": ""}, "read-only")
}

// What a person would not see in a file, its name or an edit of it is shown;
// who asks for the text by name gets it as it is.
func TestHiddenCharactersAreShown(t *testing.T) {
	b := newBench(t, emulatortest.Options{})
	const content = "safe\u202e\u200b text\n"
	b.put("f", content)
	b.put("na\u200bme", "x")
	if out := call[readFileOut](b, "read_file", args{"path": "f"}); out.Content != "safe⟨U+202E⟩⟨U+200B⟩ text\n" || out.Note == "" {
		t.Errorf("got %+v", out)
	}
	if out := call[readFileOut](b, "read_file", args{"path": "f", "encoding": "text"}); out.Content != content {
		t.Errorf("as text: got %q", out.Content)
	}
	if res := b.try("list_files", args{}); strings.Contains(res.Text, "\u200b") || !strings.Contains(res.Text, `na\u200bme`) {
		t.Errorf("the list: %q", res.Text)
	}
	if res := b.try("edit_file", args{"path": "f", "old_text": "safe", "new_text": "sane"}); res.IsError || strings.ContainsAny(res.Text, "\u202e\u200b") {
		t.Errorf("the edit: %q", res.Text)
	}
	b.want("f", "sane\u202e\u200b text\n")
}

// However much room it takes to show what is hidden, a part stays within the
// budget, and the parts together are the whole file.
func TestHiddenCharactersWithinTheBudget(t *testing.T) {
	b := newBench(t, emulatortest.Options{})
	content := strings.Repeat("\u00ad\u200bx", 2000)
	b.put("f", content)
	var all strings.Builder
	for offset := 0; offset < len(content); {
		out := call[readFileOut](b, "read_file", args{"path": "f", "offset": offset})
		if len(out.Content) > b.deps.MaxResultChars || out.bytes == 0 {
			t.Fatalf("from byte %d: %d bytes are shown for %d", offset, len(out.Content), out.bytes)
		}
		all.WriteString(out.Content)
		offset += int(out.bytes)
	}
	if all.String() != showHidden(content) {
		t.Error("the parts are not the whole")
	}
}

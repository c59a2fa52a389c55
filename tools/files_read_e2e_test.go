//go:build e2e

package tools

import (
	"context"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// TestReadLarge: a slice of a gigabyte costs no more than a slice.
func TestReadLarge(t *testing.T) {
	t.Parallel()
	for _, opts := range []emulatortest.Options{{}, {RawFiles: true}} {
		b := newBench(t, opts)
		b.put("big", lines(100))
		const size = 1 << 30
		if err := os.Truncate(b.path("big"), size); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(b.path("big"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("\nthe end\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for want, a := range map[string]args{
			"the end\n": {"path": "big", "line": -1},
			"line 7\n":  {"path": "big", "line": 7, "count": 1},
			"line 1\n":  {"path": "big", "count": 1, "encoding": "text"},
			"end\n":     {"path": "big", "offset": -4, "encoding": "text"},
			"e 1\n":     {"path": "big", "offset": 3, "count": 4},
		} {
			b.received.Store(0)
			out := call[readFileOut](b, "read_file", a)
			if out.Content != want || *out.Size != size+9 {
				t.Errorf("%v: got %q of %d", a, out.Content, *out.Size)
			}
			if n := b.received.Load(); n > 200<<10 {
				t.Errorf("%v: %d bytes came", a, n)
			}
		}
	}
}

// Without commands, the stream is closed as soon as it has given enough.
func TestReadLargeWithoutCommands(t *testing.T) {
	b := newBench(t, emulatortest.Options{RawFiles: true})
	b.noExec()
	withoutExec := b.between
	closed := make(chan int, 1) // bytes that were sent before that
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/files/read") {
			return withoutExec(w, r)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		sent, err := io.WriteString(w, lines(100))
		for zeros := make([]byte, 64<<10); err == nil && sent < 1<<30; {
			var n int
			n, err = w.Write(zeros)
			sent += n
		}
		closed <- sent
		return true
	}
	out := call[readFileOut](b, "read_file", args{"path": "big", "line": 50, "count": 2})
	if sent := <-closed; out.Content != "line 50\nline 51\n" || sent > 64<<20 {
		t.Errorf("got %q for %d bytes", out.Content, sent)
	}
}

func TestReadSpecial(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	if err := mkfifo(b.path("pipe")); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"zero": "/dev/zero", "etc": "/etc/hostname", "abs": "/workspace/a.txt", "rel": "sub/../a.txt",
		"loop": "loop", "nowhere": "gone", "chain": "abs", "up": "..",
	} {
		if err := os.Symlink(target, b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	b.put("sub/x", "")
	b.put("a.txt", "here\n")
	b.refuse("read_file", args{"path": "pipe"}, "FIFO")
	b.refuse("read_file", args{"path": "zero"}, "device")
	b.refuse("read_file", args{"path": "/dev/zero"}, "device")
	b.refuse("read_file", args{"path": "/dev/zero", "line": -3, "hash": true}, "device")
	b.refuse("read_file", args{"path": "etc"}, "under /workspace")
	b.refuse("read_file", args{"path": "up/../../etc/hostname"}, "under /workspace")
	b.refuse("read_file", args{"path": "loop"})
	b.refuse("read_file", args{"path": "nowhere"})
	b.refuse("read_file", args{"path": "up"}, "directory")
	for _, name := range []string{"abs", "rel", "chain"} {
		if got := call[readFileOut](b, "read_file", args{"path": name, "line": -1, "hash": true}); got.Content != "here\n" || got.SHA256 != hashOf([]byte("here\n")) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestReadEndless: an endless file ends at the deadline at the latest.
func TestReadEndless(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			http.Error(w, `{"error":"not implemented"}`, http.StatusNotImplemented)
			return true
		}
		zeros := make([]byte, 32<<10)
		for {
			if _, err := w.Write(zeros); err != nil {
				return true
			}
		}
	}
	if got := call[readFileOut](b, "read_file", args{"path": "/dev/zero", "instance": b.id}); got.Encoding != encHex {
		t.Errorf("got %+v", got)
	}
	s := &Deps{SoftDeadline: time.Nanosecond}
	r := &request{Deps: s}
	if d := r.fileDeadline(); d != 5*time.Second {
		t.Errorf("the shortest deadline is %s", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	raw := []byte(`{"path":"/dev/zero","line":3,"instance":"` + b.id + `"}`)
	if res := b.tool("read_file").Call(ctx, b.deps, raw, Exchange{}); !res.IsError || !strings.Contains(res.Text, "not reached") {
		t.Errorf("got %s", res.Text)
	}
}

func TestReadEncodings(t *testing.T) {
	t.Parallel()
	forms(t, func(b *bench) {
		le, be := utf16Order(encUTF16LE), utf16Order(encUTF16BE)
		text := "Ċ one\r\nzwei 😀\nЖ\n"
		for _, tt := range []struct {
			file, content, encoding string
			args                    args
		}{
			{"\xef\xbb\xbfhé\n", "hé\n", encBOM, nil},
			{"\xff\xfe" + string(toUTF16(text, le)), text, encUTF16LE, nil},
			{"\xfe\xff" + string(toUTF16(text, be)), text, encUTF16BE, nil},
			{"\xff\xfe" + string(toUTF16(text, le)), "zwei 😀\n", encUTF16LE, args{"line": 2, "count": 1}},
			{"\xfe\xff" + string(toUTF16(text, be)), "Ж\n", encUTF16BE, args{"line": -1}},
			{"\xff\xfe" + string(toUTF16(text, le)), "one", encUTF16LE, args{"offset": 6, "count": 6}},
			{"caf\xe9 cr\xe8me\n", "caf\uFFFD cr\uFFFDme\n", encOther, nil},
			{"\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0\n", strings.Repeat("\uFFFD", 6) + " " + strings.Repeat("\uFFFD", 3) + "\n", encOther, nil},
			{"a\x00b", "a\uFFFDb", encOther, args{"encoding": "text"}},
			{"any", base64.StdEncoding.EncodeToString([]byte("ny")), encBase64, args{"encoding": "base64", "offset": 1}},
			{"\x1b[1mbold\x1b[0m\n", "⟨U+001B⟩[1mbold⟨U+001B⟩[0m\n", encUTF8, nil},
			{"\x1b[1mbold\x1b[0m\n", "\x1b[1mbold\x1b[0m\n", encUTF8, args{"encoding": "text"}},
			{"日本語", "日本語", encUTF8, nil},
		} {
			b.put("f", tt.file)
			a := args{"path": "f"}
			maps.Copy(a, tt.args)
			got := call[readFileOut](b, "read_file", a)
			if got.Content != tt.content || got.Encoding != tt.encoding {
				b.Errorf("%q %v: got %q as %s", tt.file, tt.args, got.Content, got.Encoding)
			}
			if (tt.encoding == encOther || tt.encoding == encBOM || strings.Contains(tt.content, "⟨")) != (got.Note != "") && utf16Order(tt.encoding) == nil {
				b.Errorf("%q: note %q", tt.file, got.Note)
			}
		}
	})
}

//go:build !windows

package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// put writes a file into the workspace or, by an absolute name, elsewhere.
func (w *world) put(name, content string) {
	w.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(w.workspace, name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		w.Fatal(err)
	}
}

// holds checks the content of a file; "" stands for no file.
func (w *world) holds(name, want string) {
	w.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(w.workspace, name)
	}
	if b, err := os.ReadFile(name); string(b) != want || want == "" && !os.IsNotExist(err) {
		w.Errorf("%s: got %q, %v; want %q", name, b, err, want)
	}
}

// reports runs a script and compares its verb and words with want.
func (w *world) reports(want, name string, p Params) Report {
	w.Helper()
	r := w.run(name, p)
	if got := strings.TrimSpace(r.Verb + " " + strings.Join(r.Words, " ")); got != want {
		w.Errorf("%s: got %q, want %q; %q", name, got, want, r.Parts)
	}
	return r
}

// TestFileScripts runs the scripts of the file tools.
func TestFileScripts(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		const text = "one\ntwo\nthree\n"
		w.put("d/a b", text)
		if err := os.Symlink("d/a b", filepath.Join(w.workspace, "link")); err != nil {
			t.Fatal(err)
		}
		look := func(name string, byLine bool, start int) Params {
			return Params{"dir": ".", "name": name, "by_line": byLine, "start": start, "window": 100, "sniff": 3, "hashed": true, "read_below": 2}
		}
		for start, want := range map[int]string{2: "two\nthree\n", -1: "three\n"} {
			r := w.run("file_look", look("link", true, start))
			if r.Verb != "file" || r.Number(0) != int64(len(text)) || r.Word(4) != sumOf(text) || string(r.Part(0)) != "one" || string(r.Part(1)) != want {
				t.Errorf("line %d: got %v, %q", start, r, r.Parts)
			}
		}
		if r := w.run("file_look", look("link", false, 4)); r.Number(1) != 4 || string(r.Part(1)) != "two\nthree\n" {
			t.Errorf("got %v, %q", r, r.Parts)
		}
		w.reports("notfile directory", "file_look", look("d", true, 1))

		if r := w.reports("file 14", "file_read", Params{"dir": "d", "name": "a b", "most": 100}); string(r.Part(0)) != text {
			t.Errorf("got %q", r.Parts)
		}
		w.reports("missing", "file_read", Params{"dir": "d", "name": "none", "most": 100})
		w.reports("outside", "file_read", Params{"dir": "/etc", "name": "passwd", "most": 100})

		// A listing, in two chunks.
		list := Params{"dir": ".", "name": ".", "depth": 3, "list": "openclaw-mcp-list-x", "chunk": 20, "batch": Text("file_list_batch")}
		r := w.run("file_list", list)
		if r.Verb != "list" || len(r.Part(0)) != 20 {
			t.Fatalf("got %v, %q", r, r.Parts)
		}
		more := w.run("file_list_more", Params{"list": "openclaw-mcp-list-x", "from": 20, "chunk": 10_000, "size": r.Number(0)})
		if more.Verb != "list" || int64(20+len(more.Part(0))) != r.Number(0) {
			t.Errorf("got %v and %d bytes of %s", more, len(more.Part(0)), r.Word(0))
		}
		w.holds(filepath.Join(w.tmp, "openclaw-mcp-list-x"), "")

		// Changes, whole or not at all.
		commit := func(name, mode, match, content string) Params {
			return Params{"dir": "new", "name": name, "mode": mode, "match": match, "stage": ".openclaw-mcp-x", "executable": false,
				"content": Encode([]byte(content)), "parts": 0, "sum": sumOf(content)}
		}
		w.reports("ok 3 "+sumOf("abc"), "file_commit", commit("f", "create", "", "abc"))
		w.reports("exists", "file_commit", commit("f", "create", "", "x"))
		w.reports("mismatch "+sumOf("abc"), "file_commit", commit("f", "overwrite", sumOf("x"), "x"))
		w.holds("new/f", "abc")
		w.reports("ok 2 "+sumOf("de"), "file_commit", commit("f", "overwrite", sumOf("abc"), "de"))
		w.reports("ok 3 "+sumOf("def"), "file_commit", commit("f", "append", "", "f"))
		garbled := commit("f", "overwrite", "", "x")
		garbled["sum"] = sumOf("y")
		w.reports("garbled", "file_commit", garbled)
		w.holds("new/f", "def")
		// In parts, which are then gone.
		for i, part := range []string{"YWJ", "j\n"} {
			w.put("new/.openclaw-mcp-x-"+string(rune('0'+i)), part)
		}
		parted := commit("f", "overwrite", "", "abc")
		parted["content"], parted["parts"] = "", 2
		w.reports("ok 3 "+sumOf("abc"), "file_commit", parted)
		w.holds("new/f", "abc")
		w.put("new/.openclaw-mcp-x-0", "part")
		w.reports("ok", "file_unstage", Params{"dir": "new", "stage": ".openclaw-mcp-x", "parts": 1})
		if left, _ := filepath.Glob(w.workspace + "/new/.openclaw-mcp*"); len(left) > 0 {
			t.Errorf("left are %q", left)
		}

		manage := func(action, name, to string, recursive, overwrite bool) Params {
			return Params{"action": action, "dir": ".", "name": name, "to_dir": "to", "to_name": to, "stage": ".openclaw-mcp-y", "recursive": recursive, "overwrite": overwrite, "check": false, "whole": true}
		}
		w.reports("full 1", "file_manage", manage("copy", "d", "e", false, false))
		w.reports("ok directory 2 0", "file_manage", manage("copy", "d", "e", true, false))
		w.holds("to/e/a b", text)
		w.put("f", "f")
		w.put("to/f", "old")
		w.reports("exists file", "file_manage", manage("move", "f", "f", false, false))
		w.reports("ok file 1 1", "file_manage", manage("move", "f", "f", false, true))
		w.holds("to/f", "f")
		w.holds("f", "")
		// A name that is there already by another way, or that a link leads to, loses nothing.
		for name, target := range map[string]string{"here": "to", "to/link": "f", "to/twin": "f"} {
			if err := os.Symlink(target, filepath.Join(w.workspace, name)); err != nil {
				t.Fatal(err)
			}
		}
		within := func(action, name, dir, to string) Params {
			p := manage(action, name, to, false, true)
			p["dir"], p["to_dir"] = "to", dir
			return p
		}
		for _, action := range []string{"move", "copy"} {
			w.reports("same", "file_manage", within(action, "link", "here", "link"))
			w.reports("same", "file_manage", within(action, "f", "here", "f"))
			w.reports("leads", "file_manage", within(action, "link", "to", "f"))
		}
		w.holds("to/f", "f")
		w.holds("to/link", "f")
		w.reports("ok symlink 1 1", "file_manage", within("move", "twin", "to", "link"))
		w.holds("to/twin", "")
		w.holds("to/link", "f")
		// Of two names of one file, the one that was moved is gone.
		if err := os.Link(filepath.Join(w.workspace, "to/f"), filepath.Join(w.workspace, "to/hard")); err != nil {
			t.Fatal(err)
		}
		w.reports("ok file 1 1", "file_manage", within("move", "hard", "to", "f"))
		w.holds("to/hard", "")
		w.holds("to/f", "f")
		// A folder that may not go with all in it can be deleted only when it is empty.
		apart := func(action, name string, recursive bool) Params {
			p := manage(action, name, "apart", recursive, false)
			p["whole"] = false
			return p
		}
		w.reports("whole", "file_manage", apart("copy", "d", true))
		w.reports("whole", "file_manage", apart("move", "d", false))
		w.reports("whole", "file_manage", apart("delete", "d", true))
		w.reports("full 1", "file_manage", apart("delete", "d", false))
		w.holds("d/a b", text)
		w.holds("to/apart/a b", "")
		w.reports("full 1", "file_manage", manage("delete", "d", "", false, false))
		w.reports("ok directory 2 0", "file_manage", manage("delete", "d", "", true, false))
		w.holds("d/a b", "")
		w.reports("missing", "file_manage", manage("delete", "d", "", true, false))
	})
}

package tools

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestManageFiles(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		manage := func(a args) manageFilesOut {
			b.Helper()
			return call[manageFilesOut](b, "manage_files", a)
		}
		b.put("a", "one")
		manage(args{"action": "move", "path": "a", "destination": "new/dir/b"})
		b.gone("a")
		b.want("new/dir/b", "one")
		manage(args{"action": "copy", "path": "/workspace/new/dir/b", "destination": "c"})
		b.want("new/dir/b", "one")
		b.want("c", "one")
		b.put("d", "two")
		for _, action := range []string{"move", "copy"} {
			b.refuse("manage_files", args{"action": action, "path": "c", "destination": "d"}, "exists", "overwrite", "nothing was changed")
			b.refuse("manage_files", args{"action": action, "path": "c", "destination": "new", "overwrite": true}, "directory", "never replaced")
		}
		b.want("d", "two")
		if got := manage(args{"action": "copy", "path": "c", "destination": "d", "overwrite": true}); !got.Replaced || got.Type != "file" {
			b.Errorf("got %+v", got)
		}
		b.want("d", "one")

		b.refuse("manage_files", args{"action": "copy", "path": "new", "destination": "copy"}, "2 entries", "recursive")
		b.gone("copy")
		if got := manage(args{"action": "copy", "path": "new", "destination": "copy", "recursive": true}); got.Entries != 3 || got.Type != "directory" {
			b.Errorf("got %+v", got)
		}
		b.want("copy/dir/b", "one")
		manage(args{"action": "move", "path": "copy", "destination": "moved"})
		b.want("moved/dir/b", "one")
		b.refuse("manage_files", args{"action": "move", "path": "moved", "destination": "moved/dir/x"}, "lie in it")
		b.refuse("manage_files", args{"action": "copy", "path": "moved", "destination": "moved"}, "itself")
		b.refuse("manage_files", args{"action": "move", "path": "moved/dir", "destination": "moved", "overwrite": true}, "lies in")
		if err := os.Symlink("moved/dir", b.path("into")); err != nil {
			b.Fatal(err)
		}
		b.refuse("manage_files", args{"action": "copy", "path": "moved", "destination": "into/x", "recursive": true}, "itself")

		b.refuse("manage_files", args{"action": "delete", "path": "moved"}, "2 entries", "recursive: true to delete")
		b.want("moved/dir/b", "one")
		b.put("moved/line\nbreak", "")
		if got := manage(args{"action": "delete", "path": "moved", "recursive": true}); got.Entries != 4 {
			b.Errorf("got %+v", got)
		}
		b.gone("moved")
		if err := os.Mkdir(b.path("void"), 0o755); err != nil {
			b.Fatal(err)
		}
		manage(args{"action": "delete", "path": "void"})
		b.gone("void")
		b.refuse("manage_files", args{"action": "delete", "path": "void"}, "there is no")

		for _, p := range []string{"/", "/workspace", ".", "", "..", "a/../b", "../x", "/etc/passwd", "./", "/workspace/.."} {
			b.refuse("manage_files", args{"action": "delete", "path": p, "recursive": true}, "path")
			if p != "" {
				b.refuse("manage_files", args{"action": "move", "path": "c", "destination": p, "overwrite": true}, "destination")
			}
		}
		b.refuse("manage_files", args{"action": "move", "path": "c"}, "destination")
		b.refuse("manage_files", args{"action": "delete", "path": "c", "destination": "d"}, "destination")
		b.refuse("manage_files", args{"action": "rename", "path": "c"}, "action", "move")

		for _, name := range someNames() {
			b.put("odd/"+name, name)
			manage(args{"action": "copy", "path": "odd/" + name, "destination": "even/" + name})
			b.want("even/"+name, name)
			manage(args{"action": "move", "path": "even/" + name, "destination": "odder/" + name})
			b.want("odder/"+name, name)
			manage(args{"action": "delete", "path": "odder/" + name})
			b.gone("odder/" + name)
		}
		b.gone("evil")

		// Links are handled themselves; through them, nothing outside is reached.
		outside, err := os.MkdirTemp("/var/tmp", "") // seen from inside a namespace, too
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(outside) })
		if err := os.WriteFile(outside+"/keep", []byte("keep"), 0o644); err != nil {
			b.Fatal(err)
		}
		for name, target := range map[string]string{"out": outside, "outfile": outside + "/keep", "todir": "new"} {
			if err := os.Symlink(target, b.path(name)); err != nil {
				b.Fatal(err)
			}
		}
		b.refuse("manage_files", args{"action": "delete", "path": "out/keep"}, "leads out of")
		b.refuse("manage_files", args{"action": "copy", "path": "c", "destination": "out/evil"}, "leads out of")
		b.refuse("manage_files", args{"action": "copy", "path": "c", "destination": "out/deep/evil"}, "leads out of")
		manage(args{"action": "copy", "path": "outfile", "destination": "outfile2"})
		if target, err := os.Readlink(b.path("outfile2")); err != nil || target != outside+"/keep" {
			b.Errorf("the link was not copied as such: %q %v", target, err)
		}
		manage(args{"action": "copy", "path": "c", "destination": "todir", "overwrite": true})
		b.want("todir", "one")
		b.gone("new/c")
		manage(args{"action": "delete", "path": "out", "recursive": true})
		manage(args{"action": "delete", "path": "outfile"})
		if _, err := os.Stat(outside + "/keep"); err != nil {
			b.Error(err)
		}
		if err := mkfifo(b.path("pipe")); err != nil {
			b.Fatal(err)
		}
		b.refuse("manage_files", args{"action": "copy", "path": "pipe", "destination": "pipe2"}, "fifo")
		b.clean()
	})
}

// What is excluded does not go along with the folder that it is in, nor come to be there.
func TestManageLeavesExcludedPathsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.deps.Rails = func(context.Context) *Rails {
		return &Rails{ExcludePaths: []string{"/workspace/a/b", "/workspace/c/b", "/workspace/many/**/.env"}}
	}
	b.put("a/b/secret", "secret")
	b.put("a/free/x", "x")
	b.put("many/deep/.env", "secret")
	b.put("evil/b/x", "x")
	for _, a := range []args{
		{"action": "copy", "path": "a", "destination": "d"}, {"action": "move", "path": "a", "destination": "d"}, {"action": "delete", "path": "a"},
		{"action": "copy", "path": "evil", "destination": "c"}, {"action": "move", "path": "evil", "destination": "c"},
		{"action": "copy", "path": "many/deep", "destination": "d"}, {"action": "delete", "path": "many"},
	} {
		if a["action"] != "move" {
			a["recursive"] = true
		}
		b.refuse("manage_files", a, "as a whole", "OPENCLAW_MCP_EXCLUDE_PATHS", "can lie in it")
	}
	b.refuse("manage_files", args{"action": "delete", "path": "a"}, "recursive")
	b.want("a/b/secret", "secret")
	b.want("many/deep/.env", "secret")
	b.want("evil/b/x", "x")
	b.gone("c")
	b.gone("d")
	call[manageFilesOut](b, "manage_files", args{"action": "copy", "path": "a/free", "destination": "e", "recursive": true})
	call[manageFilesOut](b, "manage_files", args{"action": "move", "path": "evil/b/x", "destination": "many/x"})
	call[manageFilesOut](b, "manage_files", args{"action": "delete", "path": "many/x"})
	b.want("e/x", "x")
}

func TestManageWithoutCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("a", "one")
	b.noExec()
	b.refuse("manage_files", args{"action": "delete", "path": "a"}, "sh: not found", "nothing was changed")
	b.want("a", "one")
}

// What failed half-way is not called unchanged, and what gives no reason is said to give none.
func TestManageHalfDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("d/one", "1")
	b.put("d/two", "2")
	b.rewriteExec(func(c string) string { return "rm() { command rm -f ./d/one; return 1; }\n" + c })
	a := args{"action": "delete", "path": "d", "recursive": true}
	b.refuse("manage_files", a, "gave no reason", "What happened: a part of it was deleted: of 3 entries, 2 are left.")
	b.refuse("manage_files", a, "nothing was changed")
	b.want("d/two", "2")
}

func TestMakeDirectory(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	for range 2 {
		if got := call[makeDirectoryOut](b, "make_directory", args{"path": "x/y/"}); got.Path != "/workspace/x/y" {
			t.Errorf("got %+v", got)
		}
	}
	b.put("f", "")
	b.refuse("make_directory", args{"path": "f"})
	b.refuse("make_directory", args{"path": "/elsewhere"}, "under /workspace")
}

// TestFileSchemas: what clients are told stays small.
func TestFileSchemas(t *testing.T) {
	total := 0
	for _, tool := range fileTools() {
		b, err := json.Marshal(tool.Definition())
		if err != nil {
			t.Fatal(err)
		}
		total += len(b)
		if len(b) > 1300 {
			t.Errorf("%s: %d bytes", tool.Name, len(b))
		}
		if !strings.Contains(string(b), `"openWorldHint"`) {
			t.Errorf("%s: %s", tool.Name, b)
		}
	}
	t.Log("bytes in all:", total)
}

// A delete is confirmed before anything is deleted; a move is not. What can't be deleted is
// refused without asking.
func TestManageFilesConfirm(t *testing.T) {
	b := newBench(t, emulatortest.Options{})
	b.deps.Confirm = NewConfirmer(ConfirmAsk)
	b.put("f", "x")
	b.put("g", "x")
	there := func(name string) bool {
		_, err := os.Lstat(b.path(name))
		return err == nil
	}
	call := func(a args) Result {
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return b.tool("manage_files").Call(t.Context(), b.deps, raw, Exchange{})
	}
	a := args{"action": "delete", "path": "f", "instance": b.id}
	first := call(a)
	_, rest, _ := strings.Cut(first.Text, `confirm: "`)
	token, _, ok := strings.Cut(rest, `"`)
	if !first.IsError || !ok || !there("f") {
		t.Fatalf("the first call: %s", first.Text)
	}
	a["confirm"], a["path"] = token, "g"
	if other := call(a); !other.IsError || !there("g") {
		t.Fatalf("a token for one file deletes another: %s", other.Text)
	}
	a["path"] = "f"
	if second := call(a); second.IsError || there("f") {
		t.Fatalf("the confirmed call: %s", second.Text)
	}
	b.put("full/f", "x")
	for _, tt := range []struct {
		path  string
		all   bool
		words string
	}{
		{"none", false, "there is no"}, {"none/f", true, "there is no"}, {"full", false, "recursive: true"},
		{"full", true, "the directory \"/workspace/full\" on instance " + b.id + ", with everything in it"}, {"g", true, "the file \"/workspace/g\""},
	} {
		r := call(args{"action": "delete", "path": tt.path, "recursive": tt.all, "instance": b.id})
		asks := strings.HasPrefix(tt.words, "the ") && !strings.HasPrefix(tt.words, "there")
		if !strings.Contains(r.Text, tt.words) || strings.Contains(r.Text, "needs a confirmation") != asks || !there("full/f") {
			t.Errorf("%s: got %s", tt.path, r.Text)
		}
	}
	if moved := call(args{"action": "move", "path": "g", "destination": "h", "instance": b.id}); moved.IsError {
		t.Fatalf("a move: %s", moved.Text)
	}
}

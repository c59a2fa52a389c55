//go:build !windows

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fake puts a program before the one of that name, which it can call as "real".
func (w *world) fake(name, script string) {
	w.Helper()
	dir := w.TempDir()
	script = "#!" + filepath.Join(w.dir, "sh") + "\nreal() { PATH='" + w.path + "' command " + name + " \"$@\"; }\n" +
		"for i do from=${to-} to=$i; done\n" + script // the last two arguments
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		w.Fatal(err)
	}
	w.path = dir + ":" + w.path
}

// empty checks that a folder of the workspace has nothing in it, or is not there.
func (w *world) empty(name string) {
	w.Helper()
	if has, _ := os.ReadDir(filepath.Join(w.workspace, name)); len(has) > 0 {
		w.Errorf("%s has %v", name, has)
	}
}

func manageParams(action, name, toDir, toName string) Params {
	return Params{"action": action, "dir": ".", "name": name, "to_dir": toDir, "to_name": toName, "stage": ".openclaw-mcp-y",
		"recursive": true, "overwrite": true, "check": false, "whole": true}
}

// TestHalfDone: of what fails half-way, it is said what became of it.
func TestHalfDone(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.put("d/one", "1")
		w.put("d/two", "2")
		w.fake("rm", `case "$1 $to" in
			"-rf ./d") real -f ./d/one; echo "two: Permission denied" >&2; exit 1 ;;
			"-rf ./e") echo "no" >&2; exit 1 ;;
			esac
			real "$@"`)
		if r := w.reports("partly deleted 2 3", "file_manage", manageParams("delete", "d", "", "")); !strings.Contains(string(r.Part(0)), "Permission denied") {
			t.Errorf("got %q", r.Parts)
		}
		w.put("e/one", "1")
		w.reports("failed", "file_manage", manageParams("delete", "e", "", ""))

		// Folders that were made for what then failed do not stay.
		w.fake("cp", `echo no >&2; exit 1`)
		w.reports("failed", "file_manage", manageParams("copy", "e", "./new/deep", "x"))
		w.empty("new")
		long := strings.Repeat("n", 256)
		w.reports("failed", "file_mkdir", Params{"dir": "./made/deep", "name": long})
		w.empty("made")
		commit := Params{"dir": "./made/deep", "name": long, "mode": "create", "match": "", "stage": ".openclaw-mcp-x", "executable": false,
			"content": Encode([]byte("x")), "parts": 0, "sum": sumOf("x")}
		w.reports("failed", "file_commit", commit)
		w.empty("made")
	})
}

// TestMoveToOtherFileSystem: there, mv writes over the destination and deletes the original. Where it
// can't be done as a whole, both are as they were.
func TestMoveToOtherFileSystem(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		// The folder "mnt" is one where a file has room for 10 bytes, a folder for none.
		fit := `full() { echo "No space left on device" >&2; exit 1; }
			fit() {
			  if [ -d "$1" ]; then mkdir "$2"; full; fi
			  head -c 10 "$1" >"$2"; [ "$(wc -c <"$1")" -le 10 ] || full
			}
			`
		w.fake("mv", fit+`case "$PWD $from" in
			*/mnt" $1"*|*/mnt" "./*) real "$@" ;;
			*/mnt" "*) [ ! -e "$to" ] || real -f "$to" gone; fit "$from" "$to"; rm -r "$from" ;;
			*) real "$@" ;;
			esac`)
		w.fake("cp", fit+`fit "$from" "$to"`)
		w.fake("ln", `exit 1`)
		w.put("mnt/dest", "precious")
		w.put("big", "more than ten bytes")
		w.put("small", "small")
		w.put("d/f", "f")
		w.reports("failed", "file_manage", manageParams("move", "big", "mnt", "dest"))
		w.holds("mnt/dest", "precious")
		w.holds("big", "more than ten bytes")
		w.reports("failed", "file_manage", manageParams("move", "d", "mnt", "d"))
		w.holds("d/f", "f")
		w.reports("ok file 1 1", "file_manage", manageParams("move", "small", "mnt", "dest"))
		w.holds("mnt/dest", "small")
		w.holds("small", "")
		if has, _ := os.ReadDir(filepath.Join(w.workspace, "mnt")); len(has) != 1 {
			t.Errorf("mnt has %v", has)
		}
	})
}

// asUser has the world's commands run by somebody who is not root, who owns its folders.
func (w *world) asUser() (uid int) {
	if uid = os.Geteuid(); uid != 0 {
		return uid
	}
	const nobody = 65534
	for _, dir := range []string{w.tmp, filepath.Dir(w.tmp), w.dir, filepath.Dir(w.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			w.Fatal(err)
		}
	}
	for _, dir := range []string{w.workspace, w.tmp, w.dir} {
		_ = filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
			if err == nil {
				err = os.Lchown(p, nobody, nobody)
			}
			return err
		})
	}
	w.credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	return nobody
}

// TestOwnerIsKept: a file that others own stays theirs.
func TestOwnerIsKept(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files for others")
	}
	inShells(t, func(t *testing.T, w *world) {
		w.put("own", "old")
		w.put("other", "old")
		w.put("group", "old")
		user := w.asUser()
		for name, owner := range map[string][2]int{"own": {user, user}, "other": {0, 0}, "group": {user, 33}} {
			file := filepath.Join(w.workspace, name)
			if err := os.Chown(file, owner[0], owner[1]); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, 0o666); err != nil {
				t.Fatal(err)
			}
			w.reports("ok 3 "+sumOf("new"), "file_commit", Params{"dir": ".", "name": name, "mode": "overwrite", "match": sumOf("old"), "stage": ".openclaw-mcp-x",
				"executable": false, "content": Encode([]byte("new")), "parts": 0, "sum": sumOf("new")})
			w.holds(name, "new")
			var st syscall.Stat_t
			if err := syscall.Stat(file, &st); err != nil || [2]int{int(st.Uid), int(st.Gid)} != owner || st.Mode&0o777 != 0o666 {
				t.Errorf("%s: %d:%d, %o, %v", name, st.Uid, st.Gid, st.Mode, err)
			}
		}
		if has, _ := os.ReadDir(w.workspace); len(has) != 3 {
			t.Errorf("left are %v", has)
		}
	})
}

// TestClosedFolder: a copy of a folder that can't be read leaves nothing.
func TestClosedFolder(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.put("d/closed/f", "f")
		w.asUser()
		closed := filepath.Join(w.workspace, "d/closed")
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(closed, 0o755) })
		w.reports("failed", "file_manage", manageParams("copy", "d", "./new/deep", "x"))
		w.empty("new")
	})
}

// TestNoTemporaryFiles: without a folder for temporary files, a list comes as far as it fits into one
// report, and a change leaves no lock in the user's folder.
func TestNoTemporaryFiles(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		w.put("file", "")
		w.put("d/f", "old")
		w.tmp = filepath.Join(w.workspace, "file")
		r := w.run("file_list", Params{"dir": ".", "name": "d", "depth": 3, "list": "openclaw-mcp-list-x", "chunk": 10_000, "batch": Text("file_list_batch")})
		if r.Verb != "list" || r.Number(0) != 0 || len(r.Part(0)) == 0 {
			t.Errorf("got %v, %q", r, r.Parts)
		}
		w.reports("ok 3 "+sumOf("new"), "file_commit", Params{"dir": "./d", "name": "f", "mode": "overwrite", "match": "", "stage": ".openclaw-mcp-x",
			"executable": false, "content": Encode([]byte("new")), "parts": 0, "sum": sumOf("new")})
		if has, _ := os.ReadDir(filepath.Join(w.workspace, "d")); len(has) != 1 {
			t.Errorf("left are %v", has)
		}
	})
}

//go:build unix

package transfers

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// modeOf gives type, mode and time of a file or folder.
func modeOf(t *testing.T, path string) string {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		return "none"
	}
	return fmt.Sprintf("%v %d", st.Mode(), st.ModTime().Unix())
}

// Modes and times go both ways, those of folders too. Set-user-id never does; what others
// may write to comes down only as far as this machine's umask has it.
func TestTransferModes(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	at := time.Unix(1_500_000_000, 0)
	modes := map[string]fs.FileMode{
		"f644": 0o644, "f664": 0o664, "f666": 0o666, "f600": 0o600, "f755": 0o755, "f777": 0o777, "f440": 0o440, "su": fs.ModeSetuid | 0o755, "sg": fs.ModeSetgid | 0o775,
		"d755/x": 0o644, "d700/x": 0o644, "d775/sub/x": 0o644, "d777/x": 0o644, "d555/x": 0o644,
	}
	dirs := map[string]fs.FileMode{"d755": 0o755, "d700": 0o700, "d775": 0o775, "d775/sub": 0o750, "d777": fs.ModeSticky | 0o777, "d555": 0o755, "empty": fs.ModeSetgid | 0o770}
	tree := map[string]item{"large": {content: noise(partSize+9, 1), mode: 0o664}}
	for name, mode := range modes {
		tree[name] = item{content: []byte(name), mode: mode}
	}
	for _, where := range []string{m.local("src"), m.remote("far")} {
		plant(t, where, tree)
		for name, mode := range dirs {
			if err := os.MkdirAll(where+"/"+name, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(where+"/"+name, mode); err != nil {
				t.Fatal(err)
			}
		}
		for name := range dirs {
			if err := os.Chtimes(where+"/"+name, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	umask := fs.FileMode(0o777)
	if f, err := os.OpenFile(m.local("probe"), os.O_CREATE|os.O_WRONLY, 0o777); err == nil {
		st, _ := f.Stat()
		umask &^= st.Mode()
		_ = f.Close()
	}
	check := func(where string, mask fs.FileMode) {
		t.Helper()
		for name, mode := range modes {
			if got, want := modeOf(t, where+"/"+name), fmt.Sprintf("%v 1600000000", mode.Perm()&^mask); got != want {
				t.Errorf("%s/%s is %s, want %s", where, name, got, want)
			}
		}
		for name, mode := range dirs {
			if got, want := modeOf(t, where+"/"+name), fmt.Sprintf("%v %d", fs.ModeDir|mode.Perm()&^mask, at.Unix()); got != want {
				t.Errorf("%s/%s is %s, want %s", where, name, got, want)
			}
		}
		if got, want := modeOf(t, where+"/large"), fmt.Sprintf("%v 1600000000", 0o664&^mask); got != want {
			t.Errorf("large is %s, want %s", got, want)
		}
	}
	for range 2 { // the second time, all is there
		m.move(runs.KindUpload, "src", "/workspace/app")
		check(m.remote("app"), 0)
		m.move(runs.KindDownload, "back", "/workspace/far")
		check(m.local("back"), umask)
	}
	// A change of no more than modes goes up, too; a folder of this machine that is closed
	// to others stays so.
	if err := os.Chmod(m.local("src/d755"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(m.local("back/d755"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.move(runs.KindUpload, "src", "/workspace/app")
	m.move(runs.KindDownload, "back", "/workspace/far")
	for path, want := range map[string]string{m.remote("app/d755"): "drwx--x--x", m.local("back/d755"): "drwx------"} {
		if got := modeOf(t, path); !strings.HasPrefix(got, want) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	// Nothing that exists is touched where it is to stay.
	m.move(runs.KindUpload, "src", "/workspace/far", func(r *Request) { r.Keep = true })
	if got := modeOf(t, m.remote("far/d755")); !strings.HasPrefix(got, "drwxr-xr-x") {
		t.Errorf("an existing folder is %s", got)
	}
}

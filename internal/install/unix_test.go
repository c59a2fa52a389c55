//go:build !windows

package install

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Who installs as root for another user leaves that user's file to them. Without
// root's rights there is but one owner, whose file stays theirs.
func TestOwner(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	config := u.path("config")
	u.write(config, []byte("{}"))
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = 12345, 23456
	}
	if err := os.Chown(config, uid, gid); err != nil {
		t.Fatal(err)
	}
	u.ok("cursor", "--local", "--config", config)
	names := u.files(u.home)
	if len(names) != 2 {
		t.Errorf("there are %v, want the file and its backup", names)
	}
	for _, name := range names {
		st, err := os.Stat(u.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if s := st.Sys().(*syscall.Stat_t); int(s.Uid) != uid || int(s.Gid) != gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", name, s.Uid, s.Gid, uid, gid)
		}
	}
}

// A link stays a link, its file keeps its mode, and the backup has that too.
func TestLinksAndModes(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	target, link := u.path("dotfiles", "mcp.json"), u.path(".cursor", "mcp.json")
	u.write(target, []byte("{}\n"))
	u.write(u.path(".cursor", "other"), nil)
	if err := os.Symlink(filepath.Join("..", "dotfiles", "mcp.json"), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o640); err != nil {
		t.Fatal(err)
	}
	u.ok("cursor", "--local")
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is no link now: %v %v", st, err)
	}
	names := u.files(filepath.Dir(target))
	if len(names) != 2 {
		t.Errorf("beside the link's file there are %v, want a backup", names)
	}
	for _, name := range names {
		if st, err := os.Stat(filepath.Join(filepath.Dir(target), name)); err != nil || st.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v, %v; want 0640", name, st.Mode(), err)
		}
	}
	u.ok("cursor", "--uninstall")
	if got := u.read(target); got != "{}\n" {
		t.Errorf("after --uninstall the link's file is %q", got)
	}

	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	u.refused([]string{link, "link to a file that does not exist"}, "cursor", "--local")

	u.ok("codex", "--local")
	if st, err := os.Stat(u.path(".codex", "config.toml")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("a new file: %v, %v; want mode 0600", st.Mode(), err)
	}
}

// A configuration that others can read is closed to them when a key goes into it.
func TestKeyInConfigIsPrivate(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.env["OPENCLAW_API_KEY"] = testKey
	config := u.path("config.json")
	u.write(config, []byte("{}\n"))
	for range 2 { // the second finds it installed
		if err := os.Chmod(config, 0o664); err != nil {
			t.Fatal(err)
		}
		u.ok("cursor", "--key-in-config", "--config", config)
		for _, name := range u.files(u.home) {
			if st, err := os.Stat(u.path(name)); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, st.Mode(), err)
			}
		}
	}
}

//go:build !windows

package install

import (
	"os"
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

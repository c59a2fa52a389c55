//go:build !windows

package install

import (
	"os"
	"syscall"
)

// own gives a file that takes another's place, or keeps its content, to that
// one's owner: who installs as root must not lock the user out.
func (f *file) own(other *os.File) error {
	if f.stat == nil {
		return nil
	}
	was, ok := f.stat.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	err := other.Chown(int(was.Uid), int(was.Gid))
	if int(was.Uid) == os.Geteuid() {
		return nil // the group may be one that only root can give
	}
	return err
}

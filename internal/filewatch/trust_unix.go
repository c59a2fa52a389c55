//go:build !windows

package filewatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Trusted refuses a file that others can write or replace, who could put in what they like.
// Root is trusted, since containers get their secrets from it. A pipe is not checked.
func Trusted(path string, st os.FileInfo) error {
	if !st.Mode().IsRegular() {
		return nil
	}
	if st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others (mode %#o), who could put in what they like; use chmod go-w on it", path, st.Mode().Perm())
	}
	if uid, of := ofOthers(st); of {
		return fmt.Errorf("%s belongs to another user (%d), who could put in what they like; use chown on it", path, uid)
	}
	folders := []string{filepath.Dir(path)}
	if target, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(target) != folders[0] {
		folders = append(folders, filepath.Dir(target))
	}
	for _, folder := range folders {
		if err := trustedFolder(path, folder); err != nil {
			return err
		}
	}
	return nil
}

// trustedFolder refuses a folder in which others can put another file in a file's place. They
// can't where a sticky bit is, as in Kubernetes' volumes of secrets, nor on a read-only mount.
func trustedFolder(path, folder string) error {
	st, err := os.Stat(folder)
	if err != nil {
		return nil // the folder of what has no name any more, such as /dev/fd/3
	}
	open := st.Mode().Perm()&0o002 != 0
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && st.Mode().Perm()&0o020 != 0 {
		open = open || sys.Gid != 0 && int(sys.Gid) != os.Getegid() // often a group of this user alone
	}
	uid, of := ofOthers(st)
	open = open && st.Mode()&os.ModeSticky == 0
	const mayWrite = 2 // W_OK
	switch {
	case !open && !of, errors.Is(syscall.Access(folder, mayWrite), syscall.EROFS):
		return nil
	case of:
		return fmt.Errorf("%s is in a folder of another user (%d), who could put another file in its place", path, uid)
	}
	return fmt.Errorf("%s is in a folder that others can write (%s, mode %#o), who could put another file in its place; use chmod go-w on the folder", path, folder, st.Mode().Perm())
}

// ofOthers reports whether a file belongs to a user who is neither this one nor root.
func ofOthers(st os.FileInfo) (uid int, of bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	uid = int(sys.Uid)
	return uid, uid != 0 && uid != os.Geteuid()
}

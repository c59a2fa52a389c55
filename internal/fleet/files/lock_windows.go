package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// errSharing is Windows' word for a file that somebody has for himself.
const errSharing = syscall.Errno(32)

// tryLock opens a file that one holder at a time can have, until it closes the file
// or ends: the file is opened without sharing it. errHeld says that somebody has it.
func tryLock(name string) (*os.File, error) {
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharing) {
		return nil, errHeld
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(h), name), nil
}

// checkOwner has nothing to do: a user's local application data is the user's alone.
func checkOwner(string, fs.FileInfo) error { return nil }

// shortFolder is where sockets are whose path would be too long.
func shortFolder() string { return os.TempDir() }

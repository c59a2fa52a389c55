package emulator

import (
	"errors"
	"os"
	"syscall"
)

// errSharing is Windows' word for a file that somebody has for himself.
const errSharing = syscall.Errno(32)

// lockFile opens a file that one holder at a time can have, until it closes the
// file or ends: the file is opened without sharing it.
func lockFile(name string) (*os.File, error) {
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharing) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(h), name), nil
}

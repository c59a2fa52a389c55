//go:build linux || darwin

package emulator

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"github.com/creack/pty"
)

// shellOnTTY starts a shell on a new pseudo-terminal and gives our end of it.
// The caller holds m.mu.
func (m *machine) shellOnTTY(cols, rows int) (*exec.Cmd, *os.File, error) {
	// In a namespace the shell makes its session itself: nsenter, which is
	// outside, must not be the one that has the terminal.
	if err := m.enter(); err != nil {
		return nil, nil, err
	}
	own := m.holder != nil && findProgram("setsid") != ""
	cmd, err := m.command(shellCommand(own))
	if err != nil {
		return nil, nil, err
	}
	ours, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, errNoPTY
	}
	defer theirs.Close()
	// The library leaves it blocking, and then nothing ends a read of it.
	if ours, err = nonblocking(ours); err != nil {
		return nil, nil, err
	}
	if err := setWindow(ours, cols, rows); err != nil {
		ours.Close()
		return nil, nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: !own}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, nil, fmt.Errorf("local instance: start of the shell: %w", err)
	}
	return cmd, ours, nil
}

// nonblocking gives a file in place of another whose reads and writes Close ends.
func nonblocking(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// setWindow does not use File.Fd, which would make the file blocking again.
func setWindow(tty *os.File, cols, rows int) error {
	size := pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}
	raw, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size)))
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return err
}

package transport

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what Linux lets anybody have.
const pipeSize = 1 << 20

// enlarge has a pipe hold a large message whole: with the usual 64 KiB, both ends
// take turns waking each other for the next piece. It does nothing to anything else.
func enlarge(stream any) {
	f, ok := stream.(*os.File)
	if !ok {
		return
	}
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

//go:build !linux && !darwin

package emulator

import (
	"os"
	"os/exec"
)

func (m *machine) shellOnTTY(cols, rows int) (*exec.Cmd, *os.File, error) {
	return nil, nil, errNoPTY
}

func setWindow(*os.File, int, int) error { return errNoPTY }

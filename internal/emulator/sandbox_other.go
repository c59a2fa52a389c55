//go:build !linux

package emulator

import (
	"context"
	"errors"
	"os/exec"
)

// holder does not exist outside of Linux.
type holder struct{}

func startHolder(_ context.Context, _, _, _ string) (*holder, error) {
	return nil, errors.New("private namespaces need Linux")
}

func (h *holder) command(shell, command string) *exec.Cmd { return exec.Command(shell, "-c", command) }
func (h *holder) dead() bool                              { return true }
func (h *holder) stop()                                   {}
func (h *holder) kill(int)                                {}

// killMarked cannot see the environment of other processes here.
func killMarked(string) {}

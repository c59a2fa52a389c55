// Package cli is the command line: what people type, and what it prints.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"openclaw-mcp/internal/config"
	clean "openclaw-mcp/internal/text"
)

// Run is the program. It returns the exit code: 0 for success, 1 for a failure,
// 2 for a wrong command line or configuration, 130 after Ctrl-C. The doctor has
// codes of its own.
func Run(ctx context.Context, version string, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &output{Writer: stdout}
	c := newConsole(version, environ, stdin, out, stderr)
	root := rootCommand(c)
	root.SetArgs(append([]string{}, args...)) // for nil, cobra would read the process's arguments
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = c.helpErr
	}
	err = out.failed(err)
	var usage usageError
	var exit exitError
	var wrong *config.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if text := exit.Error(); text != "" {
			fmt.Fprintln(stderr, wrapped(stderr, text))
		}
		return exit.code
	case errors.As(err, &usage):
		help := usage.help
		if help == "" {
			help = cmd.CommandPath() + " --help"
		}
		fmt.Fprintln(stderr, wrapped(stderr, fmt.Sprintf("openclaw-mcp: %s\nRun '%s' for help.", clean.Visible(err.Error()), help)))
		return 2
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, wrapped(stderr, clean.Visible(err.Error())))
		return 2
	default:
		fmt.Fprintln(stderr, wrapped(stderr, "openclaw-mcp: "+clean.Visible(err.Error())))
		return 1
	}
}

// usageError is a mistake in the command line. help is the command that explains
// how it is done; empty: --help of the command that failed.
type usageError struct {
	error
	help string
}

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, a ...any) error {
	return usageError{error: fmt.Errorf(format, a...)}
}

// exitError ends the program with a code of its own. Its text, where there is
// one, goes to standard error as it is.
type exitError struct {
	code int
	error
}

func exitWith(code int, text string) error { return exitError{code, errors.New(text)} }

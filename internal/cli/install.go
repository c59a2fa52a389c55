package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/install"
)

func installCommand(c *console) *cobra.Command {
	var o install.Options
	cmd := &cobra.Command{
		Use:       "install CLIENT",
		Short:     "Add this server to an MCP client's configuration",
		Long:      install.Help(),
		ValidArgs: install.Clients(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Clients, o.Local, o.CheckSettings = args, c.local, checkSettings
			for _, name := range args {
				if several := containing(name, install.Clients()); len(several) > 0 {
					return usagef("unknown client %q: did you mean %s?", name, strings.Join(several, " or "))
				}
				if near := didYouMean(name, install.Clients()); near != "" && !slices.Contains(install.Clients(), name) {
					return usagef("unknown client %q%s", name, near)
				}
			}
			setup, err := install.Process(c.environ, c.stdin, c.stdout, c.stderr)
			if err != nil {
				return err
			}
			setup.TryKey = func(key string) error {
				_, err := c.tryKey(cmd.Context(), c.serviceFor(o.Env), key)
				return err
			}
			asks := c.interactive && isTerminal(c.stdout) && !o.Yes // who can't see the change is not asked
			if asks {
				setup.Confirm = func(question string) (bool, error) { return c.confirm(cmd.Context(), question) }
			}
			if asks && len(args) == 1 && !o.List && !o.Uninstall && !o.DryRun && o.HTTP == "" {
				setup.Exe, err = c.offerCopy(cmd.Context(), setup.Exe)
			}
			if err == nil {
				c.warnOfSettings(o)
				err = install.Run(setup, o)
			}
			if errors.Is(err, context.Canceled) {
				return errCancelled
			}
			if usage, ok := errors.AsType[install.UsageError](err); ok {
				return usageError{error: usage}
			}
			return err
		},
	}
	o.AddFlags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("config", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)) // a file
	return cmd
}

// warnOfSettings names the settings that are set here and that the client will not pass
// on: a limit, for example, which the person may rely on.
func (c *console) warnOfSettings(o install.Options) {
	if o.List || o.Uninstall || o.HTTP != "" {
		return
	}
	given := func(name string) bool {
		return slices.ContainsFunc(o.Env, func(setting string) bool { return strings.HasPrefix(setting, name+"=") })
	}
	var left []string
	for _, variable := range c.environ {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" || !strings.HasPrefix(name, "OPENCLAW_") || strings.HasPrefix(name, "OPENCLAW_API_KEY") || given(name) {
			continue
		}
		left = append(left, name)
	}
	if len(left) > 0 {
		slices.Sort(left)
		c.say(dim, "Set here, but not for the client: "+strings.Join(left, ", ")+". Use --env NAME=VALUE to put a setting into the entry.")
	}
}

// checkSettings refuses what the server would refuse when a client starts it.
func checkSettings(env []string) error {
	_, err := config.Read(append([]string{"OPENCLAW_API_KEY=none"}, env...))
	return err
}

// containing are the clients that a word is a part of, quoted; none where it is one.
func containing(word string, clients []string) (fit []string) {
	for _, name := range clients {
		if name == word {
			return nil
		}
		if len(word) > 2 && strings.Contains(name, word) {
			fit = append(fit, fmt.Sprintf("%q", name))
		}
	}
	return fit
}

// serviceFor is the address that the installed server will use.
func (c *console) serviceFor(env []string) string {
	for _, setting := range env {
		if url, ok := strings.CutPrefix(setting, "OPENCLAW_API_BASE_URL="); ok {
			return url
		}
	}
	return cmp.Or(c.variable("OPENCLAW_API_BASE_URL"), config.DefaultBaseURL)
}

// offerCopy offers to copy the program to a folder on PATH, where it lies in one
// that may go away: a temporary folder, or that of a build. It gives the path of
// the program that clients are to start.
func (c *console) offerCopy(ctx context.Context, exe string) (string, error) {
	to := c.placeOnPath()
	if to == "" || to == exe || !passing(exe) {
		return exe, nil
	}
	yes, err := c.confirm(ctx, fmt.Sprintf("This program is in %s, which may go away. Copy it to %s, for clients to start it from there?", filepath.Dir(exe), to))
	if err != nil || !yes {
		return exe, err
	}
	return to, copyProgram(exe, to)
}

// passing tells whether a program lies where it may not stay.
func passing(exe string) bool {
	temp, err := filepath.EvalSymlinks(os.TempDir())
	if err == nil && strings.HasPrefix(exe, temp+string(filepath.Separator)) {
		return true
	}
	for _, dir := range []string{filepath.Dir(exe), filepath.Dir(filepath.Dir(exe))} {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return true
		}
	}
	return strings.Contains(filepath.ToSlash(exe), "/go-build")
}

// placeOnPath is where a program of this user's own goes; "" where no such folder
// is on PATH.
func (c *console) placeOnPath() string {
	home := c.variable("HOME")
	if !filepath.IsAbs(home) || runtime.GOOS == "windows" {
		return ""
	}
	for _, dir := range []string{filepath.Join(home, ".local", "bin"), filepath.Join(home, "bin")} {
		if slices.Contains(filepath.SplitList(c.variable("PATH")), dir) {
			return filepath.Join(dir, "openclaw-mcp")
		}
	}
	return ""
}

// copyProgram copies a program, all or nothing; one that runs stays as it is.
func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(to), ".openclaw-mcp-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // it is gone where all went well
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o755), out.Close())
	if err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}

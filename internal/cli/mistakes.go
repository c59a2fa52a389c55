package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/nearest"
)

// noArguments is for commands that take none. The root command takes none
// either: what stands there is the name of a command that doesn't exist.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasAvailableSubCommands():
		if here := elsewhere(args[0]); here != "" && !cmd.HasParent() {
			return usagef("unknown command %q: did you mean \"%s\"?", args[0], here)
		}
		names := names(visibleCommands(cmd))
		if near := didYouMean(args[0], names); near != "" {
			return usagef("unknown command %q%s", args[0], near)
		}
		return usagef("unknown command %q; the commands are %s", args[0], strings.Join(names, ", "))
	default:
		return usagef("%s takes no arguments, but got %q", cmd.Name(), args[0])
	}
}

// elsewhere is what to type here for a command that other programs have, or for the
// name of a tool; "" for any other word.
func elsewhere(word string) string {
	switch word {
	case "auth":
		return "login"
	case "exec", "run", "shell", "ssh":
		return "call exec_command command='ls -la'"
	case "instances", "list", "ls", "ps", "whoami":
		return "status"
	case "serve", "server", "start":
		return "--http ADDR"
	case "tools":
		return "call --list"
	case "uninstall", "remove":
		return "install CLIENT --uninstall"
	}
	if tool, err := lookupTool(word); err == nil {
		return "call " + tool.Name
	}
	return ""
}

// flagError says in our words what was wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	case errors.As(err, &missing):
		flag := missing.GetFlag()
		placeholder, _ := pflag.UnquoteUsage(flag)
		return usagef("--%s needs a value: --%[1]s %s", flag.Name, placeholder)
	case errors.As(err, &invalid):
		flag, value := invalid.GetFlag(), invalid.GetValue()
		switch flag.Value.Type() {
		case "bool":
			return usagef("--%s takes true or false, not %q", flag.Name, value)
		case "duration":
			return usagef("--%s is %q; it must be a duration, such as 15s or 2m, or a number of seconds", flag.Name, value)
		}
	}
	return usageError{error: err}
}

// duration is the value of a flag: a time, as settings have it.
type duration time.Duration

// Set implements pflag.Value.
func (d *duration) Set(value string) error {
	v, err := config.Duration(value)
	*d = duration(v)
	return err
}

// String implements pflag.Value.
func (d *duration) String() string { return time.Duration(*d).String() }

// Type implements pflag.Value.
func (*duration) Type() string { return "duration" }

func unknownFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	name := "--" + err.GetSpecifiedName()
	if letters := err.GetSpecifiedShortnames(); letters != "" {
		name = "-" + letters // -local is read as -l -o -c -a -l
	}
	if name == "--http" {
		return usagef("--http serves MCP, so it can't be combined with the command %q", cmd.Name())
	}
	var known []string
	letter := ""
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		known = append(known, "--"+f.Name)
		if f.Shorthand != "" && strings.EqualFold("-"+f.Shorthand, name) {
			letter = "-" + f.Shorthand
		}
	})
	near := didYouMean(name, known)
	switch {
	case letter != "":
		near = ": did you mean " + letter + "?"
	case near != "":
	case cmd.Name() == "call":
		near = "; a tool's arguments are KEY=VALUE, in quotes if there are spaces: command='ls -la'"
	case cmd.Name() == "login":
		near = "; " + asksForKey
	}
	return usagef("unknown flag %s%s", name, near)
}

// didYouMean names the known word that is nearest to a misspelt one. It is
// empty if none is near.
func didYouMean(word string, known []string) string {
	farthest := 2
	if len(word) < 4 {
		farthest = 1
	}
	near := nearest.Word(word, known, farthest)
	switch {
	case near == "":
		return ""
	case strings.HasPrefix(near, "-"):
		return ": did you mean " + near + "?"
	default:
		return `: did you mean "` + near + `"?`
	}
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"openclaw-mcp/install"
)

// version is set by the linker for releases.
var version = "dev"

// errUsage marks errors of the command line and of the configuration.
type usageError struct{ error }

// run is the program. It returns the exit code: 0 for success, 1 for a failure,
// 2 for a wrong command line or configuration, 130 after Ctrl-C. The doctor has
// codes of its own.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := command(ctx, args, environ, stdin, stdout, stderr)
	var usage usageError
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if text := exit.Error(); text != "" {
			fmt.Fprintln(stderr, text)
		}
		return exit.code
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, strings.TrimSpace(err.Error()))
		return 2
	default:
		fmt.Fprintln(stderr, "openclaw-mcp:", err)
		return 1
	}
}

func command(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("openclaw-mcp", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	local := flags.Bool("local", false, "")
	httpAddr := flags.String("http", "", "")
	showVersion := flags.Bool("version", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		help(stdout)
		return nil
	} else if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: %w%s\n\nRun 'openclaw-mcp --help' for what there is", err, nearFlag(err))}
	}
	if *showVersion {
		fmt.Fprintln(stdout, "openclaw-mcp", programVersion())
		return nil
	}
	if rest := flags.Args(); len(rest) > 0 {
		if rest[0] == completeCommand {
			return complete(stdout, rest[1:])
		}
		if *httpAddr != "" {
			return usageError{fmt.Errorf("openclaw-mcp: --http serves MCP and goes with no command, but got %q", rest[0])}
		}
		return runCommand(ctx, newConsole(environ, stdin, stdout, stderr), rest[0], rest[1:], *local)
	}
	cfg, err := readConfig(environ)
	if err == nil && *httpAddr != "" {
		cfg.HTTP = *httpAddr
		if err = checkListenAddress(cfg.HTTP, cfg.Auth); err != nil {
			err = fmt.Errorf("--http %w", err)
		}
	}
	if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: wrong configuration\n%w", err)}
	}
	if !*local && cfg.APIKey == "" && !cfg.bringsKeys() {
		return usageError{errors.New(strings.TrimSuffix(noKey, "."))}
	}
	return serve(ctx, cfg, *local, stdin, stdout, stderr)
}

const noKey = `openclaw-mcp needs an OpenClaw service to bridge to. There are two choices:

  your hosted instances   set OPENCLAW_API_KEY to your API key (or
                          OPENCLAW_API_KEY_FILE to a file that holds it)
  no account              pass --local: an embedded service runs on this machine

'openclaw-mcp demo' shows what it does, and 'openclaw-mcp --help' what can be set.`

// installInto is `openclaw-mcp install`.
func installInto(c *console, args []string) error {
	setup, err := install.Process(args, c.environ, c.stdin, c.stdout, c.stderr)
	if err != nil {
		return err
	}
	var usage install.UsageError
	if err = install.Run(setup); errors.As(err, &usage) {
		return usageError{err}
	}
	return err
}

// programVersion is the linker's word, else what the Go tool knows of a
// `go install` of a tagged module.
func programVersion() string {
	if version != "dev" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}

// helpWidth is that of a terminal.
const helpWidth = 80

// help fits a screen of 80 columns and 24 lines.
func help(w io.Writer) {
	fmt.Fprint(w, `openclaw-mcp lets MCP clients operate hosted OpenClaw instances.

Usage: openclaw-mcp [--local] [--http ADDR]     serve MCP
       openclaw-mcp [--version | --help]
       openclaw-mcp COMMAND [--help]

MCP is served on standard input and output, or over streamable HTTP at
http://ADDR/mcp. With --local it uses an embedded service: no account needed.

Commands:
`)
	for _, s := range commands() {
		fmt.Fprintf(w, "  %-11s %s\n", s.name, s.summary)
	}
	fmt.Fprint(w, "\nSettings are environment variables; 'openclaw-mcp help settings' lists them all.\n")
	first := []string{"OPENCLAW_API_KEY", "OPENCLAW_API_KEY_FILE", "OPENCLAW_INSTANCE_ID"}
	listSettings(w, func(f reflect.StructField) bool { return slices.Contains(first, f.Tag.Get("env")) })
}

func allSettings(w io.Writer) { listSettings(w, func(reflect.StructField) bool { return true }) }

// nearFlag suggests a flag of the program itself for one that it does not have.
func nearFlag(err error) string {
	const unknown = "flag provided but not defined: -"
	name, ok := strings.CutPrefix(err.Error(), unknown)
	if !ok {
		return ""
	}
	var names []string
	for _, f := range mainFlags {
		names = append(names, f.name)
	}
	return didYouMean(name, names)
}

// listSettings lists the settings that are chosen, a line or two for each.
func listSettings(w io.Writer, chosen func(reflect.StructField) bool) {
	t := reflect.TypeFor[config]()
	name := 0
	for i := range t.NumField() {
		name = max(name, len(t.Field(i).Tag.Get("env")))
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !chosen(f) {
			continue
		}
		doc := f.Tag.Get("doc")
		if d := f.Tag.Get("envDefault"); d != "" {
			doc += " (" + d + ")"
		}
		line := fmt.Sprintf("  %-*s ", name, f.Tag.Get("env"))
		for word := range strings.FieldsSeq(doc) {
			if len(line)+1+len(word) > helpWidth {
				fmt.Fprintln(w, line)
				line = strings.Repeat(" ", name+3)
			}
			line += " " + word
		}
		fmt.Fprintln(w, line)
	}
}

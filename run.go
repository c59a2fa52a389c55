package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"strings"

	"openclaw-mcp/install"
)

// version is set by the linker for releases.
var version = "dev"

// errUsage marks errors of the command line and of the configuration.
type usageError struct{ error }

// run is the program. It returns the exit code: 0 for success, 1 for a failure,
// 2 for a wrong command line or configuration.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := command(ctx, args, environ, stdin, stdout, stderr)
	var usage usageError
	switch {
	case err == nil:
		return 0
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
		return usageError{fmt.Errorf("openclaw-mcp: %w\n\nRun 'openclaw-mcp --help' for what there is", err)}
	}
	if *showVersion {
		fmt.Fprintln(stdout, "openclaw-mcp", programVersion())
		return nil
	}
	if rest := flags.Args(); len(rest) > 0 {
		switch {
		case rest[0] == "help" && len(rest) == 2 && rest[1] == "settings":
			listSettings(stdout, func(reflect.StructField) bool { return true })
			return nil
		case rest[0] == "help":
			help(stdout)
			return nil
		case rest[0] == "install" && (*local || *httpAddr != ""):
			return usageError{errors.New("openclaw-mcp: flags of install stand behind it: openclaw-mcp install CLIENT --local")}
		case rest[0] == "install":
			return installInto(rest[1:], environ, stdin, stdout, stderr)
		case rest[0] != "demo":
			return usageError{fmt.Errorf("openclaw-mcp: unknown command %q; there is: demo, install, help\n\nRun 'openclaw-mcp --help' for what there is", rest[0])}
		case len(rest) > 1:
			return usageError{fmt.Errorf("openclaw-mcp: demo takes no arguments, but got %q", rest[1])}
		}
		return demo(ctx, stdout)
	}
	cfg, err := readConfig(environ)
	if err == nil && *httpAddr != "" {
		cfg.HTTP = *httpAddr
		if err = checkListenAddress(cfg.HTTP); err != nil {
			err = fmt.Errorf("--http %w", err)
		}
	}
	if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: wrong configuration\n%w", err)}
	}
	if !*local && cfg.APIKey == "" {
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
func installInto(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	setup, err := install.Process(args, environ, stdin, stdout, stderr)
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

func help(w io.Writer) {
	fmt.Fprint(w, `openclaw-mcp lets MCP clients operate hosted OpenClaw instances.

Usage:
  openclaw-mcp                 serve MCP on standard input and output
  openclaw-mcp --http ADDR     serve MCP over streamable HTTP at http://ADDR/mcp
  openclaw-mcp --local [...]   the same on an embedded service, with no account
  openclaw-mcp install CLIENT  put it into an MCP client's configuration
  openclaw-mcp demo            show a whole session on the embedded service
  openclaw-mcp help settings   list all settings
  openclaw-mcp --version | --help

The settings that matter most; all are environment variables:
`)
	listSettings(w, func(f reflect.StructField) bool { return f.Tag.Get("help") == "main" })
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

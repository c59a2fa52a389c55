package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"openclaw-mcp/tools"
)

// commandSpec is what a command is called with. The help, the manual page and
// the completion of shells are made of it, and the command line is read by it.
type commandSpec struct {
	name, args string
	summary    string // of the list of commands: one line
	details    string // of the command's own help
	flags      []flagSpec
	maxArgs    int                                   // -1: any number
	raw        func(c *console, args []string) error // reads its own words, instead of run
	run        func(ctx context.Context, c *console, in commandLine) error
}

// flagSpec is a flag. One without arg is a switch.
type flagSpec struct{ name, arg, doc string }

// commandLine is a command's words, sorted out.
type commandLine struct {
	flags map[string]string // by name; a switch that is set is "true"
	args  []string
}

func (l commandLine) on(name string) bool { return l.flags[name] == "true" }

var localFlag = flagSpec{"local", "", "use an embedded service on this machine: no account needed"}

// mainFlags come before a command, and alone where MCP is served.
var mainFlags = []flagSpec{
	localFlag,
	{"http", "ADDR", "serve MCP over streamable HTTP at http://ADDR/mcp"},
	{"version", "", "print the version"},
	{"help", "", "print the help"},
}

// commands lists what there is besides serving MCP, in the help's order.
func commands() []commandSpec {
	return []commandSpec{
		{
			name: "demo", summary: "show a whole session on an embedded service",
			details: "A real MCP client talks to the real server, and that to a service embedded in the program. It needs no account and leaves nothing behind.",
			run:     func(ctx context.Context, c *console, _ commandLine) error { return demo(ctx, c.stdout) },
		},
		{
			name: "install", args: "CLIENT", summary: "put it into an MCP client's configuration",
			details: "The clients, and where their configurations are: openclaw-mcp install --list",
			flags: []flagSpec{
				{"list", "", "list the clients and their configurations"},
				{"uninstall", "", "take the entry out again"},
				{"dry-run", "", "show the change and make none"},
				localFlag,
				{"http", "URL", "connect to a server by its URL"},
				{"key-in-config", "", "write the key into the configuration itself"},
				{"env", "NAME=VALUE", "another setting of the server"},
				{"name", "NAME", "name of the entry"},
				{"config", "FILE", "the configuration to edit"},
				{"force", "", "replace an entry of the same name that differs"},
			},
			raw: installInto,
		},
		doctorCommand(), callCommand(), chatCommand(),
		{
			name: "completion", args: "SHELL", maxArgs: 1, summary: "print completion for bash, zsh, fish or powershell",
			details: "Load it in the running shell:\n\n" +
				"  bash        source <(openclaw-mcp completion bash)\n" +
				"  zsh         source <(openclaw-mcp completion zsh)\n" +
				"  fish        openclaw-mcp completion fish | source\n" +
				"  powershell  openclaw-mcp completion powershell | Out-String | iex\n\n" +
				"To keep it, put that line into the shell's start-up file.",
			run: printCompletion,
		},
		{
			name: "man", summary: "print the manual page",
			details: "Read it with: openclaw-mcp man | man -l -",
			run:     func(_ context.Context, c *console, _ commandLine) error { return manPage(c.stdout) },
		},
		{
			name: "help", args: "[COMMAND | settings]", maxArgs: 1, summary: "explain a command, or list all settings",
			run: printHelp,
		},
	}
}

// lookupCommand finds a command or says what there is.
func lookupCommand(name string) (commandSpec, error) {
	all := commands()
	names := make([]string, len(all))
	for i, s := range all {
		if s.name == name {
			return s, nil
		}
		names[i] = s.name
	}
	return commandSpec{}, fmt.Errorf("unknown command %q%s; there is: %s", name, didYouMean(name, names), strings.Join(names, ", "))
}

// runCommand runs a command with the words after its name. The local flag may
// have come before the name.
func runCommand(ctx context.Context, c *console, name string, args []string, local bool) error {
	spec, err := lookupCommand(name)
	if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: %w\n\nRun 'openclaw-mcp --help' for what there is", err)}
	}
	if spec.raw != nil {
		if local {
			return usageError{fmt.Errorf("openclaw-mcp: flags of %s stand behind it: openclaw-mcp %s %s --local", name, name, spec.args)}
		}
		return spec.raw(c, args)
	}
	in, wantsHelp, err := spec.parse(args)
	if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: %w\n\nRun 'openclaw-mcp %s --help' for what there is", err, name)}
	}
	if wantsHelp {
		// `call TOOL --help` is about the tool.
		if name == "call" && len(in.args) > 0 {
			return toolHelp(c.stdout, in.args[0])
		}
		spec.help(c.stdout)
		return nil
	}
	if local {
		if !slices.Contains(spec.flags, localFlag) {
			return usageError{fmt.Errorf("openclaw-mcp: %s does not take --local", name)}
		}
		in.flags["local"] = "true"
	}
	return spec.run(ctx, c, in)
}

// parse sorts out a command's words. Flags may stand anywhere; what follows
// "--" is none.
func (s commandSpec) parse(args []string) (in commandLine, wantsHelp bool, err error) {
	in.flags = make(map[string]string)
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			in.args = append(in.args, args...)
			break
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			in.args = append(in.args, word)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		if name == "h" || name == "help" {
			wantsHelp = true
			continue
		}
		i := slices.IndexFunc(s.flags, func(f flagSpec) bool { return f.name == name })
		switch {
		case i < 0:
			return in, false, fmt.Errorf("%s has no flag --%s%s", s.name, name, didYouMean(name, s.flagNames()))
		case s.flags[i].arg == "":
			on := true
			if given {
				if on, err = strconv.ParseBool(value); err != nil {
					return in, false, fmt.Errorf("--%s is a switch: it takes true or false, not %q", name, value)
				}
			}
			value = strconv.FormatBool(on)
		case !given && len(args) == 0:
			return in, false, fmt.Errorf("--%s needs a value: --%s %s", name, name, s.flags[i].arg)
		case !given:
			value, args = args[0], args[1:]
		}
		in.flags[name] = value
	}
	if !wantsHelp && s.maxArgs >= 0 && len(in.args) > s.maxArgs {
		takes := "no arguments"
		if s.maxArgs > 0 {
			takes = s.args
		}
		return in, false, fmt.Errorf("%s takes %s, but got %q", s.name, takes, in.args[s.maxArgs])
	}
	return in, wantsHelp, nil
}

func (s commandSpec) flagNames() []string {
	names := []string{"help"}
	for _, f := range s.flags {
		names = append(names, f.name)
	}
	return names
}

// paragraph is a part of a command's details: running text, or lines to be left
// as they are, which begin with a space.
type paragraph struct {
	text     string
	verbatim bool
}

func (s commandSpec) paragraphs() []paragraph {
	if s.details == "" {
		return nil
	}
	var all []paragraph
	for text := range strings.SplitSeq(s.details, "\n\n") {
		all = append(all, paragraph{text, strings.HasPrefix(text, " ")})
	}
	return all
}

func (s commandSpec) usage() string {
	line := "openclaw-mcp " + s.name
	for _, f := range s.flags {
		line += " [" + f.label() + "]"
	}
	if s.args != "" {
		line += " " + s.args
	}
	return line
}

func (f flagSpec) label() string {
	if f.arg == "" {
		return "--" + f.name
	}
	return "--" + f.name + " " + f.arg
}

// help explains a command.
func (s commandSpec) help(w io.Writer) {
	writeWrapped(w, "Usage: ", s.usage())
	fmt.Fprintf(w, "\n%s\n", strings.ToUpper(s.summary[:1])+s.summary[1:]+".")
	for _, p := range s.paragraphs() {
		fmt.Fprintln(w)
		if p.verbatim {
			fmt.Fprintln(w, p.text)
		} else {
			writeWrapped(w, "", p.text)
		}
	}
	if len(s.flags) > 0 {
		fmt.Fprintln(w, "\nFlags:")
		for _, f := range s.flags {
			fmt.Fprintf(w, "  %-18s %s\n", f.label(), f.doc)
		}
	}
}

func printHelp(_ context.Context, c *console, in commandLine) error {
	if len(in.args) == 0 {
		help(c.stdout)
		return nil
	}
	if in.args[0] == "settings" {
		allSettings(c.stdout)
		return nil
	}
	spec, err := lookupCommand(in.args[0])
	if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: %w, settings", err)}
	}
	spec.help(c.stdout)
	return nil
}

// didYouMean names what is near to a word that nobody knows, or is "".
func didYouMean(word string, known []string) string {
	best, distance := "", 3
	if len(word) < 4 {
		distance = 2
	}
	for _, k := range known {
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" && len(word) >= 3 {
		i := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(k, word) || strings.Contains(k, word) })
		if i >= 0 {
			best = known[i]
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance counts the characters to insert, delete, replace or swap with
// their neighbour to make b of a (optimal string alignment).
func editDistance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// toolNames lists the tools in their order.
func toolNames() []string {
	var names []string
	for _, t := range tools.All() {
		names = append(names, t.Name)
	}
	return names
}

// exitError ends the program with a code of its own. Its text, where there is
// one, goes to standard error.
type exitError struct {
	code int
	error
}

func exitWith(code int, text string) error { return exitError{code, errors.New(text)} }

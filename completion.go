package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"openclaw-mcp/tools"
)

// completeCommand is what the scripts below call, with the words of the line
// after the program's name, the last one being the one to complete. It prints a
// candidate a line, with a tab and an explanation behind it.
const completeCommand = "__complete"

//go:embed completion/openclaw-mcp.bash
var bashCompletion string

//go:embed completion/openclaw-mcp.zsh
var zshCompletion string

//go:embed completion/openclaw-mcp.fish
var fishCompletion string

//go:embed completion/openclaw-mcp.ps1
var powershellCompletion string

var shells = []string{"bash", "zsh", "fish", "powershell"}

func printCompletion(_ context.Context, c *console, in commandLine) error {
	if len(in.args) == 0 {
		return usageError{fmt.Errorf("openclaw-mcp: completion for which shell? There is: %s", strings.Join(shells, ", "))}
	}
	switch in.args[0] {
	case "bash":
		fmt.Fprint(c.stdout, bashCompletion)
	case "zsh":
		fmt.Fprint(c.stdout, zshCompletion)
	case "fish":
		fmt.Fprint(c.stdout, fishCompletion)
	case "powershell", "pwsh":
		fmt.Fprint(c.stdout, powershellCompletion)
	default:
		return usageError{fmt.Errorf("openclaw-mcp: no completion for %q%s; there is: %s", in.args[0], didYouMean(in.args[0], shells), strings.Join(shells, ", "))}
	}
	return nil
}

// candidate is a word that may stand where the cursor is.
type candidate struct{ word, doc string }

// complete prints the candidates for the last word.
func complete(w io.Writer, words []string) error {
	if len(words) == 0 {
		return usageError{errors.New("openclaw-mcp: " + completeCommand + " needs the words of a command line")}
	}
	last := words[len(words)-1]
	for _, c := range candidates(words[:len(words)-1], last) {
		if strings.HasPrefix(c.word, last) {
			fmt.Fprintf(w, "%s\t%s\n", c.word, c.doc)
		}
	}
	return nil
}

// candidates lists what may come after some words.
func candidates(before []string, last string) []candidate {
	i := 0
	for i < len(before) && strings.HasPrefix(before[i], "-") {
		if strings.TrimLeft(before[i], "-") == "http" {
			i++
		}
		i++
	}
	if i >= len(before) {
		if i > len(before) {
			return nil // the address to listen on
		}
		return topLevel(last)
	}
	spec, err := lookupCommand(before[i])
	if err != nil {
		return nil
	}
	args := before[i+1:]
	if len(args) > 0 {
		if at := slices.IndexFunc(spec.flags, func(f flagSpec) bool { return f.arg != "" && args[len(args)-1] == "--"+f.name }); at >= 0 {
			return nil // a flag's value, which only the person knows
		}
	}
	if strings.HasPrefix(last, "-") {
		return append(flagCandidates(spec.flags), candidate{"--help", "explain the command"})
	}
	in, _, _ := spec.parse(args)
	switch spec.name {
	case "completion":
		return wordCandidates(shells)
	case "help":
		var names []candidate
		for _, s := range commands() {
			names = append(names, candidate{s.name, s.summary})
		}
		return append(names, candidate{"settings", "list all settings"})
	case "call":
		if len(in.args) == 0 {
			var all []candidate
			for _, t := range tools.All() {
				all = append(all, candidate{t.Name, t.Title})
			}
			return all
		}
		return argumentCandidates(in.args[0], in.args[1:], last)
	}
	return nil
}

func topLevel(last string) []candidate {
	if strings.HasPrefix(last, "-") {
		return flagCandidates(mainFlags)
	}
	var all []candidate
	for _, s := range commands() {
		all = append(all, candidate{s.name, s.summary})
	}
	return all
}

func flagCandidates(flags []flagSpec) []candidate {
	var all []candidate
	for _, f := range flags {
		all = append(all, candidate{"--" + f.name, f.doc})
	}
	return all
}

func wordCandidates(words []string) []candidate {
	var all []candidate
	for _, w := range words {
		all = append(all, candidate{word: w})
	}
	return all
}

// argumentCandidates lists the arguments of a tool that are not given yet, and
// the values of one that takes some few.
func argumentCandidates(tool string, given []string, last string) []candidate {
	t, err := lookupTool(tool)
	if err != nil {
		return nil
	}
	var all []candidate
	for _, name := range argumentNames(t) {
		p := t.Input.Properties[name]
		if strings.HasPrefix(last, name+"=") {
			values := p.Enum
			if p.Type == "boolean" {
				values = []any{"true", "false"}
			}
			for _, v := range values {
				all = append(all, candidate{fmt.Sprintf("%s=%v", name, v), ""})
			}
			return all
		}
		if p.Type != "array" && slices.ContainsFunc(given, func(g string) bool { return strings.HasPrefix(g, name+"=") || strings.HasPrefix(g, name+":=") }) {
			continue
		}
		all = append(all, candidate{name + "=", argumentDoc(p, slices.Contains(t.Input.Required, name))})
	}
	return all
}

// manPage prints the manual page, in the man macros that every reader of manual
// pages knows.
func manPage(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH OPENCLAW-MCP 1 \"\" \"openclaw-mcp %s\" \"User Commands\"\n", roff(programVersion()))
	b.WriteString(".SH NAME\nopenclaw\\-mcp \\- lets MCP clients operate hosted OpenClaw instances\n.SH SYNOPSIS\n")
	b.WriteString(".nh\n.ad l\n.B openclaw\\-mcp\n[\\-\\-local] [\\-\\-http ADDR]\n")
	for _, s := range commands() {
		name, rest, _ := strings.Cut(strings.TrimPrefix(s.usage(), "openclaw-mcp "), " ")
		fmt.Fprintf(&b, ".br\n.B openclaw\\-mcp %s\n", roff(name))
		if rest != "" {
			b.WriteString(roff(rest) + "\n")
		}
	}
	b.WriteString(".ad\n.SH DESCRIPTION\nWithout a command, openclaw\\-mcp serves MCP on standard input and output, or with\n.B \\-\\-http\nover streamable HTTP at http://ADDR/mcp.\nWith a command it does something for a person at a terminal.\n.SH OPTIONS\n")
	manFlags(&b, mainFlags)
	b.WriteString(".SH COMMANDS\n")
	for _, s := range commands() {
		fmt.Fprintf(&b, ".SS %s\n%s.\n", roff(s.name), roff(strings.ToUpper(s.summary[:1])+s.summary[1:]))
		for _, p := range s.paragraphs() {
			b.WriteString(".PP\n")
			if p.verbatim {
				b.WriteString(".nf\n" + roffLines(p.text) + "\n.fi\n")
			} else {
				b.WriteString(roff(p.text) + "\n")
			}
		}
		manFlags(&b, s.flags)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	c := reflect.TypeFor[config]()
	for i := range c.NumField() {
		f := c.Field(i)
		doc := f.Tag.Get("doc")
		if d := f.Tag.Get("envDefault"); d != "" {
			doc += " (" + d + ")"
		}
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(f.Tag.Get("env")), roff(doc))
	}
	b.WriteString(".TP\n.B NO_COLOR\nwhere set, no colours are shown\n")
	b.WriteString(".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n.TP\n.B 1\na failure\n.TP\n.B 2\na wrong command line or configuration; of doctor: the service can't be used\n.TP\n.B 130\ncancelled by Ctrl\\-C\n")
	b.WriteString(".SH EXAMPLES\n.nf\n" + roffLines("openclaw-mcp demo\nopenclaw-mcp --local chat 'run: ls -la'\nopenclaw-mcp call exec_command command='uname -a' --json") + "\n.fi\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func manFlags(b *strings.Builder, flags []flagSpec) {
	for _, f := range flags {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(f.label()), roff(f.doc))
	}
}

// roff escapes a text, whose lines must not begin as a request does.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\u2026", "...").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func roffLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = roff(line)
	}
	return strings.Join(lines, "\n")
}

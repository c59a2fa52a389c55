package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openclaw-mcp/internal/config"
)

func manCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "man",
		Short: "Print the manual page",
		Long: `Print the manual page.

To read it: openclaw-mcp man | man -l -`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return writeManPage(c.stdout, cmd.Root(), c.version) },
	}
}

// writeManPage writes one page with all commands and settings, in the macros of
// man(7). Cobra's own generator writes a page for each command, with the settings
// in none.
func writeManPage(w io.Writer, root *cobra.Command, version string) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH OPENCLAW-MCP 1 \"\" \"openclaw-mcp %s\" \"User Commands\"\n", roff(version))
	b.WriteString(".SH NAME\nopenclaw\\-mcp \\- let MCP clients operate hosted OpenClaw instances\n.SH SYNOPSIS\n.nf\n")
	b.WriteString(roff(root.UseLine()) + "\n")
	commands := visibleCommands(root)
	for _, cmd := range commands {
		b.WriteString(roff(root.Name()+" "+cmd.Use) + "\n")
	}
	b.WriteString(".fi\n.SH DESCRIPTION\n")
	manText(&b, root.Long)
	b.WriteString(".SH OPTIONS\n")
	root.InitDefaultHelpFlag()
	manFlags(&b, root)
	b.WriteString(".SH COMMANDS\n")
	for _, cmd := range commands {
		fmt.Fprintf(&b, ".SS %s\n", roff(cmd.Name()))
		manText(&b, cmp.Or(cmd.Long, cmd.Short+"."))
		manFlags(&b, cmd)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	for _, s := range config.Settings() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(s.Name), roff(s.Text()))
	}
	b.WriteString(".TP\n.B NO_COLOR\nif set, no colours are used\n")
	b.WriteString(".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n.TP\n.B 1\nfailure\n.TP\n.B 2\n" +
		"wrong usage or configuration; of doctor: the service can't be used\n.TP\n.B 130\ncancelled by Ctrl\\-C\n")
	b.WriteString(".SH EXAMPLES\n.nf\n" + roff("openclaw-mcp demo\nopenclaw-mcp --local chat 'run: ls -la'\nopenclaw-mcp call exec_command command='uname -a' --json") + "\n.fi\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// manText writes the paragraphs of a help text. Those with indented lines stay as
// they are; a reader of manual pages fills the others to its width.
func manText(b *strings.Builder, text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.Contains(paragraph, "\n ") {
			b.WriteString(".nf\n" + roff(paragraph) + "\n.fi\n")
		} else {
			b.WriteString(roff(paragraph) + "\n")
		}
	}
}

func manFlags(b *strings.Builder, cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" && cmd.HasParent() {
			return // it is the same for all
		}
		placeholder, usage := pflag.UnquoteUsage(f)
		label := "--" + f.Name
		if f.Shorthand != "" {
			label = "-" + f.Shorthand + ", " + label
		}
		if f.Value.Type() != "bool" && f.Value.Type() != "stringArray" && f.DefValue != "" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(label+" "+placeholder)), roff(usage))
	})
}

// roff escapes lines of text, none of which may be taken for a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
)

// helpWidth is the width of help in columns: a terminal's.
const helpWidth = 80

func helpCommand() *cobra.Command {
	topics := func(root *cobra.Command) []string { return append(names(visibleCommands(root)), "settings") }
	return &cobra.Command{
		Use:   "help [COMMAND | settings]",
		Short: "Explain a command, or list all settings",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, last string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return matching(topics(cmd.Root()), last), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return usageError{error: err}
			case len(rest) > 0 && !about.HasParent():
				near := didYouMean(rest[0], topics(about))
				if near == "" {
					near = "; there is help for " + strings.Join(topics(about), ", ")
				}
				return usagef("no help for %q%s", rest[0], near)
			case len(rest) > 0 && about.Name() != "call": // which explains a tool
				return usagef("help takes one command, but got %q", rest[0])
			}
			about.InitDefaultHelpFlag()
			if err := about.ParseFlags(rest); err != nil {
				return flagError(about, err)
			}
			about.HelpFunc()(about, nil)
			return nil
		},
	}
}

// visibleCommands lists the commands below cmd that help shows, "help" among them.
func visibleCommands(cmd *cobra.Command) (all []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			all = append(all, sub)
		}
	}
	return all
}

func names(commands []*cobra.Command) (all []string) {
	for _, cmd := range commands {
		all = append(all, cmd.Name())
	}
	return all
}

// settingsTopic is not a command: it is what `help settings` prints.
func settingsTopic() *cobra.Command {
	topic := &cobra.Command{Use: "settings", Short: "All settings, which are environment variables"}
	topic.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeSettings(cmd.OutOrStdout()) })
	return topic
}

// writeSettings lists all settings, one or more lines each.
func writeSettings(w io.Writer) {
	all := config.Settings()
	width := 0
	for _, s := range all {
		width = max(width, len(s.Name))
	}
	for _, s := range all {
		writeWrapped(w, fmt.Sprintf("  %-*s  ", width, s.Name), s.Text())
	}
}

// writeWrapped writes text after a label, in lines of helpWidth. Further lines
// are indented by the label's width.
func writeWrapped(w io.Writer, label, text string) {
	line, empty := label, true
	for word := range strings.FieldsSeq(text) {
		if !empty && len(line)+1+len(word) > helpWidth {
			fmt.Fprintln(w, line)
			line, empty = strings.Repeat(" ", len(label)), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

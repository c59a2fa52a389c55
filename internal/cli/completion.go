package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openclaw-mcp/tools"
)

// completeCall completes the words of `call`: the tool, then its arguments.
func completeCall(_ *cobra.Command, args []string, last string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		var names []cobra.Completion
		for _, t := range tools.All() {
			names = append(names, cobra.CompletionWithDesc(t.Name, t.Title))
		}
		return matching(names, last), cobra.ShellCompDirectiveNoFileComp
	}
	t, err := lookupTool(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if name, _, ok := strings.Cut(last, "="); ok {
		return completeValue(t, name, last)
	}
	return matching(completeArguments(t, args[1:]), last), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeValue completes an argument that takes one of a few values. For any
// other, the shell completes the name of a file.
func completeValue(t *tools.Tool, name, last string) ([]cobra.Completion, cobra.ShellCompDirective) {
	p := t.Input.Properties[name]
	if p == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	values := p.Enum
	if p.Type == "boolean" {
		values = []any{"true", "false"}
	}
	if len(values) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var all []cobra.Completion
	for _, v := range values {
		all = append(all, fmt.Sprintf("%s=%v", name, v))
	}
	return matching(all, last), cobra.ShellCompDirectiveNoFileComp
}

// completeArguments lists the arguments that a tool takes and that are not given
// yet. A list may be given again.
func completeArguments(t *tools.Tool, given []string) (all []cobra.Completion) {
	for _, name := range argumentNames(t) {
		p := t.Input.Properties[name]
		isGiven := slices.ContainsFunc(given, func(g string) bool {
			return strings.HasPrefix(g, name+"=") || strings.HasPrefix(g, name+":=")
		})
		if isGiven && p.Type != "array" {
			continue
		}
		all = append(all, cobra.CompletionWithDesc(name+"=", argumentDoc(name, p, slices.Contains(t.Input.Required, name))))
	}
	return all
}

func matching(all []cobra.Completion, last string) []cobra.Completion {
	return slices.DeleteFunc(all, func(c cobra.Completion) bool { return !strings.HasPrefix(c, last) })
}

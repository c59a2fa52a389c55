package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"openclaw-mcp/tools"
)

func listTools(w io.Writer) {
	family := ""
	for _, t := range tools.All() {
		if t.Family != family {
			if family != "" {
				fmt.Fprintln(w)
			}
			family = t.Family
			fmt.Fprintf(w, "%s:\n", family)
		}
		writeWrapped(w, fmt.Sprintf("  %-19s ", t.Name), firstSentence(t.Description))
	}
}

func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// toolHelp explains a tool: its description, its effect and its arguments.
func toolHelp(w io.Writer, name string) error {
	t, err := lookupTool(name)
	if err != nil {
		return err
	}
	var usage strings.Builder
	usage.WriteString("openclaw-mcp call " + t.Name)
	for _, name := range t.Input.Required {
		usage.WriteString(" " + name + "=" + argumentKind(t.Input.Properties[name]))
	}
	if len(t.Input.Properties) > len(t.Input.Required) {
		usage.WriteString(" [KEY=VALUE...]")
	}
	writeWrapped(w, "Usage: ", usage.String())
	fmt.Fprintln(w)
	writeWrapped(w, "", t.Description)
	effect := map[tools.Effect]string{
		tools.Reads: "changes nothing", tools.Writes: "may add or change things",
		tools.Destroys: "may overwrite, delete or interrupt things",
	}[t.Effect]
	if t.Name == "send_chat_message" {
		effect += "; the agent can run any command, so it may also delete them"
	}
	fmt.Fprintln(w)
	writeWrapped(w, "", "It "+effect+".")
	names := argumentNames(t)
	if len(names) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nArguments:")
	width := 0
	for _, name := range names {
		width = max(width, len(name)+1+len(argumentKind(t.Input.Properties[name])))
	}
	width = min(width, 28)
	for _, name := range names {
		p := t.Input.Properties[name]
		label := fmt.Sprintf("  %-*s  ", width, name+"="+argumentKind(p))
		writeWrapped(w, label, argumentDoc(p, slices.Contains(t.Input.Required, name)))
	}
	return nil
}

// argumentNames lists a tool's arguments, the required ones first.
func argumentNames(t *tools.Tool) []string {
	names := slices.Clone(t.Input.Required)
	for _, name := range slices.Sorted(maps.Keys(t.Input.Properties)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func argumentKind(s *jsonschema.Schema) string {
	switch s.Type {
	case "integer", "number":
		return "N"
	case "boolean":
		return "true|false"
	case "array":
		return argumentKind(s.Items) + " ..."
	case "object":
		return "JSON"
	}
	return "TEXT"
}

func argumentDoc(p *jsonschema.Schema, required bool) string {
	doc := p.Description
	add := func(format string, a ...any) {
		if doc != "" {
			doc += "; "
		}
		doc += fmt.Sprintf(format, a...)
	}
	if len(p.Enum) > 0 {
		var all []string
		for _, v := range p.Enum {
			all = append(all, fmt.Sprint(v))
		}
		add("%s", strings.Join(all, ", "))
	}
	if p.Minimum != nil && p.Maximum != nil {
		add("%v to %v", strconv.FormatFloat(*p.Minimum, 'f', -1, 64), strconv.FormatFloat(*p.Maximum, 'f', -1, 64))
	}
	if len(p.Default) > 0 {
		add("default %s", strings.Trim(string(p.Default), `"`))
	}
	if required {
		add("required")
	}
	return doc
}

package cli

import (
	"cmp"
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
		writeWrapped(w, label, argumentDoc(name, p, slices.Contains(t.Input.Required, name)))
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

// forPeople describes arguments of several tools, whose own descriptions are as short as
// models can take.
var forPeople = map[string]string{
	"instance":        "ID of the instance; needed if several are ready",
	"wait_seconds":    "longest time to wait, in seconds",
	"timeout_seconds": "end the command after this many seconds",
	"idempotency_key": "any text: calls with the same text do the work once",
	"if_match":        "do it only if the file's SHA-256 is this",
}

func argumentDoc(name string, p *jsonschema.Schema, required bool) string {
	var notes []string
	if len(p.Enum) > 0 {
		var all []string
		for _, v := range p.Enum {
			all = append(all, fmt.Sprint(v))
		}
		last := len(all) - 1
		notes = append(notes, strings.TrimPrefix(strings.Join(all[:last], ", ")+" or "+all[last], " or "))
	}
	if p.Minimum != nil && p.Maximum != nil {
		notes = append(notes, strconv.FormatFloat(*p.Minimum, 'f', -1, 64)+" to "+strconv.FormatFloat(*p.Maximum, 'f', -1, 64))
	}
	if len(p.Default) > 0 {
		notes = append(notes, "default "+strings.Trim(string(p.Default), `"`))
	}
	if required {
		notes = append(notes, "required")
	}
	doc := cmp.Or(forPeople[name], p.Description)
	switch note := strings.Join(notes, "; "); {
	case note == "":
		return doc
	case doc == "":
		return note
	default:
		return doc + " (" + note + ")"
	}
}

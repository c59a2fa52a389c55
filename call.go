package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/tools"
)

func callCommand() commandSpec {
	return commandSpec{
		name: "call", args: "TOOL [KEY=VALUE...]", maxArgs: -1, summary: "call a tool from the shell",
		details: "A value is read as the tool's argument wants it: text, number, true or false. A KEY that comes again adds to a list. KEY:=JSON gives a value as JSON. " +
			"'openclaw-mcp call TOOL --help' explains a tool.\n\n" +
			"The result goes to standard output, progress to standard error. Ctrl-C cancels the call, and a second one ends the program at once. What destroys asks first.\n\n" +
			"Exit codes: 0 success, 1 the tool failed, 2 a wrong call, 130 cancelled.",
		flags: []flagSpec{
			{"json", "", "print the structured result as JSON"},
			{"list", "", "list the tools"},
			{"yes", "", "confirm what the tool asks before it destroys"},
			{"quiet", "", "show no progress"},
			localFlag,
		},
		run: runCall,
	}
}

func runCall(ctx context.Context, c *console, in commandLine) error {
	if in.on("list") {
		listTools(c.stdout)
		return nil
	}
	if len(in.args) == 0 {
		return usageError{errors.New("openclaw-mcp: call which tool? 'openclaw-mcp call --list' lists them")}
	}
	tool, err := lookupTool(in.args[0])
	if err != nil {
		return err
	}
	args, err := toolArguments(tool, in.args[1:])
	if err != nil {
		return usageError{fmt.Errorf("openclaw-mcp: %w\n\nRun 'openclaw-mcp call %s --help' for its arguments", err, tool.Name)}
	}
	cfg, stop, err := c.settings(in.on("local"))
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	s, err := c.connect(ctx, cfg, in.on("yes"))
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	res, err := s.call(ctx, tool.Name, args, func(text string) {
		if !in.on("quiet") {
			c.say(dim, text)
		}
	})
	if err != nil {
		return err
	}
	if in.on("json") {
		b, err := json.MarshalIndent(resultJSON(res), "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, string(b))
	} else if res.IsError {
		c.say(red, textOf(res))
	} else {
		c.print(textOf(res))
		c.endLine()
	}
	if res.IsError {
		return exitWith(1, "")
	}
	return nil
}

func lookupTool(name string) (*tools.Tool, error) {
	for _, t := range tools.All() {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, usageError{fmt.Errorf("openclaw-mcp: unknown tool %q%s\n\nRun 'openclaw-mcp call --list' for what there is", name, didYouMean(name, toolNames()))}
}

// toolArguments reads a tool's arguments from words of the form KEY=VALUE and
// KEY:=JSON, by the tool's own schema.
func toolArguments(t *tools.Tool, words []string) (map[string]any, error) {
	args := make(map[string]any)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is no argument: it must be KEY=VALUE or KEY:=JSON", word)
		}
		key, isJSON := strings.CutSuffix(key, ":")
		schema := t.Input.Properties[key]
		if schema == nil {
			names := slices.Sorted(maps.Keys(t.Input.Properties))
			has := "it takes none"
			if len(names) > 0 {
				has = "it takes " + strings.Join(names, ", ")
			}
			return nil, fmt.Errorf("%s has no argument %q%s; %s", t.Name, key, didYouMean(key, names), has)
		}
		_, again := args[key]
		switch {
		case again && (isJSON || schema.Type != "array"):
			return nil, fmt.Errorf("argument %q is given twice", key)
		case isJSON:
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return nil, fmt.Errorf("argument %q is no JSON: %w", key, err)
			}
			args[key] = v
		case schema.Type == "array":
			item, err := typedValue(key, value, schema.Items)
			if err != nil {
				return nil, err
			}
			list, _ := args[key].([]any)
			args[key] = append(list, item)
		default:
			v, err := typedValue(key, value, schema)
			if err != nil {
				return nil, err
			}
			args[key] = v
		}
	}
	var missing []string
	for _, name := range t.Input.Required {
		if _, ok := args[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s needs %s", t.Name, strings.Join(missing, ", "))
	}
	return args, nil
}

// typedValue reads a word as a schema wants it. Bounds are left to the tool.
func typedValue(key, value string, s *jsonschema.Schema) (any, error) {
	if s == nil {
		return value, nil
	}
	switch s.Type {
	case "integer":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("argument %q must be a whole number, not %q", key, value)
	case "number":
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("argument %q must be a number, not %q", key, value)
	case "boolean":
		if b, err := strconv.ParseBool(value); err == nil {
			return b, nil
		}
		return nil, fmt.Errorf("argument %q must be true or false, not %q", key, value)
	case "object", "array":
		return nil, fmt.Errorf("argument %q takes JSON: %s:=JSON", key, key)
	}
	return value, nil
}

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

// writeWrapped writes words behind a label, in lines of a terminal's width.
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

// toolHelp explains a tool by its schema.
func toolHelp(w io.Writer, name string) error {
	t, err := lookupTool(name)
	if err != nil {
		return err
	}
	usage := "openclaw-mcp call " + t.Name
	for _, name := range t.Input.Required {
		usage += " " + name + "=" + argumentKind(t.Input.Properties[name])
	}
	if len(t.Input.Properties) > len(t.Input.Required) {
		usage += " [KEY=VALUE...]"
	}
	writeWrapped(w, "Usage: ", usage)
	fmt.Fprintln(w)
	writeWrapped(w, "", t.Description)
	fmt.Fprintf(w, "\nIt %s.\n", map[tools.Effect]string{
		tools.Reads: "changes nothing", tools.Writes: "adds or changes, but takes nothing away",
		tools.Destroys: "may overwrite, delete or interrupt",
	}[t.Effect])
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

// argumentNames lists what a tool takes, what it needs first.
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

// resultJSON is what --json prints: the structured result, with the pictures
// that came beside it; of a call that failed without one, its error.
func resultJSON(res *mcp.CallToolResult) any {
	data, ok := res.StructuredContent.(map[string]any)
	if !ok {
		if res.IsError {
			return map[string]any{"error": textOf(res)}
		}
		return res.StructuredContent
	}
	data = maps.Clone(data)
	var images []any
	for _, c := range res.Content {
		if i, ok := c.(mcp.ImageContent); ok {
			images = append(images, map[string]any{"mime_type": i.MIMEType, "data": i.Data})
		}
	}
	if len(images) > 0 {
		data["images"] = images
	}
	return data
}

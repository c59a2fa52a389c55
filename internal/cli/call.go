package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/tools"
)

func callCommand(c *console) *cobra.Command {
	var o callOptions
	cmd := &cobra.Command{
		Use:   "call TOOL [KEY=VALUE...]",
		Short: "Call a tool from the shell",
		Long: `Call a tool from the shell.

KEY=VALUE passes an argument as text, as a number, or as true or false,
whichever the tool takes. Repeat KEY to add to a list. KEY:=JSON passes an
argument as JSON. 'openclaw-mcp call TOOL --help' explains a tool.

The result goes to standard output, as a model reads it; at a terminal,
exec_command shows its output as it comes. Progress and failures go to standard
error; at a terminal, error messages are shorter. Destructive tools ask for
confirmation. Ctrl-C cancels the call; a second Ctrl-C quits at once.

Exit codes: 0 success, 1 the tool failed, 2 wrong usage or configuration,
130 cancelled. exec_command exits with the code of its command, or with 124 if
the command reached its time limit.`,
		Example: `  openclaw-mcp call exec_command command='uname -a'
  openclaw-mcp call read_file path=/workspace/notes.md
  openclaw-mcp call list_files path=/workspace --local`,
		ValidArgsFunction: completeCall,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list {
				listTools(c.stdout)
				return nil
			}
			return runCall(cmd.Context(), c, o, args)
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the structured result as JSON")
	cmd.Flags().BoolVar(&o.list, "list", false, "list the tools")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "confirm in advance what a destructive tool asks")
	cmd.Flags().BoolVar(&o.quiet, "quiet", false, "don't show progress")
	commandHelp := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if words := cmd.Flags().Args(); len(words) > 0 {
			c.helpErr = toolHelp(c.stdout, words[0])
			return
		}
		commandHelp(cmd, args)
	})
	return cmd
}

type callOptions struct{ json, list, yes, quiet bool }

func runCall(ctx context.Context, c *console, o callOptions, words []string) error {
	if len(words) == 0 {
		return usageError{errors.New("call needs the name of a tool"), "openclaw-mcp call --list"}
	}
	tool, err := lookupTool(words[0])
	if err != nil {
		return err
	}
	args, err := toolArguments(tool, words[1:])
	if err != nil {
		return usageError{err, "openclaw-mcp call " + tool.Name + " --help"}
	}
	cfg, stop, err := c.settings()
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	connect := c.connectAsSet // what is printed is what a model reads
	if o.json {
		connect = c.connect
	}
	s, err := connect(ctx, cfg, o.yes)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	live := &liveOutput{console: c}
	// Elsewhere, the text is not shown as it comes: the result has all of it.
	showText := slices.Contains([]string{"exec_command", "send_chat_message", "wait_run"}, tool.Name) && !o.json && isTerminal(c.stdout)
	res, err := s.call(ctx, tool.Name, args, func(p progress) {
		switch {
		case o.quiet:
		case len(p.events) > 0:
			c.say(dim, strings.Join(p.events, "\n"))
		case p.text == "" && p.line == "" && p.message != "" && live.nothing() && isTerminal(c.stderr):
			c.say(dim, p.message)
		}
		if showText && !o.quiet {
			live.show(p.text, p.line)
		}
	})
	s.listen(nil) // what comes late is in the result
	if err != nil {
		return err
	}
	endsHere := c.service != nil && c.service.Serves() // the local instance, with this process
	switch {
	case o.json:
		if err := printJSON(c.stdout, resultJSON(res)); err != nil {
			return err
		}
	case res.IsError && !isTerminal(c.stderr):
		// An agent or a script reads it.
		c.say("", textOf(res))
	case res.IsError:
		named, _ := args["instance"].(string)
		c.say(red, cmp.Or(c.instanceTrouble(cfg, res, named, "instance=ID"), c.failure(cfg, res, tool.Effect != tools.Reads)))
	default:
		text := textOf(res)
		if live.shown.Len() > 0 {
			text = live.rest(res)
		}
		if field(res, "status") == "running" && (isTerminal(c.stdout) || endsHere) {
			text, _, _ = strings.Cut(text, "\nNext: ") // what is next is told below
		}
		c.print(text)
		c.endLine()
	}
	if res.IsError {
		return exitWith(1, "")
	}
	if code := commandCode(res); tool.Name == "exec_command" && code != 0 {
		return exitWith(code, "")
	}
	if run := field(res, "run"); run != "" && field(res, "status") == "running" {
		if endsHere {
			c.say(red, "this ends here, because the local instance runs in this process. Pass a longer wait_seconds, or leave \"openclaw-mcp chat --local\" open in another terminal")
			return nil
		}
		if strings.Contains(textOf(res), tools.NoteQueued) {
			c.say(red, "the message was still waiting for its turn, and will not be sent: repeat it later, or pass if_busy=send")
			return nil
		}
		if begun, err := s.working(ctx); err == nil && len(begun) == 1 {
			run = begun[0] // from its start, for what the call has shown may be out of sight
		}
		title, _ := args["command"].(string)
		number, err := c.keep(cfg, keptRun{
			Run: run, Kind: field(res, "kind"), Instance: field(res, "instance"), Session: field(res, "session"),
			Title: cmp.Or(title, tool.Name), Since: time.Now(),
		})
		switch {
		case err != nil:
			c.say(red, fmt.Sprintf("still running, but status won't list it: %v\nopenclaw-mcp logs -f %s follows it", err, run))
		case !o.quiet:
			c.say(dim, fmt.Sprintf("openclaw-mcp logs -f %d%s follows it", number, c.flagLocal()))
		}
	}
	return nil
}

// commandCode is the exit code for a command that is over: its own, 124 if it was
// ended at its time limit, and 0 while it runs.
func commandCode(res *mcp.CallToolResult) int {
	data, _ := res.StructuredContent.(map[string]any)
	code, ended := data["exit_code"].(float64)
	switch status := text(data, "status"); {
	case status == "timed_out":
		return 124
	case status != "completed" && status != "running" && status != "stalled":
		return 1
	case !ended || code == 0:
		return 0
	case code < 1 || code > 255:
		return 1
	}
	return int(code)
}

func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(b))
	return err
}

func lookupTool(name string) (*tools.Tool, error) {
	var names []string
	for _, t := range tools.All() {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return nil, usageError{fmt.Errorf("unknown tool %q%s", name, didYouMean(name, names)), "openclaw-mcp call --list"}
}

// toolArguments reads a tool's arguments from words of the form KEY=VALUE and
// KEY:=JSON. The tool's schema gives their types.
func toolArguments(t *tools.Tool, words []string) (map[string]any, error) {
	args := make(map[string]any)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not an argument: write KEY=VALUE or KEY:=JSON", word)
		}
		key, isJSON := strings.CutSuffix(key, ":")
		schema := t.Input.Properties[key]
		if schema == nil {
			return nil, unknownArgument(t, key)
		}
		_, again := args[key]
		switch {
		case again && (isJSON || schema.Type != "array"):
			return nil, fmt.Errorf("argument %q is given twice", key)
		case isJSON:
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return nil, fmt.Errorf("argument %q is not valid JSON: %w", key, err)
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
		return nil, fmt.Errorf("%s needs a value for %s", t.Name, strings.Join(missing, ", "))
	}
	return args, nil
}

func unknownArgument(t *tools.Tool, key string) error {
	names := argumentNames(t)
	takes := t.Name + " takes no arguments"
	if len(names) > 0 {
		takes = t.Name + " takes " + strings.Join(names, ", ")
	}
	if near := didYouMean(key, names); near != "" {
		return fmt.Errorf("unknown argument %q%s %s", key, near, takes)
	}
	return fmt.Errorf("unknown argument %q; %s", key, takes)
}

// typedValue reads a value as the schema's type. The tool checks its bounds.
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
		if b, err := config.Switch(value); err == nil {
			return b, nil
		}
		return nil, fmt.Errorf("argument %q must be true or false (or yes or no, on or off), not %q", key, value)
	case "object", "array":
		return nil, fmt.Errorf("argument %q takes JSON: %s:=JSON", key, key)
	}
	return value, nil
}

// resultJSON is what --json prints: the structured result with the result's
// images, or the error of a failed call that has no structured result.
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

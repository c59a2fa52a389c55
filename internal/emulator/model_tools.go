package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	shownToModel      = 16 << 10 // bytes of an output or a file in one result
	modelCommandLimit = 10 * time.Minute
)

// modelTool is a tool as a request describes it.
func modelTool(name, what string, properties object, required ...string) object {
	return object{"type": "function", "function": object{"name": name, "description": what,
		"parameters": object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}}}
}

func property(kind, what string) object { return object{"type": kind, "description": what} }

var modelTools = []object{
	modelTool("run_command", "Runs a shell command, starting in the workspace, and gives its output and exit code.", object{
		"command":         property("string", "the command, for sh or bash"),
		"timeout_seconds": property("number", "when to kill it: 1 to 600, 60 by default"),
	}, "command"),
	modelTool("read_file", "Reads a text file of the workspace. A long one comes in parts.", object{
		"path":   property("string", "such as notes.txt or /workspace/notes.txt"),
		"offset": property("integer", "byte to begin at, 0 by default"),
	}, "path"),
	modelTool("write_file", "Writes a file of the workspace whole, making the folders above it.", object{
		"path":    property("string", "such as notes.txt or /workspace/notes.txt"),
		"content": property("string", "the whole content of the file"),
	}, "path", "content"),
	modelTool("list_files", "Lists a folder of the workspace.", object{
		"path": property("string", "the workspace itself by default"),
	}),
}

// modelArgs are the arguments of all tools; nil is what was not given.
type modelArgs struct {
	Command *string  `json:"command"`
	Timeout *float64 `json:"timeout_seconds"`
	Path    *string  `json:"path"`
	Offset  *float64 `json:"offset"`
	Content *string  `json:"content"`
}

// use does what the model calls for, and reports it. A tool that fails is a
// result for the model; the error is for the end of the reply.
func (t *modelTurn) use(call *modelCall) (string, error) {
	args := map[string]any{}
	wrong := error(nil)
	if text := strings.TrimSpace(call.Arguments); text != "" {
		if err := json.Unmarshal([]byte(text), &args); err != nil || args == nil {
			args, wrong = map[string]any{}, fmt.Errorf("the arguments are not a JSON object: %.200s", text)
		}
	}
	report := ToolCall{ID: call.ID, Name: call.Name, Args: args}
	var result string
	failed := wrong
	_, err := reportTool(t.ctx, t.emit, report, func() (string, error) {
		if failed == nil {
			result, failed = t.do(call.Name, call.Arguments)
		}
		return result, failed
	})
	switch {
	case t.ctx.Err() != nil:
		return "", t.ctx.Err()
	case failed == nil && err != nil: // it was done, but could not be reported
		return "", err
	case failed != nil && result == "":
		return "Error: " + failed.Error(), nil
	}
	return result, nil
}

// do does the work of a tool.
func (t *modelTurn) do(name, arguments string) (string, error) {
	var args modelArgs
	if arguments = strings.TrimSpace(arguments); arguments != "" {
		if err := json.Unmarshal([]byte(arguments), &args); err != nil {
			return "", fmt.Errorf("wrong arguments: %w", err)
		}
	}
	switch name {
	case "run_command":
		return t.runCommand(args)
	case "read_file":
		return t.readPart(args)
	case "write_file":
		if args.Path == nil || args.Content == nil {
			return "", errors.New("write_file needs path and content")
		}
		root, rel, err := t.open(*args.Path)
		if err != nil {
			return "", err
		}
		defer root.Close()
		if err := storeFile(root, rel, *args.Content); err != nil {
			return "", fileError(err, rel)
		}
		return fmt.Sprintf("Wrote %d bytes to %s.", len(*args.Content), outside(rel)), nil
	case "list_files":
		path := ""
		if args.Path != nil {
			path = *args.Path
		}
		return t.listDirectory(path)
	}
	return "", fmt.Errorf("there is no tool %q; there are run_command, read_file, write_file and list_files", name)
}

func (t *modelTurn) runCommand(args modelArgs) (string, error) {
	if args.Command == nil || strings.TrimSpace(*args.Command) == "" {
		return "", errors.New("run_command needs a command")
	}
	timeout := defaultTimeout
	if s := args.Timeout; s != nil {
		if !(*s >= 1 && *s <= modelCommandLimit.Seconds()) {
			return "", fmt.Errorf("timeout_seconds must be from 1 to %d", int(modelCommandLimit.Seconds()))
		}
		timeout = time.Duration(*s * float64(time.Second))
	}
	out, err := t.Run(t.ctx, *args.Command, timeout)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "exit code: %d\n", out.ExitCode)
	if out.TimedOut {
		fmt.Fprintf(&b, "It was killed after %s.\n", timeout)
	}
	for _, part := range []struct{ name, text string }{{"stdout", out.Stdout}, {"stderr", out.Stderr}} {
		if part.text != "" {
			fmt.Fprintf(&b, "%s:\n%s\n", part.name, bothEnds(part.text, shownToModel))
		}
	}
	if out.ExitCode != 0 {
		return b.String(), fmt.Errorf("exit code %d", out.ExitCode)
	}
	return b.String(), nil
}

// readPart reads as much of a file as goes into a result.
func (t *modelTurn) readPart(args modelArgs) (string, error) {
	if args.Path == nil {
		return "", errors.New("read_file needs a path")
	}
	var offset int64
	if o := args.Offset; o != nil {
		if !(*o >= 0 && *o <= math.MaxInt32) {
			return "", errors.New("offset must be a number of bytes from 0 on")
		}
		offset = int64(*o)
	}
	f, info, err := t.openFile(*args.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.NewSectionReader(f, offset, shownToModel))
	if err != nil {
		return "", fmt.Errorf("%s could not be read", *args.Path)
	}
	end := offset + int64(len(raw))
	if end < info.Size() {
		whole := wholeRunes(raw)
		end -= int64(len(raw) - len(whole))
		raw = whole
	}
	text := strings.ToValidUTF8(string(raw), "\ufffd")
	switch {
	case len(raw) == 0 && offset == 0:
		return "(the file is empty)", nil
	case len(raw) == 0:
		return "(there is nothing beyond; the file has " + plural(int(info.Size()), "byte", "bytes") + ")", nil
	case end < info.Size():
		text += fmt.Sprintf("\n(%d bytes more; go on with offset %d)", info.Size()-end, end)
	}
	return text, nil
}

// wholeRunes leaves out a character at the end that was cut through.
func wholeRunes(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n < len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}

// bothEnds shortens a text in its middle: an output's last lines tell most.
func bothEnds(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= limit {
		return text
	}
	head, tail := text[:limit/4], text[len(text)-(limit-limit/4):]
	return fmt.Sprintf("%s\n(%d bytes left out)\n%s", strings.ToValidUTF8(head, ""), len(text)-limit, strings.ToValidUTF8(tail, ""))
}

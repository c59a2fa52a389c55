package emulator

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// OfflineAgent gives the built-in agent. It has no language model and says so;
// what it reports of files and commands is real.
func OfflineAgent() Agent { return AgentFunc(offlineReply) }

// shownOutput is how much of an output or a file goes into a reply.
const shownOutput = 64 << 10

const offlineHelp = `What you can ask me here:
- run: COMMAND (also "$ COMMAND") runs a shell command in the workspace
- read FILE shows a file
- list shows what is in the workspace
- count to N, wait N (seconds), say TEXT: to try streaming and long replies
`

// offlineCommand is one thing that the offline agent understands. The pattern's
// group is what do gets.
type offlineCommand struct {
	pattern *regexp.Regexp
	do      func(*offlineTurn, string) error
}

// offlineCommands are tried in order; the first whose pattern matches answers.
// They are compiled at the first message, since most processes never get one.
var offlineCommands = sync.OnceValue(func() []offlineCommand {
	return []offlineCommand{
		{regexp.MustCompile("(?is)^(?:please\\s+)?(?:run|execute|exec)\\s*:?\\s*```\\w*\\n(.+?)```"), (*offlineTurn).run},
		{regexp.MustCompile("(?is)^(?:please\\s+)?(?:run|execute|exec)\\s*:?\\s*`([^`]+)`"), (*offlineTurn).run},
		{regexp.MustCompile(`(?is)^(?:run|exec)\s*:\s*(.+)$`), (*offlineTurn).run},
		{regexp.MustCompile(`(?is)^execute\s*:?\s+(.+)$`), (*offlineTurn).run},
		{regexp.MustCompile(`(?s)^\$\s*(.+)$`), (*offlineTurn).run},
		{regexp.MustCompile(`(?i)^(?:read|show|cat)\s+(?:me\s+)?(?:the\s+)?(?:file\s+)?(\S.*)$`), (*offlineTurn).read},
		{regexp.MustCompile(`(?i)^(?:list|ls)\b(?:\s+(?:the\s+|my\s+|all\s+)?(?:files|workspace|directory))?(.*)$`), (*offlineTurn).list},
		{regexp.MustCompile(`(?i)^count\s+(?:up\s+)?to\s+(\d{1,4})\b`), (*offlineTurn).count},
		{regexp.MustCompile(`(?i)^(?:wait|sleep)\s+(?:for\s+)?(\d+(?:\.\d+)?\s*[a-z]*)`), (*offlineTurn).wait},
		{regexp.MustCompile(`(?is)^(?:echo|say|reply\s+with)[:\s]\s*(.+)$`), (*offlineTurn).say},
	}
})

// offlineTurn is one reply in the making.
type offlineTurn struct {
	Turn
	ctx   context.Context
	emit  func(AgentEvent) error
	tools int
}

func offlineReply(ctx context.Context, turn Turn, emit func(AgentEvent) error) error {
	t := &offlineTurn{Turn: turn, ctx: ctx, emit: emit}
	message := strings.TrimSpace(turn.Message)
	for _, c := range offlineCommands() {
		if m := c.pattern.FindStringSubmatch(message); m != nil {
			return c.do(t, strings.TrimSpace(m[1]))
		}
	}
	return t.introduce()
}

// say streams a text word by word, a long one by several words at a time. The
// whitespace stays with the word before it, so that the pieces add up to the
// text exactly.
func (t *offlineTurn) say(text string) error {
	const pieces = 500 // at most, as each may be followed by a pause
	start, space := 0, false
	for i, r := range text {
		if !unicode.IsSpace(r) && space && i-start > len(text)/pieces {
			if err := t.emit(AgentEvent{Kind: Text, Text: text[start:i]}); err != nil {
				return err
			}
			start = i
		}
		space = unicode.IsSpace(r)
	}
	return t.emit(AgentEvent{Kind: Text, Text: text[start:]})
}

// tool reports the use of a tool around do, which gives its result.
func (t *offlineTurn) tool(name string, args map[string]any, do func() (string, error)) (string, error) {
	t.tools++
	return reportTool(t.ctx, t.emit, ToolCall{ID: fmt.Sprintf("call_%s_%d", newID()[:8], t.tools), Name: name, Args: args}, do)
}

// reportTool reports the use of a tool around do, which gives its result. While
// do works there is an update at the start and then each second.
func reportTool(ctx context.Context, emit func(AgentEvent) error, call ToolCall, do func() (string, error)) (string, error) {
	if err := emit(AgentEvent{Kind: ToolStart, Tool: &call}); err != nil {
		return "", err
	}
	var result string
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, failed = do()
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var emitErr error
	for running, begin := true, time.Now(); running; {
		call.Result = fmt.Sprintf("running for %d s", int(time.Since(begin).Seconds()))
		if emitErr == nil {
			emitErr = emit(AgentEvent{Kind: ToolUpdate, Tool: &call})
		}
		select {
		case <-done:
			running = false
		case <-tick.C:
		}
	}
	call.Result, call.IsError = result, failed != nil
	if failed != nil && result == "" {
		call.Result = failed.Error()
	}
	if err := cmp.Or(emitErr, ctx.Err()); err != nil {
		return "", err
	}
	if err := emit(AgentEvent{Kind: ToolEnd, Tool: &call}); err != nil {
		return "", err
	}
	return result, failed
}

func (t *offlineTurn) introduce() error {
	if err := t.emit(AgentEvent{Kind: Status, Text: "Looking at the workspace"}); err != nil {
		return err
	}
	listing, err := t.look("")
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	if err != nil {
		listing = "I could not look at the workspace: " + err.Error() + "\n"
	}
	return t.say("I am the offline stand-in for an OpenClaw agent: there is no language model behind me, so I cannot " +
		"answer that as one would. The files and commands are real, though.\n\n" + listing + "\n" + offlineHelp)
}

// look lists a directory of the workspace with the tool.
func (t *offlineTurn) look(dir string) (string, error) {
	args := map[string]any{"path": workspaceRoot}
	if dir != "" {
		args["path"] = dir
	}
	return t.tool("list_files", args, func() (string, error) { return t.listDirectory(dir) })
}

// open finds a path of the API in the workspace.
func (t Turn) open(name string) (root *os.Root, rel string, err error) {
	if rel, err = inside(name); err != nil {
		return nil, "", err
	}
	if root, err = os.OpenRoot(t.Workspace); err != nil {
		return nil, "", err
	}
	if rel, err = resolve(root, rel); err != nil {
		root.Close()
		return nil, "", err
	}
	return root, rel, nil
}

// listDirectory describes a directory of the workspace.
func (t Turn) listDirectory(dir string) (string, error) {
	root, rel, err := t.open(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), rel)
	if err != nil {
		return "", fileError(err, rel)
	}
	return describe(outside(rel), entries), nil
}

// openFile opens a regular file of the workspace for reading.
func (t Turn) openFile(name string) (*os.File, fs.FileInfo, error) {
	root, rel, err := t.open(name)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	info, err := root.Stat(rel)
	if err != nil {
		return nil, nil, fileError(err, rel)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", outside(rel))
	}
	f, err := root.Open(rel)
	if err != nil {
		return nil, nil, fileError(err, rel)
	}
	return f, info, nil
}

// describe says what is in a directory, in at most a screen of lines.
func describe(name string, entries []fs.DirEntry) string {
	if len(entries) == 0 {
		return name + " is empty.\n"
	}
	const shown = 40
	var b strings.Builder
	files, dirs := 0, 0
	for i, e := range entries {
		line := "- " + e.Name()
		if e.IsDir() {
			dirs++
			line += "/"
		} else {
			files++
			if info, err := e.Info(); err == nil {
				line += " (" + plural(int(info.Size()), "byte", "bytes") + ")"
			}
		}
		if i < shown {
			b.WriteString(line + "\n")
		}
	}
	if len(entries) > shown {
		fmt.Fprintf(&b, "- and %d more\n", len(entries)-shown)
	}
	return fmt.Sprintf("%s has %s and %s:\n%s", name, plural(files, "file", "files"),
		plural(dirs, "directory", "directories"), b.String())
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func (t *offlineTurn) list(dir string) error {
	text, err := t.look(strings.Trim(dir, "\"'`. "))
	if err != nil {
		return t.failed("list the files", err)
	}
	return t.say(text)
}

func (t *offlineTurn) read(name string) error {
	name = strings.Trim(name, "\"'`")
	text, err := t.tool("read_file", map[string]any{"path": name}, func() (string, error) {
		f, _, err := t.openFile(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		content, err := io.ReadAll(f)
		return string(content), err
	})
	if err != nil {
		return t.failed("read "+filepath.Base(name), err)
	}
	return t.say(name + " holds:\n" + block(text))
}

func (t *offlineTurn) run(command string) error {
	var out ExecOutput
	_, err := t.tool("exec", map[string]any{"command": command}, func() (string, error) {
		var err error
		out, err = t.Run(t.ctx, command, 10*time.Minute)
		if err != nil {
			return "", err
		}
		if out.ExitCode != 0 {
			return out.Stdout + out.Stderr, fmt.Errorf("exit code %d", out.ExitCode)
		}
		return out.Stdout + out.Stderr, nil
	})
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	var text strings.Builder
	if err != nil && out.ExitCode == 0 { // it did not run
		return t.failed("run the command", err)
	}
	fmt.Fprintf(&text, "I ran `%s`.\n", command)
	if out.Stdout != "" {
		text.WriteString("It printed:\n" + block(out.Stdout))
	}
	if out.Stderr != "" {
		text.WriteString("On stderr:\n" + block(out.Stderr))
	}
	if out.Stdout == "" && out.Stderr == "" {
		text.WriteString("It printed nothing.\n")
	}
	if out.TimedOut {
		text.WriteString("It was stopped because it took too long.\n")
	}
	fmt.Fprintf(&text, "Exit code: %d", out.ExitCode)
	return t.say(text.String())
}

// failed says what did not work. That is a proper reply, not a failed one.
func (t *offlineTurn) failed(what string, err error) error {
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	return t.say("I could not " + what + ": " + err.Error())
}

func (t *offlineTurn) count(to string) error {
	n, err := strconv.Atoi(to)
	if err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		sep := " "
		if i == n {
			sep = ""
		}
		if err := t.emit(AgentEvent{Kind: Text, Text: strconv.Itoa(i) + sep}); err != nil {
			return err
		}
	}
	return nil
}

// wait takes a number of seconds, or one with a unit, up to an hour.
func (t *offlineTurn) wait(text string) error {
	number := strings.TrimRightFunc(text, func(r rune) bool { return !unicode.IsDigit(r) })
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return err
	}
	unit := strings.ToLower(strings.TrimSpace(text[len(number):]))
	d := time.Duration(min(n, 3600) * float64(time.Second))
	switch {
	case unit == "ms" || strings.HasPrefix(unit, "milli"):
		d /= 1000
	case strings.HasPrefix(unit, "m"):
		d = min(d*60, time.Hour)
	}
	if err := t.say(fmt.Sprintf("I wait for %s. ", d)); err != nil {
		return err
	}
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		if err := sleep(t.ctx, min(left, time.Second)); err != nil {
			return err
		}
		if left := time.Until(end); left > 0 {
			status := fmt.Sprintf("Waiting, %s left", left.Round(time.Second))
			if err := t.emit(AgentEvent{Kind: Status, Text: status}); err != nil {
				return err
			}
		}
	}
	return t.say("Done waiting.")
}

// block puts a text between fences that it cannot end itself.
func block(text string) string {
	if len(text) > shownOutput {
		text = strings.ToValidUTF8(text[:shownOutput], "") +
			fmt.Sprintf("\n(and %d bytes more)", len(text)-shownOutput)
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "\n" + text + fence + "\n"
}

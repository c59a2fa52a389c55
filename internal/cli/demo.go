package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/server"
)

func demoCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a complete session on a local instance",
		Long: `Show a complete session on a local instance.

A real MCP client talks to the real server, and the server to an instance on
this machine. The demo needs no account and leaves nothing behind.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), c) },
	}
}

// runDemo connects a client to the server and to the embedded service, and shows
// what they do. It leaves nothing behind.
func runDemo(ctx context.Context, c *console) (err error) {
	person := ctx // whose Ctrl-C ends it
	ctx, cancel := context.WithTimeout(person, 2*time.Minute)
	defer cancel()
	defer func() {
		if person.Err() != nil {
			c.afterCtrlC()
			err = errCancelled
		}
	}()
	d := &demonstration{out: c.stdout, done: ctx.Done(), colours: c.colours && isTerminal(c.stdout)}
	if isTerminal(c.stdout) {
		d.pause = 600 * time.Millisecond
	}
	d.title("Starting a local instance (no account needed) …")
	cfg, err := config.Read(nil)
	if err != nil {
		return err
	}
	cfg.Version = c.version
	log := slog.New(slog.DiscardHandler)
	local, cfg, err := server.StartLocal(cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	d.note(local.SandboxInfo())
	d.hasDesktop = local.HasDesktop()

	d.title("Connecting an MCP client to openclaw-mcp over a pipe …")
	cfg.Structured = true
	d.mcp, err = connect(ctx, cfg, d.out, log, "openclaw-mcp-demo", d.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.mcp.close()) }()
	list, err := d.mcp.client.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return err
	}
	info := d.mcp.server
	d.note(fmt.Sprintf("%s %s, protocol %s, %d tools", info.ServerInfo.Name, info.ServerInfo.Version, info.ProtocolVersion, len(list.Tools)))
	return d.tour(ctx)
}

// demonstration is an MCP client that shows what it does.
type demonstration struct {
	out        io.Writer
	mcp        *connection
	steps      int
	hasDesktop bool
	colours    bool
	pause      time.Duration // before each step, for a person to follow
	done       <-chan struct{}

	mu      sync.Mutex
	midLine bool
}

// paint gives text a colour (an SGR parameter), where colours are shown.
func (d *demonstration) paint(sgr, text string) string {
	if !d.colours {
		return text
	}
	return styled(sgr, text)
}

// title prints the title of the next step.
func (d *demonstration) title(text string) {
	if d.steps > 0 {
		select {
		case <-time.After(d.pause):
		case <-d.done:
			return
		}
	}
	d.steps++
	fmt.Fprintln(d.out, "\n"+d.paint(bold, fmt.Sprintf("%d. %s", d.steps, text)))
}

// handles are so long that they would hide the rest.
var handles = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`([A-Za-z0-9_-]{12})[A-Za-z0-9_.-]{40,}`) })

func shortHandles(text string) string { return handles().ReplaceAllString(text, "$1…") }

// note prints the result of a step.
func (d *demonstration) note(text string) {
	text = wrapWords(shortHandles(strings.TrimRight(text, "\n")), helpWidth-5)
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(d.out, "   "+d.paint(dim, "|")+" "+line)
	}
}

// progress shows a reply as it arrives.
func (d *demonstration) progress(p progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.SplitAfterSeq(p.text, "\n") {
		d.show(line)
	}
	for _, line := range p.events {
		if d.midLine {
			d.show("\n")
		}
		d.show(line + "\n")
	}
}

// show prints a line of progress, or a part of one.
func (d *demonstration) show(line string) {
	if line == "" {
		return
	}
	if !d.midLine {
		fmt.Fprint(d.out, "   "+d.paint(green, ">")+" ")
	}
	fmt.Fprint(d.out, line)
	d.midLine = !strings.HasSuffix(line, "\n")
}

// endProgress ends the line that progress left open, if any.
func (d *demonstration) endProgress() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.midLine {
		fmt.Fprintln(d.out)
		d.midLine = false
	}
}

// call calls a tool, shows the call and its result, and returns the structured
// result.
func (d *demonstration) call(ctx context.Context, tool string, args map[string]any) (map[string]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	shown, _ := json.Marshal(args)
	call := wrapWords(shortHandles(fmt.Sprintf("   $ %s %s", tool, shown)), helpWidth)
	fmt.Fprintln(d.out, "   "+d.paint(cyan, strings.TrimSpace(call)))
	res, err := d.mcp.call(ctx, tool, args)
	d.endProgress()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	var text strings.Builder
	for _, c := range res.Content {
		if t, ok := c.(mcp.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	if res.IsError {
		return nil, fmt.Errorf("%s: %s", tool, &text)
	}
	d.result(tool, text.String())
	structured, _ := res.StructuredContent.(map[string]any)
	return structured, nil
}

// result shows a result. Of a chat's it shows the last line only: progress has
// shown the reply.
func (d *demonstration) result(tool, text string) {
	if tool == "send_chat_message" {
		if i := strings.LastIndex(text, "\n[status: "); i >= 0 {
			text = text[i+1:]
		}
	}
	d.note(text)
}

func (d *demonstration) tour(ctx context.Context) error {
	steps := []struct {
		title, tool string
		args        map[string]any
	}{
		{"Listing the instances …", "list_instances", map[string]any{}},
		{"Running a command …", "exec_command", map[string]any{"command": "echo hello from $(pwd); uname -s"}},
		{"Writing a file …", "write_file", map[string]any{"path": "/workspace/notes/todo.md", "content": "# To do\n\n- try openclaw-mcp\n"}},
		{"… and reading it back", "read_file", map[string]any{"path": "/workspace/notes/todo.md"}},
		{"Talking to the agent; its reply streams in as progress notifications …", "send_chat_message", map[string]any{"message": "run: ls -R /workspace"}},
		{"The conversation is in the session's history", "read_chat_history", map[string]any{"limit": 10}},
	}
	for _, s := range steps {
		d.title(s.title)
		if _, err := d.call(ctx, s.tool, s.args); err != nil {
			return err
		}
	}
	if err := d.tourTerminal(ctx); err != nil {
		return err
	}
	if d.hasDesktop {
		if err := d.tourDesktop(ctx); err != nil && ctx.Err() == nil {
			d.note("The desktop does not work on this machine:\n" + err.Error())
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\n%s\n\n  %s\n  %s\n  %s\n\n", d.paint(bold, "Done. Now from your own client:"),
		"openclaw-mcp install --list            the clients on this machine",
		"openclaw-mcp install CLIENT --local    add it to one",
		"openclaw-mcp install CLIENT            the same, if you have an API key")
	return nil
}

// tourTerminal runs an interactive program in a terminal.
func (d *demonstration) tourTerminal(ctx context.Context) error {
	if runtime.GOOS == "windows" {
		return nil // the embedded service has no terminals there
	}
	d.title("A terminal is for interactive programs, which ask or use the whole screen …")
	opened, err := d.call(ctx, "open_terminal", map[string]any{"rows": 10, "command": `read -p "Your name? " name; echo "Hello, $name!"`})
	if err != nil {
		return err
	}
	d.title("… and the model types the answer")
	for _, s := range []struct {
		tool string
		args map[string]any
	}{
		{"write_terminal", map[string]any{"text": "Ada", "keys": []string{"enter"}, "wait_for": "^Hello"}},
		{"close_terminal", map[string]any{}},
	} {
		s.args["terminal"] = opened["terminal"]
		if _, err := d.call(ctx, s.tool, s.args); err != nil {
			return err
		}
	}
	return nil
}

// tourDesktop looks at the desktop and uses it. A model gets the picture; here
// only the text of the result is shown.
func (d *demonstration) tourDesktop(ctx context.Context) error {
	steps := []struct {
		title, tool string
		args        map[string]any
	}{
		{"The instance has a desktop; the model can see it", "take_screenshot", map[string]any{"max_width": 640}},
		{"… and can use it", "control_desktop", map[string]any{"action": "right_click", "x": 320, "y": 180, "screenshot": true}},
	}
	for _, s := range steps {
		d.title(s.title)
		if _, err := d.call(ctx, s.tool, s.args); err != nil {
			return err
		}
	}
	return nil
}

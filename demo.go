package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	mcpclient "github.com/mark3labs/mcp-go/client"
	mcptransport "github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/observe"
	"openclaw-mcp/transport"
)

// demo shows a whole session for a newcomer to watch: a real MCP client talks
// to the real server over a pipe, and that to the embedded service. It leaves
// nothing behind.
func demo(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	d := &demonstration{out: out}
	d.say("Starting the embedded OpenClaw service (no account needed) …")
	local, err := startLocal(emulator.Options{Pace: 25 * time.Millisecond})
	if err != nil {
		return err
	}
	defer local.close()
	d.note(local.service.SandboxInfo())

	cfg, err := readConfig(nil)
	if err != nil {
		return err
	}
	cfg.BaseURL, cfg.APIKey = local.url, secret(local.key)
	b, err := newBridge(cfg, slog.New(slog.DiscardHandler), observe.New(observe.Options{}))
	if err != nil {
		return err
	}
	defer b.close()

	serverIn, clientOut := io.Pipe()
	clientIn, serverOut := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- transport.NewStdio(b.mcp, transport.StdioOptions{Subscriber: b.resources, Tools: b.tools}).Serve(ctx, serverIn, serverOut)
		_ = serverOut.Close()
	}()
	defer func() {
		_ = clientOut.Close()
		err = errors.Join(err, <-served)
	}()
	d.desktop = local.service.HasDesktop()
	if err := d.connect(ctx, mcptransport.NewIO(clientIn, clientOut, io.NopCloser(strings.NewReader("")))); err != nil {
		return err
	}
	return d.tour(ctx)
}

// demonstration is an MCP client that shows what it does.
type demonstration struct {
	out    io.Writer
	client *mcpclient.Client
	step   int
	// desktop is true where instances have one.
	desktop bool

	mu      sync.Mutex
	midLine bool
}

func (d *demonstration) say(format string, a ...any) {
	d.step++
	fmt.Fprintf(d.out, "\n%d. %s\n", d.step, fmt.Sprintf(format, a...))
}

func (d *demonstration) note(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(d.out, "   | %s\n", line)
	}
}

func (d *demonstration) connect(ctx context.Context, t *mcptransport.Stdio) error {
	d.say("Connecting an MCP client to openclaw-mcp over a pipe …")
	d.client = mcpclient.NewClient(t)
	if err := d.client.Start(ctx); err != nil {
		return err
	}
	d.client.OnNotification(d.progress)
	var init mcp.InitializeRequest
	init.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	init.Params.ClientInfo = mcp.Implementation{Name: "openclaw-mcp-demo", Version: programVersion()}
	server, err := d.client.Initialize(ctx, init)
	if err != nil {
		return err
	}
	list, err := d.client.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return err
	}
	d.note(fmt.Sprintf("%s %s, protocol %s, %d tools", server.ServerInfo.Name, server.ServerInfo.Version, server.ProtocolVersion, len(list.Tools)))
	return nil
}

// progress shows a chat as it comes: the text of its notifications, one after
// the other.
func (d *demonstration) progress(n mcp.JSONRPCNotification) {
	if n.Method != "notifications/progress" {
		return
	}
	text, _ := n.Params.AdditionalFields["message"].(string)
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.SplitAfterSeq(text, "\n") {
		if line == "" {
			continue
		}
		isEvent := strings.HasPrefix(line, "tool: ") || strings.HasPrefix(line, "status: ")
		if isEvent && d.midLine {
			fmt.Fprintln(d.out)
			d.midLine = false
		}
		if !d.midLine {
			fmt.Fprint(d.out, "   > ")
		}
		fmt.Fprint(d.out, line)
		d.midLine = !strings.HasSuffix(line, "\n")
		if isEvent && d.midLine {
			fmt.Fprintln(d.out)
			d.midLine = false
		}
	}
}

// endProgress ends the line that progress may have left open.
func (d *demonstration) endProgress() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.midLine {
		fmt.Fprintln(d.out)
		d.midLine = false
	}
}

// call calls a tool and gives its structured result.
func (d *demonstration) call(ctx context.Context, tool string, args map[string]any) (map[string]any, error) {
	shown, _ := json.Marshal(args)
	fmt.Fprintf(d.out, "   $ %s %s\n", tool, shown)
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, args
	req.Params.Meta = &mcp.Meta{ProgressToken: tool}
	res, err := d.client.CallTool(ctx, req)
	d.endProgress()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	text := ""
	for _, c := range res.Content {
		if t, ok := c.(mcp.TextContent); ok {
			text += t.Text
		}
	}
	if res.IsError {
		return nil, fmt.Errorf("%s: %s", tool, text)
	}
	d.lastText(tool, text)
	out, _ := res.StructuredContent.(map[string]any)
	return out, nil
}

// lastText shows a result, except a chat's, which was shown as it came.
func (d *demonstration) lastText(tool, text string) {
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
		{"Which instances are there?", "list_instances", map[string]any{}},
		{"Running a command …", "exec_command", map[string]any{"command": "echo hello from $(pwd); uname -s"}},
		{"Writing a file …", "write_file", map[string]any{"path": "/workspace/notes/todo.md", "content": "# To do\n\n- try openclaw-mcp\n"}},
		{"… and reading it back", "read_file", map[string]any{"path": "/workspace/notes/todo.md"}},
		{"Talking to the agent; its reply streams in as progress notifications …", "send_chat_message", map[string]any{"message": "run: ls -R /workspace"}},
		{"What was said is in the session's history", "read_chat_history", map[string]any{"limit": 10}},
	}
	for _, s := range steps {
		d.say("%s", s.title)
		if _, err := d.call(ctx, s.tool, s.args); err != nil {
			return err
		}
	}
	if err := d.tourTerminal(ctx); err != nil {
		return err
	}
	if d.desktop {
		if err := d.tourDesktop(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, "\nDone. To serve this to your own MCP client: openclaw-mcp --local\n")
	return d.client.Close()
}

// tourTerminal answers a program that asks.
func (d *demonstration) tourTerminal(ctx context.Context) error {
	if runtime.GOOS == "windows" {
		return nil // the embedded service has no terminals there
	}
	d.say("A terminal is for programs that ask, or that use the whole screen …")
	opened, err := d.call(ctx, "open_terminal", map[string]any{"rows": 10, "command": `read -p "Your name? " name; echo "Hello, $name!"`})
	if err != nil {
		return err
	}
	d.say("… and what a model types, answers them")
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

// tourDesktop looks at the desktop and uses it. The picture itself is shown to
// models and not here; what can be told of it is.
func (d *demonstration) tourDesktop(ctx context.Context) error {
	steps := []struct {
		title, tool string
		args        map[string]any
	}{
		{"The instance has a desktop; a model gets to see it", "take_screenshot", map[string]any{"max_width": 640}},
		{"… and can use it", "control_desktop", map[string]any{"action": "right_click", "x": 320, "y": 180, "screenshot": true}},
	}
	for _, s := range steps {
		d.say("%s", s.title)
		if _, err := d.call(ctx, s.tool, s.args); err != nil {
			return err
		}
	}
	return nil
}

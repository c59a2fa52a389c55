package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// mcpSession is a person's connection to the MCP server: the real server, in
// this process, and a real client over a pipe.
type mcpSession struct {
	console *console
	client  *mcpclient.Client
	ends    []func() error // in the order of what was begun
	yes     bool           // the person has confirmed beforehand

	mu       sync.Mutex
	progress func(text string) // of the call under way; nil: nobody listens
	refused  error             // why the last question was not answered with a yes
}

// settings reads the configuration for a command of a person's, and starts the
// embedded service where it is asked for. Of the log, what is no more than
// information would be in the way, unless it was asked for.
func (c *console) settings(local bool) (config, func() error, error) {
	none := func() error { return nil }
	cfg, err := readConfig(c.environ)
	if err != nil {
		return cfg, none, usageError{fmt.Errorf("openclaw-mcp: wrong configuration\n%w", err)}
	}
	cfg.HTTP = "" // who sits here may use the files here
	if c.variable("OPENCLAW_MCP_LOG_LEVEL") == "" {
		cfg.LogLevel = "warn"
	}
	if !local {
		if cfg.APIKey == "" {
			return cfg, none, usageError{errors.New(strings.TrimSuffix(noKey, "."))}
		}
		return cfg, none, nil
	}
	l, err := startLocal(emulator.Options{
		Dir: cfg.LocalDir, VNC: cfg.LocalVNC, Pace: 20 * time.Millisecond, CreateDelay: 3 * time.Second, Logger: cfg.logger(c.stderr),
	})
	if err != nil {
		return cfg, none, err
	}
	cfg.BaseURL, cfg.APIKey = l.url, secret(l.key)
	return cfg, func() error { l.close(); return nil }, nil
}

// connect starts the server and a client of it. Close the session also after
// ctx has ended: what was begun with it is called off then.
//
// yes confirms what the server asks; without it the person is asked.
func (c *console) connect(ctx context.Context, cfg config, yes bool) (*mcpSession, error) {
	log := cfg.logger(c.stderr)
	b, err := newBridge(cfg, log, observe.New(observe.Options{}))
	if err != nil {
		return nil, err
	}
	s := &mcpSession{console: c, yes: yes}
	s.ends = append(s.ends, func() error { b.close(); return nil })
	serverIn, clientOut := io.Pipe()
	clientIn, serverOut := io.Pipe()
	// A call that is cancelled still has things to say to the server.
	serving := context.WithoutCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- transport.NewStdio(b.mcp, transport.StdioOptions{Log: log, Subscriber: b.resources, Tools: b.tools}).Serve(serving, serverIn, serverOut)
		_ = serverOut.Close()
	}()
	s.ends = append(s.ends, func() error {
		_ = clientOut.Close()
		return <-served
	})
	pipe := mcptransport.NewIO(clientIn, clientOut, io.NopCloser(strings.NewReader("")))
	s.client = mcpclient.NewClient(pipe, mcpclient.WithElicitationHandler(personAnswers{s}))
	if err := s.client.Start(serving); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.ends = append(s.ends, s.client.Close)
	s.client.OnNotification(s.notified)
	var init mcp.InitializeRequest
	init.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	init.Params.ClientInfo = mcp.Implementation{Name: "openclaw-mcp-cli", Version: programVersion()}
	if _, err := s.client.Initialize(ctx, init); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *mcpSession) close() (err error) {
	for i := len(s.ends) - 1; i >= 0; i-- {
		err = errors.Join(err, s.ends[i]())
	}
	return err
}

// notified hands the news of a call on.
func (s *mcpSession) notified(n mcp.JSONRPCNotification) {
	if n.Method != "notifications/progress" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock() // no news of a call comes behind its cancelling
	if text, _ := n.Params.AdditionalFields["message"].(string); text != "" && s.progress != nil {
		s.progress(text)
	}
}

// errCancelled says that the person had a call cancelled.
var errCancelled = exitWith(130, "cancelled")

// call calls a tool. When ctx ends, the call is cancelled, and with it what it
// has set off.
func (s *mcpSession) call(ctx context.Context, tool string, args map[string]any, progress func(string)) (*mcp.CallToolResult, error) {
	s.listen(progress)
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, args
	req.Params.Meta = &mcp.Meta{ProgressToken: tool}
	res, err := s.client.CallTool(ctx, req)
	if ctx.Err() != nil {
		s.cancelRuns(context.WithoutCancel(ctx))
		return nil, errCancelled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return nil, s.refused
	}
	return res, err
}

// listen has the news of the next call handed to progress.
func (s *mcpSession) listen(progress func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress, s.refused = progress, nil
}

func (s *mcpSession) refuse(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = why
}

// cancelRuns stops what a cancelled call has left. The cancelled request itself
// stops its run as well, but nobody hears of it, and this process is about to
// end.
func (s *mcpSession) cancelRuns(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s.listen(nil)
	s.console.say(dim, "cancelling; Ctrl-C again ends at once")
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = "list_runs", map[string]any{}
	res, err := s.client.CallTool(ctx, req)
	if err != nil {
		s.console.say(red, "what the call began may go on: "+err.Error())
		return
	}
	if res.IsError {
		return // the limits of this server leave the tool out, and so they do those that begin runs
	}
	data, _ := res.StructuredContent.(map[string]any)
	list, _ := data["runs"].([]any)
	for _, one := range list {
		run, _ := one.(map[string]any)
		if status, _ := run["status"].(string); status != "running" && status != "stalled" {
			continue
		}
		req.Params.Name, req.Params.Arguments = "cancel_run", map[string]any{"run": run["run"]}
		res, err := s.client.CallTool(ctx, req)
		if err != nil {
			s.console.say(red, "the run could not be cancelled: "+err.Error())
		} else {
			s.console.say(dim, textOf(res))
		}
	}
}

// textOf is a result's text for people.
func textOf(res *mcp.CallToolResult) string {
	var parts []string
	for _, c := range res.Content {
		switch c := c.(type) {
		case mcp.TextContent:
			parts = append(parts, c.Text)
		case mcp.ImageContent:
			parts = append(parts, fmt.Sprintf("[a picture, %s, %d bytes; --json has it]", c.MIMEType, len(c.Data)/4*3))
		}
	}
	return strings.Join(parts, "\n")
}

// personAnswers puts the server's questions to the person at the terminal.
type personAnswers struct{ s *mcpSession }

// Elicit implements mcpclient.ElicitationHandler. The server asks for nothing
// but a yes; anything else is declined.
func (p personAnswers) Elicit(ctx context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	yes, c := p.s.yes, p.s.console
	switch {
	case yes:
	case !c.asks:
		p.s.refuse(fmt.Errorf("nothing was done: nobody is here to answer; pass --yes to confirm\n%s", req.Params.Message))
	default:
		var err error
		if yes, err = c.confirm(ctx, req.Params.Message); err != nil {
			return nil, err
		}
		if !yes {
			p.s.refuse(errors.New("nothing was done: you did not say yes"))
		}
	}
	var res mcp.ElicitationResult
	res.Action = mcp.ElicitationResponseActionDecline
	if yes {
		res.Action = mcp.ElicitationResponseActionAccept
		res.Content = map[string]any{"confirm": true}
	}
	return &res, nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	mcpclient "github.com/mark3labs/mcp-go/client"
	mcptransport "github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/server"
	"openclaw-mcp/tools"
)

// connection is an MCP client and the real server in this process, joined by a
// pipe.
type connection struct {
	client  *mcpclient.Client
	server  *mcp.InitializeResult
	ends    []func() error                          // close runs them, the last first
	working func(context.Context) ([]string, error) // the runs that go on here
	stop    func()                                  // stops serving at once; close does it at its end
	left    bool                                    // a call goes on that nobody waits for; close does not either

	calls   atomic.Int64
	current atomic.Value // progress token of the newest call: nobody reads the progress of one that was left
}

// progress is what a progress notification says.
type progress struct {
	message string   // for a person to see now
	text    string   // of the reply or the output that is new since the notification before
	line    string   // of the output, that is still being written: its text comes once it is whole
	events  []string // what else is new, a line each
}

// connect starts the server and connects a client to it. onProgress gets each
// progress notification. Close the connection also after ctx has ended:
// until then, the server still answers, so that what a call started can be
// cancelled.
func connect(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger, clientName string, onProgress func(progress), options ...mcpclient.ClientOption) (_ *connection, err error) {
	c := &connection{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	obs, endObserving, err := server.Observe(cfg, under(stdout), log)
	if err != nil {
		return nil, err
	}
	c.ends = append(c.ends, endObserving)
	srv, err := server.New(cfg, log, obs)
	if err != nil {
		return nil, err
	}
	c.ends = append(c.ends, func() error { srv.Close(); return nil })
	c.working = srv.Working

	serverIn, clientOut := io.Pipe()
	clientIn, serverOut := io.Pipe()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	served := make(chan error, 1)
	go func() {
		served <- srv.ServeStdio(serving, serverIn, serverOut)
		_ = serverOut.Close()
	}()
	c.ends = append(c.ends, func() error {
		_ = clientOut.Close()
		defer stop()
		return <-served
	})

	noStderr := io.NopCloser(strings.NewReader(""))
	c.client = mcpclient.NewClient(mcptransport.NewIO(clientIn, clientOut, noStderr), options...)
	if err := c.client.Start(serving); err != nil {
		return nil, err
	}
	c.ends = append(c.ends, c.client.Close)
	c.client.OnNotification(func(n mcp.JSONRPCNotification) {
		if n.Method != "notifications/progress" || n.Params.AdditionalFields["progressToken"] != c.current.Load() {
			return
		}
		var p progress
		p.message, _ = n.Params.AdditionalFields["message"].(string)
		p.text, _ = n.Params.Meta["openclaw-mcp/text"].(string)
		p.line, _ = n.Params.Meta["openclaw-mcp/line"].(string)
		events, _ := n.Params.Meta["openclaw-mcp/events"].([]any)
		for _, e := range events {
			line, _ := e.(string)
			p.events = append(p.events, line)
		}
		onProgress(p)
	})
	var init mcp.InitializeRequest
	init.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	init.Params.ClientInfo = mcp.Implementation{Name: clientName, Version: cfg.Version}
	if c.server, err = c.client.Initialize(ctx, init); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *connection) close() (err error) {
	if c.left {
		c.stop()
	}
	for i := len(c.ends) - 1; i >= 0; i-- {
		err = errors.Join(err, c.ends[i]())
	}
	return err
}

// call calls a tool, with progress notifications.
func (c *connection) call(ctx context.Context, tool string, args map[string]any) (*mcp.CallToolResult, error) {
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, args
	token := fmt.Sprintf("%s-%d", tool, c.calls.Add(1))
	c.current.Store(token)
	req.Params.Meta = &mcp.Meta{ProgressToken: token}
	res, err := c.client.CallTool(ctx, req)
	if err == nil && res.StructuredContent == nil && res.Meta != nil {
		// Beside a text for a model, there are the facts that a program needs.
		res.StructuredContent = res.Meta.AdditionalFields[tools.FactsKey]
	}
	return res, err
}

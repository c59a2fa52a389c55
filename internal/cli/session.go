package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	mcpclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/server"
)

// mcpSession is a person's connection to the MCP server.
type mcpSession struct {
	*connection
	console *console
	yes     bool // questions are confirmed in advance

	mu       sync.Mutex
	progress func(progress) // of the call in progress; nil: nobody listens
	declined error          // why the last question was not confirmed
}

// settings reads the configuration for a command, and starts the embedded service
// if --local asks for it; stop stops that. The log shows warnings and errors only,
// unless the environment sets its level.
func (c *console) settings() (cfg config.Config, stop func() error, err error) {
	stop = func() error { return nil }
	if cfg, err = config.Read(c.environ); err != nil {
		return cfg, stop, config.Wrong(err)
	}
	cfg.Version = c.version
	cfg.HTTP = "" // the person at this machine may transfer its files
	if c.variable("OPENCLAW_MCP_LOG_LEVEL") == "" {
		cfg.LogLevel = "warn"
	}
	if !c.local {
		if cfg.APIKey == "" {
			err = exitWith(2, noKey)
		}
		return cfg, stop, err
	}
	l, cfg, err := server.StartLocal(cfg, cfg.Logger(c.stderr))
	if err != nil {
		return cfg, stop, err
	}
	c.service = l
	return cfg, l.Close, nil
}

// connect starts the server and connects the person to it, for a command that works
// with results as data. yes confirms what the server asks; otherwise the person is asked.
func (c *console) connect(ctx context.Context, cfg config.Config, yes bool) (*mcpSession, error) {
	cfg.Structured = true
	return c.connectAsSet(ctx, cfg, yes)
}

// connectAsSet is connect with results as the configuration has them: by default, each is
// the text that a model reads.
func (c *console) connectAsSet(ctx context.Context, cfg config.Config, yes bool) (*mcpSession, error) {
	s := &mcpSession{console: c, yes: yes}
	var err error
	s.connection, err = connect(ctx, cfg, c.stdout, cfg.Logger(c.stderr), "openclaw-mcp-cli", s.notify, mcpclient.WithElicitationHandler(personAnswers{s}))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// notify passes a progress message to the call in progress.
func (s *mcpSession) notify(p progress) {
	s.mu.Lock()
	defer s.mu.Unlock() // so that no progress of a call arrives after its cancellation
	if s.progress != nil {
		s.progress(p)
	}
}

// errCancelled says that the person cancelled a call.
var errCancelled = exitWith(130, "cancelled")

// call calls a tool. When ctx ends, it cancels the call and the runs that the call
// started.
func (s *mcpSession) call(ctx context.Context, tool string, args map[string]any, onProgress func(progress)) (*mcp.CallToolResult, error) {
	s.listen(onProgress)
	res, err := s.connection.call(ctx, tool, args)
	if ctx.Err() != nil {
		s.cancelRuns(context.WithoutCancel(ctx))
		return nil, errCancelled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.declined != nil {
		return nil, s.declined
	}
	return res, err
}

// errLeft says that the person stopped waiting for a run, which goes on.
var errLeft = exitWith(130, "")

// follow calls a tool whose work goes on when ctx ends: then the error is errLeft,
// and left is the handle of the run. If no run has begun, it cancels the call.
func (s *mcpSession) follow(ctx context.Context, tool string, args map[string]any, onProgress func(progress)) (res *mcp.CallToolResult, left string, err error) {
	calling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	type answer struct {
		res *mcp.CallToolResult
		err error
	}
	answered := make(chan answer, 1)
	s.listen(onProgress)
	go func() {
		defer cancel()
		res, err := s.connection.call(calling, tool, args)
		answered <- answer{res, err}
	}()
	select {
	case a := <-answered:
		return a.res, "", a.err
	case <-ctx.Done():
	}
	s.listen(nil)
	asking, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if runs, err := s.working(asking); err == nil && len(runs) > 0 {
		s.left = true
		return nil, runs[0], errLeft
	}
	cancel()
	<-answered
	s.left = true // the client tells the server later, perhaps after it is closed
	return nil, "", errCancelled
}

// listen passes the progress of the next call to onProgress.
func (s *mcpSession) listen(onProgress func(progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress, s.declined = onProgress, nil
}

func (s *mcpSession) decline(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declined = why
}

// cancelRuns cancels the runs of a cancelled call. The server cancels them as
// well when it hears of the cancelled request, but this process may end before
// that is done, and it would not say how it went.
func (s *mcpSession) cancelRuns(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s.listen(nil)
	s.console.afterCtrlC()
	s.console.say(dim, "cancelling; press Ctrl-C again to quit at once")
	runs, err := s.working(ctx)
	if err != nil {
		s.console.say(red, "the call's work may still be running: "+err.Error())
	}
	for _, run := range runs {
		res, err := s.connection.call(ctx, "cancel_run", map[string]any{"run": run})
		if err != nil {
			s.console.say(red, "the run could not be cancelled: "+err.Error())
		} else {
			said, _, _ := strings.Cut(textOf(res), "\nrun: ") // it has ended: nobody needs its handle
			s.console.say(dim, said)
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
			parts = append(parts, fmt.Sprintf("[an image, %s, %d bytes; use --json to get it]", c.MIMEType, len(c.Data)/4*3))
		}
	}
	return strings.Join(parts, "\n")
}

// personAnswers passes the server's questions to the person at the terminal.
type personAnswers struct{ s *mcpSession }

// Elicit implements mcpclient.ElicitationHandler. The server only asks for
// confirmation.
func (p personAnswers) Elicit(ctx context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	yes, c := p.s.yes, p.s.console
	switch {
	case yes:
	case !c.interactive:
		p.s.decline(fmt.Errorf("nothing was done: this needs confirmation, but there is no terminal to ask you at; pass --yes to confirm\n%s", req.Params.Message))
	default:
		var err error
		if yes, err = c.confirm(ctx, req.Params.Message); err != nil {
			return nil, err
		}
		if !yes {
			p.s.decline(errors.New("nothing was done: you did not confirm it"))
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

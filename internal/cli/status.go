package cli

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/keyfile"
)

func statusCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the service, the key, your instances and what's running",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), c) },
	}
}

func runStatus(ctx context.Context, c *console) error {
	cfg, stop, err := c.settings()
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	row := func(label, format string, a ...any) {
		c.print(fmt.Sprintf("%-11s", label) + fmt.Sprintf(format, a...) + "\n")
	}
	if c.local {
		row("service", "local instance: %s", c.service.SandboxInfo())
		row("agent", "%s", c.service.Agent())
	} else {
		row("service", "%s", cfg.BaseURL)
		row("key", "%s, from %s", keyfile.Masked(string(cfg.APIKey)), cfg.KeyFrom)
	}
	s, err := c.connect(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	res, err := s.call(ctx, "list_instances", map[string]any{}, nil)
	if err != nil {
		return err
	}
	if res.IsError {
		return exitWith(1, c.paint(red, c.shown(c.failure(cfg, res))))
	}
	label := "instances"
	instances := members(res, "instances")
	for _, one := range instances {
		name := text(one, "name")
		if name != "" {
			name = "  " + name
		}
		used := ""
		if text(one, "id") == cfg.Instance {
			used = "  (OPENCLAW_INSTANCE_ID)"
		}
		row(label, "%s  %s%s%s", text(one, "id"), text(one, "status"), name, used)
		label = ""
	}
	if len(instances) == 0 {
		row(label, "none; 'openclaw-mcp call create_instance%s' creates one", c.flagLocal())
	}
	return c.showRuns(ctx, s, cfg, row)
}

// Looks at a run take this many seconds at most. The end of a reply that nobody
// followed shows in the session's history, once that has stood still for a while.
const (
	lookAtCommand = 2
	lookAtReply   = 12
)

// goesOn tells whether a run has not ended. One whose handle leads nowhere any more
// has.
func goesOn(ctx context.Context, s *mcpSession, kept keptRun) bool {
	look := lookAtCommand
	if kept.Kind == "chat" {
		look = lookAtReply
	}
	res, err := s.connection.call(ctx, "wait_run", map[string]any{"runs": []string{kept.Run}, "wait_seconds": look})
	if err != nil || res.IsError {
		return false
	}
	status := field(firstRun(res), "status")
	return status == "running" || status == "stalled"
}

// showRuns shows what this person's commands have left running.
func (c *console) showRuns(ctx context.Context, s *mcpSession, cfg config.Config, row func(label, format string, a ...any)) error {
	kept := c.keptRuns(cfg)
	if len(kept) > 0 && isTerminal(c.stderr) {
		c.say(dim, "checking what is still running")
	}
	running := make([]bool, len(kept))
	var wg sync.WaitGroup
	for i, k := range kept {
		wg.Go(func() { running[i] = goesOn(ctx, s, k) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return errCancelled
	}
	label := "running"
	for i, kept := range kept {
		if !running[i] {
			continue
		}
		row(label, "%d  %s, since %s: %s", kept.Number, kept.Kind, kept.Since.Local().Format("2006-01-02 15:04"), kept.Title)
		label = ""
	}
	if label != "" {
		row(label, "nothing")
	} else {
		row("", "'openclaw-mcp logs -f NUMBER%s' follows one", c.flagLocal())
	}
	return nil
}

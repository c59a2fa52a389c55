package cli

import (
	"context"
	"fmt"
	"strings"
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
		return exitWith(1, c.paint(red, c.shown(c.failure(cfg, res, false))))
	}
	label, chosen := "instances", cfg.Instance == ""
	instances := members(res, "instances")
	for _, one := range instances {
		name := text(one, "name")
		if name != "" {
			name = "  " + name
		}
		used := ""
		if text(one, "id") == cfg.Instance {
			used, chosen = "  (OPENCLAW_INSTANCE_ID)", true
		}
		row(label, "%s  %s%s%s", text(one, "id"), text(one, "status"), name, used)
		label = ""
	}
	if len(instances) == 0 {
		row(label, "none; 'openclaw-mcp call create_instance%s' creates one", c.flagLocal())
	}
	if !chosen {
		row("", "OPENCLAW_INSTANCE_ID is %s, which is not one of them", cfg.Instance)
	}
	return c.showRuns(ctx, s, cfg, row)
}

// minute is how a person reads a time.
const minute = "2006-01-02 15:04"

// lookSeconds is how long a look at a run takes at most. A run that goes on takes all
// of it. It is long enough to see in a session's history that an older reply has ended.
const lookSeconds = 3

// stand tells whether a run goes on, and what to add to its line. One whose handle
// leads nowhere any more has ended.
func stand(ctx context.Context, s *mcpSession, kept keptRun) (note string, goesOn bool) {
	res, err := s.connection.call(ctx, "wait_run", map[string]any{"runs": []string{kept.Run}, "wait_seconds": lookSeconds})
	switch {
	case err == nil && !res.IsError:
		status := field(firstRun(res), "status")
		return "", status == "running" || status == "stalled"
	case err == nil && strings.Contains(textOf(res), "not a run handle of yours"):
		return "", false
	}
	return "  (OpenClaw does not say whether it is still running)", true
}

// showRuns shows what this person's commands have left running.
func (c *console) showRuns(ctx context.Context, s *mcpSession, cfg config.Config, row func(label, format string, a ...any)) error {
	kept := c.keptRuns(cfg)
	if len(kept) > 0 && isTerminal(c.stderr) {
		c.say(dim, "checking what is still running")
	}
	running, notes := make([]bool, len(kept)), make([]string, len(kept))
	var wg sync.WaitGroup
	for i, k := range kept {
		wg.Go(func() { notes[i], running[i] = stand(ctx, s, k) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return errCancelled
	}
	label := "unfinished" // as far as it is known: few services mark the end of a reply
	for i, kept := range kept {
		if !running[i] {
			continue
		}
		row(label, "%d  %s, since %s: %s", kept.Number, kept.Kind, kept.Since.Local().Format(minute), kept.Title+notes[i])
		label = ""
	}
	if label != "" {
		row("running", "nothing")
	} else {
		row("", "'openclaw-mcp logs -f NUMBER%s' follows one to its end", c.flagLocal())
	}
	return nil
}

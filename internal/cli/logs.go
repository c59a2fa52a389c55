package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
)

func logsCommand(c *console) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [-f] [RUN]",
		Short: "Show a run's output, or follow it",
		Long: `Show a run's output: what a command printed, or a reply.

RUN is the number that 'openclaw-mcp status' shows, or the handle that a result
names; without it, the last run that 'chat' or 'call' left running. With -f, it
goes on until the run ends; Ctrl-C stops that, and the run goes on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("logs takes one run, but got %q", args[1])
			}
			return runLogs(cmd.Context(), c, follow, args)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	return cmd
}

// findRun finds the handle of a run.
func (c *console) findRun(cfg config.Config, args []string) (string, error) {
	kept := c.keptRuns(cfg)
	if len(args) == 0 {
		if len(kept) == 0 {
			return "", errors.New("no reply and no command was left running: there is nothing to show")
		}
		return kept[0].Run, nil
	}
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return args[0], nil
	}
	for _, k := range kept {
		if k.Number == number {
			return k.Run, nil
		}
	}
	return "", fmt.Errorf("there is no run %d; 'openclaw-mcp status%s' lists those that were left running", number, c.flagLocal())
}

func runLogs(ctx context.Context, c *console, follow bool, args []string) error {
	cfg, stop, err := c.settings()
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	first, err := c.findRun(cfg, args)
	if err != nil {
		return err
	}
	s, err := c.connect(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	wait := 0
	if follow {
		wait = 30
	}
	for run := first; ; {
		res, _, err := s.follow(ctx, "wait_run", map[string]any{"runs": []string{run}, "until": "news", "wait_seconds": wait}, nil)
		if ctx.Err() != nil {
			c.afterCtrlC()
			c.endLine()
			return errCancelled
		}
		if err != nil {
			return err
		}
		if res.IsError {
			return exitWith(1, c.paint(red, c.shown(c.failure(cfg, res))))
		}
		res = firstRun(res)
		c.print(field(res, "reply"))
		c.print(field(res, "stdout"))
		if errs := field(res, "stderr"); errs != "" {
			c.say("", errs)
		}
		if next := field(res, "run"); next != "" {
			run = next
		}
		data, _ := res.StructuredContent.(map[string]any)
		status := field(res, "status")
		more, _ := data["more"].(bool)
		switch {
		case more || follow && (status == "running" || status == "stalled"):
			continue
		case status == "running" || status == "stalled":
			c.endLine()
			c.say(dim, status+"; -f follows it")
			return nil
		}
		c.endLine()
		if code, ok := data["exit_code"].(float64); ok {
			status = fmt.Sprintf("%s, exit code %.0f", status, code)
		}
		c.say(dim, status)
		if err := c.forget(first); err != nil {
			return err
		}
		if field(res, "status") != "completed" {
			return exitWith(1, c.shown(c.failure(cfg, res)))
		}
		return nil
	}
}

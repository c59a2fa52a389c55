package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
)

func logsCommand(c *console) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [-f] [RUN]",
		Short: "Show a run's output, or follow it",
		Long: `Show a run's output: what a command printed, or a reply.

RUN is the number that 'openclaw-mcp status' shows, or the handle in a tool's
result. Without RUN, it shows the last run that 'chat' or 'call' left running.
With -f, it follows the output until the run ends; Ctrl-C stops following, not
the run.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("logs takes one run, but got %q", args[1])
			}
			return runLogs(cmd.Context(), c, follow, args)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "follow the output until the run ends")
	return cmd
}

// findRun finds the handle of a run.
func (c *console) findRun(cfg config.Config, args []string) (string, error) {
	kept := c.keptRuns(cfg)
	if len(args) == 0 {
		if len(kept) == 0 {
			return "", errors.New("nothing was left running, so there is nothing to show")
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
	return "", c.noRun(args)
}

func (c *console) noRun(args []string) error {
	named := ""
	if len(args) > 0 {
		named = " " + args[0]
	}
	return fmt.Errorf("there is no run%s; 'openclaw-mcp status%s' lists what was left running", named, c.flagLocal())
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
			return exitWith(130, "stopped following; the run goes on")
		}
		if err != nil {
			return err
		}
		if res.IsError && strings.Contains(textOf(res), "not a run handle of yours") {
			return c.noRun(args)
		}
		if res.IsError {
			return exitWith(1, c.paint(red, c.shown(c.failure(cfg, res, false))))
		}
		res = firstRun(res)
		c.print(field(res, "reply"))
		c.print(field(res, "stdout"))
		if err := c.lost(); err != nil { // nobody reads on
			return err
		}
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
			return exitWith(1, c.shown(c.failure(cfg, res, false)))
		}
		return nil
	}
}

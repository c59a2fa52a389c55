package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/doctor"
	"openclaw-mcp/internal/server"
	clean "openclaw-mcp/internal/text"
)

func doctorCommand(c *console) *cobra.Command {
	var o doctor.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the configuration, the key and the service",
		Long: `Check the configuration, the key and the service, and print a report.

It reads what is there, runs 'echo ok', sends the agent "Reply with OK" and
opens the terminal and the desktop for up to 3 seconds. It never creates,
reboots or shuts down an instance. The report on standard output has the names
of keys but no values, so you can paste it into a bug report. The service's own
error messages go to standard error.

Exit codes: 0 all is well, 1 there is a problem, 2 the service can't be used, or
wrong usage or configuration, 130 cancelled.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Patience < 100*time.Millisecond || o.Patience > time.Hour {
				return usagef("--patience is %s; it must be from 100ms to 1h, such as 15s", o.Patience)
			}
			return runDoctor(cmd.Context(), c, o, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().BoolVar(&o.SkipChat, "no-chat", false, "don't send the agent a message")
	cmd.Flags().BoolVar(&o.SkipExec, "no-exec", false, "don't run a command")
	cmd.Flags().BoolVar(&o.SkipSockets, "no-sockets", false, "don't open the terminal or the desktop")
	o.Patience = 15 * time.Second
	cmd.Flags().Var((*duration)(&o.Patience), "patience", "wait at most `TIME` for each answer")
	return cmd
}

func runDoctor(ctx context.Context, c *console, o doctor.Options, asJSON bool) error {
	o.Version = c.version
	o.Begin = func(step string) {
		if isTerminal(c.stderr) {
			c.say(dim, "checking: "+step)
		}
	}
	cfg, err := config.Read(c.environ)
	report := doctor.NewReport(o.Version, cfg.BaseURL)
	if err != nil {
		// The service's address may be what is wrong, and contain a password.
		report.Service = "(invalid configuration)"
		report.Add(doctor.Check{Name: "configuration", Level: doctor.Failed, Detail: strings.ReplaceAll(err.Error(), "\n", "; "), Advice: "openclaw-mcp help settings"})
		return printReport(c, report, asJSON)
	}
	report.Add(doctor.Check{Name: "configuration", Level: doctor.OK, Detail: "every setting is valid"})
	if c.local {
		var l *server.Local
		if l, cfg, err = server.StartLocal(cfg, cfg.Logger(c.stderr)); err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		report.Service = "local instance (" + l.SandboxInfo() + ")"
	}
	switch detail, err := server.TryFleet(ctx, cfg, cfg.Logger(c.stderr)); {
	case err != nil:
		report.Add(doctor.Check{Name: "shared work", Level: doctor.Warning, Detail: strings.ReplaceAll(err.Error(), "\n", "; "),
			Advice: "several server processes may do the same thing twice; OPENCLAW_MCP_NATS_URL (HTTP) and OPENCLAW_MCP_STATE_DIR (stdio) say where they meet"})
	case detail != "":
		report.Add(doctor.Check{Name: "shared work", Level: doctor.OK, Detail: detail})
	}
	rails := cfg.Rails()
	o.BaseURL, o.Key, o.Instance = cfg.BaseURL, string(cfg.APIKey), cfg.Instance
	o.AllowInstance, o.ReadOnly = rails.AllowInstance, cfg.ReadOnly
	o.TerminalFamily, o.DesktopPassword = cfg.TerminalFrames(), string(cfg.VNCPassword)
	if err := doctor.Examine(ctx, report, o); err != nil {
		if errors.Is(err, context.Canceled) {
			return errCancelled
		}
		return err
	}
	return printReport(c, report, asJSON)
}

// printReport prints the report, and to standard error what the service said.
func printReport(c *console, r *doctor.Report, asJSON bool) error {
	if asJSON {
		if err := printJSON(c.stdout, r); err != nil {
			return err
		}
	} else {
		r.Text(c.stdout)
	}
	said := false
	for _, check := range r.Checks {
		if check.Said == "" {
			continue
		}
		if !said {
			c.say(bold, "\nWhat the service said (not part of the report; it may contain private data):")
			said = true
		}
		c.say(dim, check.Name+": "+clean.Plain(check.Said))
	}
	if code := r.ExitCode(); code != 0 {
		return exitWith(code, "")
	}
	return nil
}

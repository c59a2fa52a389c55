package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/doctor"
	"openclaw-mcp/internal/emulator"
)

func doctorCommand() commandSpec {
	return commandSpec{
		name: "doctor", summary: "check configuration, key and service; print a report",
		details: "It reads, runs 'echo ok', sends the agent \"Reply with OK\" and looks at the terminal and the desktop for up to 3 seconds. It creates, reboots and shuts down nothing. " +
			"The report, on standard output, has the names of keys and no values, so it can be pasted into a bug report. What the service itself said of failures goes to standard error.\n\n" +
			"Exit codes: 0 all is well, 1 something is not as it should be, 2 the service can't be used or the configuration is wrong.",
		flags: []flagSpec{
			{"json", "", "print the report as JSON"},
			{"no-chat", "", "send the agent no message"},
			{"no-exec", "", "run no command"},
			{"no-sockets", "", "open neither terminal nor desktop"},
			{"patience", "TIME", "longest wait for one answer (15s)"},
			localFlag,
		},
		run: runDoctor,
	}
}

func runDoctor(ctx context.Context, c *console, in commandLine) error {
	o := doctor.Options{
		Version: programVersion(), SkipChat: in.on("no-chat"), SkipExec: in.on("no-exec"), SkipSockets: in.on("no-sockets"),
		Begin: func(step string) {
			if isTerminal(c.stderr) {
				c.say(dim, "looking at: "+step)
			}
		},
	}
	if p, ok := in.flags["patience"]; ok {
		var err error
		if o.Patience, err = time.ParseDuration(p); err != nil || o.Patience < 100*time.Millisecond || o.Patience > time.Hour {
			return usageError{fmt.Errorf("openclaw-mcp: --patience is %q; it must be a duration from 100ms to 1h, such as 15s", p)}
		}
	}
	cfg, err := readConfig(c.environ)
	report := doctor.NewReport(o.Version, cfg.BaseURL)
	if err != nil {
		// The service's address may be what is wrong, and hold a password.
		report.Service = "(wrong configuration)"
		report.Add(doctor.Check{Name: "configuration", Level: doctor.Failed, Detail: strings.ReplaceAll(err.Error(), "\n", "; "), Advice: "openclaw-mcp help settings"})
		return printReport(c, report, in.on("json"))
	}
	report.Add(doctor.Check{Name: "configuration", Level: doctor.OK, Detail: "every setting is valid"})
	if in.on("local") {
		l, err := startLocal(emulator.Options{Dir: cfg.LocalDir, VNC: cfg.LocalVNC, Logger: cfg.logger(c.stderr)})
		if err != nil {
			return err
		}
		defer l.close()
		cfg.BaseURL, cfg.APIKey, report.Service = l.url, secret(l.key), "embedded ("+l.service.SandboxInfo()+")"
	}
	rails := cfg.rails()
	o.BaseURL, o.Key, o.Instance = cfg.BaseURL, string(cfg.APIKey), cfg.Instance
	o.AllowInstance, o.ReadOnly = rails.AllowInstance, cfg.ReadOnly
	o.TerminalFamily, o.DesktopPassword = terminalFamily(cfg.TerminalFamily), string(cfg.VNCPassword)
	if err := doctor.Examine(ctx, report, o); err != nil {
		if errors.Is(err, context.Canceled) {
			return errCancelled
		}
		return err
	}
	return printReport(c, report, in.on("json"))
}

// printReport prints the report, and beside it what the service said.
func printReport(c *console, r *doctor.Report, asJSON bool) error {
	if asJSON {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, string(b))
	} else {
		r.Text(c.stdout)
	}
	said := false
	for _, check := range r.Checks {
		if check.Said == "" {
			continue
		}
		if !said {
			c.say(bold, "\nWhat was said (not part of the report, may hold what is yours):")
			said = true
		}
		c.say(dim, check.Name+": "+check.Said)
	}
	if code := r.ExitCode(); code != 0 {
		return exitWith(code, "")
	}
	return nil
}

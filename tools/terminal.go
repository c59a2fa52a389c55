package tools

import (
	"context"
	"strings"
	"time"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/text"
)

func terminalTools() []*Tool {
	return append([]*Tool{
		define(Spec{
			Name: "exec_command", Title: "Run a command", Family: "terminal", Effect: Destroys,
			Description: "Runs a shell command on the instance and returns its output (stdout and stderr in the order written) and exit code. It can change or delete anything there. A command that outlasts the call goes on: wait_run reads on with its `run`.",
			Props: map[string]Prop{
				"command":         {NotEmpty: true, Long: true},
				"timeout_seconds": between(1, 86400),
				"wait_seconds":    waitProp(),
				"background":      {},
				"idempotency_key": {MaxLength: 200},
			},
		}, execCommand),
	}, terminalSessionTools()...)
}

// maxCommand is more than Linux takes as a command, in bytes.
const maxCommand = 1 << 20

type execIn struct {
	Command        string `json:"command" jsonschema:"for the shell"`
	Instance       string `json:"instance,omitempty" jsonschema:"if several"`
	Cwd            string `json:"cwd,omitempty" jsonschema:"working directory"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty" jsonschema:"kill it after this long"`
	Background     bool   `json:"background,omitempty" jsonschema:"return at once"`
	Raw            bool   `json:"raw,omitempty" jsonschema:"keep control sequences"`
	WaitSeconds    *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
	IdempotencyKey string `json:"idempotency_key,omitempty" jsonschema:"any string; runs once per key"`
}

func execCommand(ctx context.Context, r *request, in execIn) (*runOut, error) {
	if strings.TrimSpace(in.Command) == "" {
		return nil, badArgument("argument \"command\" must not be blank")
	}
	if len(in.Command) > maxCommand {
		return nil, badArgument("argument \"command\" has %d bytes; it may have %d: write a longer script with write_file, and run that", len(in.Command), maxCommand)
	}
	if strings.Contains(in.Command, "\x00") {
		return nil, badArgument("argument \"command\" must have no NUL: a shell takes none; printf '\\0' prints one")
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return nil, err
	}
	if err := r.rails.command(in.Command); err != nil {
		return nil, err
	}
	seconds := in.WaitSeconds
	if in.Background && seconds == nil {
		seconds = new(int) // at once
	}
	wait, _, _ := r.runTime(ctx, seconds)
	timeout := time.Duration(in.TimeoutSeconds) * time.Second
	watched := r.Watched != nil && r.Watched(ctx)
	title := "exec: " + text.Line(text.Outgoing(in.Command), 80)
	run, err := r.Commands.Start(ctx, command.Request{
		Instance: id, Command: in.Command, Dir: in.Cwd, Timeout: timeout,
		// A model reads them as a person at a terminal does; a program may want them apart.
		Together: !r.wantsStructured(ctx),
		// What is sure to end within the wait, and is not watched, needs no files to be
		// followed by.
		Detach: in.Background || timeout == 0 || timeout > wait || watched,
		Wait:   wait, Inline: r.MaxResultChars, Watched: watched, Raw: in.Raw,
		IdempotencyKey: in.IdempotencyKey,
		Begins: func(run runs.Run) {
			r.resumable(ctx, standing{raw: in.Raw, until: time.Now().Add(wait)}, &reading{run: run})
			if r.Begins != nil {
				r.Begins(ctx, waitingFor(run.Kind(), title)(0), run.Handle())
			}
		},
	})
	if err != nil {
		return nil, err
	}
	defer run.Answered()
	r.stopOnCancel(ctx, run.Run)
	if in.Raw {
		r.verbatim(ctx)
	}
	out, err := r.waitFor(ctx, run.Run, title, seconds, in.Raw)
	if run.Joined != "" && err == nil {
		out.Notes = append([]string{run.Joined}, out.Notes...)
	}
	return out, err
}

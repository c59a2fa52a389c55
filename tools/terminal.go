package tools

import (
	"context"
	"strings"
	"time"

	"openclaw-mcp/runs"
)

func terminalTools() []*Tool {
	return append([]*Tool{
		define(Spec{
			Name: "exec_command", Title: "Run a command", Family: "terminal", Effect: Destroys,
			Description: "Runs a shell command on the instance and returns its output and exit code. It can DESTROY anything there. One that outlasts the call goes on and survives restarts: wait_run reads on with its `run`; background: true returns at once. Cancelling this request stops the command, unless the reason is a time-out; a lost connection never does.",
			Props: map[string]Prop{
				"command":         notEmpty(),
				"timeout_seconds": between(1, 86400),
				"wait_seconds":    waitProp(),
				"background":      {},
			},
		}, execCommand),
	}, terminalSessionTools()...)
}

type execIn struct {
	Command        string `json:"command"`
	Instance       string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Cwd            string `json:"cwd,omitempty" jsonschema:"working directory"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty" jsonschema:"the command is ended after this long"`
	Background     bool   `json:"background,omitempty" jsonschema:"run it on its own and return at once"`
	Raw            bool   `json:"raw,omitempty" jsonschema:"keep control sequences in output"`
	WaitSeconds    *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait; default and cap: the server's"`
}

func execCommand(ctx context.Context, r *request, in execIn) (*runOut, error) {
	if strings.TrimSpace(in.Command) == "" {
		return nil, badArgument("argument \"command\" must be a string that is not blank")
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
	wait, _ := r.waitTime(seconds)
	timeout := time.Duration(in.TimeoutSeconds) * time.Second
	run, err := r.Runs.StartCommand(ctx, runs.CommandRequest{
		Instance: id, Command: in.Command, Dir: in.Cwd, Timeout: timeout,
		// What is sure to end within the wait needs no files to be followed by.
		Detach: in.Background || timeout == 0 || timeout > wait,
		Wait:   wait, Inline: r.MaxResultChars,
	})
	if err != nil {
		return nil, err
	}
	r.stopOnCancel(ctx, run)
	return r.waitFor(ctx, run, seconds, in.Raw)
}

package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

const (
	killGone      = "the command's files are gone from the sandbox, and no process of it was found: there is nothing to stop"
	killPrevented = "the command had not started, and will not"
)

// kill ends a command in the sandbox. While its start is under way, it keeps one
// that is not there yet from starting.
func (svc *Service) kill(ctx context.Context, state runs.State, starting bool) (string, error) {
	report, err := killScript(state.ID, starting).Run(ctx, svc.c.Terminal, state.Instance, scriptTimeout)
	var no *sandbox.NoReport
	switch {
	case errors.As(err, &no):
		return "", fmt.Errorf("the sandbox did not confirm the kill: %w", err)
	case err != nil:
		return "", err
	}
	left := leftNote(report.Word(0))
	switch report.Verb {
	case "killed":
		if left == "" {
			return "the command was killed, with all that it started", nil
		}
		return "the command was killed; " + left, nil
	case "alive":
		return "", errors.New("the command was told to end and then killed, but " + left)
	case "over":
		return "the command had ended before", nil
	case "prevented":
		return killPrevented, nil
	case "gone":
		switch {
		case report.Word(0) == "unchecked":
			return "the command's files are gone from the sandbox, and without /proc it can't be found: it may run on", nil
		case left != "":
			return "the command's files are gone from the sandbox, and it was not found; " + left, nil
		}
		return killGone, nil
	}
	return "", fmt.Errorf("the sandbox did not confirm the kill: it says %q", runs.Clip(report.Verb))
}

// mostNamed is how many processes a note names.
const mostNamed = 20

// leftNote says what was not ended with a command, by the word of the script command_end.sh; "" is
// for nothing.
func leftNote(word string) string {
	kind, list, _ := strings.Cut(word, ",")
	var pids []string
	for pid := range strings.SplitSeq(list, ",") {
		if _, err := strconv.ParseUint(pid, 10, 32); err == nil {
			pids = append(pids, pid)
		}
	}
	names := strings.Join(pids[:min(len(pids), mostNamed)], ", ")
	if len(pids) > mostNamed {
		names += ", …"
	}
	switch kind {
	case "alive":
		return "some of its processes could not be ended: PID " + names
	case "apart":
		return "what it started in other sessions and let go runs on: PID " + names
	case "unchecked":
		return "only its own process group was looked at, since the sandbox has no /proc: what it started in others may run on"
	}
	return ""
}

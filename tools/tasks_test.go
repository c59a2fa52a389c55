package tools

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// A task's message is whole words for a person: how the run ended and why, in the room that
// there is.
func TestTaskMessages(t *testing.T) {
	t.Parallel()
	at := time.Now()
	two, no := 2, &client.Error{Op: "POST /instances/{id}/terminal/exec", Message: "the sandbox is not ready yet", Code: "agent_not_ready"}
	long := errors.New(strings.Repeat("the disk is full; ", 20))
	command := func(out string) *commandOut { return &commandOut{Stdout: out} }
	for name, tt := range map[string]struct {
		out  runOut
		u    runs.Update
		want string
	}{
		"exit code": {runOut{Status: "completed", commandOut: &commandOut{ExitCode: &two}, Started: "2026-07-28T10:00:00Z"}, runs.Update{Status: runs.StatusCompleted}, "completed, exit code 2"},
		"timed out": {runOut{Status: "timed_out", commandOut: &commandOut{ExitCode: &two}}, runs.Update{Status: runs.StatusCompleted}, "timed out, exit code 2"},
		"failed":    {runOut{Status: "failed", Error: no.Error(), err: no, Started: "2026-07-28T10:00:00Z"}, runs.Update{Status: runs.StatusFailed}, "failed: the sandbox is not ready yet"},
		"why":       {runOut{Status: "failed", Error: long.Error(), err: long, Session: strings.Repeat("s", 100)}, runs.Update{Status: runs.StatusFailed}, "failed: the disk is full; the disk is full; the disk"},
		"created":   {runOut{Status: "completed", creationOut: &creationOut{"ready"}}, runs.Update{Status: runs.StatusCompleted}, "completed, the instance is ready"},
		"cancelled": {runOut{Status: "cancelled", Started: "2026-07-28T10:00:00Z", LastActivity: "2026-07-28T10:00:00Z"}, runs.Update{Status: runs.StatusCancelled}, "cancelled"},
		"silent":    {runOut{}, runs.Update{Status: runs.StatusStalled}, "nothing has been heard of it for a while"},
		"working":   {runOut{commandOut: command("one\ntwo \n \n")}, runs.Update{Status: runs.StatusRunning}, "two"},
		"blank":     {runOut{commandOut: command(" \n")}, runs.Update{Status: runs.StatusRunning, Started: at}, "no output yet, 0 s"},
		"hidden":    {runOut{commandOut: command(strings.Repeat("a\u200b", 50))}, runs.Update{Status: runs.StatusRunning}, "a⟨U+200B⟩a⟨U+200B⟩"},
		"coloured":  {runOut{commandOut: command("\x1b[31mred\x1b[0m")}, runs.Update{Status: runs.StatusRunning}, "red"},
	} {
		got := tt.out.taskMessage(&tt.u)
		if !strings.HasPrefix(got, tt.want) || utf8.RuneCountInString(got) >= 128 {
			t.Errorf("%s: got %q (%d characters), want %q", name, got, utf8.RuneCountInString(got), tt.want)
		}
	}
}

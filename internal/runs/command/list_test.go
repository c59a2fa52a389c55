package command

import (
	"fmt"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// Commands that began in the same second are listed in the order in which they began, each
// time, the newest first.
func TestListOrder(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	began := time.Now().Truncate(time.Second)
	states := make([]runs.State, 20)
	for i := range states {
		states[i] = runs.NewState(runs.KindCommand, w.ID)
		states[i].Started = began
		w.m.commands.seen(states[i], false, runs.Update{Status: runs.StatusRunning, About: fmt.Sprint(i)})
	}
	w.m.commands.seen(states[3], true, runs.Update{Status: runs.StatusCompleted})
	for i, u := range w.m.List() {
		if want := fmt.Sprint(len(states) - 1 - i); u.About != want {
			t.Errorf("at %d is %s, want %s", i, u.About, want)
		}
	}
}

package command

import (
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// TestKillLeaves ends commands that left a daemon behind, and others that did not.
func TestKillLeaves(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	for _, tt := range []struct{ command, left string }{
		{"(setsid sh -c 'echo $$; exec sleep 987' &); sleep 600", "; what it started in other sessions and let go runs on: PID "},
		{"timeout 987 sh -c 'echo $$; exec sleep 987'; sleep 600", ""},
	} {
		for _, timeout := range []time.Duration{0, 2 * time.Second} {
			r := w.command(Request{Detach: true, Command: tt.command, Timeout: timeout})
			var pid string
			eventually(t, "the pid", func() bool { pid = strings.TrimSpace(output(runstest.Now(t, r)).Stdout.Head); return pid != "" })
			note := ""
			if timeout == 0 {
				var err error
				if note, err = r.Cancel(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			u := w.Done(r, nil)
			if want := strings.TrimPrefix(tt.left, "; "); want == "" && len(u.Notes) > 0 || want != "" && (len(u.Notes) != 1 || u.Notes[0] != want+pid) {
				t.Errorf("%s, limit %s: got %s, notes %q", tt.command, timeout, u.Status, u.Notes)
			}
			switch {
			case timeout == 0 && tt.left == "" && note != "the command was killed, with all that it started",
				timeout == 0 && tt.left != "" && note != "the command was killed"+tt.left+pid:
				t.Errorf("%s: got %q", tt.command, note)
			case timeout != 0 && (u.Status != runs.StatusCompleted || !output(u).TimedOut):
				t.Errorf("%s: got %s, %+v", tt.command, u.Status, output(u))
			}
			if got := strings.TrimSpace(w.sh("kill -9 " + pid + " 2>/dev/null && echo ran; true")); (got == "ran") != (tt.left != "") {
				t.Errorf("%s, limit %s: a kill of %s says %q", tt.command, timeout, pid, got)
			}
		}
	}
}

package tools

import (
	"encoding/json"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/transfers"
)

// TestRunResults holds what results tell of each kind of run: an object without
// levels, with what the kind has and nothing of the others.
func TestRunResults(t *testing.T) {
	t.Parallel()
	three := 3
	for name, c := range map[string]struct {
		update runs.Update
		json   string
		text   string
	}{
		"reply": {
			runs.Update{Kind: runs.KindChat, Session: "s", Text: "hi", Revised: true, Result: []client.ToolCall{{Name: "exec", Arguments: []byte(`{"command":"ls"}`), IsError: true}}},
			`{"status":"completed","kind":"chat","instance":"i","session":"s","reply":"hi","revised":true,"tools":[{"name":"exec","input":"{\"command\":\"ls\"}","failed":true}],"started":"2026-01-02T03:04:05Z"}`,
			"[the reply was revised; this is all of it so far]\nhi\n[status: completed, instance i, session s]\ntool: exec {\"command\":\"ls\"} (failed)",
		},
		"command": {
			runs.Update{Kind: runs.KindCommand, Result: &command.Output{Stdout: client.Output{Head: "out\n"}, Stderr: client.Output{Head: "err"}, ExitCode: &three}},
			`{"status":"completed","kind":"command","instance":"i","stdout":"out\n","stderr":"err","exit_code":3,"started":"2026-01-02T03:04:05Z"}`,
			"out\nstderr:\nerr\n[status: completed, exit code 3, instance i]",
		},
		"command that timed out": {
			runs.Update{Kind: runs.KindCommand, Result: &command.Output{Stdout: client.Output{Head: "out\n"}, TimedOut: true, Ended: true}},
			`{"status":"timed_out","kind":"command","instance":"i","stdout":"out\n","timed_out":true,"started":"2026-01-02T03:04:05Z","notes":["the command was ended at its time limit; give it more with timeout_seconds, or background: true"]}`,
			"out\n[status: timed out, instance i, started 2026-01-02T03:04:05Z]\nnote: the command was ended at its time limit; give it more with timeout_seconds, or background: true",
		},
		"command that reached its limit": {
			runs.Update{Kind: runs.KindCommand, Result: &command.Output{Stdout: client.Output{Head: "out\n"}, TimedOut: true}},
			`{"status":"timed_out","kind":"command","instance":"i","stdout":"out\n","timed_out":true,"started":"2026-01-02T03:04:05Z","notes":["the command reached its time limit, and nobody saw it end: it may run on; give it more with timeout_seconds, or background: true"]}`,
			"out\n[status: timed out, instance i, started 2026-01-02T03:04:05Z]\nnote: the command reached its time limit, and nobody saw it end: it may run on; give it more with timeout_seconds, or background: true",
		},
		"command whose output the service cut": {
			runs.Update{Kind: runs.KindCommand, Result: &command.Output{Stdout: client.Output{Head: "out\n"}, ExitCode: &three, Truncated: true}},
			`{"status":"completed","kind":"command","instance":"i","stdout":"out\n","exit_code":3,"started":"2026-01-02T03:04:05Z","notes":["the service says that it cut the output: not all of it is here"]}`,
			"out\n[status: completed, exit code 3, instance i]\nnote: the service says that it cut the output: not all of it is here",
		},
		"creation": {
			runs.Update{Kind: runs.KindCreate, Result: &client.Instance{ID: "i", Status: "ready"}},
			`{"status":"completed","kind":"create","instance":"i","instance_status":"ready","started":"2026-01-02T03:04:05Z"}`,
			"instance i is ready\n[status: completed, instance i]",
		},
		"transfer": {
			runs.Update{Kind: runs.KindDownload, Result: &transfers.Transfer{Local: "/l", Remote: "/r", Files: 1, TotalFiles: 2, Bytes: 3, TotalBytes: 4}},
			`{"status":"completed","kind":"download","instance":"i","transfer":{"local_path":"/l","path":"/r","files":1,"total_files":2,"bytes":3,"total_bytes":4},"started":"2026-01-02T03:04:05Z"}`,
			"/r to /l: 1 of 2 files in place, 3 of 4 bytes\n[status: completed, instance i]",
		},
		"nothing yet": {
			runs.Update{Kind: runs.KindCommand},
			`{"status":"completed","kind":"command","instance":"i","started":"2026-01-02T03:04:05Z"}`,
			"[status: completed, instance i]",
		},
	} {
		c.update.Status, c.update.Instance, c.update.Handle = runs.StatusCompleted, "i", "run_x"
		c.update.Started = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		r := &request{Deps: &Deps{MaxResultChars: 1000}, Services: &Services{}}
		out := r.runOut(t.Context(), &c.update, false)
		got, err := json.Marshal(out)
		if err != nil || string(got) != c.json {
			t.Errorf("%s: got %s, %v\nwant %s", name, got, err, c.json)
		}
		if got := out.text(); got != c.text {
			t.Errorf("%s: got %q\nwant %q", name, got, c.text)
		}
	}
}

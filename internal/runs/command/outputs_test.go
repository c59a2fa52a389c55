package command

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// watcher is told of an output, and keeps none of it.
type watcher struct{ runs.NoProgress }

func heap() int {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc)
}

// What the list remembers of commands that ended has none of what they wrote. It once had what
// the last look at each had read.
func TestListKeepsNoOutputs(t *testing.T) {
	w := start(t, emulatortest.Options{})
	end := func() {
		r := w.command(soon("head -c 500000 /dev/zero | tr '\\0' a; head -c 500000 /dev/zero | tr '\\0' b >&2"))
		u, err := r.Wait(t.Context(), runs.UntilDone, 400_000, watcher{})
		if err != nil || u.Status != runs.StatusCompleted || output(u).StdoutSize+output(u).StderrSize != 1_000_000 {
			t.Fatalf("got %+v, %v", u, err)
		}
	}
	end() // what all share is there then
	before, n := heap(), 12
	for range n {
		end()
	}
	if each := (heap() - before) / n; each > 50_000 {
		t.Errorf("%d bytes are kept of each", each)
	}
	runtime.KeepAlive(w)
}

// The answers of commands that ended at once share the room of all runs: those that ended first
// are read from their files again, and where there are none, that is said. They once were kept
// for 15 minutes, and those of sandboxes that can't detach for two days, whatever they took.
func TestAnswersShareRoom(t *testing.T) {
	t.Parallel()
	const size = 300_000
	printed := strings.Repeat("x", size-1) + "\n"
	asIs := func(s string) string { return s }
	for name, tt := range map[string]struct {
		wrap   func(string) string
		answer string // of a service whose commands no shell reads
		lost   string // what is said of an output that is neither here nor in files
	}{
		"files":    {wrap: asIs},
		"no shell": {wrap: asIs, answer: fmt.Sprintf(`{"stdout":%q,"exit_code":0}`, printed), lost: "not kept here any more"},
		"direct":   {wrap: func(s string) string { return strings.ReplaceAll(s, "/tmp/openclaw-mcp", "/proc/none") }, lost: "kept it no longer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startBehind(t, emulatortest.Options{}, runstest.Wrapped(tt.wrap))
			w.Texts = runs.NewBudget(1 << 20)
			callers := []*process{w.process(testKey, "alice"), w.process(testKey, "bob")}
			if tt.answer != "" {
				w.Srv.SetFaults(emulatortest.Fault{Endpoint: execEndpoint, Status: 200, Body: tt.answer})
			}
			read := func(caller int, state runs.State) (u *runs.Update, calls int) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if tt.answer != "" {
					cancel() // asking again does not help
				}
				before := w.Srv.Calls(execEndpoint)
				u, err := w.open(callers[caller], callers[caller].Seal(state)).Wait(ctx, runs.UntilDone, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				return u, w.Srv.Calls(execEndpoint) - before
			}
			var states []runs.State
			for i := range 5 {
				w.m = callers[i%2]
				w.m.commands.beginWait = time.Minute // however busy the machine is
				req := soon(fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; echo", size-1))
				req.Inline = size
				r := w.command(req)
				if u := w.Done(r, nil); u.Status != runs.StatusCompleted || output(u).Stdout.Head+output(u).Stdout.Tail != printed {
					t.Fatalf("%d: got %s, %v, %d bytes", i, u.Status, u.Err, len(output(u).Stdout.Head))
				}
				states = append(states, r.(*detached).state)
			}
			if u, calls := read(0, states[4]); u.Status != runs.StatusCompleted || output(u).Stdout.Head != printed || calls != 0 {
				t.Errorf("the last: got %s, %v, %d bytes, %d requests", u.Status, u.Err, len(output(u).Stdout.Head), calls)
			}
			u, calls := read(0, states[0])
			if tt.lost == "" {
				if u.Status != runs.StatusCompleted || output(u).Stdout.Head != printed || code(u) != "0" || calls == 0 {
					t.Errorf("the first: got %s, %v, %d bytes, code %s, %d requests", u.Status, u.Err, len(output(u).Stdout.Head), code(u), calls)
				}
				w.sh("rm -rf " + w.folderOf(states[1]))
				u, _ = read(1, states[1])
				tt.lost = "gone from the sandbox"
			}
			if u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), tt.lost) {
				t.Errorf("without files: got %s, %v, %+.300v", u.Status, u.Err, output(u))
			}
		})
	}
}

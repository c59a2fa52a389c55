package command

import (
	"runtime"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
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

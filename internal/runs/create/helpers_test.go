package create

import (
	"context"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// process is what a process of this program has of creations.
type process struct {
	*runs.Manager
	creations *Service
}

// world is an upstream and a process.
type world struct {
	*runstest.Upstream
	m *process
}

func start(t *testing.T, opts emulatortest.Options) *world {
	t.Helper()
	w := &world{Upstream: runstest.Start(t, opts, nil)}
	w.m = w.process(runstest.Key, "")
	return w
}

func (w *world) process(key, principal string) *process {
	w.Helper()
	m := w.Manager(key, principal)
	p := &process{m, New(m)}
	p.creations.timing = timing{
		pollMin: 25 * time.Millisecond, pollMax: 200 * time.Millisecond,
		unclear: 3 * time.Second, appear: 600 * time.Millisecond, giveUp: time.Minute,
	}
	return p
}

func (w *world) open(m *process, handle string) runs.Run {
	w.Helper()
	return w.Open(m.Manager, handle)
}

// ownInstance has a process know that the fixture's own instance is not the one
// that a lost creation brings.
func (w *world) ownInstance(p *process) {
	w.Helper()
	n := &creation{s: p.creations, Live: p.NewLive(runs.NewState(runs.KindCreate, w.ID))}
	if err := p.Start(w.Context(), n.Live, n, func(context.Context) { n.End(runs.StatusCompleted, nil) }); err != nil {
		w.Fatal(err)
	}
	<-n.Done()
}

// created is the instance that an update tells of.
func created(u *runs.Update) *client.Instance {
	in, _ := u.Result.(*client.Instance)
	return in
}

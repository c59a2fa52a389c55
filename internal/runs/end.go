package runs

import (
	"context"
	"encoding/json"
	"errors"

	"openclaw-mcp/client"
)

// maxResult is how large a result is that is kept. A longer one is read again where it came
// from.
const maxResult = 64 << 10

// lastReport tells how the run ended; nil where it has not, or where that is too long to keep.
func (l *Live) lastReport() []byte {
	l.mu.Lock()
	t := teller{l: l}
	r := t.next()
	l.mu.Unlock()
	r.Lines, r.Silent = nil, 0 // how it came about is of no interest any more
	if b, err := json.Marshal(r); err == nil && len(b) <= maxResult && r.Status != "" {
		return b
	}
	return nil
}

// endAs ends the run as a lastReport tells, and reports false where it tells nothing.
func (l *Live) endAs(b []byte) bool {
	var r report
	if len(b) == 0 || json.Unmarshal(b, &r) != nil || r.Status == "" {
		return false
	}
	var err error
	l.Change(func() { err = l.take(r) })
	return err == nil
}

func endFact(id string) string { return "end/" + id }

// KeepEnd keeps how the run of a handle ends, where this process follows it, so that whoever
// takes it up after that knows at once.
func (m *Manager) KeepEnd(handle string) {
	state, err := m.Inspect(handle)
	if err != nil {
		return
	}
	m.mu.Lock()
	l := m.live[state.ID]
	m.mu.Unlock()
	if l == nil {
		return
	}
	_ = m.Go(func() { // else the server is ending
		select {
		case <-l.done:
		case <-m.base.Done():
			return
		}
		if e, ok := errors.AsType[*client.Error](l.Err()); ok && e.Outcome == client.OutcomeUnknown {
			return // whoever takes it up may find out more
		}
		b := l.lastReport()
		if b == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), noteTime)
		defer cancel()
		if _, _, err := m.Config.Fleet.Create(ctx, endFact(state.ID), b); err != nil {
			m.Config.Log.Debug("the end of a run could not be kept", "error", err)
		}
	})
}

// endKept ends a run that was taken up as KeepEnd kept it, and reports false where it did not.
func (l *Live) endKept(ctx context.Context) bool {
	fact, ok, err := l.m.Config.Fleet.Find(ctx, endFact(l.State().ID))
	return err == nil && ok && l.endAs(fact.Value)
}

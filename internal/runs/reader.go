package runs

import (
	"context"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/text"
)

// reader is a Run that this process follows.
type reader struct {
	*Live
	at    State // how far it was read: the cursor alone counts
	waits int   // how many waits of this reader are under way; under Live.mu
}

// Reader reads the run from where the cursor of at is.
func (l *Live) Reader(at State) Run { return &reader{Live: l, at: at} }

func (r *reader) Kind() Kind       { return r.state.Kind }
func (r *reader) Instance() string { return r.State().Instance }

func (r *reader) Handle() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m.Seal(r.state.readTo(r.at))
}

// Cancel stops the run where it is: another process may have it.
func (r *reader) Cancel(ctx context.Context) (string, error) {
	if _, over := r.endedAt(); r.Resumed() && !over {
		if note, ok, err := r.stopOwner(ctx); ok && err == nil {
			r.Stop()
			return note, nil
		}
	}
	return r.Stop(), nil
}

func (r *reader) OtherWaits() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiters - r.waits
}

func (r *reader) Wait(ctx context.Context, until Until, limit int, p Progress) (*Update, error) {
	if p == nil {
		p = NoProgress{}
	}
	if r.count(1) {
		r.m.revive(r.Live)
	}
	defer r.count(-1)
	r.wait(ctx, until, p)
	return r.read(limit), nil
}

// count adds to the waits that are under way, and reports whether nobody
// follows the run.
func (r *reader) count(n int) (left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits += n
	r.waiters += n
	return r.left
}

// wait waits as Run.Wait does. Thousands of calls may wait here, and their stacks
// are most of what they take: what they need only before and after is not on it.
func (r *reader) wait(ctx context.Context, until Until, p Progress) {
	r.mu.Lock()
	stalled := r.statusAt(time.Now()) == StatusStalled
	// Progress starts where the reading does, which may be ahead of a reply that
	// was taken up again.
	told := r.said.shownAt(int(r.at.Read), r.at.Check)
	r.mu.Unlock()
	stall := time.NewTimer(r.m.Config.StallAfter)
	defer stall.Stop()
	for {
		r.mu.Lock()
		text, at, lines := r.said.rest(&told)
		status := r.statusAt(time.Now())
		silent := time.Since(r.lastActivity)
		changed := r.nextChange()
		news := until == UntilNews && (len(r.said.text) > int(r.at.Read) || r.revised())
		r.mu.Unlock()

		if text != "" || len(lines) > 0 {
			Upto(p, State{Read: int64(told.text), Check: told.check}, func() { replay(p, text, at, lines) })
		}
		if status.Over() || (status == StatusStalled && !stalled) || news ||
			ctx.Err() != nil || r.m.base.Err() != nil {
			return
		}
		if stalled = status == StatusStalled; !stalled {
			stall.Reset(max(r.m.Config.StallAfter-silent, time.Millisecond))
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-r.m.base.Done(): // nothing changes any more
		case <-stall.C:
		}
	}
}

// read gives what is behind the reader's cursor.
func (r *reader) read(limit int) *Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, to, all := r.update(), r.at, r.said.text
	from := to.Read
	switch {
	case r.revised():
		u.Revised = true
		from = 0
	case from > int64(len(all)):
		// Taken up again, the reply is not as far as it was read before.
		u.Handle = r.m.Seal(r.state.readTo(to))
		return u
	}
	to.Read = int64(len(all))
	if limit > 0 && to.Read-from > int64(limit) {
		// A character at least, so that reading goes on.
		to.Read = from + int64(len(text.Head(all[from:], max(limit, utf8.UTFMax))))
		u.More = to.Read < int64(len(all))
	}
	u.Text = string(all[from:to.Read])
	to.Check = Checksum(all[:to.Read])
	u.Handle = r.m.Seal(r.state.readTo(to))
	return u
}

// revised reports whether what was read up to the cursor is no longer how the
// reply begins; Live.mu is held.
func (r *reader) revised() bool {
	text := r.said.text
	if r.at.Read > int64(len(text)) {
		return !r.Resumed() || r.status.Over()
	}
	return r.at.Read > 0 && Checksum(text[:r.at.Read]) != r.at.Check
}

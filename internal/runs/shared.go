package runs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
)

// errDisowned is for who follows a run that is no longer this process's.
var errDisowned = errors.New("this process no longer has the run")

const (
	// joinPause lets words that come together travel together.
	joinPause = 2 * time.Millisecond
	// grace is how long nobody seems to have a run that somebody has only just begun:
	// word of it takes a moment to get around.
	grace = 150 * time.Millisecond
)

// report is what the process that has a run tells another one, piece by piece.
type report struct {
	State  []byte          `json:"s"`
	About  string          `json:"b,omitempty"`
	From   int             `json:"f,omitempty"` // Text replaces what is behind this
	Text   []byte          `json:"t,omitempty"`
	Lines  []reportLine    `json:"l,omitempty"`
	Notes  []string        `json:"n,omitempty"`
	Shared json.RawMessage `json:"r,omitempty"` // Work.Shared, where it has changed
	Silent time.Duration   `json:"q,omitempty"`
	Status Status          `json:"e,omitempty"` // once it has ended
	Err    *reportError    `json:"x,omitempty"`
}

type reportLine struct {
	At   int    `json:"a,omitempty"`
	Text string `json:"t"`
}

// reportError is an error as another process tells it: of the service's, all that
// callers go by.
type reportError struct {
	Text       string         `json:"t"`
	Op         string         `json:"o,omitempty"`
	Message    string         `json:"m,omitempty"`
	Code       string         `json:"c,omitempty"`
	RequestID  string         `json:"i,omitempty"`
	Status     int            `json:"s,omitempty"`
	RetryAfter time.Duration  `json:"r,omitempty"`
	Outcome    client.Outcome `json:"u,omitempty"`
}

func tellError(err error) *reportError {
	if err == nil {
		return nil
	}
	r := &reportError{Text: err.Error()}
	if e, ok := errors.AsType[*client.Error](err); ok {
		r.Op, r.Message, r.Code, r.RequestID, r.Status, r.RetryAfter, r.Outcome = e.Op, e.Message, e.Code, e.RequestID, e.Status, e.RetryAfter, e.Outcome
	}
	return r
}

// toldError reads as the error of the other process does.
type toldError struct {
	text string
	err  error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.err }

func (r *reportError) error() error {
	if r == nil {
		return nil
	}
	e := &toldError{text: r.Text}
	if r.Op != "" || r.Message != "" || r.Outcome != "" || r.Status != 0 {
		e.err = &client.Error{Op: r.Op, Message: r.Message, Code: r.Code, RequestID: r.RequestID, Status: r.Status, RetryAfter: r.RetryAfter, Outcome: r.Outcome}
	}
	return e
}

// teller is one report after the other, to one who listens.
type teller struct {
	l      *Live
	told   shown
	shared string
}

// next gives what is new; l.mu is held.
func (t *teller) next() report {
	l := t.l
	text, at, lines := l.said.rest(&t.told)
	r := report{State: l.state.marshal(), About: l.about, From: at, Text: []byte(text), Notes: l.notes, Silent: time.Since(l.lastActivity), Err: tellError(l.err)}
	for _, ln := range lines {
		r.Lines = append(r.Lines, reportLine{ln.at, ln.text})
	}
	if l.status.Over() {
		r.Status = l.status
	}
	if b, err := json.Marshal(l.work.Shared()); err == nil && string(b) != t.shared {
		r.Shared, t.shared = b, string(b)
	}
	return r
}

// What is asked of who has a run.
const (
	askReports = "reports"
	askStop    = "stop"
	askPing    = "ping"
)

func runName(id string) string { return "run/" + id }

// offer has the principal's other processes read the run live, and stop it, for as
// long as it is kept here; m.mu is held.
func (m *Manager) offer(l *Live) {
	offered, cancel := context.WithCancel(m.base)
	stop, err := m.Config.Fleet.Serve(runName(l.state.ID), func(ctx context.Context, what []byte, part func([]byte) error) ([]byte, error) {
		switch string(what) {
		case askStop:
			return []byte(l.Stop()), nil
		case askPing:
			return nil, nil
		}
		return nil, l.report(ctx, offered, part)
	})
	if err != nil {
		cancel()
		m.Config.Log.Debug("other processes can't follow a run live", "error", err)
		return
	}
	l.withdraw = func() { stop(); cancel() }
}

// withdrawn ends what offer began; m.mu is held.
func (l *Live) withdrawn() {
	if l.withdraw != nil {
		l.withdraw()
		l.withdraw = nil
	}
}

// report tells another process all of the run, to its end, or for as long as it is
// this process's.
func (l *Live) report(ctx, offered context.Context, part func([]byte) error) error {
	t := teller{l: l}
	for {
		l.mu.Lock()
		r := t.next()
		changed := l.nextChange()
		l.mu.Unlock()
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := part(b); err != nil || r.Status != "" {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-offered.Done():
			return errDisowned
		}
		if !Pause(ctx, joinPause) {
			return ctx.Err()
		}
	}
}

// take takes in what another process tells of the run; l.mu is held.
func (l *Live) take(r report) error {
	state, err := unmarshalHandle(r.State)
	if err != nil {
		return err
	}
	if err := l.takeShared(r.Shared); err != nil {
		return err
	}
	l.state, l.about, l.notes = state, cmp.Or(r.About, l.about), r.Notes
	l.said.take(r.From, r.Text, r.Lines, r.Status != "")
	l.lastActivity = time.Now().Add(-r.Silent)
	if r.Status != "" {
		l.finish(r.Status, r.Err.error())
	} else {
		l.knownToGoOn()
	}
	return nil
}

func (l *Live) takeShared(b json.RawMessage) error {
	into := l.work.Shared()
	if len(b) == 0 || into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// take continues the text from a place on, with lines between. Who asks again is told
// all again: only what differs is a revision. Text beyond what is told stays, unless
// that is the whole.
func (t *transcript) take(from int, more []byte, lines []reportLine, whole bool) {
	same := 0
	for from+same < len(t.text) && same < len(more) && t.text[from+same] == more[same] {
		same++
	}
	for same > 0 && same < len(more) && !utf8.RuneStart(more[same]) {
		same--
	}
	from, more = from+same, more[same:]
	if from < len(t.text) && (len(more) > 0 || whole) {
		t.revise(from)
		for i := range t.lines {
			t.lines[i].at = min(t.lines[i].at, from)
		}
		t.text = t.text[:from]
	}
	t.text = append(t.text, more...)
	for _, ln := range lines {
		t.addLine(ln.Text)
		t.lines[len(t.lines)-1].at = min(max(ln.At, 0), len(t.text))
	}
}

// FollowOwner follows a run from the process of the same principal that has it, and
// reports whether it came to its end there. It returns false where no process has it,
// or where that one is gone.
func (l *Live) FollowOwner(ctx context.Context) (over bool) {
	for tries := 0; ; tries++ {
		err := l.followOwner(ctx)
		_, over = l.endedAt()
		if over || ctx.Err() != nil || !errors.Is(err, fleet.ErrGone) || tries > 0 || time.Since(l.State().Started) > time.Minute {
			return over
		}
		if !Pause(ctx, grace) {
			return false
		}
	}
}

func (l *Live) followOwner(ctx context.Context) error {
	for part, err := range l.m.Config.Fleet.Ask(ctx, runName(l.State().ID), []byte(askReports)) {
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(part, &r); err != nil {
			return err
		}
		l.Change(func() {
			if err = l.take(r); err == nil && !l.owned {
				l.owned = true
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Owned reports whether another process has been heard of that has the run.
func (l *Live) Owned() (owned bool) {
	l.Locked(func() { owned = l.owned })
	return owned
}

// Own makes a run that was taken up this process's own: others follow it from here.
func (m *Manager) Own(l *Live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.resumed.Store(false)
	if l.withdrawn(); m.live[l.state.ID] == l && m.base.Err() == nil {
		m.offer(l)
	}
}

// Disown makes it another process's: it is followed from there.
func (m *Manager) Disown(l *Live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.resumed.Store(true)
	l.withdrawn()
}

// stopOwner has the process that has the run stop it, and gives its word. ok is false
// where no process has it.
func (l *Live) stopOwner(ctx context.Context) (note string, ok bool, err error) {
	for part, err := range l.m.Config.Fleet.Ask(ctx, runName(l.State().ID), []byte(askStop)) {
		switch {
		case errors.Is(err, fleet.ErrGone):
			return "", false, nil
		case err != nil:
			return "", true, err
		}
		note = string(part)
	}
	return note, true, nil
}

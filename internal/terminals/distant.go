package terminals

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/owner"
)

// question is a call for a terminal that another process has open.
type question struct {
	Write  *Input  `json:"write,omitempty"` // with Wait
	Wait   Wait    `json:"wait,omitzero"`
	Read   *Query  `json:"read,omitempty"`
	Follow *Follow `json:"follow,omitempty"`
	Use    *Use    `json:"use,omitempty"`
	Close  bool    `json:"close,omitempty"`
}

// harmless reports whether it can be asked again.
func (q question) harmless() bool { return q.Read != nil || q.Follow != nil || q.Close }

type answer struct {
	View    View           `json:"view,omitzero"`
	Piece   Piece          `json:"piece,omitzero"`
	State   State          `json:"state,omitzero"`
	Ended   *EndedError    `json:"ended,omitempty"`
	Input   string         `json:"input,omitempty"` // what is wrong with it
	Trouble *owner.Trouble `json:"trouble,omitempty"`
}

// answerOf has a terminal answer.
func answerOf(ctx context.Context, s Session, q question) (a answer) {
	var err error
	switch {
	case q.Write != nil:
		a.View, err = s.Write(ctx, *q.Write, q.Wait)
	case q.Read != nil:
		a.View, err = s.Read(ctx, *q.Read)
	case q.Follow != nil:
		a.Piece, err = s.Follow(ctx, *q.Follow)
	case q.Use != nil:
		a.State, err = s.Use(ctx, *q.Use)
	case q.Close:
		a.View, err = s.Close(ctx)
	}
	var input *InputError
	switch {
	case errors.As(err, &a.Ended):
	case errors.As(err, &input):
		a.Input = input.Error()
	default:
		a.Trouble = owner.TroubleOf(err)
	}
	return a
}

func (a answer) err() error {
	switch {
	case a.Ended != nil:
		return a.Ended
	case a.Input != "":
		return &InputError{errors.New(a.Input)}
	}
	return a.Trouble.Err()
}

// serviceName is what the process with a terminal serves.
func serviceName(id string) string { return "terminal/" + hex.EncodeToString([]byte(id)) }

// serve lets other processes use a terminal of this one, until it is forgotten. That
// it can't is no reason not to have the terminal.
func (m *Manager) serve(t *terminal) {
	stop, err := owner.Serve(m.cfg.Fleet, serviceName(t.id), func(ctx context.Context, q question) answer { return answerOf(ctx, t, q) })
	if err != nil {
		m.cfg.Log.Warn("other processes of this server can't reach a terminal of this one", "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[t.id] != t || m.closed {
		stop()
		return
	}
	m.served[t.id] = stop
}

// distant is a terminal that another process opened.
type distant struct {
	m *Manager
	h handleState
}

// ask has the process with the terminal answer, or else takes the terminal up.
func (d *distant) ask(ctx context.Context, q question) (answer, error) {
	a, err := owner.Ask[question, answer](ctx, d.m.cfg.Fleet, serviceName(d.h.id), q)
	switch {
	case err == nil:
		return a, a.err()
	case ctx.Err() != nil:
		return a, ctx.Err()
	case errors.Is(err, fleet.ErrGone), d.h.kept && errors.Is(err, fleet.ErrAway):
	case errors.Is(err, fleet.ErrAway):
		return a, &client.Error{Op: terminalOp, Message: "the process of this server that has the terminal can't be reached now; nothing was typed", Err: err, Outcome: client.OutcomeNotSent}
	case errors.Is(err, fleet.ErrLost) && d.h.kept && q.harmless():
	case errors.Is(err, fleet.ErrLost):
		return a, &client.Error{Op: terminalOp, Message: "the process of this server that had the terminal ended or hung in the middle; read_terminal shows whether something was typed", Err: err, Outcome: client.OutcomeUnknown}
	default:
		return a, err
	}
	s, err := d.m.adopt(ctx, d.h)
	if err != nil {
		return answer{}, err
	}
	a = answerOf(ctx, s, q)
	return a, a.err()
}

const terminalOp = "GET /instances/{id}/terminal/ws"

// Write implements [Session].
func (d *distant) Write(ctx context.Context, in Input, w Wait) (View, error) {
	a, err := d.ask(ctx, question{Write: &in, Wait: w})
	return a.View, err
}

// Read implements [Session].
func (d *distant) Read(ctx context.Context, q Query) (View, error) {
	a, err := d.ask(ctx, question{Read: &q})
	return a.View, err
}

// Close implements [Session].
func (d *distant) Close(ctx context.Context) (View, error) {
	a, err := d.ask(ctx, question{Close: true})
	return a.View, err
}

// Follow implements [Session].
func (d *distant) Follow(ctx context.Context, f Follow) (Piece, error) {
	a, err := d.ask(ctx, question{Follow: &f})
	return a.Piece, err
}

// Use implements [Session].
func (d *distant) Use(ctx context.Context, u Use) (State, error) {
	a, err := d.ask(ctx, question{Use: &u})
	return a.State, err
}

// adopt connects with a kept shell. What its screen shows and what has scrolled
// off comes with it; nothing is typed.
func (m *Manager) adopt(ctx context.Context, h handleState) (Session, error) {
	if !h.kept {
		return nil, ErrElsewhere
	}
	for {
		if s, ok := m.cfg.Directory.Get(h.id); ok {
			return s, nil
		}
		m.mu.Lock()
		other := m.adopts[h.id]
		if other == nil {
			break // with the lock
		}
		m.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	done := make(chan struct{})
	m.adopts[h.id] = done
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.adopts, h.id)
		m.mu.Unlock()
		close(done)
	}()
	if s, ok := m.cfg.Directory.Get(h.id); ok {
		return s, nil // just now
	}
	return m.takeUp(ctx, h)
}

// ticks is by how much the output of a terminal is taken to grow in a second at
// most: offsets that one process gave mean nothing else to the next.
const ticks = 1 << 20

func (m *Manager) takeUp(ctx context.Context, h handleState) (Session, error) {
	p, err := m.prepare(ctx, h.instance, h.id, false, 0, 0)
	if err != nil {
		return nil, untouched(err)
	}
	if err := m.reserve(h.id, p.cols, p.rows); err != nil {
		return nil, err
	}
	o := client.TerminalOptions{Cols: p.cols, Rows: p.rows, Family: m.cfg.Family}
	conn, shown, err := m.attach(ctx, h.instance, h.id, o, p, false)
	if err != nil {
		m.release(h.id, false)
		return nil, untouched(err)
	}
	t := m.newTerminal(h.id, h.instance, o, conn, p)
	t.heard, t.base = true, ticks+int64(p.age/time.Second)*ticks
	t.read = t.base
	t.log.begin(t.base)
	if shown != nil {
		t.show(shown)
	} else {
		t.notes = append(t.notes, p.keeper+" keeps the shell, but not its screen: what was there before is not shown")
	}
	if err := m.enter(t); err != nil {
		return nil, err
	}
	m.cfg.Log.Debug("a terminal was taken up again", "instance", h.instance, "keeper", p.keeper)
	return t, nil
}

// untouched says of an error on the way to a terminal that nothing was typed.
func untouched(err error) error {
	var gone *shellGone
	if errors.As(err, &gone) {
		return &EndedError{StatusExited, gone.Error()}
	}
	return &client.Error{Op: terminalOp, Message: "the terminal can't be reached; nothing was typed: " + err.Error(), Err: err, Outcome: client.OutcomeNotSent}
}

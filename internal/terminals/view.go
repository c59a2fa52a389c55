package terminals

import (
	"context"
	"fmt"
	"strings"
)

// Read implements [Session].
func (t *terminal) Read(ctx context.Context, q Query) (View, error) {
	t.touch()
	m, err := newMatcher(q.Wait)
	if err != nil {
		return View{}, err
	}
	t.mu.Lock()
	if q.Part == PartNew && q.Cursor < 0 {
		q.Cursor = t.read
	}
	m.since, m.any, m.line = t.read, true, t.screen.line()
	if q.Part == PartNew {
		m.since = q.Cursor
	}
	t.mu.Unlock()
	ended, err := t.wait(ctx, q.Wait, m)
	if err != nil {
		return View{}, err
	}
	t.touch()
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.view(q)
	v.Ended, v.Left = ended, t.screen.history.total() > m.line
	if q.Part == PartNew {
		t.read = v.Cursor
	}
	return v, nil
}

// view shows a part. It holds t.mu.
func (t *terminal) view(q Query) View {
	s := t.screen
	v := View{
		Instance: t.instance, Status: t.status, Reason: t.reason, ExitCode: t.exitCode,
		Family: string(t.options.Family), Cols: s.cols, Rows: s.rows, Hidden: s.hidden, FullScreen: s.fullScreen(),
		Title: s.title, Notes: t.notes,
	}
	v.Row, v.Col = s.position()
	t.notes = nil
	if t.conn != nil {
		v.Family = string(t.conn.Family())
		if t.place.keeper == "" && !t.conn.CanResize() {
			v.Notes = append(v.Notes, "the service can't be told the size of this terminal; if its shell assumes another size, type: stty cols "+
				fmt.Sprintf("%d rows %d", s.cols, s.rows))
		}
	}
	if t.problem != "" {
		v.Notes = append(v.Notes, "the service says: "+t.problem)
		t.problem = ""
	}
	switch q.Part {
	case PartNew:
		v.Text, v.Cursor, v.Dropped = t.log.since(q.Cursor, q.Limit)
		v.More = v.Cursor < t.log.end()
		if end := t.log.end(); q.Cursor > end {
			// From there on, what comes next would be left out.
			v.Cursor = end
			v.Notes = append(v.Notes, fmt.Sprintf("the output ends at %d, before cursor %d", end, q.Cursor))
		}
		if q.Cursor < t.base {
			v.Dropped = 0
			v.Notes = append(v.Notes, "what was printed before this server took the terminal up again is on the screen and in the scrollback only")
		}
	case PartHistory:
		v.Text, v.First, v.Cursor, v.Dropped = s.history.read(q.Cursor, q.Limit)
		v.More = v.Cursor < s.history.total()
	default:
		v.Text, v.Cursor = s.text(), t.read
	}
	return v
}

// InputError says that the input can't be typed.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *InputError) Unwrap() error { return e.Err }

// EndedError says that the terminal is no longer open.
type EndedError struct {
	Status Status
	Reason string
}

func (e *EndedError) Error() string {
	if e.Status == StatusExited {
		return "this terminal has closed: " + strings.Replace(e.Reason, "the shell", "its shell", 1)
	}
	return fmt.Sprintf("nothing was typed: this terminal is %s: %s", e.Status, e.Reason)
}

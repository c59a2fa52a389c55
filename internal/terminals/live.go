package terminals

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// A page that shows a terminal to a person has an emulator of its own, with colours.
// It gets the output as it came, also that of full-screen programs, and types what
// its person types.

// Follow says what output a page has, and how long to wait for more.
type Follow struct {
	Cursor int64 // where the last piece ended; below zero: it has nothing
	Wait   time.Duration
	Seen   string // of the last piece: a change of the state ends the wait, too
}

// State is what a page shows of a terminal besides its output.
type State struct {
	Status     Status `json:"status"`
	Reason     string `json:"reason,omitempty"` // why it is not open
	ExitCode   *int   `json:"exit_code,omitempty"`
	Cols       int    `json:"cols"`
	Rows       int    `json:"rows"`
	CanResize  bool   `json:"can_resize"`
	Title      string `json:"title,omitempty"`
	Connecting bool   `json:"connecting,omitempty"` // the connection broke, and is being made again
	Person     bool   `json:"person"`               // a person has it, and the model may only look
}

// tag tells states apart.
func (s State) tag() string {
	code := "-"
	if s.ExitCode != nil {
		code = strconv.Itoa(*s.ExitCode)
	}
	s.ExitCode = nil
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, s, code) // a hash takes everything
	return strconv.FormatUint(h.Sum64(), 36)
}

// Piece is a piece of output and the state behind it.
type Piece struct {
	State
	Data   string
	Cursor int64
	Reset  bool          // Data begins anew, with what is still known
	More   bool          // there is more behind Cursor
	Seen   string        // for the next Follow
	Left   time.Duration // of the person's turn
}

// Use is what a person does with a terminal in a page.
type Use struct {
	Data       string // as their emulator sends it
	Cols, Rows int    // 0: as it is
	Take, Give bool   // the turn
}

const (
	maxRaw   = 256 << 10 // of the newest output is kept for pages
	rawChunk = 4 << 10
	maxPiece = 96 << 10
	// followPause collects what comes in many small pieces.
	followPause = 8 * time.Millisecond
)

// rawLog is the newest output as it came. It is kept in chunks that begin between
// two control sequences, with what brings an emulator into the state from before. Only a
// sequence that does not end is cut.
type rawLog struct {
	chunks []chunk
	size   int
	end    int64 // offset behind the last
}

type chunk struct {
	data  []byte
	modes string
	whole bool // ends between two sequences
}

// add adds output; modes is the state before it, and whole says that it ends between
// two sequences.
func (l *rawLog) add(p, modes string, whole bool) {
	last := len(l.chunks) - 1
	if last < 0 || l.chunks[last].whole && len(l.chunks[last].data) >= rawChunk || len(l.chunks[last].data) >= maxPiece {
		l.chunks = append(l.chunks, chunk{modes: modes})
		last++
	}
	c := &l.chunks[last]
	c.data, c.whole = append(c.data, p...), whole
	l.size += len(p)
	l.end += int64(len(p))
	l.cut(maxRaw)
}

// cut forgets the first chunks, so that those that stay have no more than so many bytes. One
// stays in any case.
func (l *rawLog) cut(most int) {
	for l.size > most && len(l.chunks) > 1 {
		l.size -= len(l.chunks[0].data)
		l.chunks[0] = chunk{}
		l.chunks = l.chunks[1:]
	}
}

// since gives what came behind an offset. reset says that it begins elsewhere.
func (l *rawLog) since(from int64) (data string, next int64, reset bool) {
	start := l.end - int64(l.size)
	var b strings.Builder
	if from < start || from > l.end {
		reset, from = true, start
		if len(l.chunks) > 0 {
			b.WriteString(l.chunks[0].modes)
		}
	}
	at := start
	for _, c := range l.chunks {
		behind := at + int64(len(c.data))
		if behind > from {
			b.Write(c.data[max(0, from-at):])
			from = behind
			if b.Len() >= maxPiece {
				break
			}
		}
		at = behind
	}
	return b.String(), from, reset
}

// modeSequences brings an emulator that was just switched on into the state of this
// one, as far as later output depends on it.
func (s *screen) modeSequences() string {
	var b strings.Builder
	for _, m := range []struct {
		on  bool
		seq string
	}{{s.fullScreen(), "\x1b[?1049h"}, {s.appKeys, "\x1b[?1h"}, {s.paste, "\x1b[?2004h"}, {s.hidden, "\x1b[?25l"}} {
		if m.on {
			b.WriteString(m.seq)
		}
	}
	return b.String()
}

// state holds t.mu.
func (t *terminal) state() State {
	s := State{
		Status: t.status, Reason: t.reason, ExitCode: t.exitCode, Cols: t.screen.cols, Rows: t.screen.rows, Title: t.screen.title,
		Connecting: t.status == StatusOpen && t.conn == nil, Person: t.hand.Left() > 0,
	}
	s.CanResize = t.conn != nil && t.conn.CanResize()
	return s
}

// Follow implements [Session]. It is not a use: a page that nobody uses does not
// keep a shell alive.
func (t *terminal) Follow(ctx context.Context, f Follow) (Piece, error) {
	end := time.NewTimer(f.Wait)
	defer end.Stop()
	for {
		t.mu.Lock()
		p := Piece{State: t.state(), Left: t.hand.Left()}
		p.Data, p.Cursor, p.Reset = t.raw.since(f.Cursor)
		p.More, p.Seen = p.Cursor < t.raw.end, p.tag()
		t.looked = time.Now()
		changed := t.change()
		t.mu.Unlock()
		if p.Data != "" || p.Reset || p.Seen != f.Seen || f.Wait <= 0 {
			return p, nil
		}
		turn := t.hand.Left()
		if turn == 0 {
			turn = f.Wait // nothing ends
		}
		back := time.NewTimer(turn)
		select {
		case <-changed:
			if err := briefly(ctx, followPause); err != nil {
				back.Stop()
				return p, err
			}
		case <-back.C:
		case <-end.C:
			back.Stop()
			return p, nil
		case <-ctx.Done():
			back.Stop()
			return p, ctx.Err()
		}
		back.Stop()
	}
}

func briefly(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Use implements [Session].
func (t *terminal) Use(ctx context.Context, u Use) (State, error) {
	t.touch()
	var err error
	if u.Cols > 0 && u.Rows > 0 {
		err = t.resize(ctx, u.Cols, u.Rows)
	}
	if err == nil && u.Data != "" {
		t.hand.Take() // before the first key, so that the model's do not come between
		err = t.send(ctx, u.Data)
	}
	if u.Take && err == nil {
		t.hand.Take()
	}
	if u.Give {
		t.hand.Give()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell() // whose turn it is
	return t.state(), err
}

// resize changes the terminal's size, where the service can be told.
func (t *terminal) resize(ctx context.Context, cols, rows int) error {
	conn, err := t.connection(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	same := t.screen.cols == cols && t.screen.rows == rows
	t.mu.Unlock()
	if same {
		return nil
	}
	if err := t.manager.cfg.Budget.reserve(t.id, cols, rows); err != nil {
		return err
	}
	defer t.manager.cfg.Budget.settle(t)
	if err := conn.Resize(ctx, cols, rows); err != nil {
		if errors.Is(err, client.ErrTerminalInput) {
			return &InputError{err}
		}
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.options.Cols, t.options.Rows = cols, rows
	t.screen.resize(cols, rows)
	t.tell()
	return nil
}

// resize keeps what fits. Rows that leave the top of the main screen go to the
// history, as in a real terminal.
func (s *screen) resize(cols, rows int) {
	for _, g := range []*grid{s.main, s.alt} {
		for over := g.y + 1 - rows; over > 0; over-- {
			if g == s.main {
				s.history.add(g.lines[0].text(&s.marks))
			}
			g.lines = g.lines[1:]
			g.y--
		}
		for i, l := range g.lines {
			if cols < len(l) {
				l.split(cols)
				g.lines[i] = slices.Clone(l[:cols])
			} else {
				g.lines[i] = append(l[:len(l):len(l)], newLine(cols-len(l))...)
			}
		}
		g.lines = slices.Clone(g.lines[:min(len(g.lines), rows)])
		for len(g.lines) < rows {
			g.lines = append(g.lines, newLine(cols))
		}
		g.x, g.wrap = min(g.x, cols-1), false
		g.saved.x, g.saved.y, g.saved.wrap = min(g.saved.x, cols-1), min(g.saved.y, rows-1), false
	}
	s.cols, s.rows, s.top, s.bottom = cols, rows, 0, rows
	s.resetTabs()
}

// Package terminals keeps the interactive terminals that are open: each is a
// connection to a shell, the picture on its screen, and its newest output.
//
// Where the instance has tmux, or something like it, that keeps the shell, and any
// process with the handle connects with it. Elsewhere a terminal belongs to the
// process that opened it.
package terminals

import (
	"context"
	"time"
)

// Session is an open terminal.
type Session interface {
	// Write types, waits, and shows the screen.
	Write(ctx context.Context, in Input, w Wait) (View, error)
	// Read waits and shows what is asked for.
	Read(ctx context.Context, q Query) (View, error)
	// Close ends the shell, and shows what is left.
	Close(ctx context.Context) (View, error)
	// Follow and Use are for pages that show the terminal to a person: they give its
	// output as it came, and type for that person. Write and Close are refused with a
	// *[hand.HeldError] while a person has it.
	Follow(ctx context.Context, f Follow) (Piece, error)
	Use(ctx context.Context, u Use) (State, error)
}

// Directory knows where the terminals are. Its ids come from handles that were
// opened, so they need not be secret.
type Directory interface {
	Put(id string, s Session)
	Get(id string) (Session, bool)
	Remove(id string)
}

// Input is what is typed: text first, then keys by name.
type Input struct {
	Text string
	Keys []string
}

// Wait says when a call returns. It ends with whatever comes first; the shell's
// end always ends it.
type Wait struct {
	Pattern string        // regular expression (RE2) that new output or the screen matches; "": none
	Quiet   time.Duration // nothing was printed for so long; 0: not waited for
	For     time.Duration // the longest wait; 0: none at all

	Show func(line string) `json:"-"` // is told the line at the cursor whenever it may have changed; may be nil
}

// Part is what a view shows.
type Part string

// The parts of a terminal that can be shown.
const (
	PartScreen  Part = "screen"     // the screen as a person would see it
	PartNew     Part = "new"        // output since a cursor
	PartHistory Part = "scrollback" // lines that have left the top of the screen
)

// Query says what to show.
type Query struct {
	Part Part
	// Cursor is where to begin: an offset in the output, or the number of a
	// line of the history. Below zero it is where the last reading ended, or the
	// newest lines.
	Cursor int64
	Limit  int // bytes of text at most
	Wait   Wait
}

// Status is how a terminal is.
type Status string

// The statuses of terminals.
const (
	StatusOpen   Status = "open"
	StatusExited Status = "exited" // the shell has ended
	StatusLost   Status = "lost"   // the connection broke, and the shell with it
	StatusMoved  Status = "moved"  // not connected here any more; the next call takes it up again
	StatusClosed Status = "closed" // by a call, for idleness, or at the end of this server
)

// Why a wait ended.
const (
	EndPattern = "pattern"
	EndQuiet   = "quiet"
	EndTime    = "time"
	EndShell   = "ended"
)

// View is a terminal at one moment.
type View struct {
	Instance   string
	Status     Status
	Reason     string `json:",omitzero"` // why it is not open
	ExitCode   *int   `json:",omitzero"`
	Family     string
	Cols, Rows int
	Row, Col   int    // of the cursor, from 1
	Hidden     bool   `json:",omitzero"` // the cursor is
	FullScreen bool   `json:",omitzero"` // a program has the whole screen to itself
	Title      string `json:",omitzero"`

	Text    string // what was asked for; of PartNew with control sequences
	Cursor  int64  `json:",omitzero"` // where to read on (PartNew, PartHistory), or where what is new began (a write)
	First   int64  `json:",omitzero"` // PartHistory: the number of the first line shown
	Dropped int64  `json:",omitzero"` // bytes or lines that were asked for and are no longer kept
	More    bool   `json:",omitzero"` // there is more behind Cursor
	Left    bool   `json:",omitzero"` // some of what was printed during the wait has left the top of the screen

	Ended string   `json:",omitzero"` // why the wait ended, "" if there was none
	Notes []string `json:",omitzero"`
}

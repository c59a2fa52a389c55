package runs

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// Work is what one kind of run adds to a Live. All but Resume are called with
// the run locked.
type Work interface {
	// Resume follows the run from what its handle says.
	Resume(ctx context.Context)
	// Result gives Update.Result.
	Result() any
	// CancelNote says what a cancel means for the run, which has not ended.
	CancelNote() string
	// Size is roughly how much memory the work takes.
	Size() int
	// Shared is a pointer to what Result is made of, which other processes that
	// follow the run are told as JSON; nil: there is nothing.
	Shared() any
}

// Live is a run that this process follows: one goroutine feeds it, any number
// of waits read it.
type Live struct {
	m       *Manager
	work    Work
	number  int64       // in the order of starting
	resumed atomic.Bool // taken up from a handle
	takenUp time.Time   // when

	withdraw func() // ends what other processes are offered of it; under the manager's lock

	message int // bytes of it, or what else the run began with

	// Guarded by the lock of the budget.
	room    int  // bytes that are kept for the run
	allowed int  // of its text
	dropped bool // its manager keeps it no more

	mu           sync.Mutex // also guards the work's own state
	ctx          context.Context
	cancel       context.CancelFunc
	left         bool          // nobody follows it, though it has not ended
	changed      chan struct{} // closed at the next change; nil while nobody waits for that
	done         chan struct{} // closed at the end
	goesOn       chan struct{} // closed when a run that was taken up is known to go on
	state        State         // without a reader's cursor
	status       Status
	err          error
	notes        []string
	lastActivity time.Time
	ended        time.Time
	waiters      int
	about        string
	owned        bool // another process told of it
	said         transcript
}

// NewLive makes a run for Manager.Start.
func (m *Manager) NewLive(state State) *Live {
	return &Live{m: m, state: state, status: StatusRunning, lastActivity: time.Now(), done: make(chan struct{}), goesOn: make(chan struct{})}
}

// Describe says what the run is for: the message or the command.
func (l *Live) Describe(what string) { l.Locked(func() { l.about = About(what) }) }

// maxAbout is how much of a message or a command a list of runs shows, in characters.
const maxAbout = 80

// About is what a list of runs shows of a message or a command.
func About(what string) string {
	line := []rune(text.Line(what, maxAbout*utf8.UTFMax))
	if len(line) <= maxAbout {
		return string(line)
	}
	return string(line[:maxAbout]) + "…"
}

// Work gives what the run's kind added.
func (l *Live) Work() Work { return l.work }

// Resumed reports whether the run was taken up from a handle.
func (l *Live) Resumed() bool { return l.resumed.Load() }

// State is what handles carry, with what is known by now, and with no cursor.
func (l *Live) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// ChangeState is Change for what handles carry.
func (l *Live) ChangeState(f func(s *State)) { l.Change(func() { f(&l.state) }) }

// Locked runs f under the run's lock.
func (l *Live) Locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// Change runs f under the run's lock and wakes all waits. After the end, nothing
// changes any more.
func (l *Live) Change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Over() {
		return
	}
	f()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// nextChange is closed at the next change; l.mu is held.
func (l *Live) nextChange() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// Alive notes a sign of life from upstream.
func (l *Live) Alive() { l.Locked(func() { l.lastActivity = time.Now() }) }

// Silence is for how long nothing was heard from upstream.
func (l *Live) Silence() (d time.Duration) {
	l.Locked(func() { d = time.Since(l.lastActivity) })
	return d
}

// End ends the run; err is for StatusFailed.
func (l *Live) End(status Status, err error) { l.Change(func() { l.finish(status, err) }) }

// finish is End for who changes the run already.
func (l *Live) finish(status Status, err error) {
	l.status, l.err, l.ended = status, err, time.Now()
	close(l.done)
}

// GoesOn says of a run that was taken up that it has not ended.
func (l *Live) GoesOn() {
	l.Locked(l.knownToGoOn)
}

// knownToGoOn is GoesOn for who holds l.mu.
func (l *Live) knownToGoOn() {
	select {
	case <-l.goesOn:
	default:
		close(l.goesOn)
	}
}

// firstLook is how long it takes at most to find out whether a run that is taken up has ended:
// a reply in a history must stand still for a while to be whole.
const firstLook = 4 * time.Second

// FirstLook waits until it is known of a run that this process has only just taken up whether
// it goes on.
func (m *Manager) FirstLook(ctx context.Context, id string) {
	m.mu.Lock()
	l := m.live[id]
	m.mu.Unlock()
	if l == nil || !l.Resumed() {
		return
	}
	left := time.NewTimer(firstLook - time.Since(l.takenUp))
	defer left.Stop()
	select {
	case <-l.goesOn:
	case <-l.done:
	case <-left.C:
	case <-ctx.Done():
	case <-m.base.Done():
	}
}

// Done is closed when the run ends.
func (l *Live) Done() <-chan struct{} { return l.done }

// Status is how the run stands, with a silent run as stalled.
func (l *Live) Status() (s Status) {
	l.Locked(func() { s = l.statusAt(time.Now()) })
	return s
}

// Err is the error of a failed run.
func (l *Live) Err() (err error) {
	l.Locked(func() { err = l.err })
	return err
}

func (l *Live) statusAt(now time.Time) Status {
	if l.status == StatusRunning && now.Sub(l.lastActivity) >= l.m.Config.StallAfter {
		return StatusStalled
	}
	return l.status
}

func (l *Live) endedAt() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended, l.status.Over()
}

// Stop ends the run for the caller; see Run.Cancel.
func (l *Live) Stop() (note string) {
	note, cancel := "the run had ended before", func() {}
	l.Change(func() {
		note, cancel = l.work.CancelNote(), l.cancel
		l.finish(StatusCancelled, nil)
	})
	cancel()
	return note
}

// Leave lets go of a run that nobody waits for, and reports whether it did. A
// wait follows it again, as does its handle.
func (l *Live) Leave() bool {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters > 0 {
		return false
	}
	l.left = true
	l.cancel()
	l.m.drop(l)
	return true
}

// Keep has the run be followed until release is called, also where nobody reads it.
func (l *Live) Keep() (release func()) {
	add := func(n int) (left bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waiters += n
		return l.left
	}
	if add(1) {
		l.m.revive(l)
	}
	return func() { add(-1) }
}

// Waited reports whether a wait for the run is under way.
func (l *Live) Waited() (waited bool) {
	l.Locked(func() { waited = l.waiters > 0 })
	return waited
}

// Note tells the caller something, once.
func (l *Live) Note(text string) {
	l.Change(func() {
		if !slices.Contains(l.notes, text) {
			l.notes = append(l.notes, text)
		}
	})
}

// Line tells those who watch what happens.
func (l *Live) Line(text string) { l.Change(func() { l.AddLine(text) }) }

// AddLine is Line for who changes the run already.
func (l *Live) AddLine(text string) {
	l.lastActivity = time.Now()
	l.said.addLine(text)
}

// Tick is Line for time that passes. It is no sign of life from upstream, and a later
// wait is told none of the lines before it.
func (l *Live) Tick(text string) {
	l.Change(func() {
		l.said.dropLines()
		l.said.addLine(text)
	})
}

// ReplaceLines is AddLine, and makes text the only line that a later wait is
// told.
func (l *Live) ReplaceLines(text string) {
	l.said.dropLines()
	l.AddLine(text)
}

// Append adds to the reply.
func (l *Live) Append(text string) {
	if text == "" {
		return
	}
	text = l.cut(text, l.textLen())
	l.Change(func() {
		l.lastActivity = time.Now()
		l.said.text = append(l.said.text, text...)
	})
}

// SetText makes text the whole reply so far. What it shares with the reply as
// it was stays read; the rest is a revision.
func (l *Live) SetText(text string) {
	text = l.cut(text, 0)
	l.Change(func() {
		l.lastActivity = time.Now()
		l.said.setText(text)
	})
}

// cut gives as much of text as there is room for behind the first bytes of the reply.
func (l *Live) cut(all string, behind int) string {
	room := l.Room(behind+len(all)) - behind
	if len(all) <= room {
		return all
	}
	if behind+room >= maxText {
		l.Note(client.NoteTooLong)
	} else {
		l.Note(client.NoteNoRoom)
	}
	return text.Head(all, room)
}

func (l *Live) textLen() (n int) {
	l.Locked(func() { n = len(l.said.text) })
	return n
}

// Text is the reply so far.
func (l *Live) Text() (text string) {
	l.Locked(func() { text = string(l.said.text) })
	return text
}

// update is what does not depend on the reader; l.mu is held.
func (l *Live) update() *Update {
	return &Update{
		Kind: l.state.Kind, Status: l.statusAt(time.Now()),
		Instance: l.state.Instance, Session: l.state.Session,
		About: l.about, Started: l.state.Started, LastActivity: l.lastActivity,
		Result: l.work.Result(), Notes: slices.Clone(l.notes), Err: l.err,
	}
}

// summary is the run as a list shows it, with a handle that reads from the
// start.
func (l *Live) summary() Update {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.update()
	u.Handle = l.m.Seal(l.state)
	return *u
}

// size is roughly how much memory the run takes.
func (l *Live) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.size() + l.work.Size()
}

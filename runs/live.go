package runs

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
)

// live is a run that this process follows: one goroutine feeds it, any number
// of waits read it.
type live struct {
	m       *Manager
	number  int64  // in the order of starting
	resumed bool   // taken up from a handle
	message string // chat: what is sent; "" when taken up
	what    uint64 // chat: hash of it and its session

	// How far the reply was read, and a hash of that, by the handle that took the
	// run up: it tells in which way the parts of a reply are joined.
	hintRead  int64
	hintCheck uint32

	noHistory bool // chat: the service had none to look at before the message was sent
	// Chat: runs of the same session that were under way when this one was sent.
	beside []*live

	mu           sync.Mutex
	ctx          context.Context
	cancel       context.CancelFunc
	left         bool          // nobody follows it, though it has not ended
	sent         bool          // chat: its message may have gone out
	changed      chan struct{} // closed at the next change; nil while nobody waits for that
	done         chan struct{} // closed at the end
	state        handleState   // without a reader's cursor
	status       Status
	err          error
	notes        []string
	lastActivity time.Time
	ended        time.Time
	waiters      int

	text      []byte // chat: the reply so far
	revisions []int  // chat: how much of the text each replacement left in place
	lines     []line // what else happened, for those who watch; the newest
	linesCut  int    // how many older lines there were
	tools     []client.ToolCall
	exec      *client.ExecResult // command
	instance  *client.Instance   // create
	moved     *Transfer          // upload, download
}

const (
	maxLines = 2000 // lines kept of one run
	maxTools = 1000 // tool uses kept of one run
	maxValue = 4096 // bytes kept of a tool's arguments and of its result
)

// line is something that happened beside the text, and where in the text.
type line struct {
	at   int
	text string
}

// change runs f under the lock and wakes all waits. After the end, nothing
// changes any more.
func (l *live) change(f func()) {
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
func (l *live) nextChange() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// alive notes a sign of life from upstream.
func (l *live) alive() {
	l.mu.Lock()
	l.lastActivity = time.Now()
	l.mu.Unlock()
}

func (l *live) end(status Status, err error) {
	l.change(func() { l.finish(status, err) })
}

// finish is end for who changes the run already.
func (l *live) finish(status Status, err error) {
	l.status, l.err, l.ended = status, err, time.Now()
	close(l.done)
}

func (l *live) endedAt() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended, l.status.Over()
}

// stop ends the run for the caller; see Run.Cancel.
func (l *live) stop() string {
	over, queued, kind := true, false, l.state.Kind
	var cancel context.CancelFunc
	l.change(func() {
		over, cancel = false, l.cancel
		queued = kind == KindChat && !l.resumed && !l.sent
		l.finish(StatusCancelled, nil)
	})
	if over {
		return "the run had ended before"
	}
	cancel()
	switch {
	case queued:
		return "the message was not sent"
	case kind == KindChat:
		return "the reply is no longer followed; the service has no way to stop the agent, so it may go on, and its reply will then be in the session's history"
	case kind == KindCreate:
		return "the creation is no longer followed; the instance may still come up: see list_instances"
	case kind.transfers():
		return "the transfer stops; files that have arrived stay, each of them whole, and the same call made again sends only the rest"
	default:
		return "the command's connection was closed; the service may let the command go on until its time-out"
	}
}

// line notes something beside the text.
func (l *live) line(text string) {
	l.change(func() {
		l.lastActivity = time.Now()
		l.addLine(text)
	})
}

// addLine is line for who changes the run already.
func (l *live) addLine(text string) {
	if len(text) > maxValue {
		text = clip(text)
	}
	l.lines = append(l.lines, line{at: len(l.text), text: text})
	if len(l.lines) > 2*maxLines {
		cut := len(l.lines) - maxLines
		l.lines = append(l.lines[:0], l.lines[cut:]...)
		l.linesCut += cut
	}
}

func (l *live) note(text string) {
	l.change(func() {
		if !slices.Contains(l.notes, text) {
			l.notes = append(l.notes, text)
		}
	})
}

// append adds to the reply.
func (l *live) append(text string) {
	if text == "" {
		return
	}
	l.change(func() {
		l.lastActivity = time.Now()
		l.text = append(l.text, text...)
	})
}

// setText makes text the whole reply so far. What it shares with the reply as
// it was stays read; the rest is a revision.
func (l *live) setText(text string) {
	l.change(func() {
		l.lastActivity = time.Now()
		if n := len(l.text); len(text) >= n && text[:n] == string(l.text) {
			l.text = append(l.text, text[n:]...)
			return
		}
		common := 0
		for common < len(text) && common < len(l.text) && text[common] == l.text[common] {
			common++
		}
		common = runeCut(l.text, common)
		if common < len(l.text) {
			l.revisions = append(l.revisions, common)
			for i := range l.lines {
				l.lines[i].at = min(l.lines[i].at, common)
			}
			l.addLine("status: the reply was revised from here on")
		}
		l.text = append(l.text[:common], text[common:]...)
	})
}

func (l *live) currentText() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// fill completes a reader's handle state with what is known by now.
func (l *live) fill(state handleState) handleState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.filled(state)
}

func (l *live) filled(state handleState) handleState {
	out := l.state
	out.Read, out.ReadErr, out.Check = state.Read, state.ReadErr, state.Check
	return out
}

// statusAt is the status, with a silent run as stalled; l.mu is held.
func (l *live) statusAt(now time.Time) Status {
	if l.status == StatusRunning && now.Sub(l.lastActivity) >= l.m.cfg.StallAfter {
		return StatusStalled
	}
	return l.status
}

// wait waits as Run.Wait does. Thousands of calls may wait here, and their stacks
// are most of what they take: what they need only before and after is not on it.
func (l *live) wait(ctx context.Context, state *handleState, until Until, p Progress) {
	l.mu.Lock()
	stalled := l.statusAt(time.Now()) == StatusStalled
	// Progress starts where the reading does, which may be ahead of a reply that
	// was taken up again.
	from := int(state.Read)
	shown, shownRevs, shownLines := from, len(l.revisions), l.linesCut
	for _, ln := range l.lines {
		if ln.at >= shown {
			break
		}
		shownLines++
	}
	l.mu.Unlock()
	stall := time.NewTimer(l.m.cfg.StallAfter)
	defer stall.Stop()
	for {
		l.mu.Lock()
		for _, common := range l.revisions[shownRevs:] {
			shown = min(shown, common)
		}
		shownRevs = len(l.revisions)
		base, text := shown, ""
		if shown < len(l.text) {
			text = string(l.text[shown:])
			shown = len(l.text)
		}
		lines := slices.Clone(l.lines[max(0, shownLines-l.linesCut):])
		shownLines = l.linesCut + len(l.lines)
		status := l.statusAt(time.Now())
		silent := time.Since(l.lastActivity)
		changed := l.nextChange()
		news := until == UntilNews && (len(l.text) > from || l.revised(state))
		l.mu.Unlock()

		replay(p, text, base, lines)
		if status.Over() || (status == StatusStalled && !stalled) || news ||
			ctx.Err() != nil || l.m.base.Err() != nil {
			return
		}
		if stalled = status == StatusStalled; !stalled {
			stall.Reset(max(l.m.cfg.StallAfter-silent, time.Millisecond))
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-l.m.base.Done(): // nothing changes any more
		case <-stall.C:
		}
	}
}

// replay reports text, which starts at base in the reply, and the lines between
// its parts, in order.
func replay(p Progress, text string, base int, lines []line) {
	for _, ln := range lines {
		if cut := ln.at - base; cut > 0 && cut <= len(text) {
			p.Text(text[:cut])
			text, base = text[cut:], ln.at
		}
		p.Line(ln.text)
	}
	if text != "" {
		p.Text(text)
	}
}

// read gives what is behind a reader's cursor.
func (l *live) read(state handleState, limit int) *Update {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.update()
	if l.state.Kind == KindCommand {
		u.Exec = execOf(l.exec)
	}
	from := state.Read
	switch {
	case l.revised(&state):
		u.Revised = true
		from = 0
	case from > int64(len(l.text)):
		// Taken up again, the reply is not as far as it was read before.
		u.Handle = l.m.seal.seal(l.filled(state))
		return u
	}
	to := int64(len(l.text))
	if limit > 0 && to-from > int64(limit) {
		to = from + int64(runeCut(l.text[from:], limit))
		u.More = true
	}
	u.Text = string(l.text[from:to])
	state.Read, state.Check = to, checksum(l.text[:to])
	u.Handle = l.m.seal.seal(l.filled(state))
	return u
}

// revised reports whether what was read up to a cursor is no longer how the
// reply begins; l.mu is held.
func (l *live) revised(state *handleState) bool {
	if state.Read > int64(len(l.text)) {
		return !l.resumed || l.status.Over()
	}
	return state.Read > 0 && checksum(l.text[:state.Read]) != state.Check
}

// update is what does not depend on the reader; l.mu is held.
func (l *live) update() *Update {
	return &Update{
		Kind: l.state.Kind, Status: l.statusAt(time.Now()),
		Instance: l.state.Instance, Session: l.state.Session,
		Started: l.state.Started, LastActivity: l.lastActivity,
		Tools: slices.Clone(l.tools), Created: l.instance, Moved: l.moved,
		Notes: slices.Clone(l.notes), Err: l.err,
	}
}

// summary is the run as a list shows it, with a handle that reads from the
// start.
func (l *live) summary() Update {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.update()
	u.Handle = l.m.seal.seal(l.state)
	return *u
}

// size is roughly how much memory the run takes.
func (l *live) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.text) + len(l.message)
	for _, t := range l.tools {
		n += len(t.Arguments) + len(t.Result)
	}
	for _, ln := range l.lines {
		n += len(ln.text)
	}
	if l.exec != nil {
		for _, o := range []client.Output{l.exec.Stdout, l.exec.Stderr} {
			n += len(o.Head) + len(o.Tail)
		}
	}
	return n
}

// runeCut is the largest cut of at most n bytes that splits no character, or
// the first character where n is too small for it.
func runeCut(b []byte, n int) int {
	if n >= len(b) {
		return len(b)
	}
	cut := n
	for cut > 0 && cut > n-4 && !utf8.RuneStart(b[cut]) {
		cut--
	}
	if cut > 0 || n <= 0 {
		return cut
	}
	_, size := utf8.DecodeRune(b)
	return size
}

func checksum(b []byte) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(b)
	return h.Sum32()
}

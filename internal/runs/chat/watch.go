package chat

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
)

// Causes for which a stream is ended, or not believed.
var (
	errDeadStream = errors.New("the stream went silent")
	errQuiet      = errors.New("nothing came after the end")
	errAbrupt     = errors.New("only an end came on the stream, and nothing says that it belongs to the run that answers the message")
	errOtherRuns  = errors.New("more than one run was on the stream, and nothing says which of them answers the message")
)

// watchStream looks at the history whenever the stream has brought nothing new for a
// while: a connection can die without a word, and a service may leave a stream open
// behind the reply. It cancels a stream that has nothing more to bring. The returned
// function ends the watch.
func (r *reply) watchStream(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	watch, end := context.WithCancel(ctx)
	stall := r.s.m.Config.StallAfter
	first := max(stall/12, r.s.timing.pollMin) // 15 s
	// A timer, and a goroutine only while it looks: there may be thousands.
	var looking sync.Mutex
	var timer *time.Timer
	var seen stillReply
	pause := first
	r.Locked(func() { r.news = time.Now() })
	looking.Lock()
	defer looking.Unlock()
	timer = time.AfterFunc(first, func() {
		looking.Lock()
		defer looking.Unlock()
		quiet := r.quiet()
		switch {
		case watch.Err() != nil:
			return
		case quiet < first:
			pause = first
			timer.Reset(first - quiet)
			return
		case r.streamIsOver(watch, &seen):
			cancel(errDeadStream)
			return
		}
		pause = min(pause*3/2, max(stall/4, first))
		timer.Reset(pause)
	})
	return func() {
		end()
		looking.Lock()
		defer looking.Unlock()
		timer.Stop()
	}
}

// quiet is for how long the stream has brought nothing new, signs of life aside.
func (r *reply) quiet() (d time.Duration) {
	r.Locked(func() { d = time.Since(r.news) })
	return d
}

// stillReply is a reply in the history, and since when it is as it is.
type stillReply struct {
	fingerprint uint64
	since       time.Time
}

// streamIsOver reports whether a stream without an end marker will bring nothing that
// the history does not have. It is enough that the history marks the reply as ended.
// Else the reply must stand there unchanged for long, since it may pause for minutes
// behind a first remark: longest on a stream that shows signs of life, which would
// bring what comes. Where the history tells nothing, the patience has an end, too, or
// the run would block its session.
func (r *reply) streamIsOver(ctx context.Context, seen *stillReply) bool {
	stall, silent, quiet := r.s.m.Config.StallAfter, r.Silence(), r.quiet()
	page, _, err := r.history(ctx)
	var rested bool
	r.Locked(func() { rested = r.rested })
	late := rested && quiet > r.s.timing.unclear
	if err != nil {
		return silent > r.s.timing.patience || quiet > r.s.timing.giveUp || late
	}
	m := matchHistory(r.was, r.question(follow{accepted: true, shown: r.Text()}), page.Items, r.overlapping())
	m.busy = page.Busy && !r.was.busy
	if id := wording(m.rows...); id != seen.fingerprint || seen.since.IsZero() {
		*seen = stillReply{id, time.Now()}
	}
	still := time.Since(seen.since)
	switch text := r.fit(m); {
	case r.quiet() < quiet:
		return false
	case m.working():
		return silent > r.s.timing.giveUp || quiet > 2*r.s.timing.giveUp
	case m.closed && atWork(m.newest): // on ours, perhaps, behind somebody's next message
		return silent > r.s.timing.patience || quiet > r.s.timing.giveUp
	case late:
		return true
	case m.verdict != found || text == "" && !m.marked():
		return silent > r.s.timing.patience || quiet > r.s.timing.giveUp
	case m.marked() && (strings.HasPrefix(bare(text), bare(r.Text())) || silent > stall):
		return true
	case rested && strings.HasPrefix(bare(text), bare(r.Text())): // all that is missing is a mark of the stream's own end
		return true
	}
	return silent > 2*stall && still > stall*3/2 || quiet > 5*stall && still > 4*stall
}

// isNews reports whether a step is more than a sign of life.
func (r *reply) isNews(ev client.Event) bool {
	switch ev.Kind {
	case client.EventHeartbeat, client.EventUnknown:
		return false
	case client.EventStatus:
		again := ev.Text == r.told
		r.told = ev.Text
		return !again
	}
	return true
}

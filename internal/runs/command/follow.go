package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

const (
	// aheadRoom is how many bytes of output a look reads for the progress alone.
	aheadRoom = 256 << 10
	// maxBehind is how many bytes the progress may be behind the command. What a flood wrote
	// before that is left out of it: it is to show what comes now, and to come to an end.
	maxBehind = 4 << 20
	// newsEvery is how often a command that writes all the time is asked for news.
	newsEvery = 200 * time.Millisecond
)

// follow is a wait for a command whose start is over. What it reads stays in the sandbox's
// files, so nothing is read twice and nothing is skipped.
type follow struct {
	svc     *Service
	p       runs.Progress
	plain   bool // see ReadPlain
	watched bool // p is told all of the output, also what has no room in the result
	limit   int  // bytes of output that the result has room for

	read        runs.State // how far the result has the output
	told        runs.State // how far p was told of it: at least as far
	last        pollState
	orphaned    bool       // no process was starting it when it was last asked for
	about       string     // the beginning of the command, where that was not known
	out, errOut []byte     // what the result has
	redrawn     bool       // parts of it are left out: see ReadPlain
	outLines    text.Lines // what p was not told yet of lines that are still being written
	errLines    text.Lines
}

// wait is Wait for a command whose start is over.
func (d *detached) wait(ctx context.Context, until runs.Until, limit int, p runs.Progress) (*runs.Update, error) {
	svc := d.svc
	if limit <= 0 {
		limit = 1 << 20
	}
	_, unwatched := p.(runs.NoProgress)
	f := &follow{
		svc: svc, p: p, plain: d.plain, watched: !unwatched, limit: max(limit*2/3, minRead),
		read: d.state, told: d.state, last: pollState{outSize: -1, errSize: -1},
	}
	defer f.tellOpen()
	reading, cancel := svc.reading(ctx, d.leastLook())
	defer cancel()
	stalled, failed := f.look(ctx, reading, until)
	if runs.Permanent(failed) {
		return nil, failed
	}
	f.readEnd(reading, limit/3)
	confirmed := f.last.state != "" && f.last.state != stateGone && f.last.state != stateStarting || svc.knows(d.state)
	if confirmed {
		f.read.Flags |= flagConfirmed
	}
	u, output := svc.update(f.read, f.last, f.out, f.errOut)
	u.About, output.Redrawn = f.about, f.redrawn
	if stalled && u.Status == runs.StatusRunning {
		u.Status = runs.StatusStalled
	}
	if failed != nil && f.last.state == "" {
		output.Unseen = true
		u.Notes = append(u.Notes, "the sandbox could not be asked about the command: "+failed.Error())
		if errors.As(failed, new(*sandbox.NoReport)) && svc.hasCompleted(d.state) {
			u.Status, u.Err = runs.StatusFailed, errLost
		}
	}
	svc.seen(d.state, confirmed, *u)
	if u.Status.Over() && u.More {
		// Of an ended command that wrote much, the end is worth showing, too.
		s, _ := svc.poll(reading, f.read, pollOptions{tail: limit / 3})
		addTail(&output.Stdout, s.outTail, f.last.outSize-f.read.Read)
		addTail(&output.Stderr, s.errTail, f.last.errSize-f.read.ReadErr)
	}
	return u, nil
}

// errLost is about a command whose answer made room for others, in a sandbox that has no files of
// it.
var errLost = errors.New("the command ended before, but its output is not kept here any more, and the sandbox can't report on it: check its effects before repeating it")

// look looks at the command until the wait is over. failed says why the last look failed, if
// it did. reading is the context of what is to be read even if ctx has no time.
func (f *follow) look(ctx, reading context.Context, until runs.Until) (stalled bool, failed error) {
	began, lastNews := f.told, time.Now()
	for looks, failures, goOn := 0, 0, false; ; looks++ {
		from, o := f.next()
		o.about = f.about == "" && f.svc.about(f.read) == ""
		asking := reading
		if looks > 0 && !goOn {
			asking, o.wait = ctx, min(longPoll, time.Until(deadline(ctx))-500*time.Millisecond)
			if o.first = f.watched && f.told == began; f.told != began {
				o.least = newsEvery
			}
		}
		s, err := f.svc.poll(asking, from, o)
		if err != nil {
			failures++
			if runs.Permanent(err) || !runs.Pause(ctx, min(time.Duration(failures)*500*time.Millisecond, longPoll)) {
				return stalled, err
			}
			continue
		}
		failures = 0
		if s.state == stateGone && f.svc.mayStillStart(f.read) {
			switch orphaned := time.Since(f.read.Started) > orphanGrace && f.svc.nobodyStarts(asking, f.read.ID); {
			case !orphaned:
				s.state = stateStarting
			case !f.orphaned: // it may have started just before that
				f.orphaned, goOn = true, true
				continue
			}
		}
		if s.outSize+s.errSize > f.last.outSize+f.last.errSize {
			lastNews = time.Now()
		}
		before := f.told
		f.take(s, o)
		stalled = time.Since(lastNews) > f.svc.m.Config.StallAfter
		news := until == runs.UntilNews && len(f.out)+len(f.errOut) > 0
		over := s.over() || stalled || news
		if goOn = f.told != before && f.unread(f.told) > 0; goOn && reading.Err() == nil {
			// Lines that were redrawn leave room for more, and who watches is told the rest.
			if f.room() > 0 || f.watched && !news && (s.over() || ctx.Err() == nil) {
				continue
			}
		}
		if goOn = false; over || ctx.Err() != nil {
			return stalled, nil
		}
		heldBack := f.told == before && f.unread(f.told) > 0 // a part of a character, or of the key
		if (o.limit+o.tail == 0 || o.wait <= 0 || s.state == stateStarting || heldBack) && looks > 0 && !runs.Pause(ctx, 500*time.Millisecond) {
			return stalled, nil
		}
	}
}

// room is how much of the output the result still has room for.
func (f *follow) room() int {
	if room := f.limit - len(f.out) - len(f.errOut); room >= minRead {
		return room
	}
	return 0
}

// unread is how much the command had written beyond a place when it was last looked at.
func (f *follow) unread(from runs.State) int64 {
	return max(f.last.outSize-from.Read, 0) + max(f.last.errSize-from.ReadErr, 0)
}

// next is what the next look asks for.
func (f *follow) next() (from runs.State, o pollOptions) {
	switch room := f.room(); {
	case room > 0 || !f.watched:
		return f.read, pollOptions{limit: room}
	case f.unread(f.told) > maxBehind:
		return f.told, pollOptions{tail: aheadRoom}
	}
	return f.told, pollOptions{limit: aheadRoom}
}

// take takes in what a look found.
func (f *follow) take(s pollState, o pollOptions) {
	f.last, f.about = s, cmp.Or(f.about, runs.About(s.about))
	switch {
	case o.tail > 0:
		f.skipTo(s)
	case f.room() > 0:
		f.keep(s)
	default:
		f.told.Read, f.told.ReadErr = f.told.Read+int64(len(s.out)), f.told.ReadErr+int64(len(s.err))
		f.tell(s.out, s.err)
	}
}

// keep takes for the result what was read behind what it has.
func (f *follow) keep(s pollState) {
	known, knownErr := f.told.Read-f.read.Read, f.told.ReadErr-f.read.ReadErr
	f.read.Read, f.read.ReadErr = f.read.Read+int64(len(s.out)), f.read.ReadErr+int64(len(s.err))
	f.told.Read, f.told.ReadErr = max(f.told.Read, f.read.Read), max(f.told.ReadErr, f.read.ReadErr)
	f.tell(s.out[min(known, int64(len(s.out))):], s.err[min(knownErr, int64(len(s.err))):])
	f.out, f.errOut = append(f.out, s.out...), append(f.errOut, s.err...)
	if f.plain && (text.Redrawn(string(f.out)) || text.Redrawn(string(f.errOut))) {
		f.out, f.errOut, f.redrawn = []byte(text.LastStates(string(f.out))), []byte(text.LastStates(string(f.errOut))), true
	}
}

// skipTo has the progress go on with the end of what a flood wrote.
func (f *follow) skipTo(s pollState) {
	f.tellOpen()
	out, errOut := f.svc.whole(s.outTail, !s.over()), f.svc.whole(s.errTail, !s.over())
	left := f.unread(f.told) - int64(len(s.outTail)+len(s.errTail))
	f.told.Read, f.told.ReadErr = s.outSize-int64(len(s.outTail)-len(out)), s.errSize-int64(len(s.errTail)-len(errOut))
	f.p.Line(fmt.Sprintf("status: %d bytes of the output are left out here; the result says how to read them", left))
	f.tell(out, errOut)
}

// readEnd reads the rest of what an ended command wrote, if that has room in the place of the
// output's end.
func (f *follow) readEnd(ctx context.Context, room int) {
	unread := f.unread(f.read)
	if !f.last.over() || unread == 0 || unread > int64(room) {
		return
	}
	if s, err := f.svc.poll(ctx, f.read, pollOptions{limit: int(unread)}); err == nil {
		f.keep(s)
	}
}

// tell tells of the output up to where f.told is.
func (f *follow) tell(out, errOut []byte) {
	if len(out)+len(errOut) == 0 {
		return
	}
	at, whole, wholeErr := f.told, string(out), string(errOut)
	if f.plain {
		whole, wholeErr = f.outLines.Next(whole), f.errLines.Next(wholeErr)
		at.Read, at.ReadErr = at.Read-int64(f.outLines.Held()), at.ReadErr-int64(f.errLines.Held())
	}
	runs.Upto(f.p, at, func() {
		tellText(f.p, whole, wholeErr)
		if line := cmp.Or(f.outLines.Open(), f.errLines.Open()); line != "" {
			f.p.Now(line)
		}
	})
}

// tellOpen tells of the lines that are still being written as they stand.
func (f *follow) tellOpen() {
	if f.outLines.Held()+f.errLines.Held() > 0 {
		runs.Upto(f.p, f.told, func() { tellText(f.p, f.outLines.Rest(), f.errLines.Rest()) })
	}
}

func tellText(p runs.Progress, texts ...string) {
	for _, s := range texts {
		if s != "" {
			p.Text(s)
		}
	}
}

// tellOutput tells of an output that came at once.
func tellOutput(p runs.Progress, o *Output, plain bool) {
	for _, one := range []client.Output{o.Stdout, o.Stderr} {
		head, tail := one.Head, one.Tail
		if one.Omitted == 0 {
			head, tail = head+tail, ""
		}
		if plain {
			head, tail = text.LastStates(head), text.LastStates(tail)
		}
		tellText(p, head)
		if one.Omitted > 0 {
			p.Line(fmt.Sprintf("status: %d bytes of the output are left out here", one.Omitted))
			tellText(p, tail)
		}
	}
}

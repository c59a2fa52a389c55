package client

import "strings"

// A service may try a run that failed once more, on the same stream. Some say that they are
// going to; of others it shows only by what follows: then the failure is told, and taken back.

// failedTry is an attempt that failed, where another one may follow.
type failedTry struct {
	err      *Error // nil: none has
	promised bool   // the service said that it tries again
	text     string // what the attempt had brought
}

// retrying matches what says that a run is tried again, and not that somebody should.
var retrying = pattern(`(?i)\bwill (now )?(be retried|retry|try again)\b|\b(retrying|trying again)\b`)

var retriesNo = pattern(`(?i)\b(not|no longer|stopped|without|gave up|giving up) (retrying|trying again)\b`)

func saysRetry(s string) bool { return retrying().MatchString(s) && !retriesNo().MatchString(s) }

// promises reports whether a failure says that it is not the end. The gateway's chat events
// are the end whatever they say.
func (n *normaliser) promises(e *Error) bool {
	if isChat(n.event) {
		return false
	}
	d, _ := n.event.object("data")
	keys := []string{"willRetry", "will_retry", "retrying", "isRetrying", "is_retrying"}
	return n.event.flag(keys...) || d.flag(keys...) || saysRetry(e.Message)
}

// goOn takes a failure that may not be the end.
func (n *normaliser) goOn(e *Error) (promised bool) {
	n.try.err, n.try.promised = e, n.promises(e)
	if !n.try.promised {
		return false
	}
	n.beginTry()
	n.status(oneLine(e.Message, 500))
	return true
}

// beginTry makes way for the text of another attempt. That of the one before stays shown until
// then.
func (n *normaliser) beginTry() {
	if said := n.text.spoken(0); strings.TrimSpace(said) != "" {
		n.try.text = said
	}
	n.text = transcript{room: n.text.room}
	n.stale = n.stale || n.told > 0
	n.quiet, n.told = n.stale, 0
	n.source, n.held, n.cut, n.unsure, n.mine.answer = "", "", "", "", ""
	n.calling, n.check, n.chat = false, false, false
	n.isWhole()
}

// triesAgain reports whether an event behind a failure brings text of another attempt, or a
// tool of it, or says that there is one.
func (n *normaliser) triesAgain(f frame) (again bool) {
	if n.try.err == nil || n.try.err.Code == codeAborted {
		return false
	}
	trial := *n // nothing is taken of it yet
	trial.past, trial.linger, trial.told, trial.stale, trial.quiet = false, false, 0, false, false
	trial.text, trial.sent, trial.tools, trial.own.met, trial.try = transcript{}, sentBefore{}, toolTracker{}, nil, failedTry{}
	trial.yield = func(ev Event) bool {
		switch ev.Kind {
		case EventText:
			again = again || strings.TrimSpace(ev.Text) != ""
		case EventToolStart:
			again = true
		case EventStatus:
			again = again || saysRetry(ev.Text)
		}
		return true
	}
	trial.frame(f)
	return (again || trial.quiet) && !trial.stopped
}

// failsAfterAll ends a stream on which no other attempt came to anything, if that is so.
func (n *normaliser) failsAfterAll(final string) bool {
	if n.try.err == nil || strings.TrimSpace(string(n.text.buf)) != "" ||
		strings.TrimSpace(final) != "" && squash(final) != squash(n.try.text) && !strings.Contains(final, n.try.err.Message) {
		return false
	}
	n.put(Event{Kind: EventError, Err: n.try.err})
	n.stopped = true
	return true
}

// wentOn reports whether the text may be no more than what follows on that of the attempt
// before.
func (n *normaliser) wentOn(final string) bool {
	before, now := squash(n.try.text), squash(n.text.spoken(0))
	return before != "" && strings.TrimSpace(final) == "" && 2*commonPrefix(before, now) < min(len(before), len(now))
}

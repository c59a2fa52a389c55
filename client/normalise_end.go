package client

import "strings"

// finish ends the stream well.
func (n *normaliser) finish(final string) {
	if n.held != "" {
		n.failHeld()
		return
	}
	if n.own.rank == rankMidway {
		n.unclear()
		return
	}
	if n.failsAfterAll(final) {
		return
	}
	n.showFinal(final)
	if c := n.text.current(); c.start > 0 && IsSilent(n.text.spoken(c.start)) {
		n.show(n.text.rewrite(c.start-c.lead, "")) // nothing to add to the messages before
	}
	ev := Event{Kind: EventFinal, SessionID: n.session, MessageID: n.message, RunID: n.run, Check: n.check || n.text.anew || n.wentOn(final) || n.lost(final)}
	switch text := n.text.spoken(0); {
	case IsSilent(text):
		if n.told > 0 || n.stale {
			n.put(Event{Kind: EventText, Replace: true})
		}
		ev.Silent, ev.Note = true, NoteSilent
	default:
		n.tellRest()
		ev.Text, ev.Note = text, n.cut
		if strings.TrimSpace(text) == "" {
			ev.Unsure = n.unsure
		}
	}
	if n.text.full != "" {
		ev.Note = n.text.full
	}
	if len(n.attached) > 0 {
		ev.Note = strings.TrimPrefix(ev.Note+"; "+strings.Join(n.attached, "; "), "; ")
	}
	n.put(ev)
	n.try = failedTry{}
	n.over()
}

// showFinal shows what the text of an end adds to the reply, or changes in it.
func (n *normaliser) showFinal(final string) {
	if c := n.text.final(final); c.text != "" || c.replace {
		n.show(c)
	}
}

// over ends the stream, unless another run is looked for behind the end, or another attempt
// behind a failure.
func (n *normaliser) over() {
	n.past = !n.stopped && n.linger && (n.doubt() || n.isElsewhere() || n.try.err != nil && n.try.err.Code != codeAborted)
	n.stopped = !n.past
}

// ended takes an end that tells how it came about, in itself or in the message that it brings.
func (n *normaliser) ended(o object) {
	end := outcomeOf(o)
	if end == (outcome{}) && endsOpen(o) {
		end.open = true
	}
	if code, ok := o.number("code"); ok && code >= 400 && code < 600 && reportsFailure(o) {
		end.err = reportedFailure(o)
	}
	if end == (outcome{}) {
		if end = end.orInside(o, 0); end.err != nil {
			n.showFinal(n.finalText(o)) // the message that failed
		}
	}
	switch {
	case end.err != nil:
		n.fail(end.err)
		return
	case end.open:
		n.leaveOpen(n.finalText(o), "the stream ended with a message that is not complete yet")
		return
	case end.calling:
		n.calling = true
		n.end(n.finalText(o))
		return
	case n.isPrinted(o):
		n.finishPrinted()
		return
	case end.cut != "":
		n.cut = end.cut
	}
	n.finish(n.finalText(o))
}

// end ends the stream where its protocol says only that no more comes. A model that
// stopped to call a tool goes on when it has the result.
func (n *normaliser) end(final string) {
	if !n.calling {
		n.finish(final)
		return
	}
	n.leaveOpen(final, "the stream ended where the model called a tool")
}

// leaveOpen ends the stream before the reply's end: the history has the rest.
func (n *normaliser) leaveOpen(final, why string) {
	if !isPlaceholder(final) && !isRemark(final) {
		n.showFinal(final)
	}
	n.flush()
	n.status(why)
	n.stopped = true
}

// fail ends the stream with the agent's failure, unless the service tries again. The text so
// far stands.
func (n *normaliser) fail(e *Error) {
	if n.own.rank == rankMidway {
		n.unclear()
		return
	}
	n.flush()
	e.Outcome = OutcomeUnknown
	if n.goOn(e) {
		return
	}
	n.put(Event{Kind: EventError, Err: e})
	n.over()
}

// accept notes that the service took the message and that the reply is not in
// this answer.
func (n *normaliser) accept(remark string) {
	n.put(Event{Kind: EventAccepted, Text: oneLine(remark, 500), Unsure: n.unsure})
	n.stopped = true
}

// flush shows what was kept back and is text after all.
func (n *normaliser) flush() {
	if n.past {
		return
	}
	n.release()
	if len(n.text.buf) > 0 && !IsSilent(n.text.spoken(0)) {
		n.tellRest()
	}
}

// release shows a held chunk, which turned out to be text.
func (n *normaliser) release() {
	if s := n.held; s != "" {
		n.held = ""
		n.show(n.text.increment("", s))
	}
}

// failHeld ends the stream with a held chunk, which turned out to be all.
func (n *normaliser) failHeld() {
	s := strings.TrimSpace(strings.TrimPrefix(n.held, "Error:"))
	n.held = ""
	n.fail(&Error{Message: s})
}

// close is called at the end of a stream that ended by itself.
func (n *normaliser) close() {
	n.raw, n.fresh = nil, Event{}
	switch {
	case n.stopped, n.past:
	case n.held != "":
		n.failHeld()
	case n.try.promised && n.failsAfterAll(""):
	default:
		n.flush()
	}
}

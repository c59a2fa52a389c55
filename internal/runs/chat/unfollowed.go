package chat

import (
	"errors"
	"fmt"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// endWithoutHistory ends a run whose stream did not end well on a service that
// has no history to look at; err is what it says instead.
func (r *reply) endWithoutHistory(f follow, err error) {
	switch blank := strings.TrimSpace(r.Text()) == ""; {
	case f.doubt || f.unproven:
		r.End(runs.StatusFailed, fmt.Errorf("unclear: %w", r.unknownOutcome(f, f.cause)))
	case f.ended && blank && r.unsure != "":
		r.SetText(r.unsure)
		r.Note(noteUnsure)
		r.End(runs.StatusCompleted, nil)
	case f.final && blank:
		r.Note("the reply has no text")
		r.End(runs.StatusCompleted, nil)
	case f.check:
		r.Note(noteUnchecked)
		r.End(runs.StatusCompleted, nil)
	case f.ended && !blank:
		r.Note("the stream ended without an end marker, and this service has no history to check it against: the reply may be incomplete")
		r.End(runs.StatusCompleted, nil)
	case r.Resumed():
		r.End(runs.StatusFailed, r.unknownOutcome(f, err))
	default:
		r.Note("the service has no history to look at: " + err.Error())
		r.End(runs.StatusFailed, r.unknownOutcome(f, f.cause))
	}
}

// noteUnsure is told with what may be a mark of the end, or the message again.
const noteUnsure = "the service said only this, and no history shows whether the agent did: it may be no reply"

// unknownOutcome is the error of a message whose fate could not be found out.
func (r *reply) unknownOutcome(f follow, cause error) error {
	text := "the connection was lost before the service answered, so the message may or may not have arrived"
	switch {
	case f.accepted && f.resumed:
		text = "the server process that sent the message is gone; the service took the message, and the agent may go on with it"
	case f.accepted:
		text = "the service took the message, but the reply broke off, and the agent may go on with it"
	case f.resumed:
		text = "the server process that was to send the message is gone, so the message may or may not have arrived"
	}
	op := "POST /instances/{id}/chat/stream"
	if r.s.knownWhole(r.instance) {
		op = "POST /instances/{id}/chat"
	}
	e := &client.Error{Op: op, Message: text, Outcome: client.OutcomeUnknown, Err: cause}
	var c *client.Error
	if errors.As(cause, &c) {
		if c.Status != 0 && !f.accepted && !f.resumed {
			e.Message = "what the service answered does not tell whether the message arrived"
		}
		e.Status, e.Code, e.RequestID = c.Status, c.Code, c.RequestID
		if c.Message != "" {
			e.Message += " (" + c.Message + ")"
		}
	}
	return e
}

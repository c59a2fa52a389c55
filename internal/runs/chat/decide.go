package chat

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// standing is how a reply that is read from the history stands.
type standing struct {
	follow
	match
	text  string // the reply as the history has it
	shown string // the reply as the run has it
	run   string // the run that the stream named
	// unsure is what the stream said that may be no reply.
	unsure string

	still   time.Duration // for how long the reply in the history has not changed
	quiet   time.Duration // for how long the history has had nothing new
	listed  bool          // only the list of sessions says that the agent is at work, perhaps of another message
	reached time.Duration // for how long the history has been answering
	age     time.Duration // of the reply's newest message by the service's clock; 0 when unknown
}

// age is how long ago the reply's newest message was stored, for a message that
// was sent so long ago. Both times are the service's, so its clock does not
// matter.
func (m match) age(sent time.Duration) time.Duration {
	at := m.last().CreatedAt
	if m.asked.IsZero() || at.IsZero() || at.Before(m.asked) {
		return 0
	}
	return max(0, sent-at.Sub(m.asked))
}

// ending is how a run ends.
type ending struct {
	status runs.Status
	text   string // the whole reply
	notes  []string
	err    error // beside the outcome's, for a failed run
}

func complete(text string, notes ...string) (ending, bool) {
	if client.IsSilent(text) {
		return ending{status: runs.StatusCompleted, notes: append(notes, client.NoteSilent)}, true
	}
	return ending{status: runs.StatusCompleted, text: text, notes: notes}, true
}

func (s standing) failed(err error, notes ...string) (ending, bool) {
	return ending{status: runs.StatusFailed, text: s.shown, notes: notes, err: err}, true
}

// decide tells how the run ends, if it does by now: a reply is complete when the
// stream or the history marked its end, or when the history has had it unchanged
// for long enough and nothing says that the agent works on.
func (s standing) decide(t timing) (ending, bool) {
	switch {
	case s.doubt && s.turn != "" && s.turn == s.run && (strings.TrimSpace(s.streamed) != "" || s.failure != nil):
		// The run that was on the stream answers our message.
		if s.failure != nil {
			return s.failed(s.failure)
		}
		return complete(s.streamed)
	case s.check && s.verdict != found && s.reached > t.brief:
		return complete(s.follow.shown, noteUnchecked)
	case s.verdict == found && s.last().Failure != "":
		if s.still < t.brief {
			return ending{}, false
		}
		return s.failed(&client.Error{Op: "POST /instances/{id}/chat/stream", Message: s.last().Failure, Outcome: client.OutcomeUnknown})
	case s.verdict == found && (s.text != "" || s.shortened()):
		return s.whole(t)
	case s.verdict == found:
		return s.noText(t)
	case s.verdict != unclear && s.ended && !s.unproven && s.cause == nil && s.shown != "" && s.reached > t.settle:
		return complete(s.shown, noteNotShown)
	case s.final && s.shown == "" && s.unsure != "" && s.reached > t.lag:
		return complete(s.unsure, noteUnsure)
	case s.ended && s.accepted && s.shown == "" && s.unsure != "" && s.verdict != found && s.reached > t.unclear:
		return complete(s.unsure, noteUnsure)
	case s.verdict == unclear && s.reached > t.unclear:
		return s.failed(fmt.Errorf("unclear: %s", s.why), "read_chat_history shows what there is")
	case s.final && s.shown == "" && s.reached > t.unclear:
		return complete("", "the reply has no text")
	case s.verdict == notThere && !s.accepted && s.reached > t.appear:
		return s.failed(nil, fmt.Sprintf("the session's history does not show the message, %s later; its newest message is %s. Look again with read_chat_history before sending once more", t.appear, describe(s.newest)))
	case s.verdict == notThere && s.reached > t.unclear:
		return s.failed(errors.New("unclear: the service took the message, but the session's history does not show it"),
			"the newest message of the session's history is "+describe(s.newest))
	}
	return ending{}, false
}

// unmarked reports whether nothing but its rest speaks for the end of a reply.
func (s standing) unmarked() bool { return s.verdict == found && !s.final && !s.marked() }

// inCall reports whether the stream broke where the agent used a tool, and the history has no
// more of the reply than came before.
func (s standing) inCall() bool {
	return s.calling && s.text != "" && !s.marked() && strings.HasPrefix(bare(s.follow.shown), bare(s.text))
}

// whole decides on a reply that has text.
func (s standing) whole(t timing) (ending, bool) {
	if working := s.working(); working || s.inCall() {
		patience, where := t.patience, "the history ends with the agent at work"
		if !working {
			where = "the stream broke where the agent used a tool, and the history does not show what came of it"
		}
		if s.listed || !working {
			patience /= 3
		}
		if s.quiet < patience {
			return ending{}, false
		}
		return s.failed(fmt.Errorf("unclear: %s, and has had nothing new for %s", where, patience))
	}
	said := s.unsure != "" && sameWords(s.text, s.unsure)
	marked := s.final || s.marked() || said
	need, evidence := t.settle, fmt.Sprintf("where it stood unchanged for %s, with no sign that the agent works on", t.settle)
	switch {
	case s.doubt && sameWords(s.text, s.streamed):
		need = t.brief
	case s.why == whyOtherWords: // it may be somebody else's, and ours may wait for its turn
		need, evidence = t.unclear, fmt.Sprintf("where it stood unchanged for %s, with no sign that the agent works on", t.unclear)
	case s.why != "": // found, but by less than its words
	case marked:
		need, evidence = t.brief, "which marks it as ended"
	case s.age >= t.unclear:
		need, evidence = t.glance, "where it has stood unchanged with no sign that the agent works on"
		if s.age >= t.old {
			need = t.brief
		}
	}
	if s.last().Open && !s.final && s.age < t.old {
		need, evidence = max(need, t.unclear), fmt.Sprintf("where it stood unchanged for %s, though its place for an end is empty", t.unclear)
	}
	text, behind := s.text, s.behind()
	if strings.TrimSpace(s.shown) == strings.TrimSpace(text) && len(text) < len(s.shown) {
		text, behind = s.shown, false // stored without the white space at its ends
	}
	if behind && !s.shortened() {
		need = max(need, t.lag)
	}
	if s.still < need {
		return ending{}, false
	}
	if rest := strings.TrimSpace(strings.TrimPrefix(s.shown, s.text)); behind && strings.HasSuffix(strings.TrimSpace(s.text), rest) {
		behind = false // the stream said its end twice
	}
	switch {
	case !s.doubt || s.failure == nil:
	case sameWords(text, s.streamed):
		return s.failed(s.failure)
	case !s.marked():
		return s.failed(s.mayHaveFailed())
	}
	notes := s.notes(behind)
	switch {
	case behind:
		text = s.shown
		notes = append(notes, "the history has less of the reply than the stream has shown; this is what the stream has shown: it may be incomplete")
	case text == "":
		return s.failed(errors.New("unclear: the history leaves the text of the reply out as too large"))
	case client.IsSilent(text): // that is an end, too
	case !s.final && !said && !(s.doubt && sameWords(text, s.streamed)):
		notes = append(notes, "no end of the reply was seen on the stream; it is from the session's history, "+evidence)
	}
	return complete(text, notes...)
}

const noteNotShown = "the stream ended without an end marker, and the history does not show the reply: it may be incomplete"

const noteUnchecked = "the end of the stream did not repeat the reply, and the history does not show it for sure: some of its words may be missing"

// notes are what is told about a reply, whatever ended it.
func (s standing) notes(behind bool) (notes []string) {
	cut := s.last().Cut
	switch {
	case behind && cut == client.NoteShortened:
		cut = ""
	case !behind && cut == "" && s.shortened():
		cut = client.NoteShortened
	}
	for _, note := range []string{s.why, cut} {
		if note != "" {
			notes = append(notes, note)
		}
	}
	if !s.final {
		notes = append(notes, s.attached()...) // an end on the stream has told of them
	}
	return notes
}

// behind reports whether the history has less of the reply than the stream has shown: it
// comes late, or the service shortens it.
func (s standing) behind() bool {
	switch text, preview := s.text, ""; {
	case strings.HasPrefix(s.text, s.shown):
		return false
	case strings.HasPrefix(s.shown, text):
		return true
	case s.shortened():
		return len(text) < len(s.shown) && beginsWith(s.shown, text)
	default:
		if preview = strings.TrimSuffix(text, "…"); preview == text {
			preview = strings.TrimSuffix(text, "...")
		}
		return preview != "" && preview != text && strings.HasPrefix(s.shown, preview)
	}
}

// noText decides on a message that is found with no text behind it.
func (s standing) noText(t timing) (ending, bool) {
	switch {
	case s.check && s.shown != "" && s.reached > t.lag && !s.working():
		return complete(s.shown, noteUnchecked)
	case s.final && s.shown != "" && s.reached > t.lag && !s.working():
		return complete(s.shown)
	case s.rested && !s.unproven && !s.doubt && s.shown != "" && s.reached > t.unclear && !s.working():
		return complete(s.shown, noteNotShown)
	case s.marked() && s.still >= t.lag:
		return complete("", append([]string{"the reply has no text"}, s.attached()...)...)
	case s.final && s.reached > t.unclear && !s.working():
		note := "the reply has no text"
		if len(s.rows) == 0 { // a history may come late, and a gateway's leaves out the word for no reply
			note = "the stream ended without a text, and the history has nothing behind the message: the agent chose not to answer, or the reply is incomplete; read_chat_history shows whether one came"
		}
		return complete("", append([]string{note}, s.attached()...)...)
	case s.early && s.reached > t.unclear:
		return s.failed(errors.New("unclear: the history shows the message, and what the agent said only before it"))
	case s.refused && s.reached > t.unclear && !s.working():
		return s.failed(errors.New("unclear: the service refused the message, and the history shows it, but no reply"))
	case s.closed && s.reached > t.unclear:
		return s.failed(errors.New("unclear: the history shows the message, but no reply before the next one"))
	case s.doubt && s.failure != nil && s.reached > t.unclear:
		return s.failed(s.mayHaveFailed())
	case s.quiet > t.patience:
		return s.failed(errors.New("unclear: the history shows the message, but no reply"), fmt.Sprintf("no text of a reply came for %s", t.patience))
	}
	return ending{}, false
}

// mayHaveFailed tells of a failure that nothing ties to the message.
func (s standing) mayHaveFailed() error {
	return fmt.Errorf("unclear: the agent failed at this message or at one before it: %w", s.failure)
}

// conclude ends the run.
func (r *reply) conclude(s standing, e ending) {
	for _, note := range e.notes {
		r.Note(note)
	}
	if e.status == runs.StatusCompleted {
		r.SetText(e.text)
		r.End(e.status, nil)
		return
	}
	var own *client.Error
	switch {
	case errors.As(e.err, &own):
		r.show(s.text)
		r.End(e.status, own)
	case e.err != nil:
		r.End(e.status, fmt.Errorf("%w: %w", e.err, r.unknownOutcome(s.follow, s.cause)))
	default:
		r.End(e.status, r.unknownOutcome(s.follow, s.cause))
	}
}

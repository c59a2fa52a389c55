package chat

import (
	"slices"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// before is what a session's history was before a message went out.
type before struct {
	seen bool     // false: nobody looked, or the history did not answer
	part bool     // there may be older messages than those of rows
	rows []uint64 // identities, oldest first
	last uint64   // hash of the last one's text; 0 where it is not known
	size int      // and its length
	busy bool     // the service said then that the agent was at work
	// settled says that the agent had answered all that was there, and unsaid that the
	// message was not among it, of all that the session had.
	settled, unsaid bool
	// missing is what was said in the session, and the history did not show yet.
	missing []earlier
	// said has hashes of the agent's texts by their ids, as long as the stream is read.
	said map[string]uint64
}

// sent is the message whose reply is looked for.
type sent struct {
	text     string // "" when it is known by its hash alone
	sum      uint64 // hashMessage of the text
	at       time.Time
	now      time.Time // zero: nothing is said of how long ago that was
	accepted bool      // the service took it
	shown    string    // what the stream brought of the reply, "" where that may be another's
	// overtaken says that the agent may have gone on with the reply behind somebody's
	// next message.
	overtaken bool
}

// overlapping is another message of this process to the same session whose
// reply was under way at the same time.
type overlapping struct {
	message, reply string
	over           bool // its reply is complete, and reply is it
}

type verdict string

const (
	notThere verdict = "not there"
	found    verdict = "found"
	unclear  verdict = "unclear" // it, or its reply, can't be told from others
)

// match is where a message stands in a history, and what the agent did since.
type match struct {
	verdict  verdict
	why      string           // of unclear: what stands in the way; else what the caller should know
	anchored bool             // the history reaches back to before the message
	message  string           // as the history has it
	asked    time.Time        // the service's time of the message
	turn     string           // the run that answers it, where the history says so
	rows     []client.Message // the agent's messages behind it, its tools' included
	closed   bool             // somebody's message follows them
	early    bool             // the agent's only new messages stand before it
	busy     bool             // the service says that the agent is at work
	newest   client.Message   // the newest message of all
}

// last is the newest message of the reply.
func (m match) last() (last client.Message) {
	if n := len(m.rows); n > 0 {
		last = m.rows[n-1]
	}
	return last
}

// working reports whether the reply's newest message says that the agent works
// on: it uses a tool, its message is still being written, or the service says so.
func (m match) working() bool { return !m.closed && (m.busy || m.atWork()) }

func (m match) atWork() bool { return len(m.rows) > 0 && atWork(m.last()) }

// marked reports whether the history itself marks the end of the reply.
func (m match) marked() bool { return m.last().Ended && !atWork(m.last()) }

func atWork(m client.Message) bool {
	return m.Working || len(m.ToolCalls) > 0 || m.Role == client.RoleTool
}

// isBeginningOf reports whether the history has the beginning of a reply alone that it had before.
func (m match) isBeginningOf(fuller match) bool {
	n := len(m.rows)
	return m.verdict != unclear && n < len(fuller.rows) && wording(m.rows...) == wording(fuller.rows[:n]...)
}

// attached has notes of what goes with the reply.
func (m match) attached() (notes []string) {
	for _, row := range m.rows {
		if row.Role != client.RoleAssistant {
			continue
		}
		for _, a := range row.Attachments {
			notes = append(notes, a.Note())
		}
	}
	return notes
}

// texts are the parts of the reply.
func (m match) texts() []string {
	var parts []string
	for _, row := range m.rows {
		text := given(row)
		again := row.Failure != "" && slices.Contains(parts, text) // what an aborted run said, kept once more
		if row.Role == client.RoleAssistant && text != "" && !again {
			parts = append(parts, text)
		}
	}
	if spoken := slices.DeleteFunc(slices.Clone(parts), client.IsSilent); len(spoken) > 0 {
		return spoken // the word for no reply: nothing to add
	}
	return parts
}

// given is what a history has of a message's own words.
func given(row client.Message) string {
	text, _ := client.Beginning(row.Text)
	return text
}

// shortened reports whether the history has only the beginning of what the agent said.
func (m match) shortened() bool {
	return slices.ContainsFunc(m.rows, func(row client.Message) bool { return row.Role == client.RoleAssistant && row.Shortened })
}

// matchHistory finds a message in a session's history, and what the agent said
// to it: was is the history before the message went out, now is what it is,
// oldest first, and others is what this process sent beside it. A reply that may
// be somebody else's is unclear, never found.
func matchHistory(was before, msg sent, now []client.Message, others []overlapping) (m match) {
	rows, start, anchored := added(was, now)
	rows, start = asked(rows, start)
	for _, o := range was.missing {
		if from, to, there := o.in(rows[start:]); there {
			rows = slices.Delete(rows, start+from, start+to)
		}
	}
	m = match{verdict: notThere, anchored: anchored}
	if n := len(rows); n > 0 {
		m.newest = rows[n-1]
	}
	var ours int
	only, alone := findOnly(rows, msg)
	switch {
	case anchored:
		ours, m.verdict, m.why = findAfter(rows, start, msg)
	case was.unsaid && was.settled && alone: // nothing is left of what was there then
		ours, m.verdict = only, found
	default:
		ours, m.verdict, m.why = findByTime(rows, msg)
	}
	if m.verdict != found {
		return m
	}
	m.message = rows[ours].Text
	m.asked = rows[ours].CreatedAt
	m.turn = rows[ours].Turn
	old, behind := slices.Clone(rows[:ours]), slices.Clone(rows[ours+1:])
	defer func() {
		if m.verdict == unclear {
			m = m.evident(rows, ours, ours, msg)
		}
	}()
	for _, other := range others {
		if !other.over {
			m.verdict, m.why = unclear, "another message was sent to the session while this one was under way, and its reply is not known"
			continue
		}
		var whole bool
		if old, behind, whole = without(other, old, start, behind); !whole && slices.ContainsFunc(behind, fromAgent) {
			m.verdict, m.why = unclear, "another message was sent to the session while this one was under way, and its reply is not in the history as it came"
		}
	}
	if m.verdict == unclear {
		return m
	}
	if was.leftOpen(old, start, m.asked) {
		m.verdict, m.why = unclear, "another message of the session was not answered yet when this one was sent"
		if len(behind) == 0 {
			m.verdict = found // there is nothing to confuse it with yet
		}
		return m
	}
	if next := slices.IndexFunc(rows[ours+1:], fromUser); next >= 0 {
		mine := linked(rows, start, ours)
		if len(mine) > len(linked(rows[:ours+1+next], start, ours)) { // the agent went on behind somebody's next message, and says so
			m.rows = mine
			return m
		}
	}
	behind = linkedElsewhere(rows, ours, behind)
	behind, strays := inPlace(old, behind, m.asked)
	if strays && m.why == "" {
		m.why = "a message of the agent's behind it in the history is older than what stands before it, and was left out"
	}
	m = m.follow(behind, msg.overtaken)
	if between := rows[min(start, ours):ours]; anchored && len(behind) == 0 && slices.ContainsFunc(between, fromAgent) {
		m.early = true // the rest of an earlier reply, or ours where the times of messages are off
		m = m.evident(rows, min(start, ours), ours, msg)
	}
	return m
}

// fromAgent recognises what the agent says or does, and what the system says of its failure.
func fromAgent(row client.Message) bool {
	return row.Role == client.RoleAssistant || row.Role == client.RoleTool || row.Failure != ""
}

func fromUser(row client.Message) bool { return row.Role == client.RoleUser }

// asked leaves out the rows of heartbeats, which answer nobody. start is where the new rows
// begin.
func asked(rows []client.Message, start int) ([]client.Message, int) {
	out, at := make([]client.Message, 0, len(rows)), start
	for i, row := range rows {
		switch {
		case !row.Unasked:
			out = append(out, row)
		case i < start:
			at--
		}
	}
	return out, at
}

// follow takes the reply out of the messages behind ours.
func (m match) follow(behind []client.Message, overtaken bool) match {
	next := slices.IndexFunc(behind, fromUser)
	var rest []client.Message
	if m.closed = next >= 0; m.closed {
		behind, rest = behind[:next], behind[next:]
	}
	for _, row := range behind {
		if fromAgent(row) {
			m.rows = append(m.rows, row)
		}
	}
	if !m.closed || m.marked() {
		return m
	}
	questions, answers := 0, 0
	for _, row := range rest {
		switch {
		case row.Role == client.RoleUser:
			questions++
		case row.Role == client.RoleAssistant && row.Text != "":
			answers++
		}
	}
	switch {
	case len(m.rows) == 0 && answers == 0: // nothing is answered yet, so nothing is confused yet
	case len(m.rows) == 0 || atWork(m.last()):
		m.verdict, m.why = unclear, "another message of the session came before the reply, so that the replies can't be told apart"
	case overtaken || answers > questions || !m.gap(rest[0]):
		m.verdict, m.why = unclear, whyEarly
	}
	return m
}

const whyEarly = "another message of the session came before it was certain that the reply had ended"

// stillness is how long a reply stands unchanged until it counts as ended.
const stillness = 8 * time.Second

// gap reports whether the reply stood long enough before the next message came. Where it
// is older than the message that it answers, the two go by different clocks.
func (m match) gap(next client.Message) bool {
	at := m.last().CreatedAt
	return !at.IsZero() && !at.Before(m.asked) && next.CreatedAt.Sub(at) >= stillness
}

// without leaves out another message of ours and its reply, which this process
// knows. whole is false where the message stood before ours and its reply nowhere.
func without(other overlapping, old []client.Message, start int, behind []client.Message) (o, b []client.Message, whole bool) {
	msg := sent{text: other.message, sum: hashMessage(other.message)}
	asks := func(row client.Message) bool { return row.Role == client.RoleUser && msg.is(row.Text) }
	whole = true
	if i := slices.IndexFunc(old[min(start, len(old)):], asks); i >= 0 {
		whole = slices.ContainsFunc(old[start+i:], fromAgent)
		old = slices.Delete(old, start+i, start+i+1)
	} else if i := slices.IndexFunc(behind, asks); i >= 0 {
		behind = slices.Delete(behind, i, i+1)
	} else if n := len(old); n > 0 && asks(old[n-1]) {
		old, whole = old[:n-1], false
	}
	for from := range behind {
		var text strings.Builder
		for to := from; to < len(behind) && behind[to].Role != client.RoleUser; to++ {
			text.WriteString(" " + given(behind[to]))
			if behind[to].Role == client.RoleAssistant && (sameWords(text.String(), other.reply) || behind[to].Shortened && beginsWith(other.reply, text.String())) {
				return old, slices.Delete(behind, from, to+1), true
			}
		}
	}
	return old, behind, whole
}

func sameWords(a, b string) bool {
	return strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "")
}

// beginsWith reports whether a text begins with another, but for what is tidied up.
func beginsWith(text, beginning string) bool {
	beginning = bare(beginning)
	return beginning != "" && strings.HasPrefix(bare(text), beginning)
}

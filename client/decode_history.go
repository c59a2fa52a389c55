package client

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeMessages reads a history, oldest first. An item that is not a message
// is left out and counted; where no item is one, the list is an error.
func decodeMessages(raw []byte) (Page[Message], error) {
	l, err := decodeList(raw, "messages")
	if err != nil {
		return Page[Message]{}, err
	}
	session, _ := l.near.object("session")
	list := make([]stored, 0, len(l.items))
	page := Page[Message]{More: l.more, NextCursor: l.next, Busy: saysBusy(l.outer) || saysBusy(l.near) || saysBusy(session)}
	var first error
	rows := make([]jsontext.Value, 0, len(l.items))
	for _, raw := range l.items {
		rows = append(rows, messagesIn(raw)...)
	}
	for i, raw := range rows {
		if isNull(raw) {
			continue
		}
		m, err := decodeMessage(raw)
		if err != nil {
			page.Skipped++
			if first == nil {
				first = &Error{Message: fmt.Sprintf("item %d of the list of messages: %v", i+1, err)}
			}
			continue
		}
		v := variantOf(raw)
		setIfEmpty(&m.SessionID, v.session)
		list = append(list, stored{m, v})
	}
	if len(list) == 0 && first != nil {
		return Page[Message]{}, first
	}
	markOpen(list)
	page.Items = withoutDrafts(orderMessages(withoutReplaced(list)))
	markMirrors(page.Items)
	return page, nil
}

// orderMessages puts messages in the order of the conversation, and drops what
// comes twice.
//
// The service's own order counts: one message's time may be off, by a clock or
// by being stored late. The list is turned round where it has the newest first,
// and sorted by time only where it is in neither order.
func orderMessages(in []Message) []Message {
	out := dropRepeated(in)
	rising, falling := trend(out)
	less, more := min(rising, falling), max(rising, falling)
	switch lead := more - less; {
	case less > 1 && less*2 > more, less > 0 && inNoOrder(out), byRandomID(out, falling > 0):
		sortByTime(out)
	case lead <= 1 && fromQuestionToAnswer(out):
	case lead <= 1 && fromAnswerToQuestion(out):
		slices.Reverse(out)
	case less*2 > more:
		sortByTime(out)
	case falling > rising:
		slices.Reverse(out)
	}
	return out
}

// inNoOrder reports whether the times of a list say clearly that it is in neither order, as
// one is that goes by random ids: many messages are out of place, and in the order of their
// times question and answer follow each other no worse. By clocks that differ they do.
func inNoOrder(list []Message) bool {
	timed := slices.DeleteFunc(slices.Clone(list), func(m Message) bool { return m.CreatedAt.IsZero() })
	if len(timed)*4 < len(list)*3 {
		return false
	}
	turned := slices.Clone(timed)
	slices.Reverse(turned)
	sorted := slices.Clone(timed)
	sortByTime(sorted)
	left := unanswered(sorted)
	astray := func(list []Message) bool {
		n := outOfPlace(list)
		return n > 1 && n*3 >= len(list) && leapsBack(list) > 1
	}
	return astray(timed) && left <= unanswered(timed) && (unanswered(turned) > left || unanswered(turned) == left && astray(turned))
}

// leapsBack counts how often a message is earlier than the one before it: a clock that was set
// back once does that once.
func leapsBack(list []Message) (n int) {
	for i := 1; i < len(list); i++ {
		if list[i].CreatedAt.Before(list[i-1].CreatedAt) {
			n++
		}
	}
	return n
}

// byRandomID reports whether a list goes by its ids and these are random, so that the order
// says nothing. disagrees says that the times of one role do; else many ids are asked for.
func byRandomID(list []Message, disagrees bool) bool {
	const few, many = 3, 6 // in order by chance are one list of 6, and one of 720
	if len(list) < few || !disagrees && len(list) < many {
		return false
	}
	if first, last := list[0].ID, list[len(list)-1].ID; first == "" || last == "" || first[0] == last[0] {
		return false
	}
	untimed := 0
	for i, m := range list {
		if !randomID().MatchString(m.ID) || i > 0 && m.ID <= list[i-1].ID {
			return false
		}
		if m.CreatedAt.IsZero() {
			untimed++
		}
	}
	return untimed*4 <= len(list)
}

// randomID matches hashes and UUIDs. Those that begin with a time all begin alike.
var randomID = pattern(`^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12,}$`)

// outOfPlace counts the messages that have to be left out for the others to be in the order
// of their times.
func outOfPlace(list []Message) int {
	var ends []time.Time // of rows in order, by their length: how early they may end
	for _, m := range list {
		i, _ := slices.BinarySearchFunc(ends, m.CreatedAt, func(end, at time.Time) int {
			if end.After(at) {
				return 1
			}
			return -1
		})
		if i == len(ends) {
			ends = append(ends, m.CreatedAt)
		} else {
			ends[i] = m.CreatedAt
		}
	}
	return len(list) - len(ends)
}

// unanswered counts the questions that another one follows, and the answers with none before.
func unanswered(list []Message) (n int) {
	before := RoleAssistant
	for i, m := range list {
		if m.Role == RoleUser && before == RoleUser || i == 0 && fromAgent(m) {
			n++
		}
		if m.Role == RoleUser || fromAgent(m) {
			before = m.Role
		}
	}
	return n
}

// fromQuestionToAnswer reports whether a list begins and ends as a conversation
// does.
func fromQuestionToAnswer(list []Message) bool {
	return len(list) > 1 && list[0].Role == RoleUser && fromAgent(list[len(list)-1])
}

// fromAnswerToQuestion reports whether a list is one turned round, as far as its
// ends and their times say.
func fromAnswerToQuestion(list []Message) bool {
	if len(list) < 2 {
		return false
	}
	first, last := list[0], list[len(list)-1]
	return fromAgent(first) && last.Role == RoleUser &&
		(first.CreatedAt.IsZero() || !first.CreatedAt.Before(last.CreatedAt))
}

func fromAgent(m Message) bool { return m.Role == RoleAssistant || m.Role == RoleTool }

// atOnce is how far the times of messages may be apart that were stored at once, in any order.
const atOnce = 10 * time.Millisecond

// trend counts how often a message is later and how often earlier than the one
// of the same role before it: the clocks of two roles may differ.
func trend(list []Message) (rising, falling int) {
	last := map[Role]time.Time{}
	for _, m := range list {
		if m.CreatedAt.IsZero() {
			continue
		}
		if before, ok := last[m.Role]; ok {
			switch later := m.CreatedAt.Sub(before); {
			case later > 0:
				rising++
			case later < -atOnce:
				falling++
			}
		}
		last[m.Role] = m.CreatedAt
	}
	return rising, falling
}

// sortByTime sorts; a message without a time stays behind the one that it
// followed.
func sortByTime(list []Message) {
	type timed struct {
		Message
		at time.Time
	}
	sorted := make([]timed, len(list))
	var last time.Time
	for i, m := range list {
		if !m.CreatedAt.IsZero() {
			last = m.CreatedAt
		}
		sorted[i] = timed{m, last}
	}
	slices.SortStableFunc(sorted, func(a, b timed) int { return a.at.Compare(b.at) })
	for i := range sorted {
		list[i] = sorted[i].Message
	}
}

// dropRepeated drops what comes twice. The same id and role is the same message
// where one text continues the other, and its last form counts. An id that a
// question and its answer share tells nothing. Without ids it takes the same
// role, text and time.
func dropRepeated(in []Message) []Message {
	type key struct {
		id   string
		role Role
		text string
		at   int64
	}
	owner := make(map[string]Role, len(in))
	shared := make(map[string]bool)
	for _, m := range in {
		if role, ok := owner[m.ID]; ok && role != m.Role {
			shared[m.ID] = true
		}
		owner[m.ID] = m.Role
	}
	seen := make(map[key]int, len(in))
	out := make([]Message, 0, len(in))
	for _, m := range in {
		k := key{id: m.ID, role: m.Role}
		switch {
		case m.ID != "" && !shared[m.ID]:
		case m.CreatedAt.IsZero():
			out = append(out, m) // without an id or a time, the same words may have been said twice
			continue
		default:
			k.text, k.at = m.Text, m.CreatedAt.UnixNano()
		}
		i, ok := seen[k]
		if ok && k.at != 0 && i < len(out)-1 {
			ok = false // others stand between: the same was said again within the second
		}
		if ok && sameMessage(out[i], m) {
			out[i] = m
			continue
		}
		seen[k] = len(out)
		out = append(out, m)
	}
	return out
}

// sameMessage reports whether two items with one id and role are forms of one
// message.
func sameMessage(a, b Message) bool {
	return a.ToolCallID == b.ToolCallID && len(a.ToolCalls) == len(b.ToolCalls) &&
		(strings.HasPrefix(a.Text, b.Text) || strings.HasPrefix(b.Text, a.Text))
}

// markOthers tells which messages of a history are of another session than the one that was
// asked for: some services do not sort them out. A name that no message has is not how the
// service calls that session there.
func markOthers(list []Message, session string) {
	if session == "" {
		return
	}
	named := slices.ContainsFunc(list, func(m Message) bool { return m.SessionID != "" && sameSession(m.SessionID, session) })
	for i := range list {
		if m := &list[i]; !sameSession(m.SessionID, session) && (named || isSubagent(m.SessionID) && !isSubagent(session)) {
			m.Unasked = true
		}
	}
}

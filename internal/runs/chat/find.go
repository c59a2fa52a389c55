package chat

import (
	"slices"
	"time"

	"openclaw-mcp/client"
)

// findAfter looks for a message behind the place where the history ended when it
// was sent.
func findAfter(rows []client.Message, start int, msg sent) (ours int, v verdict, why string) {
	var all, same, exact []int
	for i := start; i < len(rows); i++ {
		if rows[i].Role != client.RoleUser {
			continue
		}
		all = append(all, i)
		if msg.is(rows[i].Text) {
			same = append(same, i)
		}
		if hashMessage(rows[i].Text) == msg.sum {
			exact = append(exact, i)
		}
	}
	if len(exact) > 0 {
		same = exact // others may quote it
	}
	switch {
	case len(same) == 1 && !msg.decorated(rows[same[0]].Text):
		return same[0], found, "the history has the message as one with others: the reply may be to them as well"
	case len(same) == 1:
		return same[0], found, ""
	case len(same) > 1:
		return -1, unclear, "the history has the same message more than once"
	case len(all) == 1 && msg.accepted && msg.quotedBy(rows[all[0]].Text):
		return -1, unclear, "the only new message of the history has the words of the one that was sent within others: somebody may have repeated them"
	case len(all) == 1 && msg.accepted && !msg.resembles(rows[all[0]].Text):
		return -1, unclear, "the only new message of the history has too little in common with the one that was sent"
	case len(all) == 1 && msg.accepted:
		return all[0], found, whyOtherWords
	case len(all) > 1 && msg.accepted:
		return -1, unclear, "the history has several messages since this one was sent, and none with its words"
	}
	return -1, notThere, ""
}

const whyOtherWords = "the history has the message in other words; it is the only one since it was sent"

// findOnly looks for the only message with the words of one.
func findOnly(rows []client.Message, msg sent) (ours int, ok bool) {
	for i, row := range rows {
		if fromUser(row) && msg.is(row.Text) {
			if ok {
				return -1, false
			}
			ours, ok = i, true
		}
	}
	return ours, ok && msg.decorated(rows[ours].Text)
}

// findByTime looks for a message in a history of which it is not known how it
// was before: there may be an older one with the same words.
func findByTime(rows []client.Message, msg sent) (ours int, v verdict, why string) {
	const slack = 2 * time.Second // times of services are often whole seconds, as are ours
	ours, v = -1, notThere
	for i, row := range rows {
		if row.Role != client.RoleUser || !msg.is(row.Text) {
			continue
		}
		if old := rows[max(ours, 0)].CreatedAt; ours >= 0 && (old.IsZero() || !old.Before(msg.at.Add(-slack))) {
			v = unclear
			break
		}
		ours, v = i, found
	}
	if v == unclear {
		return -1, unclear, "it is not known what the history held before the message was sent, and it has the same message more than once"
	}
	switch {
	case ours >= 0 && (rows[ours].CreatedAt.Before(msg.at.Add(-slack)) || !msg.now.IsZero() && rows[ours].CreatedAt.After(msg.now.Add(slack))): // or without a time
		return -1, unclear, "it is not known what the history held before the message was sent, so that the message can't be told from an older one"
	case ours >= 0:
		why = "it is not known what the history held before the message was sent; it was found by its words and its time"
	}
	return ours, v, why
}

// unanswered reports whether some messages leave the agent at work when the next
// one comes. It may have given up on what lies long back.
func unanswered(rows []client.Message, next time.Time) bool {
	for _, row := range slices.Backward(rows) {
		if row.Role != client.RoleUser && row.Role != client.RoleTool && row.Role != client.RoleAssistant {
			continue
		}
		if !row.CreatedAt.IsZero() && next.Sub(row.CreatedAt) > longAgo {
			return false
		}
		return row.Role != client.RoleAssistant || atWork(row)
	}
	return false
}

// outrun reports whether the agent may still have to answer one of some messages when the
// next one comes, although it has spoken since: more came at once than it answered. One
// answer may be for several: it counts as that once nothing came for a while after it.
func outrun(rows []client.Message, next time.Time) bool {
	const pause = time.Minute
	open := 0
	var answered time.Time
	for _, row := range rows {
		switch {
		case row.Role == client.RoleUser:
			if !answered.IsZero() && row.CreatedAt.Sub(answered) > pause {
				open = 0
			}
			if next.Sub(row.CreatedAt) <= longAgo {
				open++
			}
		case row.Role == client.RoleAssistant && !atWork(row):
			open, answered = max(0, open-1), row.CreatedAt
		}
	}
	return open > 0 && !answered.IsZero() && next.Sub(answered) <= longAgo
}

// longAgo is when an unanswered message counts as one that gets no answer.
const longAgo = 30 * time.Minute

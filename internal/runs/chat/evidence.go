package chat

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
)

// evident finds a reply that its place does not tell from others: by what the
// service says of which message it answers, or by its words, as far as the stream
// brought them.
// It looks at the messages from start on.
func (m match) evident(rows []client.Message, start, ours int, msg sent) match {
	mine := linked(rows, start, ours)
	if len(mine) == 0 {
		mine = begunWith(slices.Concat(rows[start:ours], rows[ours+1:]), msg.shown, m.early)
	}
	if len(mine) == 0 {
		return m
	}
	m.verdict, m.why, m.rows, m.closed, m.early = found, "", mine, false, false
	return m
}

// linked gives the agent's messages, from start on, that name a question, or its run.
func linked(rows []client.Message, start, ours int) (mine []client.Message) {
	q := rows[ours]
	turn, id := q.Turn, q.ID
	for i, row := range rows {
		if i == ours || row.Role != client.RoleUser {
			continue
		}
		if row.Turn == turn { // it tells nothing
			turn = ""
		}
		if row.ID == id {
			id = ""
		}
	}
	ids := map[string]bool{id: true}
	for _, row := range rows[start:] {
		if row.Role == client.RoleUser {
			continue
		}
		if turn != "" && row.Turn == turn || id != "" && (row.ID == id || ids[row.ReplyTo] && row.ReplyTo != "") {
			mine, ids[row.ID] = append(mine, row), true
		}
	}
	return mine
}

// linkedElsewhere leaves out of the messages behind a question those of the agent that name
// another question, or its run, where some name this one.
func linkedElsewhere(rows []client.Message, ours int, behind []client.Message) []client.Message {
	replyTo := func(row client.Message) string { return row.ReplyTo }
	turn := func(row client.Message) string { return row.Turn }
	behind = withoutLinks(rows, ours, behind, func(q client.Message) string { return q.ID }, replyTo)
	return withoutLinks(rows, ours, behind, turn, turn)
}

func withoutLinks(rows []client.Message, ours int, behind []client.Message, name, link func(client.Message) string) []client.Message {
	mine, others := name(rows[ours]), map[string]bool{}
	for i, row := range rows {
		if i != ours && row.Role == client.RoleUser && name(row) != "" && name(row) != mine {
			others[name(row)] = true
		}
	}
	if mine == "" || !slices.ContainsFunc(behind, func(row client.Message) bool { return fromAgent(row) && link(row) == mine }) {
		return behind
	}
	return slices.DeleteFunc(behind, func(row client.Message) bool { return fromAgent(row) && others[link(row)] })
}

// inPlace leaves out of the messages behind a question those of the agent that are older than
// what it said before the question, or than the question itself, where others are not: some
// services list old messages last. Where all are older, a clock was set back.
func inPlace(old, behind []client.Message, asked time.Time) (rows []client.Message, strays bool) {
	const slack = longAgo // the agent may run on several machines
	since := func(at time.Time) bool {
		return slices.ContainsFunc(behind, func(row client.Message) bool { return fromAgent(row) && !row.CreatedAt.Before(at) })
	}
	var from time.Time
	for _, row := range old {
		if fromAgent(row) && row.CreatedAt.After(from) {
			from = row.CreatedAt
		}
	}
	if asked.After(from) && since(asked) {
		from = asked
	}
	if !since(from) {
		return behind, false
	}
	for _, row := range behind {
		if fromAgent(row) && !row.CreatedAt.IsZero() && row.CreatedAt.Before(from.Add(-slack)) {
			strays = true
			continue
		}
		rows = append(rows, row)
	}
	return rows, strays
}

// begunWith gives the agent's messages that begin with what a stream brought. The
// last of them is known where it says so, or where nobody else waits for an answer;
// answered says that nobody did when the message was sent.
func begunWith(behind []client.Message, shown string, answered bool) []client.Message {
	shown = bare(shown)
	if len(shown) < tellingLen {
		return nil
	}
	begin, asked := -1, false
	for i, row := range behind {
		var text strings.Builder
		for _, next := range behind[i:] {
			if next.Role == client.RoleAssistant {
				text.WriteString(bare(given(next)))
			}
		}
		switch {
		case begin >= 0:
		case row.Role == client.RoleAssistant && row.Text != "" && (strings.HasPrefix(text.String(), shown) || len(text.String()) >= tellingLen && strings.HasPrefix(shown, text.String())):
			begin = i
		default:
			asked = asked || row.Role == client.RoleUser
			answered = answered || row.Role == client.RoleAssistant && row.Text != ""
		}
	}
	if begin < 0 {
		return nil
	}
	asked = asked || slices.ContainsFunc(behind[begin:], fromUser)
	var mine []client.Message
	for _, row := range behind[begin:] {
		if row.Role != client.RoleAssistant && row.Role != client.RoleTool {
			continue
		}
		switch mine = append(mine, row); {
		case row.Failure != "" || row.Ended && !atWork(row):
			return mine
		case (asked || !answered) && !atWork(row):
			return nil // what follows may be the answer to somebody else
		}
	}
	return mine
}

// tags are what an agent's text is cleaned of before it is stored.
var tags = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`</?[a-zA-Z][^<>\n]{0,80}>|\[\[[^\[\]\n]{0,80}\]\]`) })

func bare(s string) string { return essence(tags().ReplaceAllString(s, "")) }

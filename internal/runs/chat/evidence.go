package chat

import (
	"regexp"
	"slices"
	"strings"
	"sync"

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
				text.WriteString(bare(next.Text))
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
	asked = asked || slices.ContainsFunc(behind[begin:], func(row client.Message) bool { return row.Role == client.RoleUser })
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

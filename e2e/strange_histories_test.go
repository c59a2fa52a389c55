//go:build e2e

package e2e

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"testing"
	"time"
)

// once gives a row of the history from some time after the message on.
func (c *conversation) once(d time.Duration, rows []any, row ...any) []any {
	if c.since() >= d {
		return append(rows, row...)
	}
	return rows
}

// bareRow is a message that says nothing of itself but who wrote it.
func bareRow(role, text string) params { return params{"role": role, "content": text} }

// question gives the history up to our message, as it was sent.
func (c *conversation) upTo() (rows []any) {
	if c.since() >= 0 {
		rows = append(rows, user("q", c.question, c.asked))
	}
	return rows
}

var longAgo = time.Now().Add(-2 * time.Hour)

// strangeHistories are cases in which the history has to say what the stream does not.
var strangeHistories = []strange{
	{name: "a stored reply that grows word by word", reply: "one two three four five", stream: broken, rows: func(c *conversation) []any {
		words := strings.Fields("one two three four five")
		rows := c.upTo()
		if n := min(len(words), int(c.since()/(1200*time.Millisecond))); n > 0 {
			rows = append(rows, agent("a", strings.Join(words[:n], " "), c.asked.Add(time.Second)))
		}
		return rows
	}},
	{name: "an interim message, and the answer later", reply: "On it: running the tests.\n\nAll 12 tests pass.", stream: broken, rows: func(c *conversation) []any {
		rows := c.once(time.Second, c.upTo(), agent("a1", "On it: running the tests.", c.asked.Add(time.Second)))
		return c.once(4*time.Second, rows, agent("a2", "All 12 tests pass.", c.asked.Add(4*time.Second)))
	}},
	{name: "a tool call between two messages", reply: "Looking.\n\nIt is 42.", stream: broken, rows: func(c *conversation) []any {
		rows := c.once(500*time.Millisecond, c.upTo(), agent("a1", "Looking.", c.asked.Add(500*time.Millisecond)),
			params{"id": "t1", "role": "assistant", "content": []params{{"type": "toolCall", "id": "x", "name": "exec", "arguments": params{}}}, "created_at": c.asked.Add(600 * time.Millisecond).UTC().Format(time.RFC3339Nano)})
		return c.once(7*time.Second, rows, params{"id": "t2", "role": "toolResult", "toolCallId": "x", "content": []params{{"type": "text", "text": "42"}}, "created_at": c.asked.Add(6 * time.Second).UTC().Format(time.RFC3339Nano)},
			agent("a2", "It is 42.", c.asked.Add(7*time.Second)))
	}},
	{name: "silent stream, interim message, answer on the stream", reply: "the real answer", stream: func(c *conversation) {
		c.sse(": hello\n\n")
		c.wait(6 * time.Second)
		c.event("delta", params{"delta": "the real answer"})
		c.event("done", params{"message": params{"role": "assistant", "content": "the real answer"}})
	}, rows: func(c *conversation) []any {
		return c.once(time.Second, c.upTo(), agent("a1", "Give me a moment", c.asked.Add(time.Second)))
	}},
	{name: "the question is stored with HTML escapes", reply: "found", stream: broken, after: time.Second, rows: func(c *conversation) []any {
		if c.since() < 0 {
			return nil
		}
		return c.once(time.Second, []any{user("q", html.EscapeString(c.question), c.asked)}, agent("a", "found", c.asked.Add(time.Second)))
	}},
	{name: "the question is stored without its white space, by a clock 5 h off", reply: "found", stream: broken, before: []params{user("o", "an old question", longAgo.Add(-5*time.Hour)), agent("p", "an old answer", longAgo.Add(-5*time.Hour))},
		rows: func(c *conversation) []any {
			rows := []any{c.before[0], c.before[1]}
			if c.since() < 0 {
				return rows
			}
			at := c.asked.Add(-5 * time.Hour)
			return c.once(time.Second, append(rows, user("q", strings.Join(strings.Fields(c.question), ""), at)), agent("a", "found", at.Add(time.Second)))
		}},
	{name: "the answer is stored as older than the question", reply: "found", stream: broken, rows: func(c *conversation) []any {
		if c.since() < 0 {
			return nil
		}
		return c.once(time.Second, []any{user("q", c.question, c.asked.Add(1400*time.Millisecond))}, agent("a", "found", c.asked.Add(time.Second)))
	}},
	{name: "no ids and no times", reply: "found", stream: broken, rows: func(c *conversation) []any {
		rows := []any{bareRow("user", "an old question"), bareRow("assistant", "an old answer")}
		if c.since() < 0 {
			return rows
		}
		return c.once(time.Second, append(rows, bareRow("user", c.question)), bareRow("assistant", "found"))
	}},
	{name: "one id for the question and the answer", reply: "found", stream: broken, rows: func(c *conversation) []any {
		return c.once(time.Second, c.upTo(), agent("q", "found", c.asked.Add(time.Second)))
	}},
	{name: "newest first, in whole seconds", reply: "found", stream: broken, rows: func(c *conversation) []any {
		at := func(id, role, text string, t time.Time) params {
			return params{"id": id, "role": role, "content": text, "created_at": t.UTC().Format("2006-01-02T15:04:05Z")}
		}
		rows := []any{at("o", "user", "an old question", longAgo), at("p", "assistant", "an old answer", longAgo)}
		if c.since() >= 0 {
			rows = c.once(time.Second, append(rows, at("q", "user", c.question, c.asked)), at("a", "assistant", "found", c.asked.Add(time.Second)))
		}
		slices.Reverse(rows)
		return rows
	}},
	{name: "the same question was asked before", reply: "the new answer", stream: broken, rows: func(c *conversation) []any {
		text := c.question
		if c.since() < 0 {
			text = `question <` + c.id + `> & "more"`
		}
		rows := []any{user("o", text, longAgo), agent("p", "the old answer", longAgo.Add(time.Second))}
		if c.since() < 0 {
			return rows
		}
		rows = c.once(time.Second, rows, user("q", text, c.asked))
		return c.once(3*time.Second, rows, agent("a", "the new answer", c.asked.Add(3*time.Second)))
	}},
	{name: "tail is ignored", reply: "the new answer", status: "any", stream: broken, rows: func(c *conversation) (rows []any) {
		for i := range 40 {
			rows = append(rows, user(fmt.Sprint("o", i), fmt.Sprint("old question ", i), longAgo.Add(time.Duration(i)*time.Second)),
				agent(fmt.Sprint("p", i), fmt.Sprint("old answer ", i), longAgo.Add(time.Duration(i)*time.Second+time.Millisecond)))
		}
		return rows // and nothing newer
	}},
	{name: "somebody else's answer comes first", reply: "our answer", status: "any", stream: broken, rows: func(c *conversation) []any {
		rows := []any{user("o", "somebody else's question", time.Now().Add(-10*time.Second))}
		if c.since() < 0 {
			return rows
		}
		rows = append(rows, user("q", c.question, c.asked))
		rows = c.once(time.Second, rows, agent("a1", "the answer to somebody else", c.asked.Add(time.Second)))
		return c.once(5*time.Second, rows, agent("a2", "our answer", c.asked.Add(5*time.Second)))
	}},
	{name: "somebody else's answer comes first, and each names its question", reply: "our answer", stream: broken, rows: func(c *conversation) []any {
		rows := []any{user("o", "somebody else's question", time.Now().Add(-10*time.Second))}
		if c.since() < 0 {
			return rows
		}
		theirs, ours := agent("a1", "the answer to somebody else", c.asked.Add(time.Second)), agent("a2", "our answer", c.asked.Add(3*time.Second))
		theirs["reply_to"], ours["reply_to"] = "o", "q"
		rows = c.once(time.Second, append(rows, user("q", c.question, c.asked)), theirs)
		return c.once(3*time.Second, rows, ours)
	}},
	{name: "a row that says that it is being written", reply: "half and whole", stream: broken, rows: func(c *conversation) []any {
		if c.since() < 9*time.Second {
			row := agent("a", "half", c.asked.Add(time.Second))
			row["status"] = "in_progress"
			return c.once(time.Second, c.upTo(), row)
		}
		row := agent("a", "half and whole", c.asked.Add(time.Second))
		row["status"] = "completed"
		return append(c.upTo(), row)
	}},
	{name: "a row that says so in other words", reply: "half and whole", stream: broken, rows: func(c *conversation) []any {
		row := agent("a", "half", c.asked.Add(time.Second))
		switch since := c.since(); {
		case since < 4*time.Second:
			row["isStreaming"] = true
		case since < 8*time.Second:
			row["complete"] = false
		case since < 12*time.Second:
			row["metadata"] = params{"status": "in_progress"}
		default:
			row["content"] = "half and whole"
		}
		return c.once(time.Second, c.upTo(), row)
	}},
	{name: "rows that are a tool's call and a status", reply: "the answer", stream: broken, rows: func(c *conversation) []any {
		call, status := agent("t", "exec ls", c.asked.Add(time.Second)), agent("s", "starting the agent", c.asked.Add(time.Second))
		call["type"], status["type"] = "tool_call", "status"
		rows := c.once(time.Second, c.upTo(), status, call)
		return c.once(11*time.Second, rows, agent("a", "the answer", c.asked.Add(11*time.Second)))
	}},
	{name: "rows that were withdrawn, and one that is hidden", reply: "the answer", stream: broken, rows: func(c *conversation) []any {
		draft, older, memo := agent("d", "a draft", c.asked), agent("e", "an older try", c.asked), agent("m", "a memo", c.asked)
		draft["deleted"], older["superseded"], memo["hidden"] = true, true, true
		return c.once(time.Second, c.upTo(), draft, older, memo, agent("a", "the answer", c.asked.Add(time.Second)))
	}},
	{name: "content is the JSON of its blocks", reply: "found", stream: broken, rows: func(c *conversation) []any {
		return c.once(time.Second, c.upTo(), agent("a", `[{"type":"thinking","thinking":"hm"},{"type":"text","text":"found"}]`, c.asked.Add(time.Second)))
	}},
	{name: "content is parts", reply: "found", stream: broken, rows: func(c *conversation) []any {
		row := agent("a", "", c.asked.Add(time.Second))
		row["content"] = params{"content_type": "text", "parts": []string{"found"}}
		return c.once(time.Second, c.upTo(), row)
	}},
	{name: "an answer whose status is a failure", status: "failed", after: -1, stream: broken, says: "no credits", rows: func(c *conversation) []any {
		row := agent("a", "", c.asked.Add(time.Second))
		row["status"], row["error"] = "failed", "no credits"
		return c.once(time.Second, c.upTo(), row)
	}},
	{name: "the stream stays open behind the reply, with signs of life", reply: "all of it", says: "marks it as ended", stream: func(c *conversation) {
		c.sse("event: session\ndata: {\"session_id\":\"s1\"}\n\n")
		c.event("delta", params{"delta": "all of"})
		for c.r.Context().Err() == nil {
			c.put(": ping\n\n")
			c.wait(time.Second)
		}
	}, rows: func(c *conversation) []any {
		row := agent("a", "all of it", c.asked.Add(time.Second))
		row["stopReason"] = "stop"
		return c.once(time.Second, c.upTo(), row)
	}},
	{name: "rows that are no messages", reply: "sent all the same", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "sent all the same"})
		c.event("done", params{})
	}, rows: func(c *conversation) []any {
		return append([]any{nil, 7, []any{}, "text", params{"x": 1}}, c.told()...)
	}},
	{name: "the history answers 500", reply: "sent all the same", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "sent all the same"})
		c.event("done", params{})
	}, other: func(c *conversation, e string) bool {
		if e == "GET chat/messages" {
			answerJSON(c.w, 500, params{"message": "no"})
		}
		return e == "GET chat/messages"
	}},
	{name: "the history answers 422", reply: "sent all the same", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "sent all the same"})
		c.event("done", params{})
	}, other: func(c *conversation, e string) bool {
		if e == "GET chat/messages" {
			answerJSON(c.w, 422, params{"detail": []params{{"loc": []string{"query", "limit"}, "msg": "unexpected"}}})
		}
		return e == "GET chat/messages"
	}},
	{name: "a clean end in the middle", reply: "the whole of the reply, and not its half", after: 2 * time.Second, stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "the whole of the "})
	}},
	{name: "a clean end, and no history", reply: "all there is", status: "any", says: "all there is", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "all there is"})
	}, other: func(c *conversation, e string) bool {
		if e == "GET chat/messages" {
			answerJSON(c.w, 404, params{"message": "Not Found"})
		}
		return e == "GET chat/messages"
	}},
	{name: "the history is wrapped, in camel case, in milliseconds", reply: "found", stream: broken, other: func(c *conversation, e string) bool {
		if e != "GET chat/messages" {
			return false
		}
		rows := []params{}
		if c.since() >= 0 {
			rows = append(rows, params{"messageId": "q", "sessionId": "s1", "role": "user", "content": c.question, "timestamp": c.asked.UnixMilli()})
		}
		if c.since() > time.Second {
			rows = append(rows, params{"messageId": "a", "sessionId": "s1", "role": "assistant", "content": []params{{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "found"}}, "timestamp": c.asked.Add(time.Second).UnixMilli()})
		}
		answerJSON(c.w, 200, params{"data": params{"messages": rows, "hasMore": false}})
		return true
	}},
	{name: "no sessions are listed, the stream names one", reply: "hello", stream: func(c *conversation) {
		c.sse("event: session\ndata: {\"session_id\":\"s77\"}\n\n")
		c.event("delta", params{"delta": "hello"})
		c.event("done", params{})
	}, other: func(c *conversation, e string) bool {
		if strings.HasSuffix(e, "chat/sessions") {
			answerJSON(c.w, 404, params{"message": "Not Found"})
		}
		return strings.HasSuffix(e, "chat/sessions")
	}, check: func(t *testing.T, s *session, c *conversation, r result) {
		if r.str("session") != "s77" {
			t.Errorf("the session is %q", r.str("session"))
		}
		if r := s.call(t, "send_chat_message", params{"instance": c.id, "message": "and again"}); r.str("session") != "s77" {
			t.Errorf("the next message went to session %q: %s", r.str("session"), r.Text)
		}
	}},
	{name: "nothing ever comes", status: "failed", after: -1, stream: func(c *conversation) {
		c.sse("event: session\ndata: {\"session_id\":\"s1\"}\n\n")
		c.reset()
	}, rows: func(c *conversation) []any { return nil }},
	{name: "an answer that failed in the history", status: "failed", after: -1, stream: broken, rows: func(c *conversation) []any {
		row := agent("a", "", c.asked.Add(time.Second))
		row["stopReason"], row["errorMessage"] = "error", "the model is out of credit"
		return c.once(time.Second, c.upTo(), row)
	}, says: "out of credit"},
}

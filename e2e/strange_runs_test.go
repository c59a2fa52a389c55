//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

func item(run, session, stream string, data params) params {
	return params{"runId": run, "sessionKey": session, "stream": stream, "data": data}
}

// strangeRuns are a second look: runs that mix, ends that are none, and types that lie.
var strangeRuns = []strange{
	{name: "acknowledged, then another's final, then ours", reply: "ours", stream: func(c *conversation) {
		c.sse()
		c.event("", params{"runId": "r1", "status": "started"})
		c.event("", gateway("r0", mainKey, "final", "theirs"))
		c.event("", gateway("r1", mainKey, "delta", "ours"))
		c.event("", gateway("r1", mainKey, "final", "ours"))
	}},
	{name: "another's final first, and no acknowledgement", reply: "ours", status: "any", stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r0", mainKey, "delta", "the end of a longer answer to someone else"))
		c.event("", gateway("r0", mainKey, "final", "the end of a longer answer to someone else"))
		c.event("", gateway("r1", mainKey, "delta", "ours"))
		c.event("", gateway("r1", mainKey, "final", "ours"))
	}, before: []params{user("o", "someone else's question", longAgo)}},
	{name: "events of a sub-agent without a run", reply: "ours", stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r1", mainKey, "delta", "ou"))
		c.event("", params{"sessionKey": "agent:main:subagent:3", "state": "final", "message": params{"role": "assistant", "content": []params{{"type": "text", "text": "sub"}}}})
		c.event("", gateway("r1", mainKey, "delta", "ours"))
		c.event("", gateway("r1", mainKey, "final", "ours"))
	}},
	{name: "a sub-agent's life ends within ours", reply: "Before. After.", stream: func(c *conversation) {
		c.sse()
		c.event("", item("r1", mainKey, "lifecycle", params{"phase": "start"}))
		c.event("", item("r1", mainKey, "assistant", params{"text": "Before.", "delta": "Before."}))
		c.event("", item("r2", "agent:main:subagent:1", "lifecycle", params{"phase": "start"}))
		c.event("", item("r2", "agent:main:subagent:1", "assistant", params{"text": "sub text", "delta": "sub text"}))
		c.event("", item("r2", "agent:main:subagent:1", "lifecycle", params{"phase": "end"}))
		c.event("", item("r1", mainKey, "assistant", params{"text": "Before. After.", "delta": " After."}))
		c.event("", item("r1", mainKey, "lifecycle", params{"phase": "end"}))
	}},
	{name: "a second choice", reply: "first", stream: func(c *conversation) {
		c.sse()
		c.event("", params{"choices": []params{{"index": 1, "delta": params{"content": "second"}}, {"index": 0, "delta": params{"content": "fir"}}}})
		c.event("", params{"choices": []params{{"index": 0, "delta": params{"content": "st"}}, {"index": 1, "delta": params{"content": " choice"}}}})
		c.event("", "[DONE]")
	}},
	{name: "two ends, and text behind", reply: "one", stream: func(c *conversation) {
		c.sse()
		c.event("", chunk(params{"content": "one"}))
		c.event("", "[DONE]")
		c.event("", "[DONE]")
		c.event("", chunk(params{"content": " more"}))
	}},
	{name: "an error behind the end", reply: "whole", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "whole"})
		c.event("done", params{"message": params{"role": "assistant", "content": "whole"}})
		c.event("error", params{"message": "connection to worker lost"})
	}},
	{name: "pieces, then the same message whole", reply: "Hello", stream: func(c *conversation) {
		c.sse()
		c.event("", params{"type": "agent-output", "data": params{"type": "stream_event", "event": params{"delta": params{"text": "Hel"}}}})
		c.event("", params{"type": "agent-output", "data": params{"type": "stream_event", "event": params{"delta": params{"text": "lo"}}}})
		c.event("", params{"type": "agent-output", "data": params{"type": "assistant", "message": params{"content": []params{{"type": "text", "text": "Hello"}}}}})
		c.event("", params{"type": "agent-output", "data": params{"type": "result", "result": "Hello"}})
		c.event("", params{"type": "complete", "success": true, "exitCode": 0})
	}},
	{name: "an echo as a message, then the answer as one", reply: "the answer", stream: func(c *conversation) {
		c.sse()
		c.event("message", params{"id": "q", "role": "user", "content": c.question})
		c.event("message", params{"id": "a", "role": "assistant", "content": "the answer"})
		c.event("end", params{})
	}},
	{name: "an end without data", reply: "short", stream: func(c *conversation) {
		c.sse("event: delta\ndata: {\"delta\":\"short\"}\n\n", "event: done\n\n")
	}},
	{name: "empty and pinging events", reply: "short", stream: func(c *conversation) {
		c.sse("data:\n\n", "event: ping\ndata: {}\n\n", "event: keepalive\ndata: \"\"\n\n", "event: delta\ndata: {\"delta\":\"short\"}\n\n", "data: \n\n", "event: done\ndata: {}\n\n")
	}},
	{name: "one JSON answer that is called a stream", reply: "whole", stream: func(c *conversation) {
		c.header(200, "text/event-stream")
		c.put(`{"reply":"whole","session_id":"s1"}`)
	}},
	{name: "a stream that is called JSON", reply: "one two", stream: func(c *conversation) {
		c.header(200, "application/json")
		c.put("event: delta\ndata: {\"delta\":\"one \"}\n\nevent: delta\ndata: {\"delta\":\"two\"}\n\nevent: done\ndata: {}\n\n")
	}},
	{name: "a stream that is called nothing", reply: "one two", stream: func(c *conversation) {
		c.header(200, "application/octet-stream")
		c.put("event: delta\ndata: {\"delta\":\"one \"}\n\nevent: delta\ndata: {\"delta\":\"two\"}\n\nevent: done\ndata: {}\n\n")
	}},
	{name: "bytes that are not UTF-8", reply: "caf\uFFFD", status: "any", stream: func(c *conversation) {
		c.sse("event: delta\ndata: {\"delta\":\"caf\xe9\"}\n\n", "event: done\ndata: {}\n\n")
	}},
	{name: "our run is aborted", status: "any", after: -1, reply: "\x00never", stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r1", mainKey, "delta", "half an ans"))
		c.event("", gateway("r1", mainKey, "aborted", ""))
	}},
	{name: "an incomplete response", reply: "half an ans", says: "longest answer that it may give", after: -1, stream: func(c *conversation) {
		c.sse()
		c.event("response.output_text.delta", params{"type": "response.output_text.delta", "delta": "half an ans"})
		c.event("response.incomplete", params{"type": "response.incomplete", "response": params{"status": "incomplete", "incomplete_details": params{"reason": "max_output_tokens"}}})
	}},
	{name: "cut off by the model's limit", reply: "half an ans", says: "longest answer that it may give", stream: func(c *conversation) {
		c.sse()
		c.event("", chunk(params{"content": "half an ans"}))
		c.event("", params{"choices": []params{{"index": 0, "delta": params{}, "finish_reason": "length"}}})
		c.event("", "[DONE]")
	}},
	{name: "cut off by a filter, in one answer", reply: "half an ans", says: "content filter", stream: whole(200, params{"choices": []params{{"finish_reason": "content_filter", "message": params{"role": "assistant", "content": "half an ans"}}}})},
	{name: "cut off by the gateway's limit", reply: "half an ans", says: "longest answer that it may give", stream: func(c *conversation) {
		c.sse()
		final := gateway("r1", mainKey, "final", "half an ans")
		final["stopReason"] = "length"
		c.event("", final)
	}},
	{name: "cut off by Claude's limit, in the first of two turns", reply: "one two", stream: func(c *conversation) {
		c.sse()
		for i, text := range []string{"one ", "two"} {
			c.event("", params{"type": "stream_event", "event": params{"type": "content_block_delta", "delta": params{"type": "text_delta", "text": text}}})
			c.event("", params{"type": "stream_event", "event": params{"type": "message_delta", "delta": params{"stop_reason": []string{"max_tokens", "end_turn"}[i]}}})
		}
		c.event("", params{"type": "complete", "success": true})
	}, check: func(t *testing.T, _ *session, _ *conversation, r result) {
		if strings.Contains(r.Text, "longest answer") {
			t.Errorf("got %s", r.Text)
		}
	}},
	{name: "cut off, as the history says", reply: "half an ans", says: "longest answer that it may give", stream: broken, rows: func(c *conversation) []any {
		row := agent("a", "half an ans", c.asked.Add(time.Second))
		row["stopReason"] = "length"
		return c.once(time.Second, c.upTo(), row)
	}},
	{name: "a heartbeat was the last word before", reply: "ours", stream: broken, rows: func(c *conversation) []any {
		hb := agent("hb", "HEARTBEAT_OK", longAgo)
		hb["is_heartbeat"] = true
		return c.once(2*time.Second, append([]any{user("o", "old", longAgo), agent("p", "old answer", longAgo), hb}, c.upTo()...), agent("a", "ours", c.asked.Add(2*time.Second)))
	}},
	{name: "names in capitals", reply: "one two", stream: func(c *conversation) {
		c.sse()
		c.event("Delta", params{"delta": "one "})
		c.event("DELTA", params{"delta": "two"})
		c.event("DONE", params{})
	}},
	{name: "a heartbeat between our question and its answer", reply: "ours", status: "any", stream: broken, rows: func(c *conversation) []any {
		rows := c.once(time.Second, c.upTo(), user("h", "Read HEARTBEAT.md if it exists. If nothing needs attention, reply HEARTBEAT_OK.", c.asked.Add(time.Second)), agent("hb", "HEARTBEAT_OK", c.asked.Add(2*time.Second)))
		return c.once(4*time.Second, rows, agent("a", "ours", c.asked.Add(4*time.Second)))
	}},
	{name: "a heartbeat before our answer, which says that it is one", reply: "ours", stream: broken, rows: func(c *conversation) []any {
		hb := agent("hb", "HEARTBEAT_OK", c.asked.Add(time.Second))
		hb["isHeartbeat"] = true
		rows := c.once(time.Second, c.upTo(), hb)
		return c.once(4*time.Second, rows, agent("a", "ours", c.asked.Add(4*time.Second)))
	}},
	{name: "each row twice", reply: "once", stream: broken, rows: func(c *conversation) []any {
		a := agent("a", "once", c.asked.Add(time.Second))
		return c.once(time.Second, append(c.upTo(), c.upTo()...), a, a)
	}},
	{name: "line breaks of Windows", reply: "a\r\nb", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "a\r\n"})
		c.event("delta", params{"delta": "b"})
		c.event("done", params{})
	}},
	{name: "an error that it gets over", status: "any", reply: "after all", stream: func(c *conversation) {
		c.sse()
		c.event("", params{"type": "error", "error": params{"message": "overloaded, trying again"}, "willRetry": true})
		c.event("", params{"type": "output", "text": "after all"})
		c.event("", params{"type": "complete", "success": true})
	}},
	{name: "half on the stream, and the rest behind a tool in the history", reply: "First half.\n\nSecond half.", stream: func(c *conversation) {
		c.sse("event: session\ndata: {\"session_id\":\"s1\"}\n\n")
		c.event("delta", params{"delta": "First half."})
		c.reset()
	}, rows: func(c *conversation) []any {
		rows := c.once(500*time.Millisecond, c.upTo(), agent("a1", "First half.", c.asked.Add(500*time.Millisecond)))
		return c.once(3*time.Second, rows, params{"id": "t", "role": "tool", "content": "output", "created_at": c.asked.Add(2 * time.Second).UTC().Format(time.RFC3339Nano)},
			agent("a2", "Second half.", c.asked.Add(3*time.Second)))
	}},
	{name: "a slow header", reply: "late", stream: func(c *conversation) {
		c.wait(4 * time.Second)
		c.sse()
		c.event("delta", params{"delta": "late"})
		c.event("done", params{})
	}},
	{name: "many small events", reply: strings.Repeat("x ", 5000) + "end", stream: func(c *conversation) {
		c.sse()
		for range 5000 {
			c.event("delta", params{"delta": "x "})
		}
		c.event("delta", params{"delta": "end"})
		c.event("done", params{})
	}},
}

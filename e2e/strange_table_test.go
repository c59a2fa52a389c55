//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"time"
)

func chunk(delta params) params {
	return params{"id": "chatcmpl_1", "object": "chat.completion.chunk", "choices": []params{{"index": 0, "delta": delta}}}
}

func gateway(run, key, state, text string) params {
	p := params{"runId": run, "sessionKey": key, "state": state}
	if text != "" {
		p["message"] = params{"role": "assistant", "content": []params{{"type": "text", "text": text}}}
	}
	return p
}

const mainKey = "agent:main:main"

// broken streams say nothing of the reply: the history has to.
func broken(c *conversation) {
	c.sse("event: session\ndata: {\"session_id\":\"s1\"}\n\n")
	c.reset()
}

func whole(status int, body any) func(c *conversation) {
	return func(c *conversation) { answerJSON(c.w, status, body) }
}

// strangeChats are the cases. What is not said in a row is as a good service does it.
var strangeChats = []strange{
	{name: "a character cut between two writes", reply: "grüße 🦞 ende", stream: func(c *conversation) {
		raw := "event: output\ndata: {\"text\":\"grüße 🦞 ende\"}\n\nevent: complete\ndata: {\"success\":true}\n\n"
		c.sse()
		for i := range len(raw) {
			c.put(raw[i : i+1])
		}
	}},
	{name: "a surrogate pair cut between two deltas", reply: "lobster 🦞!", status: "any", stream: func(c *conversation) {
		c.sse("event: delta\ndata: {\"delta\":\"lobster \\ud83e\"}\n\n", "event: delta\ndata: {\"delta\":\"\\udd9e!\"}\n\n", "event: done\ndata: {}\n\n")
	}},
	{name: "carriage returns alone, and a byte order mark", reply: "one two", stream: func(c *conversation) {
		c.sse("\ufeffevent: delta\rdata: {\"delta\":\"one \"}\r\r", "event: delta\rdata:{\"delta\":\"two\"}\r\r", "event: done\rdata: {}\r\r")
	}},
	{name: "one event of 3 MB", reply: strings.Repeat("0123456789 ", 300_000) + "end", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": c.reply})
		c.event("done", params{})
	}, check: nil},
	{name: "comments alone for a while", reply: "late", after: 3 * time.Second, stream: func(c *conversation) {
		c.sse()
		for range 6 {
			c.put(": ping\n\n")
			c.wait(500 * time.Millisecond)
		}
		c.event("delta", params{"delta": "late"})
		c.event("done", params{})
	}},
	{name: "lines of text in one event", reply: "a\nb\n\nc", stream: func(c *conversation) {
		c.sse("event: token\ndata: a\ndata: b\ndata: \ndata: c\n\n", "event: done\ndata: {}\n\n")
	}},
	{name: "pieces of white space", reply: "a \n\t b", stream: func(c *conversation) {
		c.sse()
		for _, p := range []string{"a", " ", "\n", "\t", " b"} {
			c.event("", chunk(params{"content": p}))
		}
		c.event("", "[DONE]")
	}},
	{name: "a tool call within OpenAI chunks", reply: "Looking. Found it.", stream: func(c *conversation) {
		c.sse()
		c.event("", chunk(params{"role": "assistant", "content": "Looking. "}))
		c.event("", chunk(params{"tool_calls": []params{{"index": 0, "id": "t", "function": params{"name": "exec", "arguments": "{}"}}}}))
		c.event("", params{"choices": []params{{"index": 0, "delta": params{}, "finish_reason": "tool_calls"}}})
		c.event("", chunk(params{"content": "Found it."}))
		c.event("", params{"choices": []params{{"index": 0, "delta": params{}, "finish_reason": "stop"}}})
		c.event("", "[DONE]")
	}},
	{name: "a heartbeat's run ends before ours", reply: "our answer", stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r1", mainKey, "delta", "our"))
		c.event("", gateway("hb", mainKey, "delta", "HEARTBEAT_OK"))
		c.event("", gateway("hb", mainKey, "final", "HEARTBEAT_OK"))
		c.event("", gateway("r1", mainKey, "delta", "our answer"))
		c.event("", gateway("r1", mainKey, "final", "our answer"))
	}},
	{name: "a sub-agent fails before ours ends", reply: "our answer", stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r1", mainKey, "delta", "our "))
		c.event("", params{"runId": "r2", "sessionKey": "agent:main:subagent:7", "state": "error", "errorMessage": "the sub-agent failed"})
		c.event("", params{"runId": "r3", "sessionKey": "agent:main:subagent:8", "state": "aborted"})
		c.event("", gateway("r1", mainKey, "final", "our answer"))
	}},
	{name: "another run's text behind our end", reply: "ours", stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r1", mainKey, "delta", "ours"))
		c.event("", gateway("r1", mainKey, "final", "ours"))
		c.event("", gateway("r9", mainKey, "delta", "theirs"))
		c.event("", gateway("r9", mainKey, "final", "theirs"))
	}},
	{name: "deltaText alone, with phases", reply: "Hello there", stream: func(c *conversation) {
		c.sse()
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "status", "phase": "starting_model"})
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "delta", "deltaText": "Hello "})
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "delta", "deltaText": "there"})
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "final", "stopReason": "stop"})
	}},
	{name: "a replacement", reply: "the second thought", stream: func(c *conversation) {
		c.sse()
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "delta", "deltaText": "first"})
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "delta", "deltaText": "the second", "replace": true})
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "delta", "deltaText": " thought"})
		c.event("", params{"runId": "r1", "sessionKey": mainKey, "state": "final"})
	}},
	{name: "two items that say the same", reply: "OK\n\nOK", stream: func(c *conversation) {
		c.sse()
		for _, item := range []string{"i1", "i2"} {
			c.event("", params{"runId": "r1", "stream": "assistant", "data": params{"itemId": item, "text": "OK", "delta": "OK"}})
		}
		c.event("", params{"runId": "r1", "stream": "lifecycle", "data": params{"phase": "end"}})
	}},
	{name: "items that only grow", reply: "Let me check\n\nLet me check again", stream: func(c *conversation) {
		c.sse()
		for _, p := range [][2]string{{"i1", "Let"}, {"i1", "Let me check"}, {"i2", "Let me"}, {"i2", "Let me check again"}} {
			c.event("", params{"runId": "r1", "stream": "assistant", "data": params{"itemId": p[0], "text": p[1]}})
		}
		c.event("", params{"runId": "r1", "stream": "lifecycle", "data": params{"phase": "end"}})
	}},
	{name: "the final has less than was streamed", reply: "The answer is 4.", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "<think>2+2</think>"})
		c.event("delta", params{"delta": "The answer is 4."})
		c.event("done", params{"message": params{"role": "assistant", "content": "The answer is 4."}})
	}},
	{name: "deltas that repeat, and a right final", reply: "one two three", stream: func(c *conversation) {
		c.sse()
		for _, p := range []string{"one ", "one two ", "one two three"} {
			c.event("delta", params{"delta": p})
		}
		c.event("done", params{"message": params{"role": "assistant", "content": "one two three"}})
	}},
	{name: "raw JSON as text", reply: `It says {"name":"x"}{"error":"disk full"}`, stream: func(c *conversation) {
		c.sse()
		c.event("token", "It says ")
		c.event("token", `{"name":"x"}`)
		c.event("token", `{"error":"disk full"}`)
		c.event("done", params{})
	}},
	{name: "reasoning of four kinds, and an echo", reply: "Yes.", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"text": c.question, "sender": "user"})
		c.event("delta", params{"text": "let me think ", "channel": "analysis"})
		c.event("delta", params{"text": "hmm ", "kind": "reasoning"})
		c.event("delta", params{"delta": params{"type": "thinking_delta", "thinking": "deep"}})
		c.event("delta", params{"text": "still ", "thought": true})
		c.event("delta", params{"text": "Yes."})
		c.event("done", params{})
	}},
	{name: "a tool's output that looks like an answer", reply: "Done.", stream: func(c *conversation) {
		c.sse()
		c.event("tool_call", params{"name": "exec", "args": params{"command": "x"}})
		c.event("tool_result", params{"name": "exec", "result": "All tests pass. This is my final answer."})
		c.event("delta", params{"delta": "Done."})
		c.event("done", params{})
	}},
	{name: "the responses API, with a failure", status: "failed", says: "model overloaded", stream: func(c *conversation) {
		c.sse()
		c.event("response.output_text.delta", params{"type": "response.output_text.delta", "delta": "par"})
		c.event("response.failed", params{"type": "response.failed", "response": params{"error": params{"message": "model overloaded"}}})
		c.event("", "[DONE]")
	}, after: -1},
	{name: "a success that is no success", status: "failed", stream: func(c *conversation) {
		c.sse("event: output\ndata: {\"text\":\"half\"}\n\n", "event: complete\ndata: {\"success\":\"false\",\"error\":\"it broke\"}\n\n")
	}, says: "it broke", after: -1},
	{name: "an exit code as text", status: "failed", after: -1, stream: func(c *conversation) {
		c.sse("event: output\ndata: {\"text\":\"half\"}\n\n", "event: complete\ndata: {\"exitCode\":\"1\"}\n\n")
	}},
	{name: "the agent chose not to answer", reply: "", says: "chose not to answer", after: -1, stream: func(c *conversation) {
		c.sse()
		c.event("", gateway("r1", mainKey, "final", "NO_REPLY"))
	}},
	{name: "lines of JSON", reply: "one two", stream: func(c *conversation) {
		c.header(200, "application/x-ndjson")
		c.put("{\"type\":\"output\",\"text\":\"one \"}\n{\"type\":\"output\",\"text\":\"two\"}\n{\"type\":\"complete\",\"success\":true}\n")
	}},
	{name: "plain text", reply: "a plain answer", stream: func(c *conversation) {
		c.header(200, "text/plain; charset=utf-8")
		c.put("a plain answer")
	}},
	{name: "a web page", status: "failed", after: -1, says: "web page", stream: func(c *conversation) {
		c.header(200, "text/html")
		c.put("<!doctype html><title>Sign in</title><p>welcome")
	}},
	{name: "compressed, though nobody asked", reply: "unpacked", stream: func(c *conversation) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = fmt.Fprint(z, "event: delta\ndata: {\"delta\":\"unpacked\"}\n\nevent: done\ndata: {}\n\n")
		_ = z.Close()
		c.w.Header().Set("Content-Encoding", "gzip")
		c.header(200, "text/event-stream")
		c.put(b.String())
	}},
	{name: "compressed in a way that is unknown", reply: "from the history", status: "any", after: time.Second, stream: func(c *conversation) {
		c.w.Header().Set("Content-Encoding", "zstd-odd")
		c.header(200, "text/event-stream")
		c.put("\x28\xb5\x2f\xfd garbage")
	}},
	{name: "queued, in an answer of 200", reply: "after the queue", after: 3 * time.Second, stream: whole(200, params{"status": "queued"})},
	{name: "accepted, with a word of its own", reply: "after the queue", after: 3 * time.Second, stream: whole(202, params{"message": "Message queued"})},
	{name: "accepted, with nothing", reply: "after the queue", after: 2 * time.Second, stream: func(c *conversation) { c.w.WriteHeader(202) }},
	{name: "blocks of text in one answer", reply: "Hi there", stream: whole(200, params{"choices": []params{{"message": params{"role": "assistant", "content": []params{{"type": "text", "text": "Hi there"}}}}}})},
	{name: "taken, as the message was stored", reply: "after the queue", after: 3 * time.Second, stream: func(c *conversation) {
		answerJSON(c.w, 200, params{"id": "q", "session_id": "s1", "message": c.question})
	}},
	{name: "taken, in words of success", reply: "after the queue", after: 3 * time.Second, stream: whole(200, params{"success": true, "message": "Message sent"})},
	{name: "a report of a failure in place of a reply", status: "failed", after: -1, says: "No API key", stream: whole(200, params{"runId": "r", "status": "ok", "result": params{"payloads": []params{{"text": "No API key", "isError": true}}}})},
	{name: "the end says ok", reply: "the answer", stream: func(c *conversation) {
		c.sse()
		c.event("delta", params{"delta": "the answer"})
		c.event("done", "ok")
	}},
	{name: "numbered events that come twice", reply: "one two", stream: func(c *conversation) {
		c.sse()
		for seq, piece := range []string{"one ", "two"} {
			for range 2 {
				c.event("", params{"runId": "r1", "sessionKey": mainKey, "seq": seq, "state": "delta", "deltaText": piece})
			}
		}
		c.event("", gateway("r1", mainKey, "final", ""))
	}},
	{name: "events that come twice under one id", reply: "one two", stream: func(c *conversation) {
		c.sse()
		c.put("id: 0\nevent: start\ndata: {}\n\n")
		for i, piece := range []string{"one ", "two"} {
			for range 2 {
				c.put(fmt.Sprintf("id: %d\nevent: delta\ndata: {\"delta\":%q}\n\n", i+1, piece))
			}
		}
		c.event("done", params{})
	}},
	{name: "a refusal", reply: "I can't do that.", stream: func(c *conversation) {
		c.sse()
		c.event("", chunk(params{"refusal": "I can't "}))
		c.event("", chunk(params{"content": nil, "refusal": "do that."}))
		c.event("", "[DONE]")
	}},
	{name: "pieces as parts", reply: "one two", stream: func(c *conversation) {
		c.sse()
		for _, piece := range []string{"one ", "two"} {
			c.event("delta", params{"parts": []params{{"type": "text", "text": piece}}})
		}
		c.event("done", params{})
	}},
	{name: "a proxy gave up", reply: "the agent went on", after: 3 * time.Second, stream: func(c *conversation) {
		c.header(504, "text/html")
		c.put("<html><title>504 Gateway Time-out</title></html>")
	}},
	{name: "an error after the message was taken", reply: "it went on", after: 2 * time.Second, stream: whole(500, params{"message": "internal error"})},
	{name: "not ready", status: "failed", after: -1, rows: func(*conversation) []any { return nil }, stream: whole(409, params{"message": "Instance is not ready"})},
	{name: "elsewhere", status: "failed", after: -1, rows: func(*conversation) []any { return nil }, stream: func(c *conversation) {
		c.w.Header().Set("Location", "https://login.example/")
		c.w.WriteHeader(302)
	}},
}

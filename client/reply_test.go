package client

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// replyRow is what a service sends in answer to a message and what the user has
// to be told. A new dialect is one more row.
type replyRow struct {
	rule        string
	in          string // the events, a line each: data, or "name>data"; or the body
	contentType string // "" is a stream of events
	status      int    // 0 is 200
	session     string // that the message was sent to
	lingers     bool   // the stream is read on behind its end

	text  string
	end   string // final, silent, accepted: remark, error: message, fails: error of the stream; "" where nothing says how it ended
	tools string
	says  string // status lines, joined
}

// Of the gateway's events (families E and F), those of our run count, whatever
// else comes on the stream.
var otherRuns = []replyRow{
	{rule: "a heartbeat of another session does not replace the text",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + e("hb", "main", `"state":"delta",`+said("HEARTBEAT_OK")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "another run of the same session does not end ours",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + e("x", "k", `"state":"final",`+said("theirs")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "another run's error does not fail ours",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + e("x", "k", `"state":"error","errorMessage":"boom"`) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "another run's abort does not end ours",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + e("x", "k2", `"state":"aborted"`) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "another session under the same run is another's",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + e("r", "k2", `"state":"final",`+said("theirs")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "agent events of another run are not ours",
		in: f("r", "assistant", `"text":"Hel","delta":"Hel"`) + f("x", "assistant", `"text":"theirs","delta":"theirs"`) + f("x", "tool", `"phase":"start","toolCallId":"t","name":"exec"`) +
			f("x", "lifecycle", `"phase":"end"`) + f("r", "assistant", `"text":"Hello","delta":"lo"`) + f("r", "lifecycle", `"phase":"end"`),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "another agent run's error does not fail ours",
		in:   f("r", "assistant", `"text":"Hello","delta":"Hello"`) + f("x", "lifecycle", `"phase":"error","error":"boom"`) + f("r", "lifecycle", `"phase":"end"`),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "a sub-agent that comes first is none of ours",
		in: `{"runId":"sub","spawnedBy":"agent:main:k","state":"delta",` + said("counting") + "}\n" + `{"runId":"sub","spawnedBy":"agent:main:k","state":"final",` + said("seven") + "}\n" +
			e("r", "agent:main:k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "a sub-agent is at work, too"},
	{rule: "a sub-agent is known by its session",
		in:   e("sub", "agent:main:subagent:1", `"state":"final",`+said("seven")) + e("r", "agent:main:k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "a sub-agent is at work, too"},
	{rule: "a heartbeat that comes first is none of ours",
		in: `{"runId":"hb","isHeartbeat":true,"stream":"assistant","data":{"text":"HEARTBEAT_OK","delta":"HEARTBEAT_OK"}}` + "\n" + `{"runId":"hb","isHeartbeat":true,"stream":"lifecycle","data":{"phase":"end"}}` + "\n" +
			f("r", "assistant", `"text":"Hello","delta":"Hello"`) + f("r", "lifecycle", `"phase":"end"`),
		text: "Hello", end: "final", says: "a heartbeat of the agent is at work, too"},
	{rule: "the acknowledgement names our run",
		in:   `{"runId":"r","status":"accepted"}` + "\n" + e("x", "k", `"state":"final",`+said("theirs")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "accepted|another run is at work, too"},
	{rule: "an acknowledgement that comes late takes the text of another run back",
		in:   e("x", "k", `"state":"delta",`+said("theirs")) + `accepted>{"runId":"r"}` + "\n" + e("x", "k", `"state":"final",`+said("theirs")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "the answer to the gateway's request names our run",
		in:   `{"type":"res","id":"1","ok":true,"payload":{"runId":"r","status":"started"}}` + "\n" + wrapped(e("x", "k", `"state":"final",`+said("theirs"))) + wrapped(e("r", "k", `"state":"final",`+said("Hello"))),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "the session that we wrote to is ours", session: "s1",
		in:   e("x", "agent:main:main", `"state":"delta",`+said("theirs")) + e("r", "agent:main:s1", `"state":"delta",`+said("Hel")) + e("x", "agent:main:main", `"state":"final",`+said("theirs")) + e("r", "agent:main:s1", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "a run that was under way before gives way to one that begins",
		in: e("x", "k", `"state":"delta","deltaText":"irs",`+said("theirs")) + e("r", "k", `"state":"delta","deltaText":"Hel",`+said("Hel")) +
			e("x", "k", `"state":"final",`+said("theirs")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "the end of a run that was under way before is unclear",
		in:   e("x", "k", `"state":"delta","deltaText":"irs",`+said("theirs")) + e("x", "k", `"state":"final",`+said("theirs")),
		says: "the run on the stream began before the message was sent, so it may answer another one"},
	{rule: "a session of ours may be called subagent",
		in:   e("r", "agent:main:subagent", `"state":"delta",`+said("Hel")) + e("r", "agent:main:subagent", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final"},
	{rule: "an abort keeps the text and says what it is",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + e("r", "k", `"state":"aborted","stopReason":"rpc",`+said("Hello")),
		text: "Hello", end: "error: the agent's run was aborted"},
	{rule: "events without a run are ours",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + `{"state":"final",` + said("Hello") + "}",
		text: "Hello", end: "final"},
	{rule: "named in full or not, a session is the same",
		in:   e("r", "agent:main:k", `"state":"delta",`+said("Hel")) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final"},
	{rule: "a run id of another family's is no other run",
		in:   `{"run_id":"1","delta":"Hel"}` + "\n" + `{"run_id":"2","delta":"lo"}` + "\n[DONE]",
		text: "Hello", end: "final"},
	{rule: "other runs in the events of other families",
		in:   `{"type":"output","runId":"r","text":"Hel"}` + "\n" + `{"type":"error","runId":"x","error":"boom"}` + "\n" + `{"type":"output","runId":"r","text":"lo"}` + "\n" + `{"type":"complete","runId":"r"}`,
		text: "Hello", end: "final", says: "another run is at work, too"},
}

// What OpenClaw's gateway sends since version 4 of its protocol.
var newerGateway = []replyRow{
	{rule: "deltaText alone",
		in:   e("r", "k", `"state":"delta","deltaText":"Hel"`) + e("r", "k", `"state":"delta","deltaText":"lo"`) + e("r", "k", `"state":"final"`),
		text: "Hello", end: "final to be checked"},
	{rule: "deltaText that replaces",
		in:   e("r", "k", `"state":"delta","deltaText":"Hxl"`) + e("r", "k", `"state":"delta","deltaText":"Hello","replace":true`) + e("r", "k", `"state":"final"`),
		text: "Hello", end: "final to be checked"},
	{rule: "phases are status",
		in:   e("r", "k", `"state":"status","phase":"preparing_workspace"`) + e("r", "k", `"state":"status","phase":"starting_model"`) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "preparing workspace|starting model"},
	{rule: "a yielded final is not the end",
		in:   e("r", "k", `"state":"final","yielded":true,`+said("Wait.")),
		text: "Wait.", says: "the agent waits for its sub-agents; its reply goes on afterwards"},
	{rule: "the run behind a yielded final goes on with the reply",
		in: e("r", "k", `"state":"final","yielded":true,`+said("Wait.")) + f("r", "lifecycle", `"phase":"end","yielded":true`) +
			`{"runId":"sub","sessionKey":"k:subagent:1","spawnedBy":"k","state":"final",` + said("seven") + "}\n" +
			e("r2", "k", `"state":"delta",`+said("Seven")) + e("r2", "k", `"state":"final",`+said("Seven.")),
		text: "Wait.\n\nSeven.", end: "final", says: "the agent waits for its sub-agents; its reply goes on afterwards|a sub-agent is at work, too"},
	{rule: "a yielded end of agent events is not the end",
		in: f("r", "assistant", `"text":"Wait.","delta":"Wait."`) + f("r", "lifecycle", `"phase":"end","yielded":true,"livenessState":"paused"`) +
			f("r2", "assistant", `"text":"Seven.","delta":"Seven."`) + f("r2", "lifecycle", `"phase":"end"`),
		text: "Wait.\n\nSeven.", end: "final", says: "the agent waits for its sub-agents; its reply goes on afterwards"},
	{rule: "a failed attempt is not the end where chat events tell the end",
		in:   e("r", "k", `"state":"delta",`+said("Hel")) + f("r", "lifecycle", `"phase":"error","error":"overloaded"`) + e("r", "k", `"state":"final",`+said("Hello")),
		text: "Hello", end: "final", says: "overloaded"},
	{rule: "a numbered event that is sent again", in: `{"runId":"r","sessionKey":"k","seq":1,"state":"delta","deltaText":"one "}` + "\n" + strings.Repeat(`{"runId":"r","sessionKey":"k","seq":2,"state":"delta","deltaText":"two"}`+"\n", 2) + e("r", "k", `"state":"final"`),
		text: "one two", end: "final to be checked"},
}

// Agent events name the messages of a reply, each with its whole text so far.
var items = []replyRow{
	{rule: "two equal items", in: item("a", "OK", "OK") + item("b", "OK", "OK") + over, text: "OK\n\nOK", end: "final"},
	{rule: "an item that begins like the one before", in: item("a", "Let me check", "Let me check") + item("b", "Let me check again", "Let me check again") + over,
		text: "Let me check\n\nLet me check again", end: "final"},
	{rule: "cumulative without delta", in: item("a", "Let", "") + item("a", "Let me check", "") + item("b", "Let me check", "") + item("b", "Let me check again", "") + over,
		text: "Let me check\n\nLet me check again", end: "final"},
	{rule: "delta without text", in: f("r", "assistant", `"itemId":"a","delta":"O"`) + f("r", "assistant", `"itemId":"a","delta":"K"`) + f("r", "assistant", `"itemId":"b","delta":"OK"`) + over,
		text: "OK\n\nOK", end: "final"},
	{rule: "with a tool between", in: item("a", "OK", "OK") + f("r", "tool", `"phase":"start","toolCallId":"t","name":"exec"`) + f("r", "tool", `"phase":"result","toolCallId":"t","result":"x"`) + item("b", "OK", "OK") + over,
		text: "OK\n\nOK", end: "final", tools: `t exec  "x"`},
	{rule: "an earlier item changes", in: item("a", "OK", "OK") + item("b", "Done", "Done") + item("a", "Okay", "") + item("b", "Done.", ".") + over,
		text: "Okay\n\nDone.", end: "final"},
	{rule: "an item is taken back", in: item("a", "Hx", "Hx") + f("r", "assistant", `"itemId":"a","text":"","delta":"","replace":true`) + item("b", "Done.", "Done.") + over,
		text: "Done.", end: "final"},
	{rule: "an item that stands for all before it", in: item("a", "Draft", "Draft") + f("r", "assistant", `"itemId":"b","text":"Final.","delta":"Final.","replace":true,"replaceable":true`) + over,
		text: "Final.", end: "final"},
	{rule: "breaks that are there are enough", in: item("a", "One\n", "One\n") + item("b", "\nTwo", "\nTwo") + over, text: "One\n\nTwo", end: "final"},
	{rule: "chat events tell the same", in: item("a", "OK", "OK") + e("r", "k", `"state":"delta","deltaText":"OK",`+said("OK")) + item("b", "OK", "OK") +
		e("r", "k", `"state":"delta","deltaText":"\n\nOK",`+said(`OK\n\nOK`)) + over + e("r", "k", `"state":"final",`+said(`OK\n\nOK`)), text: "OK\n\nOK", end: "final"},
	{rule: "chat events tell it first", in: e("r", "k", `"state":"delta","deltaText":"OK",`+said("OK")) + item("a", "OK", "OK") + e("r", "k", `"state":"delta","deltaText":"\n\nOK",`+said(`OK\n\nOK`)) +
		item("b", "OK", "OK") + over + e("r", "k", `"state":"final",`+said(`OK\n\nOK`)), text: "OK\n\nOK", end: "final"},
	{rule: "equal texts around a tool, without items", in: f("r", "assistant", `"text":"OK","delta":"OK"`) + f("r", "tool", `"phase":"result","toolCallId":"t","name":"x","result":"y"`) +
		f("r", "assistant", `"text":"OK","delta":"OK"`) + over, text: "OKOK", end: "final", tools: `t x  "y"`},
}

// The final text is the service's last word.
var finals = []replyRow{
	{rule: "A: deltas sent again", in: chunk("Hello") + chunk("Hello") + `{"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}` + "\n[DONE]", text: "Hello", end: "final"},
	{rule: "B: deltas sent again", in: `output>{"text":"Hel"}` + "\n" + `output>{"text":"lo"}` + "\n" + `output>{"text":"Hel"}` + "\n" + `output>{"text":"lo"}` + "\n" + `complete>{"success":true,"result":"Hello"}`, text: "Hello", end: "final"},
	{rule: "C: deltas sent again", in: piece("Hello") + "\n" + piece("Hello") + "\n" + `{"type":"agent-output","data":{"type":"result","result":"Hello"}}` + "\n" + `{"type":"complete"}`, text: "Hello", end: "final"},
	{rule: "D: deltas sent again", in: `delta>{"delta":"Hel"}` + "\n" + `delta>{"delta":"Hello"}` + "\n" + `done>{"message":{"role":"assistant","content":"Hello"}}`, text: "Hello", end: "final"},
	{rule: "E: deltas sent again", in: e("r", "k", `"state":"delta","deltaText":"Hello"`) + e("r", "k", `"state":"delta","deltaText":"Hello"`) + e("r", "k", `"state":"final",`+said("Hello")), text: "Hello", end: "final"},
	{rule: "F: deltas sent again", in: f("r", "assistant", `"delta":"Hello"`) + f("r", "assistant", `"delta":"Hello"`) + e("r", "k", `"state":"final",`+said("Hello")), text: "Hello", end: "final"},
	{rule: "G: deltas sent again", in: `{"type":"response.output_text.delta","delta":"Hello"}` + "\n" + `{"type":"response.output_text.delta","delta":"Hello"}` + "\n" +
		`{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}]}}`, text: "Hello", end: "final"},
	{rule: "D: a tag is stripped at the end", in: `delta>{"delta":"Hello [[reply_to_current]]"}` + "\n" + `done>{"text":"Hello"}`, text: "Hello", end: "final"},
	{rule: "D: a tag is stripped in front", in: `delta>{"delta":"[[reply_to_current]] Hello"}` + "\n" + `done>{"text":"Hello"}`, text: "Hello", end: "final"},
	{rule: "E: tags are stripped around", in: e("r", "k", `"state":"delta",`+said(`<final>Hello</final>`)) + e("r", "k", `"state":"final",`+said("Hello")), text: "Hello", end: "final"},
	{rule: "F: a tag is stripped", in: f("r", "assistant", `"text":"<x>Hello","delta":"<x>Hello"`) + e("r", "k", `"state":"final",`+said("Hello")), text: "Hello", end: "final"},
	{rule: "D: a tag is stripped from the first of two messages", in: `delta>{"delta":"[[x]] One."}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `delta>{"delta":"Two."}` + "\n" + `done>{"text":"One.\n\nTwo."}`,
		text: "One.\n\nTwo.", end: "final", tools: ` x  ""`},
	{rule: "D: a tag is stripped from the last of two messages", in: `delta>{"delta":"One."}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `delta>{"delta":"[[x]] Two."}` + "\n" + `done>{"text":"Two."}`,
		text: "One.Two.", end: "final", tools: ` x  ""`},
	{rule: "D: the last of two messages begins like the first", in: `delta>{"delta":"Let me check"}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `delta>{"delta":"Let me check agaxn"}` + "\n" + `done>{"text":"Let me check again"}`,
		text: "Let me checkLet me check again", end: "final", tools: ` x  ""`},
	{rule: "D: a final that resembles nothing is the last message", in: `delta>{"delta":"I will look."}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `done>{"text":"I found it."}`,
		text: "I will look.I found it.", end: "final", tools: ` x  ""`},
	{rule: "D: the end says ok", in: `delta>{"delta":"Hello"}` + "\ndone>ok", text: "Hello", end: "final"},
	{rule: "D: the end says true", in: `delta>{"delta":"Hello"}` + "\ndone>true", text: "Hello", end: "final"},
	{rule: "D: the end says stop", in: `delta>{"delta":"Hello"}` + "\n" + `end>"stop"`, text: "Hello", end: "final"},
	{rule: "D: the reply is such a word, and its pieces came twice", in: `delta>{"delta":"OK"}` + "\n" + `delta>{"delta":"OK"}` + "\n" + `end>"OK"`, text: "OK", end: "final"},
	{rule: "B: the result is a word for success", in: `output>{"text":"Hello"}` + "\n" + `complete>{"success":true,"result":"success"}`, text: "Hello", end: "final"},
	{rule: "D: the reply ends with such a word", in: `delta>{"delta":"All is done"}` + "\ndone>done", text: "All is done", end: "final"},
	{rule: "D: such a word is all", in: `final>OK`, end: "final, or OK"},
	{rule: "D: the end says null, and there is no text", in: `done>null`, end: "final"},
	{rule: "D: the end says true, and there is no text", in: `done>true`, end: "final, or true"},
	{rule: "D: such a word in quotes is all", in: `done>"done"`, end: "final, or done"},
	{rule: "D: such a word as the text of the end", in: `done>{"text":"OK"}`, text: "OK", end: "final"},
	{rule: "B: a word for success is all", in: `complete>{"success":true,"result":"success"}`, end: "final, or success"},
	{rule: "C: such an output is all", in: `{"type":"complete","success":true,"output":"completed"}`, end: "final, or completed"},
	{rule: "D: a tag is stripped from such a word", in: `delta>{"delta":"<think>hm</think>OK"}` + "\n" + `done>{"text":"OK"}`, text: "OK", end: "final"},
	{rule: "Claude: two messages with a tool between", in: `{"type":"message_start","message":{"id":"a"}}` + "\n" + `{"type":"content_block_delta","delta":{"type":"text_delta","text":"Looking."}}` + "\n" + `{"type":"message_stop"}` + "\n" +
		`{"type":"message_start","message":{"id":"b"}}` + "\n" + `{"type":"content_block_delta","delta":{"type":"text_delta","text":"Found it."}}` + "\n[DONE]", text: "Looking.\n\nFound it.", end: "final"},
}

// The agent's own JSON is text.
var rawPieces = []replyRow{
	{rule: "an object in raw text", in: "delta>Here: \n" + `delta>{"name":"x"}` + "\n" + "delta> done\ndone>", text: `Here: {"name":"x"} done`, end: "final"},
	{rule: "an error in raw text", in: "delta>It says \n" + `delta>{"error":"disk full"}` + "\ndone>", text: `It says {"error":"disk full"}`, end: "final"},
	{rule: "an object in unnamed raw text", in: "Here: \n" + `{"name":"x"}` + "\n[DONE]", text: `Here: {"name":"x"}`, end: "final"},
	{rule: "a list in raw text", in: "token>Here: \n" + `token>[{"delta":"x"}]` + "\ndone>", text: `Here: [{"delta":"x"}]`, end: "final"},
	{rule: "an object comes first", in: `delta>{"name":"x"}` + "\n" + "delta> it is\ndone>", text: `{"name":"x"} it is`, end: "final"},
	{rule: "an object is all", in: `delta>{"name":"x"}` + "\ndone>", end: "final"},
	{rule: "an object is all of a stream that is cut", in: `delta>{"name":"x"}`},
	{rule: "an object comes before JSON", in: `delta>{"thinking":"hm"}` + "\n" + `delta>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "an object comes before JSON that is cut", in: `chunk>{"thinking":"hm"}` + "\n" + `chunk>{"text":"Hello"}`, text: "Hello"},
	{rule: "an object comes before chunks", in: `delta>{}` + "\n" + chunk("Hello") + "[DONE]", text: "Hello", end: "final"},
	{rule: "an object comes before a JSON string", in: `delta>{}` + "\n" + `delta>"Hello"` + "\ndone>", text: "Hello", end: "final"},
	{rule: "an object comes before a line break", in: `delta>{"a":1}` + "\n" + "delta> \ndelta>it is\ndone>", text: `{"a":1} it is`, end: "final"},
	{rule: "a greeting comes before JSON", in: "message>connected\n" + `delta>{"text":"Hel"}` + "\n" + `delta>{"text":"lo"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "an unnamed greeting", in: "connected\n" + `{"type":"output","text":"Hello"}` + "\n" + `{"type":"complete"}`, text: "Hello", end: "final"},
	{rule: "a greeting before chunks", in: "message>Ready.\n" + chunk("Hello") + "[DONE]", text: "Hello", end: "final"},
	{rule: "a number comes before JSON", in: "delta>0\n" + `delta>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "a word in quotes comes before JSON", in: `message>"ok"` + "\n" + `delta>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "an empty list comes before JSON", in: "delta>[]\n" + `delta>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "a greeting is all", in: "delta>Ready\ndone>", text: "Ready", end: "final"},
	{rule: "an object with a text in raw text", in: "delta>Here: \n" + `delta>{"text":"x"}` + "\ndone>", text: `Here: {"text":"x"}`, end: "final"},
	{rule: "a greeting goes on as raw text", in: "delta>OK\n" + `delta>, {"a":1}` + "\n" + `delta>{"a":2}` + "\ndone>", text: `OK, {"a":1}{"a":2}`, end: "final"},
	{rule: "raw text behind a session event", in: `session>{"session_id":"s"}` + "\n" + "delta>{\ndelta>}\ndone>", text: "{}", end: "final"},
	{rule: "an error outside of the text is one", in: "delta>Half\n" + `error>{"error":"disk full"}`, text: "Half", end: "error: disk full"},
	{rule: "an unnamed error behind raw text is one", in: "Half\n" + `{"error":"disk full"}`, text: "Half", end: "error: disk full"},
	{rule: "an object without text among JSON is none", in: `delta>{"delta":"Hello"}` + "\n" + `delta>{"name":"x"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "pieces as parts", in: `delta>{"parts":[{"type":"text","text":"Hel"}]}` + "\n" + `delta>{"parts":[{"type":"text","text":"lo"}]}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "A: a refusal is what the agent says", in: `{"choices":[{"delta":{"refusal":"I can't "}}]}` + "\n" + `{"choices":[{"delta":{"content":null,"refusal":"do that."}}]}` + "\n[DONE]", text: "I can't do that.", end: "final"},
	{rule: "an id of its own for each event", contentType: "text/event-stream; x", in: "id: 1\ndata: {\"delta\":\"one \"}\n\nid: 2\ndata: {\"delta\":\"two\"}\n\nid: 2\ndata: {\"delta\":\"two\"}\n\ndata: [DONE]\n\n", text: "one two", end: "final"},
	{rule: "one id for all events", contentType: "text/event-stream; x", in: "id: s\ndata: {\"delta\":\"ha\"}\n\nid: s\ndata: {\"delta\":\"ha\"}\n\nid: s\ndata: {\"delta\":\"!\"}\n\nid: s\ndata: {\"delta\":\"!\"}\n\ndata: [DONE]\n\n", text: "haha!!", end: "final"},
}

// An answer that says that the message was taken is no reply.
var accepted = []replyRow{
	{rule: "200 queued", contentType: "application/json", in: `{"status":"queued"}`, end: "accepted: queued"},
	{rule: "200 queued with a remark", contentType: "application/json", in: `{"status":"queued","message":"Message queued","message_id":"m"}`, end: "accepted: Message queued"},
	{rule: "200 queued in data", contentType: "application/json", in: `{"data":{"status":"accepted","message":"Working on it"}}`, end: "accepted: Working on it"},
	{rule: "200 with a remark alone", contentType: "application/json", in: `{"ok":true,"message":"Message queued"}`, end: "accepted: Message queued"},
	{rule: "200 of the gateway", contentType: "application/json", in: `{"runId":"r","status":"started"}`, end: "accepted: started"},
	{rule: "202 with a message", contentType: "application/json", status: 202, in: `{"message":"We will answer soon"}`, end: "accepted: We will answer soon"},
	{rule: "202 without a message", contentType: "application/json", status: 202, in: `{"session_id":"s"}`, end: "accepted: "},
	{rule: "202 without anything", status: 202, contentType: "none", end: "accepted: "},
	{rule: "202 in plain text", status: 202, contentType: "text/plain", in: "Accepted", end: "accepted: Accepted"},
	{rule: "200 in plain text", contentType: "text/plain", in: "Message queued.", end: "accepted: Message queued."},
	{rule: "202 with an error", contentType: "application/json", status: 202, in: `{"error":"no credits"}`, end: "error: no credits"},
	{rule: "a message that is not complete", contentType: "application/json", in: `{"assistant_message":{"content":"Hel","status":"pending"}}`, text: "Hel"},
	{rule: "a status beside a message that is not complete", contentType: "application/json", in: `{"message":{"id":"m","role":"assistant","content":"Hel"},"status":"running"}`, text: "Hel"},
	{rule: "a bare message that is not complete", contentType: "application/json", in: `{"role":"assistant","content":"Hel","status":"started"}`, text: "Hel"},
	{rule: "a word in place of a message", contentType: "application/json", in: `{"assistant_message":{"content":"Thinking...","status":"pending"}}`},
	{rule: "a word in place of a reply", contentType: "application/json", in: `{"content":"Thinking...","status":"pending"}`},
	{rule: "our message beside a reply", contentType: "application/json", in: `{"user_message":{"content":"hi","status":"pending"},"message":{"role":"assistant","content":"Hello"}}`, text: "Hello", end: "final"},
	{rule: "an end with a message that is not complete", in: `delta>{"delta":"Hel"}` + "\n" + `done>{"message":{"role":"assistant","content":"Hello","status":"processing"}}`, text: "Hello",
		says: "the stream ended with a message that is not complete yet"},
	{rule: "an end with a word in place of a message", in: `done>{"message":{"role":"assistant","content":"Thinking...","status":"pending"}}`, says: "the stream ended with a message that is not complete yet"},
	{rule: "an end beside our message", in: `delta>{"delta":"Hello"}` + "\n" + `done>{"message":{"role":"user","content":"hi","status":"pending"}}`, text: "Hello", end: "final"},
	{rule: "a reply with a status", contentType: "application/json", in: `{"status":"running","reply":"Hello"}`, text: "Hello"},
	{rule: "a reply beside an error that is none", contentType: "application/json", in: `{"reply":"Hello","error":{},"status":"ok"}`, text: "Hello", end: "final"},
	{rule: "a reply beside what failed", contentType: "application/json", in: `{"reply":"Hello","data":{"status":"failed"}}`, text: "Hello", end: "final"},
	{rule: "a reply that is still written", contentType: "application/json", in: `{"status":"in_progress","reply":"Hel"}`, text: "Hel"},
	{rule: "a reply that is not done", contentType: "application/json", in: `{"reply":"Hel","done":false}`, text: "Hel"},
	{rule: "a reply called message", contentType: "application/json", in: `{"message":"Hello"}`, end: "accepted: , or Hello"},
	{rule: "queued as an event", in: `message>{"status":"queued","message":"Message queued"}` + "\n" + `delta>{"delta":"Hello"}` + "\ndone>", text: "Hello", end: "final", says: "Message queued"},
	{rule: "a piece with a status", in: `{"delta":"Hel","status":"in_progress"}` + "\n" + `{"delta":"lo","status":"completed"}` + "\n[DONE]", text: "Hello", end: "final"},
	{rule: "202 with a stream", status: 202, contentType: "text/event-stream", in: "data: {\"delta\":\"Hello\"}\n\ndata: [DONE]\n\n", text: "Hello", end: "final"},
	{rule: "the message, as it was stored", contentType: "application/json", in: `{"id":"q","session_id":"s","message":"What is it?","created_at":"2026-03-20T18:24:10Z"}`, end: "accepted: "},
	{rule: "the message, as it was stored, in data", contentType: "application/json", in: `{"data":{"id":"q","message":"What is it?"}}`, end: "accepted: "},
	{rule: "the message, as it was stored, in an object", contentType: "application/json", in: `{"message":{"id":"q","content":"What is it?"},"session_id":"s"}`, end: "accepted: "},
	{rule: "the message, as it was stored, as content", contentType: "application/json", in: `{"id":"q","content":"What is it?","session_id":"s"}`, end: "accepted: "},
	{rule: "the message, as it was stored, as a text in data", contentType: "application/json", in: `{"data":{"id":"q","text":"What is it?"},"success":true}`, end: "accepted: "},
	{rule: "the message, as it was stored, with more", contentType: "application/json", in: `{"message":"What is it?","session_id":"s","title":"t"}`, end: "accepted: "},
	{rule: "the message and a reply", contentType: "application/json", in: `{"message":"What is it?","reply":"Hello"}`, text: "Hello", end: "final"},
	{rule: "the message and a text", contentType: "application/json", in: `{"message":"What is it?","id":"q","text":"Hello"}`, text: "Hello", end: "final"},
	{rule: "the message as the reply", contentType: "application/json", in: `{"reply":"What is it?","id":"m"}`, text: "What is it?", end: "final"},
	{rule: "the message as the assistant's", contentType: "application/json", in: `{"message":{"role":"assistant","content":"What is it?"}}`, text: "What is it?", end: "final"},
	{rule: "a word for success as the result", contentType: "application/json", in: `{"result":"ok"}`, end: "accepted: , or ok"},
	{rule: "a word for success as the message", contentType: "application/json", in: `{"message":"success","code":0}`, end: "accepted: , or success"},
	{rule: "a word for success as the reply", contentType: "application/json", in: `{"reply":"ok"}`, text: "ok", end: "final"},
	{rule: "a word for success by the assistant", contentType: "application/json", in: `{"message":{"role":"assistant","content":"ok"}}`, text: "ok", end: "final"},
	{rule: "sent to the agent", contentType: "application/json", in: `{"message":"Message sent to agent"}`, end: "accepted: Message sent to agent"},
	{rule: "success in words", contentType: "application/json", in: `{"success":true,"message":"Message sent"}`, end: "accepted: Message sent"},
	{rule: "a reply beside success", contentType: "application/json", in: `{"success":true,"message":"Message sent","reply":"Hello"}`, text: "Hello", end: "final"},
}

// What is not a stream may still be an answer.
var otherBodies = []replyRow{
	{rule: "text/plain is the reply", contentType: "text/plain", in: "Hello,\nworld", text: "Hello,\nworld", end: "final"},
	{rule: "long text/plain", contentType: "text/plain; charset=utf-8", in: strings.Repeat("größe 🦞 ", 5000), text: strings.Repeat("größe 🦞 ", 5000), end: "final"},
	{rule: "text/plain that is a stream", contentType: "text/plain", in: "event: delta\ndata: Hello\n\ndata: [DONE]\n\n", text: "Hello", end: "final"},
	{rule: "coded parts", contentType: "text/plain; charset=utf-8", in: `f:{"messageId":"m"}` + "\n" + `g:"hm"` + "\n" + `0:"Hel"` + "\n" + `0:"lo"` + "\n" + `9:{"toolCallId":"t","toolName":"exec","args":{"a":1}}` + "\n" + `a:{"toolCallId":"t","result":"x"}` + "\n" + `e:{"finishReason":"stop"}` + "\n" + `d:{"finishReason":"stop"}` + "\n",
		text: "Hello", end: "final", tools: `t exec {"a":1} "x"`},
	{rule: "coded parts that end with an error", contentType: "text/plain", in: `0:"Hel"` + "\n" + `3:"it broke"` + "\n", text: "Hel", end: "error: it broke"},
	{rule: "coded parts that are cut", contentType: "text/plain", in: `0:"Hel"` + "\n" + `0:"l`, text: "Hel"},
	{rule: "text that begins as such a part", contentType: "text/plain", in: "a: yes, b: no", text: "a: yes, b: no", end: "final"},
	{rule: "one letter", contentType: "text/plain", in: "a", text: "a", end: "final"},
	{rule: "a page", contentType: "text/plain", in: "<!DOCTYPE html><html><head><title>Log in</title></head><body>secret", end: "fails: the answer is a web page, not the API's: Log in (HTTP 200)"},
	{rule: "a page that calls itself JSON", contentType: "application/json", in: "<html><title>Log in</title>", end: "fails: the answer is a web page, not the API's: Log in (HTTP 200)"},
	{rule: "a page without a type", contentType: "none", in: "\n <html><title>Log in</title>", end: "fails: the answer is a web page, not the API's: Log in (HTTP 200)"},
}

// What the model thinks and what the user said are not the reply.
var notText = []replyRow{
	{rule: "reasoning as kind", in: `{"kind":"reasoning","text":"hm"}` + hello},
	{rule: "reasoning as channel", in: `{"channel":"analysis","delta":"hm"}` + hello},
	{rule: "reasoning as channel, named", in: `delta>{"channel":"thinking","content":"hm"}` + hello},
	{rule: "reasoning as thought", in: `{"thought":true,"text":"hm"}` + hello},
	{rule: "reasoning as a thought in text", in: `{"thought":"true","text":"hm"}` + hello},
	{rule: "reasoning as delta.type", in: `{"delta":{"type":"thinking_delta","text":"hm"}}` + hello},
	{rule: "reasoning as type", in: `{"type":"reasoning_delta","delta":"hm"}` + hello},
	{rule: "reasoning as name", in: `thinking_delta>{"text":"hm"}` + hello},
	{rule: "reasoning as raw text", in: "reasoning>hm" + hello},
	{rule: "reasoning in a block", in: `message>{"role":"assistant","content":[{"type":"text","text":"hm","thought":true},{"type":"text","text":"Hello"}]}` + "\n[DONE]"},
	{rule: "A: reasoning as channel", in: `{"choices":[{"delta":{"channel":"analysis","content":"hm"}}]}` + "\n" + chunk("Hello") + "[DONE]"},
	{rule: "A: reasoning as delta.type", in: `{"choices":[{"delta":{"type":"reasoning","content":"hm"}}]}` + "\n" + chunk("Hello") + "[DONE]"},
	{rule: "C: thinking in an agent's stream", in: `{"type":"agent-output","data":{"type":"stream_event","event":{"delta":{"type":"thinking_delta","text":"hm"}}}}` + "\n" + piece("Hello") + "\n" + `{"type":"complete"}`},
	{rule: "E: reasoning as channel", in: `{"runId":"r","state":"delta","channel":"analysis","deltaText":"hm"}` + "\n" + e("r", "", `"state":"final",`+said("Hello"))},
	{rule: "F: thinking", in: f("r", "thinking", `"text":"hm","delta":"hm"`) + f("r", "assistant", `"text":"Hello","delta":"Hello"`) + over},
	{rule: "F: commentary", in: f("r", "assistant", `"phase":"commentary","text":"hm","delta":"hm"`) + f("r", "assistant", `"text":"Hello","delta":"Hello"`) + over},
	{rule: "G: reasoning", in: `{"type":"response.reasoning_text.delta","delta":"hm"}` + "\n" + `{"type":"response.output_text.delta","delta":"Hello"}` + "\n" + `{"type":"response.completed"}`},
	{rule: "a tool's text", in: `{"source":"tool","text":"hm"}` + hello},
	{rule: "a tool's text, named", in: `output>{"source":"tool","text":"hm"}` + hello},
	{rule: "a tool's text in data", in: `{"type":"output","data":{"source":"Tool","text":"hm"}}` + hello},
	{rule: "a tool's text beside data", in: `{"type":"text","source":"tool_result","data":{"text":"hm"}}` + hello},
	{rule: "A: a tool's text", in: `{"source":"tool","choices":[{"delta":{"content":"hm"}}]}` + "\n" + chunk("Hello") + "[DONE]"},
	{rule: "a tool's text by its channel", in: `delta>{"channel":"tool","text":"hm"}` + hello},
	{rule: "a tool's text by its stream", in: `output>{"stream":"stderr","text":"hm"}` + hello},
	{rule: "a tool's text by its call", in: `output>{"tool_call_id":"t","text":"hm"}` + hello},
	{rule: "a tool's text by its tool", in: `output>{"tool":"exec","text":"hm"}` + hello},
	{rule: "a tool's text in data, by its tool", in: `{"type":"output","data":{"tool":"exec","text":"hm"}}` + hello},
	{rule: "a tool's text by its delta's type", in: `delta>{"delta":{"type":"tool_result","text":"hm"}}` + hello},
	{rule: "a tool's text by its kind", in: `chunk>{"kind":"tool_output","text":"hm"}` + hello, tools: `   "hm"`},
	{rule: "a call", in: `content>{"type":"tool_use","id":"t","name":"exec","text":"hm"}` + hello, tools: `t exec  ""`},
	{rule: "a helper's text", in: `delta>{"parent_tool_use_id":"t","text":"hm"}` + hello},
	{rule: "a helper's message", in: `message>{"parent_tool_use_id":"t","role":"assistant","content":"hm"}` + hello},
	{rule: "a status", in: `chunk>{"type":"status","content":"hm"}` + hello, says: "hm"},
	{rule: "a log", in: `delta>{"type":"log","text":"hm"}` + hello, says: "hm"},
	{rule: "a tool that is none", in: `output>{"tool":null,"tool_call_id":null,"stream":"stdout","text":"Hello"}` + "\n[DONE]"},
	{rule: "the assistant's text about a call", in: `message>{"role":"assistant","tool_call_id":"t","content":"Hello"}` + "\n[DONE]"},
	{rule: "a text of the assistant's", in: `{"source":"assistant","text":"Hello"}` + "\n[DONE]"},
	{rule: "echo as role", in: `message>{"role":"user","content":"hi"}` + hello},
	{rule: "echo as sender", in: `message>{"sender":"user","content":"hi"}` + hello},
	{rule: "echo as author.role", in: `message>{"author":{"role":"user"},"content":"hi"}` + hello},
	{rule: "echo as a human's", in: `message>{"sender":{"type":"human"},"text":"hi"}` + hello},
	{rule: "echo in a message", in: `{"type":"message","message":{"author":{"role":"user"},"content":"hi"}}` + hello},
	{rule: "E: echo as author", in: `{"runId":"r","state":"delta","message":{"author":"user","content":"hi"}}` + "\n" + e("r", "", `"state":"final",`+said("Hello"))},
	{rule: "a reply by its sender", in: `message>{"sender":"assistant","content":"Hello"}` + "\n[DONE]"},
	{rule: "echo with an id alone", in: `message>{"id":"q","text":"What is it?"}` + hello},
	{rule: "echo in a message with an id alone", in: `message>{"message":{"id":"q","content":"What is it?"}}` + hello},
	{rule: "echo by you", in: `{"type":"message","content":"What is it?","sender":"you"}` + hello},
	{rule: "echo at the end", in: `delta>{"text":"Hello"}` + "\n" + `done>{"text":"What is it?"}`},
	{rule: "echo at the end, in a message", in: `delta>{"text":"Hello"}` + "\n" + `done>{"message":{"content":"What is it?"}}`},
	{rule: "a sender with a name of its own", in: `message>{"sender":"Clawd","content":"Hello"}` + "\n[DONE]"},
	{rule: "an agent by its role", in: `message>{"role":"agent","content":"Hello"}` + "\n[DONE]"},
}

// Failures come as text, too.
var failures = []replyRow{
	{rule: `success "false"`, in: `{"delta":"Half"}` + "\n" + `{"type":"complete","success":"false","error":"no credits"}`, text: "Half", end: "error: no credits"},
	{rule: `exitCode "1"`, in: `output>{"text":"Half"}` + "\n" + `complete>{"success":true,"exitCode":"1"}`, text: "Half", end: "error: the agent ended with exit code 1"},
	{rule: `exitCode "0"`, in: `output>{"text":"All"}` + "\n" + `complete>{"success":"true","exitCode":"0"}`, text: "All", end: "final"},
	{rule: `is_error "true"`, in: `{"type":"agent-output","data":{"type":"result","is_error":"true","result":"too many turns"}}`, end: "error: too many turns"},
	{rule: "the inner tool at its limit", in: `{"type":"agent-output","data":{"type":"assistant","message":{"content":[{"type":"text","text":"Half"}]}}}` + "\n" + `{"type":"agent-output","data":{"type":"result","subtype":"error_max_turns","is_error":false}}` + "\n" + `{"type":"complete","success":true,"exitCode":0}`, text: "Half", end: "error: the agent failed"},
	{rule: "JSON, the inner tool at its limit", contentType: "application/json", in: `{"type":"result","subtype":"error_max_turns","result":"Half"}`, text: "Half", end: "error: the agent failed"},
	{rule: `statusCode "503"`, in: `{"statusCode":"503","message":"asleep"}`, end: "error: asleep"},
	{rule: "a list of errors", in: `{"delta":"Half"}` + "\n" + `{"errors":[{"message":"rate limited"}]}` + "\n[DONE]", text: "Half", end: "error: rate limited"},
	{rule: "A: an error in the choice", in: chunk("Half") + `{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"it broke"}}]}` + "\n[DONE]", text: "Half", end: "error: it broke"},
	{rule: "A: a choice that ends with an error", in: chunk("Half") + `{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}` + "\n[DONE]", text: "Half", end: "error: the agent failed without a reason"},
	{rule: "a failed run", in: `{"delta":"Half"}` + "\n" + `run.failed>{"message":"it broke"}` + "\n[DONE]", text: "Half", end: "error: it broke"},
	{rule: "a run's error", in: `{"delta":"Half"}` + "\n" + `{"type":"RUN_ERROR","message":"it broke"}`, text: "Half", end: "error: it broke"},
	{rule: "an end whose result is a failure", in: `{"delta":"Half"}` + "\n" + `done>{"result":{"status":"error","message":"it broke"}}`, text: "Half", end: "error: it broke"},
	{rule: `exit_status`, in: `{"delta":"Half"}` + "\n" + `end>{"exit_status":1}`, text: "Half", end: "error: the agent ended with exit code 1"},
	{rule: "JSON, a problem", contentType: "application/problem+json", in: `{"type":"about:blank","title":"it broke","status":529}`, end: "error: it broke"},
	{rule: "an end whose status is a failure", in: `{"delta":"Half"}` + "\n" + `done>{"status":"failed","message":"it broke"}`, text: "Half", end: "error: it broke"},
	{rule: `JSON, success "false"`, contentType: "application/json", in: `{"success":"false","message":"no credits"}`, end: "error: no credits"},
	{rule: "payloads that are errors", contentType: "application/json", in: `{"runId":"r","status":"ok","result":{"payloads":[{"text":"No API key","isError":true}]}}`, end: "error: No API key"},
	{rule: "one payload of two is an error", contentType: "application/json", in: `{"runId":"r","status":"ok","result":{"payloads":[{"text":"Hello"},{"text":"a tool failed","isError":true}]}}`, text: "Hello\n\na tool failed", end: "final"},
}

// An end says how it came about, under many names.
func TestHowRepliesEnd(t *testing.T) {
	for said, want := range map[string]string{
		`"status":"completed"`: "", `"finish_reason":"stop"`: "", `"stopReason":"end_turn"`: "",
		`"finish_reason":"length"`: NoteLimit, `"stop_reason":"max_tokens"`: NoteLimit, `"status":"max_tokens"`: NoteLimit,
		`"finish_reason":"content_filter"`: NoteFilter, `"status":"incomplete"`: NotePartial, `"status":"partial"`: NotePartial,
		`"status":"cancelled"`: "aborted", `"status":"aborted"`: "aborted", `"status":"timeout"`: "aborted", `"status":"interrupted"`: "aborted",
		`"stopReason":"aborted"`: "aborted", `"reason":"cancelled"`: "aborted", `"finish_reason":"error"`: "failed",
		`"status":"failed"`: "failed", `"success":false`: "failed", `"error":{"message":"it broke"}`: "failed", `"exitCode":1`: "failed", `"is_error":true`: "failed",
		`"done":true,"done_reason":"length"`: NoteLimit, `"partial":true`: NotePartial, `"truncated":true`: NotePartial, `"timed_out":true`: NotePartial,
		`"aborted":true`: "aborted", `"cancelled":true`: "aborted", `"interrupted":true`: "aborted", `"status":"killed"`: "aborted", `"signal":"SIGKILL"`: "aborted",
		`"status":"stopped"`: NoteStopped, `"reason":"max_turns"`: NoteTurns, `"timeout":true`: NotePartial, `"timeout":30,"aborted":false,"signal":null`: "",
		`"state":"failed"`: "failed", `"outcome":"error"`: "failed", `"meta":{"aborted":true}`: "aborted", `"meta":{"stopReason":"length"}`: NoteLimit,
		`"finish_reason":"abort"`: "aborted", `"finish_reason":"insufficient_system_resource"`: NoteStopped, `"finish_reason":"MALFORMED_FUNCTION_CALL"`: NoteStopped,
		`"finish_reason":"refusal"`: NoteFilter, `"reason":"timeout"`: "open", `"reason":"max_duration"`: "open",
	} {
		for contentType, in := range map[string]string{
			"text/event-stream":                asSSE(`delta>{"delta":"Half of it"}` + "\n" + `done>{` + said + `}`),
			"text/event-stream;":               asSSE(`delta>{"delta":"Half"}` + "\n" + `done>{"message":{"role":"assistant","content":"Half of it",` + said + `}}`),
			"text/event-stream; charset=utf-8": asSSE(`delta>{"delta":"Half"}` + "\n" + `done>{"data":{"message":{"content":"Half of it",` + said + `}}}`),
			"application/json":                 `{"reply":"Half of it",` + said + `}`,
			"application/json;":                `{"data":{"message":{"role":"assistant","content":"Half of it",` + said + `}}}`,
		} {
			testHowItEnds(t, contentType, in, want)
		}
	}
}

func testHowItEnds(t *testing.T, contentType, in, want string) {
	t.Helper()
	c := collectFrom(t, streamAnswer{status: 200, contentType: contentType}.decode(strings.NewReader(in)))
	got := "open"
	for _, ev := range c.events {
		switch {
		case ev.Kind == EventError && ev.Err.Code == "aborted":
			got = "aborted"
		case ev.Kind == EventError:
			got = "failed"
		case ev.Kind == EventFinal:
			got, c.shown = ev.Note, ev.Text
		}
	}
	if got != want || c.shown != "Half of it" {
		t.Errorf("%s: got %q with %q, want %q", in, got, c.shown, want)
	}
}

func TestReplies(t *testing.T) {
	for i := range notText {
		notText[i].text, notText[i].end = "Hello", "final"
	}
	for name, rows := range map[string][]replyRow{
		"other runs": otherRuns, "newer gateway": newerGateway, "items": items, "finals": finals, "raw pieces": rawPieces,
		"accepted": accepted, "other bodies": otherBodies, "not text": notText, "silences": silences, "failures": failures,
	} {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				t.Run(row.rule, row.check)
			}
		})
	}
}

func (row replyRow) check(t *testing.T) {
	body := row.in
	answer := streamAnswer{status: max(row.status, 200), contentType: row.contentType, sentTo: row.session, question: "What is it?", unframed: !row.framed(), linger: row.lingers,
		before: func(id, text string) bool { return id == "a0" && text == "old answer" }}
	if row.contentType == "" {
		body = asSSE(row.in)
		answer.contentType = "text/event-stream"
	} else if row.contentType == "none" {
		answer.contentType = ""
	}
	c := collectAll(t, answer.decode(strings.NewReader(body)), row.lingers)
	end, said := "", []string(nil)
	for _, ev := range c.events {
		switch ev.Kind {
		case EventFinal:
			end = "final"
			if ev.Unsure != "" {
				end += ", or " + ev.Unsure
			}
			if ev.Note != "" && !ev.Silent && strings.Contains(row.end, ": ") {
				end += ": " + ev.Note
			}
			if ev.Check {
				end += " to be checked"
			}
			if ev.Silent {
				end = "silent"
				if ev.Note != NoteSilent || !c.acc.Reply().Silent {
					t.Errorf("note %q", ev.Note)
				}
			}
		case EventAccepted:
			end = "accepted: " + ev.Text
			if ev.Unsure != "" {
				end += ", or " + ev.Unsure
			}
		case EventError:
			end = "error: " + ev.Err.Message
			if ev.Doubt && ev.Rivals {
				end += " (in doubt)"
			}
		case EventGoesOn:
			end = ""
		case EventStatus:
			said = append(said, ev.Text)
		}
	}
	if c.err != nil {
		end = "fails: " + c.err.Error()
	}
	reply := c.acc.Reply()
	if reply.Text != row.text || end != row.end {
		t.Errorf("got %q, %q; want %q, %q", reply.Text, end, row.text, row.end)
	}
	if row.contentType != "application/json" && c.shown != row.text { // JSON comes whole, with the end
		t.Errorf("shown %q, want %q", c.shown, row.text)
	}
	if got := strings.Join(said, "|"); got != row.says {
		t.Errorf("says %q, want %q", got, row.says)
	}
	if got := formatTools(reply.ToolCalls); got != row.tools {
		t.Errorf("tools %s, want %s", got, row.tools)
	}
}

// asSSE writes the lines of a test as events.
func asSSE(in string) string {
	var body strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(in, "\n"), "\n") {
		if name, data, ok := strings.Cut(line, ">"); ok && !strings.ContainsAny(name, ` "{<`) {
			fmt.Fprintf(&body, "event: %s\n", name)
			line = data
		}
		fmt.Fprintf(&body, "data: %s\n\n", line)
	}
	return body.String()
}

// e is a chat event of the gateway, f an agent event.
func e(run, session, rest string) string {
	return fmt.Sprintf(`{"runId":%q,"sessionKey":%q,%s}`, run, session, rest) + "\n"
}

func f(run, stream, data string) string {
	return fmt.Sprintf(`{"runId":%q,"stream":%q,"data":{%s}}`, run, stream, data) + "\n"
}

func item(id, text, delta string) string {
	data := fmt.Sprintf(`"itemId":%q,"text":%q`, id, text)
	if delta != "" {
		data += fmt.Sprintf(`,"delta":%q`, delta)
	}
	return f("r", "assistant", data)
}

func said(text string) string {
	return `"message":{"role":"assistant","content":[{"type":"text","text":"` + text + `"}]}`
}

func wrapped(event string) string {
	return `{"type":"event","event":"chat","payload":` + strings.TrimSpace(event) + "}\n"
}

func chunk(text string) string {
	return fmt.Sprintf(`{"choices":[{"index":0,"delta":{"content":%q}}]}`, text) + "\n"
}

const (
	over  = `{"runId":"r","stream":"lifecycle","data":{"phase":"end"}}` + "\n"
	hello = "\n" + `{"delta":"Hello"}` + "\n[DONE]"
)

// endless is a stream that never stops talking.
type endless struct {
	event string
	left  int
	rest  string
}

func (r *endless) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.left--
		r.rest = r.event
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestReplyIsBounded(t *testing.T) {
	t.Parallel()
	word := strings.Repeat("wörld ", 10_000)
	for name, event := range map[string]string{
		"A":          "data: " + chunk(word) + "\n",
		"D":          "event: delta\ndata: " + word + "\n\n",
		"E":          "data: " + e("r", "k", `"state":"delta","deltaText":"`+word+`"`) + "\n",
		"F":          "data: " + f("r", "assistant", `"itemId":"a","delta":"`+word+`"`) + "\n",
		"G":          `data: {"type":"response.output_text.delta","delta":"` + word + `"}` + "\n\n",
		"text/plain": word,
	} {
		t.Run(name, func(t *testing.T) {
			r := io.MultiReader(&endless{event: event, left: 2*maxReplyText/len(word) + 10}, strings.NewReader("data: [DONE]\n\n"))
			contentType := "text/event-stream"
			if name == "text/plain" {
				contentType = name
			}
			var a Accumulator
			told := 0
			for ev, err := range decodeStream(r, contentType, 0) {
				if err != nil {
					t.Fatal(err)
				}
				if ev.Kind == EventStatus && ev.Text == NoteTooLong {
					told++
				}
				a.Add(ev)
			}
			reply := a.Reply()
			if n := len(reply.Text); n > maxReplyText || n < maxReplyText-4 || !a.Done() || told != 1 || len(reply.Notes) != 1 || reply.Notes[0] != NoteTooLong {
				t.Errorf("%d bytes, done %v, told %d times, notes %q", n, a.Done(), told, reply.Notes)
			}
			if strings.ContainsRune(reply.Text, '\uFFFD') {
				t.Error("a character was cut")
			}
		})
	}
}

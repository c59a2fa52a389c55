package client

import "testing"

// Between the events of a stream there may be signs of life that are not JSON.
var bareSigns = []replyRow{
	{rule: "A: ping", in: chunk("Hel") + "ping\n" + chunk("lo") + "[DONE]", text: "Hello", end: "final"},
	{rule: "A: a time", in: chunk("Hel") + "2026-11-30T20:00:00Z\n" + chunk("lo") + "[DONE]", text: "Hello", end: "final"},
	{rule: "A: a number", in: chunk("Hel") + "17\n" + chunk("lo") + "[DONE]", text: "Hello", end: "final"},
	{rule: "A: before the text", in: "connected\n" + chunk("Hel") + chunk("lo") + "[DONE]", text: "Hello", end: "final"},
	{rule: "C: keepalive", in: `{"type":"output","text":"Hel"}` + "\nkeepalive\n" + `{"type":"output","text":"lo"}` + "\n" + `{"type":"complete"}`, text: "Hello", end: "final"},
	{rule: "D: a message", in: `delta>{"delta":"Hel"}` + "\nmessage>heartbeat\n" + `delta>{"delta":"lo"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "D: a piece of another form", in: `delta>{"delta":"Hel"}` + "\ncontent>lo\ndone>{}", text: "Hello", end: "final"},
	{rule: "strings: null is a word", in: `"x is "` + "\n" + `"null"` + "\n" + `"."` + "\n[DONE]", text: "x is null.", end: "final"},
	{rule: "strings: null alone is none", in: `"x"` + "\nnull\n" + `"y"` + "\n[DONE]", text: "xy", end: "final"},
	{rule: "parts: null is a word", contentType: "text/plain", in: "0:\"x is \"\n0:\"null\"\n0:\".\"\nd:{\"finishReason\":\"stop\"}\n", text: "x is null.", end: "final"},
}

// A chunk says whose words it has.
var chunkRoles = []replyRow{
	{rule: "a tool", in: `{"choices":[{"delta":{"role":"tool","content":"a.txt"}}]}` + "\n" + `{"choices":[{"delta":{"role":"assistant","content":"One file."}}]}` + "\n[DONE]", text: "One file.", end: "final", tools: `   "a.txt"`},
	{rule: "a tool, in pieces", in: `{"choices":[{"delta":{"role":"tool","content":"a"}}]}` + "\n" + chunk(".txt") + `{"choices":[{"delta":{"role":"assistant","content":"One file."}}]}` + "\n[DONE]", text: "One file.", end: "final", tools: `   "a"`},
	{rule: "the user", in: `{"choices":[{"delta":{"role":"user","content":"What is it?"}}]}` + "\n" + `{"choices":[{"delta":{"role":"assistant"}}]}` + "\n" + chunk("Hello") + "[DONE]", text: "Hello", end: "final"},
}

// Texts may be written at the same time.
var interleaved = []replyRow{
	{rule: "AI SDK", in: vercelStart("a") + vercelStart("b") + vercelDelta("a", "One ") + vercelDelta("b", "Three ") + vercelDelta("a", "two.") + vercelDelta("b", "four.") + "[DONE]", text: "One two.\n\nThree four.", end: "final"},
	{rule: "AI SDK: one behind the other", in: vercelStart("a") + vercelDelta("a", "One ") + vercelDelta("a", "two,") + `{"type":"text-end","id":"a"}` + "\n" + vercelStart("b") + vercelDelta("b", " three.") + "[DONE]", text: "One two, three.", end: "final"},
	{rule: "AI SDK: ids of events", in: vercelDelta("1", "One ") + vercelDelta("2", "two.") + "[DONE]", text: "One two.", end: "final"},
	{rule: "G", in: `{"type":"response.output_text.delta","item_id":"a","delta":"One "}` + "\n" + `{"type":"response.output_text.delta","item_id":"b","delta":"Three "}` + "\n" + `{"type":"response.output_text.delta","item_id":"a","delta":"two."}` + "\n" +
		`{"type":"response.output_text.delta","item_id":"b","delta":"four."}` + "\n" + `{"type":"response.completed"}`, text: "One two.Three four.", end: "final"},
}

func vercelStart(id string) string { return `{"type":"text-start","id":"` + id + `"}` + "\n" }

func vercelDelta(id, text string) string {
	return `{"type":"text-delta","id":"` + id + `","delta":"` + text + `"}` + "\n"
}

// A service may begin a stream with messages of before.
var replayed = []replyRow{
	{rule: "up to ours", in: `message>{"id":"u0","role":"user","content":"Older?"}` + "\n" + `message>{"id":"a1","role":"assistant","content":"Older."}` + "\n" + `message>{"id":"u1","role":"user","content":"What is it?"}` + "\n" +
		`message>{"id":"a2","role":"assistant","content":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "known by its id", in: `message>{"id":"a0","role":"assistant","content":"old answer"}` + "\n" + `delta>{"text":"Hel"}` + "\n" + `delta>{"text":"lo"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "the id again, with other words", in: `message>{"id":"a0","role":"assistant","content":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "the words again, with another id", in: `message>{"id":"a1","role":"assistant","content":"old answer"}` + "\ndone>{}", text: "old answer", end: "final"},
	{rule: "our message behind pieces", in: `delta>{"text":"Hello"}` + "\n" + `message>{"id":"u1","role":"user","content":"What is it?"}` + "\ndone>{}", text: "Hello", end: "final"},
}

// A text that has all before it may begin anew: with another message, or the same once more.
var begunAnew = []replyRow{
	{rule: "F: without a word", in: f("r", "assistant", `"text":"The answer to","delta":"The answer to"`) + f("r", "assistant", `"text":"Your question","delta":"Your question"`) + f("r", "assistant", `"text":"Your question has","delta":" has"`) + over,
		text: "The answer to\n\nYour question has", end: "final to be checked"},
	{rule: "F: the run starts again", in: f("r", "assistant", `"text":"The answer to","delta":"The answer to"`) + f("r", "lifecycle", `"phase":"start"`) + f("r", "assistant", `"text":"Your question","delta":"Your question"`) + f("r", "assistant", `"text":"Your question has","delta":" has"`) + over,
		text: "Your question has", end: "final to be checked"},
	{rule: "F: another model", in: f("r", "assistant", `"text":"The answer to","delta":"The answer to"`) + f("r", "lifecycle", `"phase":"fallback"`) + f("r", "assistant", `"text":"Your","delta":"Your"`) + over, text: "Your", end: "final to be checked"},
	{rule: "F: it starts again, and goes on", in: f("r", "assistant", `"text":"Hel","delta":"Hel"`) + f("r", "lifecycle", `"phase":"start"`) + f("r", "assistant", `"text":"Hello","delta":"lo"`) + over, text: "Hello", end: "final"},
	{rule: "F: behind a tool", in: f("r", "assistant", `"text":"I look.","delta":"I look."`) + f("r", "tool", `"phase":"result","toolCallId":"t","name":"x","result":"y"`) + f("r", "assistant", `"text":"Found.","delta":"Found."`) + over,
		text: "I look.Found.", end: "final", tools: `t x  "y"`},
	{rule: "E: without a word", in: e("r", "k", `"state":"delta","deltaText":"The answer to",`+said("The answer to")) + e("r", "k", `"state":"delta","deltaText":"Your question has",`+said("Your question has")) + e("r", "k", `"state":"final",`+said("Your question has")),
		text: "The answer to\n\nYour question has", end: "final to be checked"},
}

func TestWhatIsNoReply(t *testing.T) {
	for name, rows := range map[string][]replyRow{"signs": bareSigns, "roles": chunkRoles, "interleaved": interleaved, "replayed": replayed, "anew": begunAnew} {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				t.Run(row.rule, row.check)
			}
		})
	}
}

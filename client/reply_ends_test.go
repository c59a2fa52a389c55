package client

import (
	"strings"
	"testing"
)

// The last message of a reply may be a word that others use for the end alone.
var wordsOfEnd = []replyRow{
	{rule: "E: the last message is Done", in: e("r", "k", `"state":"delta",`+said("I will fix it.")) + f("r", "tool", `"phase":"result","toolCallId":"t","name":"x","result":"y"`) + e("r", "k", `"state":"final",`+said("Done")),
		text: "I will fix it.Done", end: "final", tools: `t x  "y"`},
	{rule: "E: the final message is OK", in: e("r", "k", `"state":"delta",`+said("Hmm")) + e("r", "k", `"state":"final",`+said("OK")), text: "OK", end: "final"},
	{rule: "D: the message of the end is 0", in: `delta>{"delta":"I count."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"message":{"role":"assistant","content":"0"}}`,
		text: "I count.0", end: "final", tools: ` x  "y"`},
	{rule: "D: a text behind a tool", in: `delta>{"delta":"I check."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"text":"true"}`, text: "I check.true", end: "final", tools: ` x  "y"`},
	{rule: "G: the output is Done", in: `{"type":"response.output_text.delta","output_index":0,"delta":"Let me see."}` + "\n" +
		`{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"Done"}]}]}}`, text: "Done", end: "final"},
	{rule: "D: a result that only says that it ended", in: `delta>{"delta":"Hello"}` + "\n" + `done>{"result":"completed"}`, text: "Hello", end: "final"},
}

// A remark on the end is not the reply, which is longer and has nothing of it. A last word that
// has is.
var remarksAtEnd = []replyRow{
	{rule: "D: a text", in: fixed + `done>{"text":"Task complete"}`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "D: a content", in: fixed + `done>{"content":"Finished in 3 s"}`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "D: a raw text", in: fixed + `done>Stream closed after 12 events`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "D: a message that nobody signs", in: fixed + `done>{"message":{"content":"Finished in 3 s"}}`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "B: an answer in data", in: `output>{"text":"I fixed the parser and its tests."}` + "\n" + `complete>{"success":true,"data":{"answer":"12 tokens used"}}`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "C: an end", in: `{"type":"output","text":"I fixed the parser and its tests."}` + "\n" + `{"type":"complete","text":"Run finished."}`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "C: the inner tool's", in: piece("I fixed the parser and its tests.") + "\n" + `{"type":"agent-output","data":{"type":"complete","text":"Session ended"}}` + "\n" + `{"type":"complete"}`, text: "I fixed the parser and its tests.", end: "final"},
	{rule: "D: its words are also in the reply", in: `delta>{"delta":"The task list was not complete."}` + "\n" + `done>{"text":"Task complete."}`, text: "The task list was not complete.", end: "final"},
	{rule: "D: longer than the reply", in: `delta>{"delta":"Paris."}` + "\n" + `done>{"text":"Task completed successfully in 3.2 seconds"}`, text: "Paris.", end: "final"},
	{rule: "D: a remark is all", in: `done>Task complete`, end: "final, or Task complete"},
	{rule: "B: a remark is all that a result says", in: `complete>{"success":true,"result":"Task complete"}`, end: "final, or Task complete"},
	{rule: "JSON: a remark is all", contentType: "application/json", in: `{"message":"Task complete"}`, end: "accepted: , or Task complete"},
	{rule: "D: such a word behind a tool is the agent's", in: fixed + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"text":"Task complete"}`, text: "I fixed the parser and its tests.Task complete", end: "final", tools: ` x  "y"`},
	{rule: "D: the agent's message is its last word", in: fixed + `done>{"message":{"role":"assistant","content":"All is well."}}`, text: "All is well.", end: "final"},
	{rule: "D: a correction", in: `delta>{"delta":"I fixd the parser and its tests."}` + "\n" + `done>{"text":"I fixed the parser."}`, text: "I fixed the parser.", end: "final"},
	{rule: "D: a correction of every word", in: `delta>{"delta":"Helo wrld"}` + "\n" + `done>{"text":"Hello world"}`, text: "Hello world", end: "final"},
	{rule: "D: a long last word", in: fixed + `done>{"text":"` + strings.Repeat("Nothing else went wrong. ", 5) + `"}`, text: strings.Repeat("Nothing else went wrong. ", 5), end: "final"},
	{rule: "D: in other letters", in: `delta>{"delta":"解析器已经修好了,测试也都通过了。"}` + "\n" + `done>{"text":"解析器好了。"}`, text: "解析器好了。", end: "final"},
}

// The message may come back, from the service or from the agent.
var echoes = []replyRow{
	{rule: "at the end, alone", in: `done>{"message":{"content":"What is it?"}}`, end: "final, or What is it?"},
	{rule: "before the end, alone", in: `message>{"id":"q","text":"What is it?"}` + "\ndone>{}", end: "final, or What is it?"},
	{rule: "in pieces", in: `delta>{"text":"What is"}` + "\n" + `delta>{"text":" it?"}` + "\n" + `done>{"text":"What is it?"}`, text: "What is it?", end: "final"},
	{rule: "as the assistant's message", in: `message>{"id":"m","role":"assistant","content":"What is it?"}` + "\ndone>{}", text: "What is it?", end: "final"},
	{rule: "behind a tool", in: `delta>{"text":"Hm."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"text":"What is it?"}`, text: "Hm.What is it?", end: "final", tools: ` x  "y"`},
}

// A stream may end before the agent does.
var endsTooEarly = []replyRow{
	{rule: "A: the model called a tool", in: chunk("I will look.") + `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n[DONE]",
		text: "I will look.", says: "the stream ended where the model called a tool"},
	{rule: "A: and had the result", in: chunk("I will look.") + `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n" + chunk(" Found.") + `{"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n[DONE]",
		text: "I will look. Found.", end: "final"},
	{rule: "A: one of two answers", in: chunk("One.") + `{"choices":[{"index":1,"delta":{"content":"Another."},"finish_reason":null}]}` + "\n" + chunk(" Two.") + "[DONE]", text: "One. Two.", end: "final"},
	{rule: "A: text behind a call, with no reason at its end", in: `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n" + chunk("Found.") + "[DONE]", text: "Found.", end: "final"},
	{rule: "D: an end for a tool", in: `delta>{"delta":"I will look."}` + "\n" + `done>{"finish_reason":"tool_calls"}`, text: "I will look.", says: "the stream ended where the model called a tool"},
	{rule: "G: a function call", in: `{"type":"response.output_text.delta","delta":"I will look."}` + "\n" + `{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"I will look."}]},{"type":"function_call","name":"x","call_id":"c"}]}}`,
		text: "I will look.", says: "the stream ended where the model called a tool"},
	{rule: "JSON: the model called a tool", contentType: "application/json", in: `{"choices":[{"message":{"role":"assistant","content":"I will look."},"finish_reason":"tool_calls"}]}`,
		text: "I will look.", says: "the stream ended where the model called a tool"},
	{rule: "D: an end with what a tool printed", in: `delta>{"delta":"Running."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"result":"y"}`,
		text: "Running.", tools: ` x  "y"`, says: "the stream ended with what the tool printed"},
	{rule: "D: and the agent spoke behind it", in: `tool>{"name":"x","result":"files: 3"}` + "\n" + `delta>{"delta":"It says files: 3"}` + "\n" + `done>{"output":"files: 3\n"}`,
		text: "It says files: 3", end: "final", tools: ` x  "files: 3"`},
	{rule: "E: the run ended with a call", in: e("r", "k", `"state":"final","stopReason":"toolUse",`+said("I will look.")), text: "I will look.", end: "final: " + NoteCalling},
	{rule: "E: an error beside the reply", in: e("r", "k", `"state":"final","errorMessage":"out of credits",`+said("Half")), text: "Half", end: "final: the agent reports an error beside its reply: out of credits"},
	{rule: "D: an end whose run goes on", in: `delta>{"delta":"Half"}` + "\n" + `done>{"reason":"stream_timeout","run_status":"running"}`, text: "Half", says: "the stream ended with a message that is not complete yet"},
	{rule: "D: an end whose status is running", in: `delta>{"delta":"Half"}` + "\n" + `done>{"status":"running"}`, text: "Half", says: "the stream ended with a message that is not complete yet"},
	{rule: "D: an end that is not done", in: `delta>{"delta":"Half"}` + "\n" + `done>{"done":false}`, text: "Half", says: "the stream ended with a message that is not complete yet"},
	{rule: "D: a final word that is a remark", in: `final>{"text":"Processing","status":"pending"}`, says: "the stream ended with a message that is not complete yet"},
	{rule: "D: an end with a code", in: `delta>{"delta":"Half"}` + "\n" + `done>{"code":500,"message":"boom"}`, text: "Half", end: "error: boom"},
	{rule: "D: an end with a code of success", in: `delta>{"delta":"All"}` + "\n" + `done>{"code":1000,"message":"bye"}`, text: "All", end: "final"},
	{rule: "Vercel: an abort", in: `{"type":"text-delta","id":"1","delta":"Half"}` + "\n" + `{"type":"abort","reason":"user"}` + "\n[DONE]", text: "Half", end: "error: user"},
	{rule: "Vercel: cut by length", in: `{"type":"text-delta","id":"1","delta":"Half"}` + "\n" + `{"type":"finish","finishReason":"length"}` + "\n[DONE]", text: "Half", end: "final: " + NoteLimit},
	{rule: "E: a last message that failed", in: e("r", "k", `"state":"final","message":{"role":"assistant","content":[{"type":"text","text":"Half"}],"stopReason":"error","errorMessage":"it broke"}`), text: "Half", end: "error: it broke"},
	{rule: "the wait for a run is over", contentType: "application/json", in: `{"runId":"r","status":"timeout"}`, end: "accepted: "},
	{rule: "a result with an error's name", contentType: "application/json", in: `{"type":"result","subtype":"error_max_turns","is_error":false}`, end: "error: the agent's run failed"},
	{rule: "text/plain that may be cut", contentType: "text/plain; unframed", in: "Hello, wor", text: "Hello, wor"},
}

// A 200 may say that it failed.
var failedAnswers = []replyRow{
	{rule: "status failed", contentType: "application/json", in: `{"status":"failed","message":"no credits"}`, end: "error: no credits"},
	{rule: "code 500", contentType: "application/json", in: `{"code":500,"message":"internal"}`, end: "error: internal"},
	{rule: "a code of the service's own", contentType: "application/json", in: `{"code":50012,"msg":"quota exceeded","data":null}`, end: "error: quota exceeded"},
	{rule: "code 0 is none", contentType: "application/json", in: `{"code":0,"message":"success","data":{"reply":"Hello"}}`, text: "Hello", end: "final"},
	{rule: "code 200 is none", contentType: "application/json", in: `{"code":200,"message":"Hello"}`, end: "accepted: , or Hello"},
	{rule: "a reply in data beside a remark", contentType: "application/json", in: `{"success":true,"message":"OK","data":{"message":{"role":"assistant","content":"Hello"}}}`, text: "Hello", end: "final"},
	{rule: "a reply that is a number", contentType: "application/json", in: `{"reply":0}`, text: "0", end: "final"},
}

// A message that comes again under its id is that message, changed.
var changedMessages = []replyRow{
	{rule: "edited", in: `message>{"id":"m","role":"assistant","content":"Hello wrld"}` + "\n" + `message>{"id":"m","role":"assistant","content":"Hello world"}` + "\n[DONE]", text: "Hello world", end: "final"},
	{rule: "edited, behind another", in: `message>{"id":"a","role":"assistant","content":"One."}` + "\n" + `message>{"id":"m","role":"assistant","content":"Tvo"}` + "\n" + `message>{"id":"m","role":"assistant","content":"Two."}` + "\n[DONE]", text: "One.Two.", end: "final"},
	{rule: "the first of two is edited", in: `message>{"id":"a","role":"assistant","content":"Won."}` + "\n" + `message>{"id":"m","role":"assistant","content":"Two."}` + "\n" + `message>{"id":"a","role":"assistant","content":"One."}` + "\n[DONE]", text: "One.Two.", end: "final"},
	{rule: "C: the blocks of one message", in: `{"type":"agent-output","data":{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"One."}]}}}` + "\n" + `{"type":"agent-output","data":{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"Two."}]}}}` + "\n" + `{"type":"complete"}`,
		text: "One.Two.", end: "final"},
}

// Numbers and ids that do not tell events apart say nothing of repetitions.
var notRepeated = []replyRow{
	{rule: "one number for all", in: `{"seq":1,"delta":"ha"}` + "\n" + `{"seq":1,"delta":"ha"}` + "\n" + `{"seq":1,"delta":"!"}` + "\n" + `{"seq":1,"delta":"!"}` + "\n[DONE]", text: "haha!!", end: "final"},
	{rule: "one number for a message", in: `{"seq":1,"delta":"a"}` + "\n" + `{"seq":1,"delta":"b"}` + "\n" + `{"seq":2,"delta":"c"}` + "\n" + `{"seq":2,"delta":"c"}` + "\n[DONE]", text: "abcc", end: "final"},
	{rule: "the message's id", contentType: "text/event-stream; x", in: "id: m1\ndata: {\"message_id\":\"m1\",\"delta\":\"One. \"}\n\nid: m2\ndata: {\"message_id\":\"m2\",\"delta\":\"ha\"}\n\nid: m2\ndata: {\"message_id\":\"m2\",\"delta\":\"ha\"}\n\ndata: [DONE]\n\n", text: "One. haha", end: "final"},
}

// What opens with an end is the end of what was there before.
var foreignEnds = []replyRow{
	{rule: "E: an abort of a run that never began is in doubt", in: e("x", "k", `"state":"aborted"`), end: "error: the agent's run was aborted (in doubt)"},
}

func TestEndsOfReplies(t *testing.T) {
	for name, rows := range map[string][]replyRow{
		"words of end": wordsOfEnd, "remarks at the end": remarksAtEnd, "echoes": echoes, "too early": endsTooEarly, "failed answers": failedAnswers, "changed messages": changedMessages,
		"not repeated": notRepeated, "foreign ends": foreignEnds,
	} {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				t.Run(row.rule, row.check)
			}
		})
	}
}

const fixed = `delta>{"delta":"I fixed the parser and its tests."}` + "\n"

// framed tells whether a row's body may have been cut without a word.
func (row replyRow) framed() bool { return !strings.HasSuffix(row.contentType, "unframed") }

package client

import "testing"

// Events may come in lists, or all in one.
var lists = []replyRow{
	{rule: "JSON: a list of events", contentType: "application/json", in: `[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]`, text: "Hello", end: "final"},
	{rule: "JSON: a list of named events", contentType: "application/json", in: `[{"event":"delta","data":{"text":"Hel"}},{"event":"delta","data":{"text":"lo"}},{"event":"done","data":{}}]`, text: "Hello", end: "final"},
	{rule: "JSON: a list without an end", contentType: "application/json", in: `[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"}]`, text: "Hello"},
	{rule: "JSON: a list that ends with a failure", contentType: "application/json", in: `[{"type":"delta","delta":"Half"},{"type":"error","error":"it broke"}]`, text: "Half", end: "error: it broke"},
	{rule: "JSON: A's chunks", contentType: "application/json", in: `[{"choices":[{"delta":{"content":"Hel"}}]},{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}]`, text: "Hello"},
	{rule: "JSON: the gateway's events", contentType: "application/json", in: `[{"runId":"r","seq":1,"stream":"assistant","data":{"text":"Hello","delta":"Hello"}},{"runId":"r","seq":2,"stream":"lifecycle","data":{"phase":"end"}}]`, text: "Hello", end: "final"},
	{rule: "JSON: in events", contentType: "application/json", in: `{"events":[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]}`, text: "Hello", end: "final"},
	{rule: "JSON: a list of messages", contentType: "application/json", in: `[{"role":"user","content":"What is it?"},{"role":"assistant","content":"Hello"}]`, text: "Hello", end: "final"},
	{rule: "JSON: a list of typed messages", contentType: "application/json", in: `[{"type":"message","role":"user","content":"What is it?"},{"type":"message","role":"assistant","content":"Hello"}]`, text: "Hello", end: "final"},
	{rule: "JSON: Claude's messages", contentType: "application/json", in: `[{"type":"system","subtype":"init"},{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"Hello"}]}},{"type":"result","subtype":"success","result":"Hello"}]`, text: "Hello", end: "final"},
	{rule: "JSON: blocks", contentType: "application/json", in: `[{"type":"text","text":"Hello"}]`, text: "Hello", end: "final"},
	{rule: "one line", in: `[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]`, text: "Hello", end: "final"},
	{rule: "one line, with texts", in: `[{"type":"output","text":"Hel"},{"type":"output","text":"lo"},{"type":"complete","success":true}]`, text: "Hello", end: "final"},
	{rule: "one line, named", in: `message>[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]`, text: "Hello", end: "final"},
	{rule: "one line, called delta", in: `delta>[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]`, text: "Hello", end: "final"},
	{rule: "a list a line", in: `[{"type":"delta","delta":"Hel"}]` + "\n" + `[{"type":"delta","delta":"lo"},{"type":"done","text":"Hello"}]`, text: "Hello", end: "final"},
	{rule: "one line, with an event in data", in: `[{"event":"delta","data":{"delta":"Hel"}},{"event":"delta","data":{"delta":"lo"}},{"event":"done","data":{"message":{"role":"assistant","content":"Hello"}}}]`, text: "Hello", end: "final"},
	{rule: "JSON lines", contentType: "application/x-ndjson", in: `[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]`, text: "Hello", end: "final"},
	{rule: "without a type", contentType: "none", in: `[{"type":"delta","delta":"Hel"},{"type":"delta","delta":"lo"},{"type":"done"}]`, text: "Hello", end: "final"},
	{rule: "without a type, on lines", contentType: "none", in: "[\n" + `{"type":"delta","delta":"Hel"},` + "\n" + `{"type":"delta","delta":"lo"},` + "\n" + `{"type":"done"}` + "\n]\n", text: "Hello", end: "final"},
}

func TestListsOfEvents(t *testing.T) {
	for _, row := range lists {
		t.Run(row.rule, row.check)
	}
}

package client

import "testing"

const half = `delta>{"text":"Half of"}` + "\n"

// A run that failed may be tried again on the same stream.
var retries = []replyRow{
	{rule: "it says so in words", in: `error>{"message":"overloaded, retrying in 2 s"}` + "\n" + `delta>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final", says: "overloaded, retrying in 2 s"},
	{rule: "it says so by a flag", in: half + `error>{"error":"overloaded","will_retry":true}` + "\n" + `delta>{"text":"Half of it"}` + "\ndone>{}", text: "Half of it", end: "final", says: "overloaded"},
	{rule: "it says so, and the end has the text", in: half + `{"type":"error","error":"overloaded","retrying":true}` + "\n" + `done>{"text":"Hello"}`, text: "Hello", end: "final", says: "overloaded"},
	{rule: "it says so, and the stream ends", in: half + `error>{"message":"overloaded, will retry"}`, text: "Half of", end: "error: overloaded, will retry", says: "overloaded, will retry"},
	{rule: "it says so, and then only that it ended", in: half + `error>{"message":"overloaded, will retry"}` + "\ndone>{}", text: "Half of", end: "error: overloaded, will retry", says: "overloaded, will retry"},
	{rule: "it says so, and fails again", in: half + `error>{"message":"overloaded, will retry"}` + "\n" + `error>{"message":"overloaded"}`, text: "Half of", end: "error: overloaded", says: "overloaded, will retry"},
	{rule: "it says so, and is cut", in: `error>{"message":"overloaded, will retry"}` + "\n" + half, text: "Half of", says: "overloaded, will retry"},
	{rule: "the user should", in: half + `error>{"message":"overloaded, please retry"}` + "\n" + half + "done>{}", text: "Half of", end: "error: overloaded, please retry"},
	{rule: "it has given up", in: half + `error>{"message":"overloaded, not retrying"}` + "\n" + half + "done>{}", text: "Half of", end: "error: overloaded, not retrying"},

	{rule: "pieces follow", lingers: true, in: `error>{"error":"overloaded"}` + "\n" + `delta>{"text":"Hel"}` + "\n" + `delta>{"text":"lo"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "pieces follow on pieces", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n" + half + `delta>{"text":" it"}` + "\ndone>{}", text: "Half of it", end: "final"},
	{rule: "other pieces follow on pieces", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n" + `delta>{"text":"the rest, or all"}` + "\ndone>{}", text: "the rest, or all", end: "final to be checked"},
	{rule: "other pieces follow on pieces, with all at the end", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n" + `delta>{"text":" it"}` + "\n" + `done>{"text":"Half of it"}`, text: "Half of it", end: "final"},
	{rule: "a status says so", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n" + `status>{"message":"retrying"}` + "\n" + `done>{"text":"Hello"}`, text: "Hello", end: "final", says: "retrying"},
	{rule: "a tool follows", lingers: true, in: `error>{"error":"the tool broke"}` + "\n" + `tool>{"id":"t","name":"x"}` + "\n" + half + "done>{}", text: "Half of", end: "final", tools: `t x  ""`},
	{rule: "A: chunks follow", lingers: true, in: `{"error":{"message":"overloaded"}}` + "\n" + chunk("<think>") + chunk("hm</think>") + chunk("Hello") + "[DONE]", text: "Hello", end: "final"},
	{rule: "F: another attempt of the run", lingers: true, in: f("r", "assistant", `"text":"Hal","delta":"Hal"`) + f("r", "lifecycle", `"phase":"error","error":"overloaded"`) +
		f("r", "lifecycle", `"phase":"start"`) + f("r", "assistant", `"text":"Half","delta":"Half"`) + f("r", "assistant", `"text":"Half of it","delta":" of it"`) + over, text: "Half of it", end: "final"},
	{rule: "nothing follows", lingers: true, in: half + `error>{"error":"overloaded"}`, text: "Half of", end: "error: overloaded"},
	{rule: "an end follows", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n[DONE]", text: "Half of", end: "error: overloaded"},
	{rule: "an end with the same text follows", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n" + `done>{"text":"Half of"}`, text: "Half of", end: "error: overloaded"},
	{rule: "an end with the failure follows", lingers: true, in: half + `error>{"error":"overloaded"}` + "\n" + `done>{"text":"Error: overloaded"}`, text: "Half of", end: "error: overloaded"},
	{rule: "F: another run follows", lingers: true, in: `accepted>{"runId":"r"}` + "\n" + f("r", "assistant", `"text":"Hal","delta":"Hal"`) + f("r", "lifecycle", `"phase":"error","error":"overloaded"`) +
		f("x", "assistant", `"text":"theirs","delta":"theirs"`) + f("x", "lifecycle", `"phase":"end"`), text: "Hal", end: "error: overloaded"},
	{rule: "an abort", lingers: true, in: half + `aborted>{}` + "\n" + half + "done>{}", text: "Half of", end: "error: the agent's run was aborted"},
}

func TestRetriesOnOneStream(t *testing.T) {
	for _, row := range retries {
		t.Run(row.rule, row.check)
	}
}

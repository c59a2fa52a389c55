package client

// The agent may choose not to answer.
var silences = []replyRow{
	{rule: "A: no reply", in: chunk("NO") + chunk("_REPLY") + "[DONE]", end: "silent"},
	{rule: "B: no reply", in: `output>{"text":"NO_REPLY"}` + "\ncomplete>{}", end: "silent"},
	{rule: "C: no reply", in: piece("NO_REPLY") + "\n" + `{"type":"agent-output","data":{"type":"result","result":"NO_REPLY"}}` + "\n" + `{"type":"complete"}`, end: "silent"},
	{rule: "D: no reply", in: `delta>{"delta":"\nNO"}` + "\n" + `delta>{"delta":"_REPLY\n"}` + "\ndone>{}", end: "silent"},
	{rule: "E: no reply", in: e("r", "k", `"state":"delta",`+said("NO_RE")) + e("r", "k", `"state":"final",`+said("NO_REPLY")), end: "silent"},
	{rule: "F: no reply", in: f("r", "assistant", `"text":"NO_REPLY","delta":"NO_REPLY"`) + over, end: "silent"},
	{rule: "G: no reply", in: `{"type":"response.output_text.delta","delta":"NO_REPLY"}` + "\n" + `{"type":"response.completed"}`, end: "silent"},
	{rule: "JSON: no reply", contentType: "application/json", in: `{"reply":"NO_REPLY"}`, end: "silent"},
	{rule: "with a full stop", in: chunk("NO_REPLY") + chunk(".") + "[DONE]", end: "silent"},
	{rule: "as code", in: chunk("`NO_REPLY`") + "[DONE]", end: "silent"},
	{rule: "in a fence", in: `delta>{"delta":"` + "```" + `\nNO_REPLY\n"}` + "\n" + `delta>{"delta":"` + "```" + `"}` + "\ndone>{}", end: "silent"},
	{rule: "in a fence with a language", in: `delta>{"delta":"` + "```" + `text"}` + "\n" + `delta>{"delta":"\nNO_REPLY\n` + "```" + `"}` + "\ndone>{}", end: "silent"},
	{rule: "with emphasis", in: chunk("**NO_REPLY**") + "[DONE]", end: "silent"},
	{rule: "the word, in small letters", in: chunk("no") + chunk("_reply") + "[DONE]", text: "no_reply", end: "final"},
	{rule: "the word, in quotes", in: chunk("\"NO_REPLY\"") + "[DONE]", text: `"NO_REPLY"`, end: "final"},
	{rule: "quotes alone", in: chunk("\"") + chunk("\"") + "[DONE]", text: `""`, end: "final"},
	{rule: "a question about it", in: chunk("`NO_REPLY`") + chunk("?") + "[DONE]", text: "`NO_REPLY`?", end: "final"},
	{rule: "code with it", in: `delta>{"delta":"` + "```" + `go\nNO_REPLY = 1\n` + "```" + `"}` + "\ndone>{}", text: "```go\nNO_REPLY = 1\n```", end: "final"},
	{rule: "a reply that begins so", in: chunk("NO") + chunk(" problem") + "[DONE]", text: "NO problem", end: "final"},
	{rule: "a reply that is a part of it", in: chunk("NO") + "[DONE]", text: "NO", end: "final"},
	{rule: "a stream that is cut there", in: chunk("NO"), text: "NO"},
	{rule: "no reply, said twice", in: chunk("NO_REPLY") + chunk("NO_REPLY") + "[DONE]", end: "silent"},
	{rule: "a reply about it", in: chunk("NO_REPLY") + chunk(" is a word.") + "[DONE]", text: "NO_REPLY is a word.", end: "final"},
	{rule: "nothing to add", in: item("a", "Done.", "Done.") + item("b", "NO_REPLY", "NO_REPLY") + over, text: "Done.", end: "final"},
}

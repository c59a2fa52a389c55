package client

import "testing"

// What calls itself a piece may be all of the text so far.
var grownPieces = []replyRow{
	{rule: "delta", in: `delta>{"delta":"Hello"}` + "\n" + `delta>{"delta":"Hello wor"}` + "\n" + `delta>{"delta":"Hello world"}` + "\ndone>{}", text: "Hello world", end: "final"},
	{rule: "typed delta", in: `{"type":"text_delta","text":"Hello"}` + "\n" + `{"type":"text_delta","text":"Hello wor"}` + "\n" + `{"type":"text_delta","text":"Hello world"}` + "\n" + `{"type":"text_delta","text":"Hello world!"}` + "\n" + `{"type":"done"}`, text: "Hello world!", end: "final"},
	{rule: "typed token", in: `{"type":"token","content":"Hel"}` + "\n" + `{"type":"token","content":"Hello"}` + "\n" + `{"type":"token","content":"Hello"}` + "\n" + `{"type":"token","content":"Hello, big"}` + "\n" + `{"type":"token","content":"Hello, big world"}` + "\n[DONE]", text: "Hello, big world", end: "final"},
	{rule: "raw chunks", in: "chunk>One\nchunk>One two\nchunk>One two three\ndone>", text: "One two three", end: "final"},
	{rule: "delta of an object", in: `{"delta":{"text":"One"}}` + "\n" + `{"delta":{"text":"One two"}}` + "\n" + `{"delta":{"text":"One two three"}}` + "\n[DONE]", text: "One two three", end: "final"},
	{rule: "A: chunks", in: chunk("One") + chunk("One two") + chunk("One two three") + "[DONE]", text: "One two three", end: "final"},
	{rule: "Ollama", in: `{"message":{"role":"assistant","content":"One"},"done":false}` + "\n" + `{"message":{"role":"assistant","content":"One two"},"done":false}` + "\n" + `{"message":{"role":"assistant","content":"One two three"},"done":false}` + "\n" + `{"message":{"role":"assistant","content":""},"done":true}`, text: "One two three", end: "final"},
	{rule: "C: pieces", in: piece("One") + "\n" + piece("One two") + "\n" + piece("One two three") + "\n" + `{"type":"complete"}`, text: "One two three", end: "final"},
	{rule: "Claude: pieces of two messages", in: start("m") + "\n" + piece("One") + "\n" + piece("One two") + "\n" + piece("One two three") + "\n" + start("n") + "\n" + piece("Four") + "\n" + piece("Four five") + "\n" + `{"type":"complete"}`,
		text: "One two threeFour five", end: "final"},
	{rule: "E: deltaText", in: e("r", "k", `"state":"delta","deltaText":"One"`) + e("r", "k", `"state":"delta","deltaText":"One two"`) + e("r", "k", `"state":"delta","deltaText":"One two three"`) + e("r", "k", `"state":"final"`), text: "One two three", end: "final to be checked"},
	{rule: "G: pieces", in: `{"type":"response.output_text.delta","item_id":"i","delta":"One"}` + "\n" + `{"type":"response.output_text.delta","item_id":"i","delta":"One two"}` + "\n" + `{"type":"response.output_text.delta","item_id":"i","delta":"One two three"}` + "\n" + `{"type":"response.completed"}`,
		text: "One two three", end: "final"},
	{rule: "AG-UI: pieces", in: agRun + agStart("m") + agText("m", "One") + agText("m", "One two") + agText("m", "One two three") + agEnd, text: "One two three", end: "final"},
	{rule: "a script without spaces", in: `delta>{"delta":"今天"}` + "\n" + `delta>{"delta":"今天天气"}` + "\n" + `delta>{"delta":"今天天气很好"}` + "\ndone>{}", text: "今天天气很好", end: "final"},
	{rule: "around a tool", in: `delta>{"delta":"Let"}` + "\n" + `delta>{"delta":"Let me"}` + "\n" + `delta>{"delta":"Let me look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":"Found"}` + "\n" + `delta>{"delta":"Found it."}` + "\ndone>{}",
		text: "Let me look.Found it.", end: "final", tools: ` x  "y"`},
	{rule: "behind a tool", in: `delta>{"delta":"I look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":" Found"}` + "\n" + `delta>{"delta":" Found it"}` + "\n" + `delta>{"delta":" Found it here."}` + "\ndone>{}",
		text: "I look. Found it here.", end: "final", tools: ` x  "y"`},
	{rule: "of all, behind a tool", in: `delta>{"delta":"Look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":"Look. Found"}` + "\n" + `delta>{"delta":"Look. Found it"}` + "\n" + `delta>{"delta":"Look. Found it here."}` + "\ndone>{}",
		text: "Look. Found it here.", end: "final", tools: ` x  "y"`},
	{rule: "a token a time", in: "token>S\ntoken>So\ntoken>So \ntoken>So I\ntoken>So I do\ndone>", text: "So I do", end: "final"},
	{rule: "and the next message", in: `delta>{"delta":"One"}` + "\n" + `delta>{"delta":"One two"}` + "\n" + `delta>{"delta":"One two three."}` + "\n" + `delta>{"delta":"Next"}` + "\n" + `delta>{"delta":"Next one."}` + "\ndone>{}", text: "One two three.\n\nNext one.", end: "final"},
}

// And may well be a piece.
var truePieces = []replyRow{
	{rule: "ha, ha", in: `delta>{"delta":"ha"}` + "\n" + `delta>{"delta":"ha"}` + "\n" + `delta>{"delta":"haha"}` + "\ndone>{}", text: "hahahaha", end: "final"},
	{rule: "ha, more and more", in: `delta>{"delta":"ha"}` + "\n" + `delta>{"delta":"ha ha"}` + "\n" + `delta>{"delta":"ha ha haha"}` + "\ndone>{}", text: "haha haha ha haha", end: "final"},
	{rule: "numbers", in: `delta>{"delta":"1"}` + "\n" + `delta>{"delta":"10"}` + "\n" + `delta>{"delta":"100 000"}` + "\ndone>{}", text: "110100 000", end: "final"},
	{rule: "one word", in: `delta>{"delta":"a"}` + "\n" + `delta>{"delta":"an"}` + "\n" + `delta>{"delta":"and"}` + "\n" + `delta>{"delta":" so on"}` + "\ndone>{}", text: "aanand so on", end: "final"},
	{rule: "two of them", in: `delta>{"delta":"The cat"}` + "\n" + `delta>{"delta":"The cat sat"}` + "\n" + `delta>{"delta":" down"}` + "\ndone>{}", text: "The catThe cat sat down", end: "final"},
	{rule: "in the middle", in: `delta>{"delta":"So: "}` + "\n" + `delta>{"delta":"no"}` + "\n" + `delta>{"delta":"no no"}` + "\n" + `delta>{"delta":"no no never"}` + "\ndone>{}", text: "So: nono nono no never", end: "final"},
	{rule: "of two names", in: `delta>{"delta":"A"}` + "\n" + `content>{"text":"A"}` + "\n" + `delta>{"delta":"rgh"}` + "\n" + `content>{"text":"!"}` + "\ndone>{}", text: "AArgh!", end: "final"},
	{rule: "of two names, in the middle", in: `delta>{"delta":"So, ha"}` + "\n" + `content>{"text":"ha"}` + "\n" + `token>{"text":" ha"}` + "\ndone>{}", text: "So, haha ha", end: "final"},
	{rule: "of two names, the same word behind a tool", in: `delta>{"delta":"OK"}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `content>{"text":"OK"}` + "\ndone>{}", text: "OKOK", end: "final", tools: ` x  "y"`},
}

// What does not call itself a piece, among others that do, may be all that they brought.
var wholesOfPieces = []replyRow{
	{rule: "a content behind a piece", in: `delta>{"delta":"Hello"}` + "\n" + `content>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "a content behind pieces", in: `delta>{"delta":"Hel"}` + "\n" + `delta>{"delta":"lo"}` + "\n" + `content>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "a content with more", in: `delta>{"delta":"Hel"}` + "\n" + `content>{"text":"Hello, wor"}` + "\n" + `delta>{"delta":"ld"}` + "\n" + `content>{"text":"Hello, world"}` + "\ndone>{}", text: "Hello, world", end: "final"},
	{rule: "again and again", in: `{"type":"token","text":"One"}` + "\n" + `{"type":"content","content":"One"}` + "\n" + `{"type":"token","text":" two"}` + "\n" + `{"type":"content","content":"One two"}` + "\n[DONE]", text: "One two", end: "final"},
	{rule: "a content comes first", in: `content>{"text":"One"}` + "\n" + `delta>{"delta":" two"}` + "\n" + `content>{"text":"One two"}` + "\ndone>{}", text: "One two", end: "final"},
	{rule: "a message without a role", in: `delta>{"delta":"Hel"}` + "\n" + `delta>{"delta":"lo"}` + "\n" + `message>{"text":"Hello"}` + "\ndone>{}", text: "Hello", end: "final"},
	{rule: "a nameless one", in: `{"delta":"Hel"}` + "\n" + `{"delta":"lo"}` + "\n" + `{"text":"Hello"}` + "\n[DONE]", text: "Hello", end: "final"},
	{rule: "one word that lags behind", in: `delta>{"delta":"One"}` + "\n" + `content>{"text":"One"}` + "\n" + `delta>{"delta":" two"}` + "\n" + `content>{"text":"One"}` + "\ndone>{}", text: "One two", end: "final"},
	{rule: "of the message behind a tool", in: `delta>{"delta":"I look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":" Found"}` + "\n" + `content>{"text":" Found"}` + "\ndone>{}", text: "I look. Found", end: "final", tools: ` x  "y"`},
	{rule: "of all, behind a tool", in: `delta>{"delta":"I look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `content>{"text":"I look."}` + "\n" + `delta>{"delta":" Found"}` + "\n" + `content>{"text":"I look. Found"}` + "\ndone>{}", text: "I look. Found", end: "final", tools: ` x  "y"`},
	{rule: "a short message", in: `delta>{"delta":"42"}` + "\n" + `{"type":"message","content":"42"}` + "\n" + `done>{}`, text: "42", end: "final"},
	{rule: "stored behind a tool", in: `delta>{"message_id":"m","delta":"Let me look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"message_id":"n","delta":"Found it in the log."}` + "\n" +
		`message>{"message":{"id":"m","role":"assistant","content":"Let me look."}}` + "\n" + `message>{"message":{"id":"n","role":"assistant","content":"Found it in the log."}}` + "\ndone>{}", text: "Let me look.Found it in the log.", end: "final", tools: ` x  "y"`},
	{rule: "stored behind a tool, as one", in: `delta>{"delta":"Let me look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":"Found it in the log."}` + "\n" +
		`message>{"message":{"id":"s","role":"assistant","content":"Let me look.\n\nFound it in the log."}}` + "\ndone>{}", text: "Let me look.Found it in the log.", end: "final", tools: ` x  "y"`},
	{rule: "an end with a remark", in: `delta>{"delta":"I booked the flight."}` + "\n" + `done>{"result":"Task finished in 3 steps"}`, text: "I booked the flight.", end: "final"},
	{rule: "an end with the last message", in: `delta>{"delta":"I look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":" Fo"}` + "\n" + `done>{"result":"Found it."}`, text: "I look. Found it.", end: "final", tools: ` x  "y"`},
	{rule: "tidied up", in: `delta>{"delta":"\nHel"}` + "\n" + `delta>{"delta":"lo\n"}` + "\n" + `content>{"text":"Hello"}` + "\ndone>{}", text: "\nHello\n", end: "final"},
	{rule: "tidied up, with more", in: `delta>{"delta":"\nHel"}` + "\n" + `delta>{"delta":"lo "}` + "\n" + `content>{"text":"Hello, world"}` + "\ndone>{}", text: "Hello, world", end: "final"},
	{rule: "of all, with lines between", in: `delta>{"delta":"I look."}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `delta>{"delta":"Found"}` + "\n" + `content>{"text":"I look.\n\nFound it."}` + "\ndone>{}", text: "I look.\n\nFound it.", end: "final", tools: ` x  "y"`},
}

func TestGrowingPieces(t *testing.T) {
	for name, rows := range map[string][]replyRow{"grown": grownPieces, "true": truePieces, "wholes": wholesOfPieces} {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				t.Run(row.rule, row.check)
			}
		})
	}
}

package client

import (
	"strconv"
	"strings"
	"testing"
)

// What a model thinks in tags at the beginning of a message is not part of the reply.
var thoughts = []replyRow{
	{rule: "in one piece", in: `{"delta":"<think>hm</think>Hello"}` + "\n[DONE]", text: "Hello"},
	{rule: "with white space", in: `{"delta":"\n<think>\nhm\n</think>\n\nHello"}` + "\n[DONE]", text: "Hello"},
	{rule: "by its other names", in: `{"delta":"<thinking>hm</thinking><reasoning>so</reasoning> Hello"}` + "\n[DONE]", text: "Hello"},
	{rule: "cut anywhere", in: letters("delta>{\"delta\":%q}\n", "<think>I see a </thi> here</think>\n\nHello") + "done>{}", text: "Hello"},
	{rule: "raw, cut anywhere", in: letters("delta>%s\n", "<reasoning>so</reasoning>Hello") + "done>", text: "Hello"},
	{rule: "stored without them", in: letters("delta>{\"delta\":%q}\n", "<think>hm</think>Hello") + `done>{"message":{"role":"assistant","content":"Hello"}}`, text: "Hello"},
	{rule: "stored with them", in: letters("delta>{\"delta\":%q}\n", "<think>hm</think>Hello") + `done>{"message":{"role":"assistant","content":"<think>hm</think>Hello"}}`, text: "Hello"},
	{rule: "each text has all before it", in: `{"text":"<think>I"}` + "\n" + `{"text":"<think>I think"}` + "\n" + `{"text":"<think>I think</think>Good"}` + "\n" + `{"text":"<think>I think</think>Good day"}` + "\n[DONE]", text: "Good day"},
	{rule: "A: chunks", in: chunk("<think>") + chunk("hm") + chunk("</think>") + chunk("\n\n") + chunk("Hello") + "[DONE]", text: "Hello"},
	{rule: "A: the rest is an error", in: chunk("<think>hm</think>") + chunk("Half") + `{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"it broke"}}]}` + "\n[DONE]", text: "Half", end: "error: it broke"},
	{rule: "A: behind a call", in: chunk("<think>hm</think>I look. ") + `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + chunk("<think>") + chunk("so</think>") + chunk("Found.") + "[DONE]", text: "I look. Found.", tools: ` x  "y"`},
	{rule: "C: an agent's stream", in: piece("<think>hm") + "\n" + piece("</think>Hel") + "\n" + piece("lo") + "\n" + `{"type":"agent-output","data":{"type":"result","result":"Hello"}}` + "\n" + `{"type":"complete"}`, text: "Hello"},
	{rule: "E: texts as they grow", in: e("r", "k", `"state":"delta",`+said("<think>h")) + e("r", "k", `"state":"delta",`+said("<think>hm</think>Hel")) + e("r", "k", `"state":"final",`+said("<think>hm</think>Hello")), text: "Hello"},
	{rule: "F: texts and pieces", in: f("r", "assistant", `"text":"<think>hm","delta":"<think>hm"`) + f("r", "assistant", `"text":"<think>hm</think>Hello","delta":"</think>Hello"`) + over, text: "Hello"},
	{rule: "F: two items", in: item("a", "<think>a</think>One.", "") + item("b", "<think>b</think>", "") + item("b", "<think>b</think>Two.", "Two.") + item("c", "<think>c</think>", "") + over, text: "One.\n\nTwo."},
	{rule: "F: an item of thoughts alone before", in: item("a", "<think>a</think>", "") + item("b", "Two.", "") + over, text: "Two."},
	{rule: "G: an output", in: `{"type":"response.output_text.delta","delta":"<think>hm</think>Hel"}` + "\n" + `{"type":"response.output_text.delta","delta":"lo"}` + "\n" + `{"type":"response.completed"}`, text: "Hello"},
	{rule: "JSON: a reply", contentType: "application/json", in: `{"reply":"<think>hm</think>\n\nHello"}`, text: "Hello"},
	{rule: "JSON: a message", contentType: "application/json", in: `{"message":{"role":"assistant","content":"<think>hm</think>\n\nHello"}}`, text: "Hello"},
	{rule: "plain text", contentType: "text/plain", in: "<think>hm</think>\n\nHello", text: "Hello"},
	{rule: "no answer", in: chunk("<think>hm</think>") + chunk("NO_") + chunk("REPLY") + "[DONE]", end: "silent"},
	{rule: "thoughts alone", in: chunk("<think>hm</think>") + "[DONE]"},

	{rule: "not closed", in: chunk("<think>") + chunk("hm") + "[DONE]", text: "<think>hm"},
	{rule: "not closed, and cut", in: chunk("<think>") + chunk("hm"), text: "<think>hm", end: "cut"},
	{rule: "another tag", in: chunk("<thin") + chunk("g>hm</thing>") + "[DONE]", text: "<thing>hm</thing>"},
	{rule: "the beginning of a tag", in: chunk("<") + chunk("3 you") + "[DONE]", text: "<3 you"},
	{rule: "in the middle", in: chunk("Use ") + chunk("<think>") + chunk("hm</think> so") + "[DONE]", text: "Use <think>hm</think> so"},
	{rule: "in code", in: chunk("```\n") + chunk("<think>hm</think>\n```") + "[DONE]", text: "```\n<think>hm</think>\n```"},
	{rule: "a second one in the middle", in: chunk("<think>hm</think>Use <think>x</think>") + "[DONE]", text: "Use <think>x</think>"},
}

// letters writes a text in events of a character each.
func letters(event, text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteString(strings.NewReplacer("%q", strconv.Quote(string(r)), "%s", string(r)).Replace(event))
	}
	return b.String()
}

func TestThoughtsAreNoReply(t *testing.T) {
	for _, row := range thoughts {
		switch row.end {
		case "":
			row.end = "final"
		case "cut":
			row.end = ""
		}
		t.Run(row.rule, row.check)
	}
	for in, want := range map[string]string{
		`{"role":"assistant","content":"<think>hm</think>\n\nHello"}`:                                             "Hello",
		`{"role":"assistant","content":[{"type":"text","text":"<thinking>hm</thinking>Hello"}]}`:                  "Hello",
		`{"role":"assistant","content":"<think>hm"}`:                                                              "<think>hm",
		`{"role":"assistant","content":"So: <think>hm</think>"}`:                                                  "So: <think>hm</think>",
		`{"role":"user","content":"<think>hm</think> what is that?"}`:                                             "<think>hm</think> what is that?",
		`{"role":"assistant","content":[{"type":"text","text":"<think>hm</think>"},{"type":"text","text":"Hi"}]}`: "Hi",
	} {
		if m, err := decodeMessage([]byte(in)); err != nil || m.Text != want {
			t.Errorf("%s: got %q, %v", in, m.Text, err)
		}
	}
}

package client

import (
	"fmt"
	"testing"
)

// ag is an event of AG-UI.
func ag(kind, rest string) string {
	return fmt.Sprintf(`{"type":%q,"timestamp":1,%s}`, kind, rest) + "\n"
}

func agText(id, text string) string {
	return ag("TEXT_MESSAGE_CONTENT", fmt.Sprintf(`"messageId":%q,"delta":%q`, id, text))
}

const (
	agRun  = `{"type":"RUN_STARTED","threadId":"s","runId":"r"}` + "\n"
	agEnd  = `{"type":"RUN_FINISHED","threadId":"s","runId":"r"}` + "\n"
	agTool = `{"type":"TOOL_CALL_START","toolCallId":"t","toolCallName":"exec","parentMessageId":"m"}` + "\n" + `{"type":"TOOL_CALL_ARGS","toolCallId":"t","delta":"{\"cmd\":"}` + "\n" +
		`{"type":"TOOL_CALL_ARGS","toolCallId":"t","delta":"\"ls\"}"}` + "\n" + `{"type":"TOOL_CALL_END","toolCallId":"t"}` + "\n"
	agResult = `{"type":"TOOL_CALL_RESULT","messageId":"tm","toolCallId":"t","content":"a.txt","role":"tool"}` + "\n"
)

func agStart(id string) string {
	return ag("TEXT_MESSAGE_START", fmt.Sprintf(`"messageId":%q,"role":"assistant"`, id))
}

func agStop(id string) string { return ag("TEXT_MESSAGE_END", fmt.Sprintf(`"messageId":%q`, id)) }

var agUI = []replyRow{
	{rule: "a text", in: agRun + agStart("m") + agText("m", "Hel") + agText("m", "lo") + agStop("m") + agEnd, text: "Hello", end: "final"},
	{rule: "without a run", in: agStart("m") + agText("m", "Hello") + agStop("m") + `{"type":"RUN_FINISHED"}`, text: "Hello", end: "final"},
	{rule: "pieces that repeat", in: agRun + agText("m", "ha") + agText("m", "ha") + agEnd, text: "haha", end: "final"},
	{rule: "named events", in: `TEXT_MESSAGE_CONTENT>{"messageId":"m","delta":"Hello"}` + "\n" + `RUN_FINISHED>{}`, text: "Hello", end: "final"},
	{rule: "chunks", in: agRun + ag("TEXT_MESSAGE_CHUNK", `"messageId":"m","role":"assistant","delta":"Hel"`) + ag("TEXT_MESSAGE_CHUNK", `"delta":"lo"`) + agEnd, text: "Hello", end: "final"},
	{rule: "two messages", in: agRun + agStart("m") + agText("m", "One.") + agStop("m") + agStart("n") + agText("n", "Two.") + agStop("n") + agEnd, text: "One.\n\nTwo.", end: "final"},
	{rule: "two at the same time", in: agRun + agText("m", "On") + agText("n", "Tw") + agText("m", "e.") + agText("n", "o.") + agEnd, text: "One.\n\nTwo.", end: "final"},
	{rule: "a tool", in: agRun + agStart("m") + agText("m", "I look.") + agStop("m") + agTool + agResult + agStart("n") + agText("n", "Found.") + agStop("n") + agEnd,
		text: "I look.\n\nFound.", end: "final", tools: `t exec {"cmd":"ls"} "a.txt"`},
	{rule: "a tool within a message", in: agRun + agText("m", "I look.") + agTool + agResult + agText("m", " Fou") + agText("m", "nd.") + agEnd, text: "I look. Found.", end: "final", tools: `t exec {"cmd":"ls"} "a.txt"`},
	{rule: "a tool without a result", in: agRun + agTool + agText("m", "Found.") + agEnd, text: "Found.", end: "final", tools: `t exec {"cmd":"ls"} ""`},
	{rule: "a tool in chunks", in: agRun + ag("TOOL_CALL_CHUNK", `"toolCallId":"t","toolCallName":"exec","delta":"{\"cmd\":"`) + ag("TOOL_CALL_CHUNK", `"toolCallId":"t","toolCallName":"exec","delta":"\"ls\"}"`) + agResult + agText("m", "Found.") + agEnd,
		text: "Found.", end: "final", tools: `t exec {"cmd":"ls"} "a.txt"`},
	{rule: "an error", in: agRun + agText("m", "Half") + `{"type":"RUN_ERROR","message":"it broke","code":"x"}`, text: "Half", end: "error: it broke"},
	{rule: "an error that a message says", in: agRun + agText("m", "Half") + `{"type":"RUN_ERROR","error":"it broke"}`, text: "Half", end: "error: it broke"},
	{rule: "no end", in: agRun + agText("m", "Half"), text: "Half"},
	{rule: "a result", in: agRun + agText("m", "Hello") + `{"type":"RUN_FINISHED","runId":"r","result":"Hello!"}`, text: "Hello!", end: "final"},
	{rule: "a result that only marks the end", in: agRun + agText("m", "Hello") + `{"type":"RUN_FINISHED","runId":"r","result":"ok","outcome":"success"}`, text: "Hello", end: "final"},
	{rule: "a result that is data", in: agRun + agText("m", "I booked the flight.") + `{"type":"RUN_FINISHED","runId":"r","result":"3 steps, 2 tools"}`, text: "I booked the flight.", end: "final"},
	{rule: "what others said, in chunks", in: agRun + ag("TEXT_MESSAGE_CHUNK", `"messageId":"u","role":"user","delta":"please do"`) + ag("TEXT_MESSAGE_CHUNK", `"delta":" the thing"`) + ag("TEXT_MESSAGE_START", `"messageId":"s","role":"system"`) + agText("u", "!") +
		ag("TEXT_MESSAGE_CHUNK", `"messageId":"m","delta":"I did "`) + ag("TEXT_MESSAGE_CHUNK", `"delta":"it."`) + agEnd, text: "I did it.", end: "final"},
	{rule: "what the user said", in: agRun + ag("TEXT_MESSAGE_START", `"messageId":"u","role":"user"`) + agText("u", "hi") + agStart("m") + agText("m", "Hello") + agEnd, text: "Hello", end: "final"},
	{rule: "what the model thinks", in: agRun + `{"type":"THINKING_START"}` + "\n" + ag("THINKING_TEXT_MESSAGE_CONTENT", `"delta":"hm"`) + ag("REASONING_MESSAGE_CONTENT", `"messageId":"x","delta":"hm"`) + agText("m", "Hello") + agEnd, text: "Hello", end: "final"},
	{rule: "steps and states", in: agRun + ag("STEP_STARTED", `"stepName":"x"`) + ag("STATE_SNAPSHOT", `"snapshot":{"text":"x"}`) + ag("CUSTOM", `"name":"x","value":"y"`) + agText("m", "Hello") + ag("STEP_FINISHED", `"stepName":"x"`) + agEnd, text: "Hello", end: "final"},
	{rule: "the end of another run", in: agRun + agText("m", "Hel") + `{"type":"RUN_FINISHED","threadId":"o","runId":"x"}` + "\n" + agText("m", "lo") + agEnd, text: "Hello", end: "final", says: "another run is at work, too"},
	{rule: "no reply", in: agRun + agText("m", "NO_") + agText("m", "REPLY") + agEnd, end: "silent"},
	{rule: "a start and an end of a tool in other words", in: `tool_call_start>{"id":"t","name":"x","args":{"a":1}}` + "\n" + `tool_call_end>{"id":"t","result":"y"}` + hello, text: "Hello", end: "final", tools: `t x {"a":1} "y"`},
}

func TestAGUI(t *testing.T) {
	for _, row := range agUI {
		t.Run(row.rule, row.check)
	}
}

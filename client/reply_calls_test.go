package client

import (
	"strings"
	"testing"
)

// A stream that ends where a tool runs says that the agent is at work, whoever calls the tool.
func TestCalling(t *testing.T) {
	const look = `delta>{"delta":"I look."}` + "\n"
	for name, tt := range map[string]struct {
		in   string
		want bool
	}{
		"D: a call":               {look + `tool>{"name":"x"}`, true},
		"D: and its result":       {look + `tool>{"name":"x"}` + "\n" + `tool>{"name":"x","result":"y"}`, false},
		"D: two calls, a result":  {look + `tool>{"id":"a","name":"x"}` + "\n" + `tool>{"id":"b","name":"x"}` + "\n" + `tool>{"id":"b","name":"x","result":"y"}`, true},
		"D: and text":             {look + `tool>{"name":"x"}` + "\n" + `delta>{"delta":"Found."}`, false},
		"D: the call again":       {look + `tool>{"id":"a","name":"x"}` + "\n" + `tool>{"id":"a","name":"x","args":{"y":1}}` + "\n" + `tool>{"id":"a","name":"x","result":"y"}`, false},
		"D: signs of life behind": {look + `tool>{"name":"x"}` + "\n" + `ping>{}`, true},
		"A: a reason":             {chunk("I look.") + `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`, true},
		"Anthropic: a block":      {piece("I look.") + "\n" + `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"x"}}`, true},
		"F: a start":              {f("r", "assistant", `"text":"I look.","delta":"I look."`) + f("r", "tool", `"phase":"start","toolCallId":"t","name":"x"`), true},
		"F: a result":             {f("r", "tool", `"phase":"start","toolCallId":"t","name":"x"`) + f("r", "tool", `"phase":"result","toolCallId":"t","name":"x","result":"y"`), false},
	} {
		c := collect(t, strings.NewReader(asSSE(tt.in)), "text/event-stream", 0)
		if n := len(c.events); n == 0 || c.events[n-1].Calling != tt.want {
			t.Errorf("%s: calling: %t", name, !tt.want)
		}
	}
}

package emulator_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// scripted is a reply with everything in it.
func scripted(fail bool) emulator.Agent {
	tool := emulator.ToolCall{ID: "t1", Name: "exec", Args: map[string]any{"command": "ls -la"}}
	part, end := tool, tool
	part.Result, end.Result = "par", "partial"
	return emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		err := script(
			emulator.AgentEvent{Kind: emulator.Status, Text: "Looking"},
			text("Hel"),
			emulator.AgentEvent{Kind: emulator.ToolStart, Tool: &tool},
			emulator.AgentEvent{Kind: emulator.ToolUpdate, Tool: &part},
			emulator.AgentEvent{Kind: emulator.ToolEnd, Tool: &end},
			text("lo <ü>\n"),
		).Reply(ctx, turn, emit)
		if fail {
			return errors.New("rate limited")
		}
		return err
	})
}

// Ids and times differ from run to run.
var (
	idPattern   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timePattern = regexp.MustCompile(`("created":|"duration":|"timestamp":|"created_at":")[^,"}]+`)
)

func (f *fixture) wire() []string {
	f.Helper()
	body := f.do("POST", f.in("/chat/stream"), `{"message":"x"}`).body
	body = idPattern.ReplaceAllString(body, "ID")
	body = timePattern.ReplaceAllString(body, "${1}…")
	sep := "\n\n"
	if !strings.Contains(body, sep) {
		sep = "\n"
	}
	return strings.Split(strings.TrimSuffix(body, sep), sep)
}

const (
	chunkA = `data: {"choices":[{"delta":%,"finish_reason":null,"index":0}],"created":…,"id":"chatcmpl_ID","model":"openclaw","object":"chat.completion.chunk"`
)

func TestFamilies(t *testing.T) {
	a := func(delta string) string { return strings.Replace(chunkA, "%", delta, 1) + "}" }
	e := func(seq, text string) string {
		return `data: {"message":{"content":[{"text":"` + text + `","type":"text"}],"role":"assistant"},"runId":"ID",` +
			`"seq":` + seq + `,"sessionKey":"agent:main:ID","state":"delta"}`
	}
	f := func(seq, stream, data string) string {
		return `data: {"data":` + data + `,"runId":"ID","seq":` + seq + `,"sessionKey":"agent:main:ID","stream":"` + stream + `"}`
	}
	c := []string{
		`{"message":"Starting agent","session_id":"ID","type":"status"}`,
		`{"message":"Looking","type":"status"}`,
		`{"text":"Hel","type":"output"}`,
		`{"message":"tool: exec ls -la","type":"status"}`,
		`{"type":"files-update"}`,
		`{"data":{"event":{"delta":{"text":"lo <ü>\n"}},"type":"stream_event"},"type":"agent-output"}`,
		`{"data":{"message":{"content":[{"text":"Hello <ü>\n","type":"text"}]},"type":"assistant"},"type":"agent-output"}`,
		`{"data":{"result":"Hello <ü>\n","type":"result"},"type":"agent-output"}`,
		`{"exitCode":0,"success":true,"type":"complete"}`,
	}
	failC := append(append([]string(nil), c[:6]...),
		`{"error":"rate limited","type":"error"}`, `{"exitCode":1,"success":false,"type":"complete"}`)
	data := func(lines []string) []string {
		var out []string
		for _, l := range lines {
			out = append(out, "data: "+l)
		}
		return out
	}
	named := func(pairs ...string) []string {
		var out []string
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, "event: "+pairs[i]+"\ndata: "+pairs[i+1])
		}
		return out
	}
	bodyB := []string{
		"status", `{"message":"Starting agent","session_id":"ID"}`,
		"status", `{"message":"Looking"}`,
		"output", `{"text":"Hel"}`,
		"status", `{"message":"tool: exec ls -la"}`,
		"output", `{"text":"lo <ü>\n"}`,
	}
	bodyD := []string{
		"session", `{"session_id":"ID"}`,
		"status", `{"message":"Looking"}`,
		"delta", `{"delta":"Hel"}`,
		"tool", `{"args":{"command":"ls -la"},"id":"t1","name":"exec"}`,
		"tool_result", `{"id":"t1","is_error":false,"name":"exec","result":"partial"}`,
		"delta", `{"delta":"lo <ü>\n"}`,
	}
	callG := `"item":{"arguments":"{\"command\":\"ls -la\"}","call_id":"t1","id":"fc_t1","name":"exec","status":"%","type":"function_call"},"output_index":0,"type":"response.output_item.`
	bodyG := []string{
		"response.created", `{"response":{"id":"resp_ID","object":"response","status":"in_progress"},"session_id":"ID","type":"response.created"}`,
		"response.output_text.delta", `{"content_index":0,"delta":"Hel","item_id":"msg_ID","type":"response.output_text.delta"}`,
		"response.output_item.added", "{" + strings.Replace(callG, "%", "in_progress", 1) + `added"}`,
		"response.output_item.done", "{" + strings.Replace(callG, "%", "completed", 1) + `done"}`,
		"response.output_item.done", `{"item":{"call_id":"t1","output":"partial","type":"function_call_output"},"output_index":1,"type":"response.output_item.done"}`,
		"response.output_text.delta", `{"content_index":0,"delta":"lo <ü>\n","item_id":"msg_ID","type":"response.output_text.delta"}`,
	}
	bodyF := []string{
		f("1", "lifecycle", `{"phase":"start","session_id":"ID"}`),
		f("2", "lifecycle", `{"message":"Looking","phase":"status"}`),
		f("3", "assistant", `{"delta":"Hel","text":"Hel"}`),
		f("4", "tool", `{"args":{"command":"ls -la"},"name":"exec","phase":"start","toolCallId":"t1"}`),
		f("5", "tool", `{"name":"exec","partialResult":{"content":[{"text":"par","type":"text"}]},"phase":"update","toolCallId":"t1"}`),
		f("6", "tool", `{"isError":false,"name":"exec","phase":"result","result":{"content":[{"text":"partial","type":"text"}]},"toolCallId":"t1"}`),
		f("7", "assistant", `{"delta":"lo <ü>\n","text":"Hello <ü>\n"}`),
	}
	wrap := func(s string) string {
		return `data: {"event":"chat","payload":` + strings.TrimPrefix(s, "data: ") + `,"type":"event"}`
	}
	bodyA := []string{
		strings.Replace(chunkA, "%", `{"role":"assistant"}`, 1) + `,"session_id":"ID"}`,
		a(`{"content":"Hel"}`), a(`{"content":"lo <ü>\n"}`),
	}
	finish := func(s string) string { return strings.Replace(s, `"finish_reason":null`, `"finish_reason":"stop"`, 1) }

	tests := []struct {
		family     emulatortest.Family
		body       []string // before the end
		good, fail []string // the end
	}{
		{emulatortest.FamilyA, bodyA,
			[]string{finish(a(`{}`)), "data: [DONE]"},
			[]string{finish(a(`{"content":"Error: rate limited"}`)), "data: [DONE]"}},
		{emulatortest.FamilyB, named(bodyB...),
			named("complete", `{"duration":…,"exitCode":0,"success":true}`),
			named("complete", `{"duration":…,"error":"rate limited","exitCode":1,"success":false}`)},
		{emulatortest.FamilyC, data(c[:6]), data(c[6:]), data(failC[6:])},
		{emulatortest.FamilyNDJSON, c[:6], c[6:], failC[6:]},
		{emulatortest.FamilyD, named(bodyD...),
			named("done", `{"message":{"content":"Hello <ü>\n","created_at":"…","id":"ID","role":"assistant","session_id":"ID","stop_reason":"stop"}}`),
			named("error", `{"error":"agent_error","message":"rate limited"}`)},
		{emulatortest.FamilyE, []string{e("1", "Hel"), e("2", `Hello <ü>\n`)},
			[]string{`data: {"message":{"content":[{"text":"Hello <ü>\n","type":"text"}],"role":"assistant"},"runId":"ID","seq":3,` +
				`"sessionKey":"agent:main:ID","session_id":"ID","state":"final","stopReason":"stop"}`},
			[]string{`data: {"errorKind":"agent_error","errorMessage":"rate limited","runId":"ID","seq":3,` +
				`"sessionKey":"agent:main:ID","session_id":"ID","state":"error"}`}},
		{emulatortest.FamilyEWrapped, []string{
			wrap(strings.Replace(e("1", "Hel"), `{"message"`, `{"deltaText":"Hel","message"`, 1)),
			wrap(strings.Replace(e("2", `Hello <ü>\n`), `{"message"`, `{"deltaText":"lo <ü>\n","message"`, 1))},
			[]string{wrap(`{"runId":"ID","seq":3,"sessionKey":"agent:main:ID","session_id":"ID","state":"final","stopReason":"stop"}`)},
			[]string{wrap(`{"errorKind":"agent_error","errorMessage":"rate limited","runId":"ID","seq":3,` +
				`"sessionKey":"agent:main:ID","session_id":"ID","state":"error"}`)}},
		{emulatortest.FamilyF, bodyF,
			[]string{f("8", "lifecycle", `{"phase":"end"}`)},
			[]string{f("8", "lifecycle", `{"error":"rate limited","phase":"error"}`)}},
		{emulatortest.FamilyG, named(bodyG...),
			append(named(
				"response.output_text.done", `{"content_index":0,"item_id":"msg_ID","text":"Hello <ü>\n","type":"response.output_text.done"}`,
				"response.completed", `{"response":{"id":"resp_ID","object":"response","output":[{"content":[{"text":"Hello <ü>\n",`+
					`"type":"output_text"}],"id":"msg_ID","role":"assistant","type":"message"}],"status":"completed"},"type":"response.completed"}`),
				"data: [DONE]"),
			append(named("response.failed", `{"response":{"error":{"code":"agent_error","message":"rate limited"},"id":"resp_ID",`+
				`"object":"response","status":"failed"},"type":"response.failed"}`), "data: [DONE]")},
	}
	for _, test := range tests {
		for _, fail := range []bool{false, true} {
			name := string(test.family)
			end := test.good
			if fail {
				name, end = name+" failing", test.fail
			}
			t.Run(name, func(t *testing.T) {
				f := start(t, emulatortest.Options{Family: test.family, Agent: scripted(fail)})
				want := append(append([]string(nil), test.body...), end...)
				if diff := cmp.Diff(want, f.wire()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestFamilyJSON(t *testing.T) {
	for dialect, field := range map[emulatortest.Dialect]string{
		emulatortest.Snake: `message.content`, emulatortest.Camel: `result.payloads[0].text`, emulatortest.Wrapped: `assistant_message.text`,
	} {
		f := start(t, emulatortest.Options{Family: emulatortest.FamilyJSON, Messages: dialect, Agent: scripted(false)})
		a := f.do("POST", f.in("/chat/stream"), `{"message":"x"}`)
		if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || !hasField(t, a.body, field) {
			t.Errorf("%s: %v %s", dialect, a.header, a.body)
		}
	}
}

func TestStreamContentTypes(t *testing.T) {
	for family, want := range map[emulatortest.Family]string{
		"": "text/event-stream", emulatortest.FamilyNDJSON: "application/x-ndjson",
	} {
		f := start(t, emulatortest.Options{Family: family, Agent: scripted(false)})
		if got := f.do("POST", f.in("/chat/stream"), `{"message":"x"}`).header.Get("Content-Type"); got != want {
			t.Errorf("%q: %s", family, got)
		}
	}
}

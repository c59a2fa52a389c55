package emulatortest

import (
	"maps"
	"strings"

	"openclaw-mcp/internal/emulator"
)

// familyE has the chat events of OpenClaw's gateway. Each carries the whole
// text so far. They tell of no tools.
type familyE struct {
	*familyBase
	wrapped bool // in an envelope, with deltaText, and a final that has no message
	seq     int
	text    strings.Builder
}

func (f *familyE) send(state string, more object) {
	f.seq++
	payload := object{"runId": f.run.id, "sessionKey": f.sessionKey(), "seq": f.seq, "state": state}
	maps.Copy(payload, more)
	if f.wrapped {
		payload = object{"type": "event", "event": "chat", "payload": payload}
	}
	f.out.send("", payload)
}

func assistantMessage(text string) object {
	return object{"role": "assistant", "content": []object{{"type": "text", "text": text}}}
}

func (f *familyE) begin() {}

func (f *familyE) event(ev emulator.AgentEvent) {
	if ev.Kind != emulator.Text {
		return
	}
	f.text.WriteString(ev.Text)
	more := object{"message": assistantMessage(f.text.String())}
	if f.wrapped {
		more["deltaText"] = ev.Text
	}
	f.send("delta", more)
}

func (f *familyE) end(final emulator.Message) {
	session := object{"session_id": f.run.session}
	switch final.StopReason {
	case stopError:
		session["errorMessage"], session["errorKind"] = final.Error, "agent_error"
		f.send("error", session)
	case stopAborted:
		f.send("aborted", session)
	default:
		session["stopReason"] = "stop"
		if !f.wrapped {
			session["message"] = assistantMessage(final.Text)
		}
		f.send("final", session)
	}
}

// familyF has OpenClaw's agent events, a stream for each of assistant, tool and
// lifecycle. Texts are cumulative and come with their increment.
type familyF struct {
	*familyBase
	seq  int
	text strings.Builder
}

func (f *familyF) send(name string, data object) {
	f.seq++
	f.out.send("", object{"runId": f.run.id, "seq": f.seq, "stream": name, "data": data,
		"sessionKey": f.sessionKey()})
}

func (f *familyF) begin() {
	f.send("lifecycle", object{"phase": "start", "session_id": f.run.session})
}

func (f *familyF) event(ev emulator.AgentEvent) {
	switch ev.Kind {
	case emulator.Status:
		f.send("lifecycle", object{"phase": "status", "message": ev.Text})
	case emulator.Text:
		f.text.WriteString(ev.Text)
		f.send("assistant", object{"text": f.text.String(), "delta": ev.Text})
	case emulator.ToolStart:
		f.send("tool", object{"phase": "start", "toolCallId": ev.Tool.ID, "name": ev.Tool.Name, "args": args(ev.Tool)})
	case emulator.ToolUpdate:
		f.send("tool", object{"phase": "update", "toolCallId": ev.Tool.ID, "name": ev.Tool.Name,
			"partialResult": toolResult(ev.Tool)})
	case emulator.ToolEnd:
		f.send("tool", object{"phase": "result", "toolCallId": ev.Tool.ID, "name": ev.Tool.Name,
			"result": toolResult(ev.Tool), "isError": ev.Tool.IsError})
	}
}

func toolResult(t *emulator.ToolCall) object {
	return object{"content": []object{{"type": "text", "text": t.Result}}}
}

func (f *familyF) end(final emulator.Message) {
	if final.StopReason == stopDone {
		f.send("lifecycle", object{"phase": "end"})
		return
	}
	f.send("lifecycle", object{"phase": "error", "error": final.Error})
}

// familyG is OpenResponses.
type familyG struct {
	*familyBase
	text bool // the message item was begun
	item int  // index of the next output item
}

func (f *familyG) send(kind string, more object) {
	more["type"] = kind
	f.out.send(kind, more)
}

func (f *familyG) response(status string, more object) object {
	r := object{"id": "resp_" + f.run.id, "object": "response", "status": status}
	maps.Copy(r, more)
	return r
}

func (f *familyG) begin() {
	f.send("response.created", object{"response": f.response("in_progress", nil), "session_id": f.run.session})
}

func (f *familyG) event(ev emulator.AgentEvent) {
	switch ev.Kind {
	case emulator.Text:
		f.text = true
		f.send("response.output_text.delta", object{"item_id": "msg_" + f.run.id, "content_index": 0, "delta": ev.Text})
	case emulator.ToolStart:
		call := object{"type": "function_call", "id": "fc_" + ev.Tool.ID, "call_id": ev.Tool.ID,
			"name": ev.Tool.Name, "arguments": string(encode(args(ev.Tool))), "status": "in_progress"}
		f.send("response.output_item.added", object{"output_index": f.item, "item": call})
	case emulator.ToolEnd:
		call := object{"type": "function_call", "id": "fc_" + ev.Tool.ID, "call_id": ev.Tool.ID,
			"name": ev.Tool.Name, "arguments": string(encode(args(ev.Tool))), "status": "completed"}
		f.send("response.output_item.done", object{"output_index": f.item, "item": call})
		f.item++
		f.send("response.output_item.done", object{"output_index": f.item, "item": object{
			"type": "function_call_output", "call_id": ev.Tool.ID, "output": ev.Tool.Result}})
		f.item++
	}
}

func (f *familyG) end(final emulator.Message) {
	if final.StopReason != stopDone {
		f.send("response.failed", object{"response": f.response("failed", object{
			"error": object{"code": "agent_error", "message": final.Error}})})
		f.out.event("", []byte("[DONE]"))
		return
	}
	if f.text {
		f.send("response.output_text.done", object{"item_id": "msg_" + f.run.id, "content_index": 0, "text": final.Text})
	}
	f.send("response.completed", object{"response": f.response("completed", object{"output": []object{{
		"type": "message", "id": "msg_" + f.run.id, "role": "assistant",
		"content": []object{{"type": "output_text", "text": final.Text}}}}})})
	f.out.event("", []byte("[DONE]"))
}

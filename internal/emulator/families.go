package emulator

import (
	"fmt"
	"time"
)

// family writes one reply in one stream dialect.
type family interface {
	begin()
	event(AgentEvent)
	end(final Message) // after a stop, an error or an abort
}

func newFamily(s *Server, out *stream, r *run) family {
	base := familyBase{s: s, out: out, run: r}
	switch s.opts.Family {
	case FamilyA:
		return &familyA{base}
	case FamilyB:
		return &familyB{base}
	case FamilyC, FamilyNDJSON:
		return &familyC{familyBase: base}
	case FamilyE:
		return &familyE{familyBase: base}
	case FamilyEWrapped:
		return &familyE{familyBase: base, wrapped: true}
	case FamilyF:
		return &familyF{familyBase: base}
	case FamilyG:
		return &familyG{familyBase: base}
	default:
		return &familyD{base}
	}
}

type familyBase struct {
	s   *Server
	out *stream
	run *run
}

func (f *familyBase) seconds() float64 {
	return float64(time.Since(f.run.started).Milliseconds()) / 1000
}

// toolLine tells of a tool where the family knows only status texts.
func toolLine(t *ToolCall) string {
	line := "tool: " + t.Name
	if command, ok := t.Args["command"].(string); ok {
		return line + " " + command
	}
	if len(t.Args) > 0 {
		line += " " + string(encode(t.Args))
	}
	return line
}

// familyA is that of OpenAI's chat completion chunks. It cannot tell of tools,
// nor, in this form, of errors other than as text.
type familyA struct{ familyBase }

func (f *familyA) chunk(delta object, finish any, more object) {
	chunk := object{"id": "chatcmpl_" + f.run.id, "object": "chat.completion.chunk",
		"created": f.run.started.Unix(), "model": "openclaw",
		"choices": []object{{"index": 0, "delta": delta, "finish_reason": finish}}}
	for k, v := range more {
		chunk[k] = v
	}
	f.out.send("", chunk)
}

func (f *familyA) begin() {
	f.chunk(object{"role": "assistant"}, nil, object{"session_id": f.run.session})
}

func (f *familyA) event(ev AgentEvent) {
	if ev.Kind == Text {
		f.chunk(object{"content": ev.Text}, nil, nil)
	}
}

func (f *familyA) end(final Message) {
	if final.StopReason == stopDone {
		f.chunk(object{}, "stop", nil)
	} else {
		f.chunk(object{"content": "Error: " + final.Error}, "stop", nil)
	}
	f.out.event("", "", []byte("[DONE]"))
}

// familyB has the named events status, output and complete.
type familyB struct{ familyBase }

func (f *familyB) begin() {
	f.out.send("status", object{"message": "Starting agent", "session_id": f.run.session})
}

func (f *familyB) event(ev AgentEvent) {
	switch ev.Kind {
	case Status:
		f.out.send("status", object{"message": ev.Text})
	case Text:
		f.out.send("output", object{"text": ev.Text})
	case ToolStart:
		f.out.send("status", object{"message": toolLine(ev.Tool)})
	}
}

func (f *familyB) end(final Message) {
	if final.StopReason == stopDone {
		f.out.send("complete", object{"success": true, "exitCode": 0, "duration": f.seconds()})
		return
	}
	f.out.send("complete", object{"success": false, "exitCode": 1, "duration": f.seconds(), "error": final.Error})
}

// familyC has unnamed events with a type in the data. Increments come in both
// of its forms, turn by turn, and the whole text once more as a result.
type familyC struct {
	familyBase
	texts int
}

func (f *familyC) send(kind string, more object) {
	more["type"] = kind
	f.out.send("", more)
}

func (f *familyC) agent(data object) { f.send("agent-output", object{"data": data}) }

func (f *familyC) begin() {
	f.send("status", object{"message": "Starting agent", "session_id": f.run.session})
}

func (f *familyC) event(ev AgentEvent) {
	switch ev.Kind {
	case Status:
		f.send("status", object{"message": ev.Text})
	case Text:
		if f.texts++; f.texts%2 == 1 {
			f.send("output", object{"text": ev.Text})
			return
		}
		f.agent(object{"type": "stream_event", "event": object{"delta": object{"text": ev.Text}}})
	case ToolStart:
		f.send("status", object{"message": toolLine(ev.Tool)})
	case ToolEnd:
		f.send("files-update", object{})
	}
}

func (f *familyC) end(final Message) {
	if final.StopReason != stopDone {
		f.send("error", object{"error": final.Error})
		f.send("complete", object{"success": false, "exitCode": 1})
		return
	}
	f.agent(object{"type": "assistant", "message": object{"content": []object{{"type": "text", "text": final.Text}}}})
	f.agent(object{"type": "result", "result": final.Text})
	f.send("complete", object{"success": true, "exitCode": 0})
}

// familyD has generic named events.
type familyD struct{ familyBase }

func (f *familyD) begin() {
	f.out.send("session", object{"session_id": f.run.session})
}

func (f *familyD) event(ev AgentEvent) {
	switch ev.Kind {
	case Status:
		f.out.send("status", object{"message": ev.Text})
	case Text:
		f.out.send("delta", object{"delta": ev.Text})
	case ToolStart:
		f.out.send("tool", object{"id": ev.Tool.ID, "name": ev.Tool.Name, "args": args(ev.Tool)})
	case ToolEnd:
		f.out.send("tool_result", object{"id": ev.Tool.ID, "name": ev.Tool.Name,
			"result": ev.Tool.Result, "is_error": ev.Tool.IsError})
	}
}

func (f *familyD) end(final Message) {
	if final.StopReason == stopDone {
		f.out.send("done", object{"message": f.s.messageWire(final)})
		return
	}
	code := "agent_error"
	if final.StopReason == stopAborted {
		code = "aborted"
	}
	f.out.send("error", object{"error": code, "message": final.Error})
}

// args gives a tool's arguments as an object, even when there are none.
func args(t *ToolCall) map[string]any {
	if t.Args == nil {
		return map[string]any{}
	}
	return t.Args
}

// sessionKey is the name of a session in the gateway's own events.
func (f *familyBase) sessionKey() string { return fmt.Sprintf("agent:main:%s", f.run.session) }

package emulatortest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/internal/emulator"
)

// Family selects the form of POST /instances/{instance}/chat/stream.
type Family string

// The stream families.
const (
	FamilyA        Family = "A"         // OpenAI chat completion chunks
	FamilyB        Family = "B"         // named events: status, output, complete
	FamilyC        Family = "C"         // unnamed events, typed in the data
	FamilyD        Family = "D"         // generic named events: what the emulator itself sends
	FamilyE        Family = "E"         // gateway chat events; the text is cumulative
	FamilyEWrapped Family = "E-wrapped" // E inside {"type":"event",…}, with deltaText and a bare final
	FamilyF        Family = "F"         // agent events: assistant, tool and lifecycle streams
	FamilyG        Family = "G"         // OpenResponses
	FamilyNDJSON   Family = "ndjson"    // the objects of C, one a line
	FamilyJSON     Family = "json"      // no stream: one JSON body once the reply is complete
)

// Families gives all stream families.
func Families() []Family {
	return []Family{FamilyA, FamilyB, FamilyC, FamilyD, FamilyE, FamilyEWrapped, FamilyF, FamilyG, FamilyNDJSON, FamilyJSON}
}

// family writes one reply in one form.
type family interface {
	begin()
	event(emulator.AgentEvent)
	end(final emulator.Message) // after a stop, an error or an abort
}

// newFamily gives what translates the emulator's own events, FamilyD, into the
// family of the options.
func (s *Server) newFamily(w http.ResponseWriter) func(id, name string, data []byte) {
	base := familyBase{out: output{w: w, lines: s.opts.Family == FamilyNDJSON}, run: run{id: newID(), started: time.Now()}}
	var f family
	switch s.opts.Family {
	case FamilyA:
		f = &familyA{&base}
	case FamilyB:
		f = &familyB{&base}
	case FamilyE:
		f = &familyE{familyBase: &base}
	case FamilyEWrapped:
		f = &familyE{familyBase: &base, wrapped: true}
	case FamilyF:
		f = &familyF{familyBase: &base}
	case FamilyG:
		f = &familyG{familyBase: &base}
	default:
		f = &familyC{familyBase: &base}
	}
	final := emulator.Message{StopReason: stopDone}
	args := map[string]map[string]any{} // of tools, by the ids of their calls
	return func(_, name string, data []byte) {
		var ev struct {
			SessionID string `json:"session_id"`
			Message   any    `json:"message"`
			Error     string `json:"error"`
			Delta     string `json:"delta"`
			emulator.ToolCall
			IsError bool `json:"is_error"`
		}
		if err := json.Unmarshal(data, &ev); err != nil {
			panic(fmt.Sprintf("emulatortest: an event of the emulator: %v", err))
		}
		tool := ev.ToolCall
		tool.IsError = ev.IsError
		switch name {
		case "session":
			base.run.session = ev.SessionID
			f.begin()
		case "status":
			message := text(ev.Message)
			if update, ok := strings.CutPrefix(message, updateMark); ok {
				_ = json.Unmarshal([]byte(update), &tool)
				f.event(emulator.AgentEvent{Kind: emulator.ToolUpdate, Tool: &tool})
				return
			}
			f.event(emulator.AgentEvent{Kind: emulator.Status, Text: message})
		case "delta":
			final.Text += ev.Delta
			f.event(emulator.AgentEvent{Kind: emulator.Text, Text: ev.Delta})
		case "tool":
			args[tool.ID] = tool.Args
			f.event(emulator.AgentEvent{Kind: emulator.ToolStart, Tool: &tool})
		case "tool_result":
			// The emulator doesn't repeat the arguments.
			tool.Args = args[tool.ID]
			f.event(emulator.AgentEvent{Kind: emulator.ToolEnd, Tool: &tool})
		case "done":
			f.end(final)
		case "error":
			final.StopReason, final.Error = stopError, text(ev.Message)
			if ev.Error == stopAborted {
				final.StopReason = stopAborted
			}
			f.end(final)
		}
	}
}

// Reasons for which a reply ended.
const (
	stopDone    = "stop"
	stopError   = "error"
	stopAborted = "aborted"
)

// updateMark begins the text of a status that stands for an update of a tool,
// which the emulator's own events don't have.
const updateMark = "tool update: "

// tellUpdates makes an agent tell updates of its tools as such statuses.
func tellUpdates(agent emulator.Agent) emulator.Agent {
	if agent == nil {
		agent = emulator.OfflineAgent()
	}
	return emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		return agent.Reply(ctx, turn, func(ev emulator.AgentEvent) error {
			if ev.Kind == emulator.ToolUpdate {
				ev = emulator.AgentEvent{Kind: emulator.Status, Text: updateMark + string(encode(ev.Tool))}
			}
			return emit(ev)
		})
	})
}

// newID gives a random UUID (version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// run is what a stream tells of the reply as such.
type run struct {
	id, session string
	started     time.Time
}

// output is where events go.
type output struct {
	w     http.ResponseWriter
	lines bool // newline-delimited JSON
}

func (o output) event(name string, data []byte) {
	if o.lines {
		o.w.Write(append(data, '\n'))
		return
	}
	writeEvent(o.w, "", name, data)
}

func (o output) send(name string, v any) { o.event(name, encode(v)) }

type familyBase struct {
	out output
	run run
}

func (f *familyBase) seconds() float64 {
	return float64(time.Since(f.run.started).Milliseconds()) / 1000
}

// toolLine tells of a tool where the family knows only status texts.
func toolLine(t *emulator.ToolCall) string {
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
type familyA struct{ *familyBase }

func (f *familyA) chunk(delta object, finish any, more object) {
	chunk := object{"id": "chatcmpl_" + f.run.id, "object": "chat.completion.chunk",
		"created": f.run.started.Unix(), "model": "openclaw",
		"choices": []object{{"index": 0, "delta": delta, "finish_reason": finish}}}
	maps.Copy(chunk, more)
	f.out.send("", chunk)
}

func (f *familyA) begin() {
	f.chunk(object{"role": "assistant"}, nil, object{"session_id": f.run.session})
}

func (f *familyA) event(ev emulator.AgentEvent) {
	if ev.Kind == emulator.Text {
		f.chunk(object{"content": ev.Text}, nil, nil)
	}
}

func (f *familyA) end(final emulator.Message) {
	if final.StopReason == stopDone {
		f.chunk(object{}, "stop", nil)
	} else {
		f.chunk(object{"content": "Error: " + final.Error}, "stop", nil)
	}
	f.out.event("", []byte("[DONE]"))
}

// familyB has the named events status, output and complete.
type familyB struct{ *familyBase }

func (f *familyB) begin() {
	f.out.send("status", object{"message": "Starting agent", "session_id": f.run.session})
}

func (f *familyB) event(ev emulator.AgentEvent) {
	switch ev.Kind {
	case emulator.Status:
		f.out.send("status", object{"message": ev.Text})
	case emulator.Text:
		f.out.send("output", object{"text": ev.Text})
	case emulator.ToolStart:
		f.out.send("status", object{"message": toolLine(ev.Tool)})
	}
}

func (f *familyB) end(final emulator.Message) {
	if final.StopReason == stopDone {
		f.out.send("complete", object{"success": true, "exitCode": 0, "duration": f.seconds()})
		return
	}
	f.out.send("complete", object{"success": false, "exitCode": 1, "duration": f.seconds(), "error": final.Error})
}

// familyC has unnamed events with a type in the data. Increments come in both
// of its forms, turn by turn, and the whole text once more as a result.
type familyC struct {
	*familyBase
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

func (f *familyC) event(ev emulator.AgentEvent) {
	switch ev.Kind {
	case emulator.Status:
		f.send("status", object{"message": ev.Text})
	case emulator.Text:
		if f.texts++; f.texts%2 == 1 {
			f.send("output", object{"text": ev.Text})
			return
		}
		f.agent(object{"type": "stream_event", "event": object{"delta": object{"text": ev.Text}}})
	case emulator.ToolStart:
		f.send("status", object{"message": toolLine(ev.Tool)})
	case emulator.ToolEnd:
		f.send("files-update", object{})
	}
}

func (f *familyC) end(final emulator.Message) {
	if final.StopReason != stopDone {
		f.send("error", object{"error": final.Error})
		f.send("complete", object{"success": false, "exitCode": 1})
		return
	}
	f.agent(object{"type": "assistant", "message": object{"content": []object{{"type": "text", "text": final.Text}}}})
	f.agent(object{"type": "result", "result": final.Text})
	f.send("complete", object{"success": true, "exitCode": 0})
}

// args gives a tool's arguments as an object, even when there are none.
func args(t *emulator.ToolCall) map[string]any {
	if t.Args == nil {
		return map[string]any{}
	}
	return t.Args
}

// sessionKey is the name of a session in the gateway's own events.
func (f *familyBase) sessionKey() string { return fmt.Sprintf("agent:main:%s", f.run.session) }

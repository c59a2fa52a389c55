package chat

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// voice writes the stream of one reply in a dialect.
type voice struct {
	spoke time.Time // when it throttles: the last time
	o     *odd
	d     dialect
	kind  string // content type
	out   *output
	turn  int

	all, item string   // the text so far, of the reply and of the part at hand
	pieces    []string // of the part at hand
	seq       int
	others    map[int]*voice // of other runs
}

// dialect is how a family of streams says things.
type dialect struct {
	kind  string // content type, "" for a stream of events
	begin func(v *voice)
	piece func(v *voice, part int, s string)
	tool  func(v *voice, part int, result bool)
	part  func(v *voice, part int)
	end   func(v *voice, text string) // text is "" where the end carries none
	fail  func(v *voice, words string)
	// A break between two parts is a piece of its own.
	breaks bool
	ends   bool // its end may carry the text
	whole  bool // there is no end but the body's
}

type fields = map[string]any

func (o *odd) voice(turn int) *voice {
	d := dialects[o.dialect]
	v := &voice{o: o, d: d, kind: d.kind, turn: turn, others: map[int]*voice{}}
	if v.kind == "" {
		v.kind = "text/event-stream"
	}
	return v
}

const thoughtTag = "[[reply_to_current]] "

func (v *voice) begin() {
	if v.o.noSessions && v.d.kind == "" {
		v.event("session", fields{"session_id": "s1"})
	}
	if v.d.begin != nil {
		v.d.begin(v)
	}
	if v.o.noise && v.d.kind == "" {
		v.raw(": ping\n\n")
		v.event("heartbeat", fields{})
	}
}

// say writes one step of the reply.
func (v *voice) say(s said) {
	switch s.what {
	case "start":
		if v.o.noise {
			v.thought()
		}
	case "piece":
		if v.item == "" {
			if v.all != "" {
				v.all += "\n\n"
				if v.d.breaks {
					v.d.piece(v, s.part, "\n\n")
				}
			}
			if v.o.tagged && s.part == 0 && v.d.ends && v.o.final == "all" {
				v.piece(s.part, thoughtTag)
			}
		}
		v.piece(s.part, s.text)
	case "tool", "result":
		if v.o.noise && v.d.kind == "" {
			v.raw(": ping\n\n")
		}
		if v.d.tool != nil {
			v.d.tool(v, s.part, s.what == "result")
		}
	case "part":
		if v.o.twice && s.part == len(v.o.parts)-1 && v.d.ends && v.o.final == "all" {
			for _, p := range v.pieces {
				v.d.piece(v, s.part, p)
			}
		}
		if v.d.part != nil {
			v.d.part(v, s.part)
		}
		v.item, v.pieces = "", nil
	case "end":
		v.d.end(v, v.finalText())
	case "fail":
		v.d.fail(v, s.text)
	}
	v.out.flush()
}

func (v *voice) piece(part int, s string) {
	v.all += s
	v.item += s
	v.pieces = append(v.pieces, s)
	v.d.piece(v, part, s)
	if v.d.kind != "application/json" && v.o.dialect != "final" {
		v.o.locked(func() { v.o.brought = v.all })
	}
}

func (v *voice) finalText() string {
	if !v.d.ends {
		return ""
	}
	switch v.o.final {
	case "all":
		return v.o.said()
	case "last":
		return v.o.parts[len(v.o.parts)-1].text
	}
	return ""
}

// thought is what the model thinks, and the question again.
func (v *voice) thought() {
	if v.d.kind != "" || v.o.dialect == "raw" {
		return
	}
	v.event("thinking_delta", fields{"text": "hm"})
	v.event("message", fields{"role": "user", "content": question})
}

// other writes a step of another run of the session, where events name their run.
func (v *voice) other(s said) {
	w := v.others[s.turn]
	if w == nil {
		o := *newVoiceOf(v.o)
		w = &voice{o: &o, d: v.d, kind: v.kind, out: v.out, turn: s.turn}
		v.others[s.turn] = w
	}
	w.say(s)
}

// newVoiceOf is the service as another run speaks.
func newVoiceOf(o *odd) *odd {
	return &odd{dialect: o.dialect, variant: o.variant, key: o.key, final: "all", parts: []part{{text: "an answer for somebody else"}}}
}

func (v *voice) raw(s string) { _, _ = v.out.Write([]byte(s)) }

// event writes an event with JSON; name may be "".
func (v *voice) event(name string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	v.text(name, string(b))
}

func (v *voice) text(name, data string) {
	if name != "" {
		name = "event: " + name + "\n"
	}
	v.raw(name + "data: " + strings.ReplaceAll(data, "\n", "\ndata: ") + "\n\n")
}

// gateway writes an event of the gateway.
func (v *voice) gateway(name string, data fields) {
	v.seq++
	data["runId"], data["seq"] = fmt.Sprint("run-", v.turn), v.seq
	if key := v.o.key; key != "-" {
		if key == "" {
			key = "agent:main:s1"
		}
		data["sessionKey"] = key
	}
	switch v.o.variant % 3 {
	case 0:
		v.event("", data)
	case 1:
		v.event("", fields{"type": "event", "event": name, "payload": data})
	default:
		v.event(name, data)
	}
}

func (v *voice) chatEvent(state string, more fields) {
	more["state"] = state
	v.gateway("chat", more)
}

func (v *voice) agentEvent(stream string, data fields) {
	v.gateway("agent", fields{"stream": stream, "data": data})
}

func assistant(text string) fields {
	return fields{"role": "assistant", "content": []any{fields{"type": "text", "text": text}}}
}

func (v *voice) ack() {
	if v.o.acked {
		v.event("accepted", fields{"runId": fmt.Sprint("run-", v.turn)})
	}
}

// chatPiece writes a chat event. Variants: both texts, the new one alone, the whole
// alone.
func chatPiece(v *voice, _ int, s string) {
	if v.o.throttles {
		if time.Since(v.spoke) < 150*time.Millisecond {
			return
		}
		v.spoke = time.Now()
	}
	// The gateway's own piece begins with the break between two parts.
	if v.item == s && len(v.all) > len(s) {
		s = "\n\n" + s
	}
	switch (v.o.variant / 3) % 3 {
	case 0:
		v.chatEvent("delta", fields{"deltaText": s, "message": assistant(v.all)})
	case 1:
		v.chatEvent("delta", fields{"deltaText": s})
	default:
		v.chatEvent("delta", fields{"message": assistant(v.all)})
	}
}

func chatEnd(v *voice, text string) {
	switch {
	case text != "":
		v.chatEvent("final", fields{"message": assistant(text), "stopReason": "stop"})
	default:
		v.chatEvent("final", fields{"stopReason": "stop"})
	}
}

func chatFail(v *voice, words string) {
	v.chatEvent("error", fields{"errorMessage": words, "errorKind": "unknown"})
}

// agentPiece writes an agent event. Variants: an item with both texts, with the
// new one, with the whole; no item, and the text of the whole reply.
func agentPiece(v *voice, part int, s string) {
	id := fmt.Sprint("item-", part)
	switch (v.o.variant / 3) % 4 {
	case 0:
		v.agentEvent("assistant", fields{"itemId": id, "text": v.item, "delta": s})
	case 1:
		v.agentEvent("assistant", fields{"itemId": id, "delta": s})
	case 2:
		v.agentEvent("assistant", fields{"itemId": id, "text": v.item})
	default:
		if v.item == s && len(v.all) > len(s) {
			s = "\n\n" + s
		}
		v.agentEvent("assistant", fields{"text": v.all, "delta": s})
	}
}

func agentTool(v *voice, part int, result bool) {
	data := fields{"phase": "start", "toolCallId": fmt.Sprint("t", part), "name": "exec", "args": fields{"command": "ls"}}
	if result {
		data = fields{"phase": "result", "toolCallId": fmt.Sprint("t", part), "name": "exec", "result": fields{"content": []any{fields{"type": "text", "text": "ok"}}}}
	}
	v.agentEvent("tool", data)
}

func namedTool(v *voice, part int, result bool) {
	if result {
		v.event("tool_result", fields{"id": fmt.Sprint("t", part), "name": "exec", "result": "ok"})
		return
	}
	v.event("tool_call", fields{"id": fmt.Sprint("t", part), "name": "exec", "args": fields{"command": "ls"}})
}

func output1(v *voice, text string) { v.event("", fields{"type": "output", "text": text}) }

// openAI is the dialect of OpenAI's chunks. Some services leave the mark of the end out.
func openAI(mark string) dialect {
	return dialect{
		begin: func(v *voice) {
			v.event("", fields{"object": "chat.completion.chunk", "choices": []any{fields{"index": 0, "delta": fields{"role": "assistant"}}}})
		},
		piece: func(v *voice, _ int, s string) {
			v.event("", fields{"object": "chat.completion.chunk", "choices": []any{fields{"index": 0, "delta": fields{"content": s}, "finish_reason": nil}}})
		},
		end: func(v *voice, text string) {
			c := fields{"index": 0, "delta": fields{}, "finish_reason": "stop"}
			if text != "" {
				c["message"] = fields{"role": "assistant", "content": text}
			}
			v.event("", fields{"object": "chat.completion.chunk", "choices": []any{c}})
			if mark != "" {
				v.text("", mark)
			}
		},
		fail: func(v *voice, words string) {
			v.event("", fields{"error": fields{"message": words, "type": "server_error"}})
		},
		breaks: true, ends: true,
	}
}

// dialects are the families of streams, and what else a service may answer.
var dialects = map[string]dialect{
	"": named, "named": named,
	"openai": openAI("[DONE]"), "openai, unmarked": openAI(""), // A
	"author": { // B
		begin: func(v *voice) { v.event("status", fields{"message": "Starting agent"}) },
		piece: func(v *voice, _ int, s string) { v.event("output", fields{"text": s}) },
		tool:  namedTool,
		end: func(v *voice, text string) {
			data := fields{"success": true, "exitCode": 0, "duration": 3.2}
			if text != "" {
				data["result"] = text
			}
			v.event("complete", data)
		},
		fail: func(v *voice, words string) {
			switch v.o.variant % 3 {
			case 0:
				v.event("complete", fields{"success": "false", "error": words})
			case 1:
				v.event("complete", fields{"success": true, "exitCode": "1", "error": words})
			default:
				v.event("error", fields{"error": words})
			}
		},
		breaks: true, ends: true,
	},
	"typed": { // C
		begin: func(v *voice) { v.event("", fields{"type": "status", "message": "Starting"}) },
		piece: func(v *voice, _ int, s string) {
			if v.o.variant%2 == 0 {
				output1(v, s)
				return
			}
			v.event("", fields{"type": "agent-output", "data": fields{"type": "stream_event", "event": fields{"delta": fields{"type": "text_delta", "text": s}}}})
		},
		end: func(v *voice, text string) {
			if text != "" {
				v.event("", fields{"type": "agent-output", "data": fields{"type": "result", "result": text}})
			}
			v.event("", fields{"type": "complete", "success": true, "exitCode": 0})
		},
		fail:   func(v *voice, words string) { v.event("", fields{"type": "error", "error": words}) },
		breaks: true, ends: true,
	},
	"cumulative": { // D, with all of the text each time
		piece: func(v *voice, _ int, _ string) {
			v.event([]string{"message", "output", ""}[v.o.variant%3], fields{[]string{"text", "content"}[v.o.variant/3%2]: v.all})
		},
		tool: namedTool,
		end: func(v *voice, text string) {
			data := fields{}
			if text != "" {
				data["text"] = text
			}
			v.event("done", data)
		},
		fail: func(v *voice, words string) { v.event("error", fields{"error": words}) },
		ends: true,
	},
	"raw": { // D, with the text as it stands
		piece:  func(v *voice, _ int, s string) { v.text("token", s) },
		end:    func(v *voice, _ string) { v.text("done", "") },
		fail:   func(v *voice, words string) { v.event("error", fields{"error": words}) },
		breaks: true,
	},
	"chat": { // E
		begin: func(v *voice) {
			v.ack()
			v.chatEvent("status", fields{"phase": "starting_model"})
		},
		piece: chatPiece, end: chatEnd, fail: chatFail, ends: true,
	},
	"agent": { // F
		begin: func(v *voice) {
			v.ack()
			v.agentEvent("lifecycle", fields{"phase": "start"})
		},
		piece: agentPiece, tool: agentTool,
		end:  func(v *voice, _ string) { v.agentEvent("lifecycle", fields{"phase": "end"}) },
		fail: func(v *voice, words string) { v.agentEvent("lifecycle", fields{"phase": "error", "error": words}) },
	},
	"final": { // E, where the end is all that comes
		begin: (*voice).ack, piece: func(*voice, int, string) {}, end: chatEnd, fail: chatFail, ends: true,
	},
	"both": { // E and F
		begin: func(v *voice) {
			v.ack()
			v.agentEvent("lifecycle", fields{"phase": "start"})
		},
		piece: func(v *voice, part int, s string) {
			agentPiece(v, part, s)
			if v.o.variant%2 == 0 || v.item != s {
				chatPiece(v, part, s)
			}
		},
		tool: agentTool,
		end: func(v *voice, text string) {
			v.agentEvent("lifecycle", fields{"phase": "end"})
			chatEnd(v, text)
		},
		fail: func(v *voice, words string) {
			v.agentEvent("lifecycle", fields{"phase": "error", "error": words})
			chatFail(v, words)
		},
		ends: true,
	},
	"responses": { // G
		begin: func(v *voice) {
			v.event("response.created", fields{"type": "response.created", "response": fields{"id": "resp_1"}})
		},
		piece: func(v *voice, part int, s string) {
			v.event("response.output_text.delta", fields{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": s})
		},
		end: func(v *voice, text string) {
			r := fields{"id": "resp_1", "status": "completed"}
			if text != "" {
				r["output"] = []any{fields{"type": "message", "content": []any{fields{"type": "output_text", "text": text}}}}
			}
			v.event("response.completed", fields{"type": "response.completed", "response": r})
			v.text("", "[DONE]")
		},
		fail: func(v *voice, words string) {
			v.event("response.failed", fields{"type": "response.failed", "response": fields{"error": fields{"message": words}}})
		},
		breaks: true, ends: true,
	},
	"lines": {
		kind:   "application/x-ndjson",
		piece:  func(v *voice, _ int, s string) { v.line(fields{"delta": s}) },
		end:    func(v *voice, _ string) { v.line(fields{"done": true}) },
		fail:   func(v *voice, words string) { v.line(fields{"error": words}) },
		breaks: true,
	},
	"json": {
		kind:  "application/json",
		piece: func(*voice, int, string) {},
		end: func(v *voice, _ string) {
			switch v.o.variant % 3 {
			case 0:
				v.line(fields{"reply": v.o.said(), "session_id": "s1"})
			case 1:
				v.line(fields{"message": fields{"role": "assistant", "content": v.o.said()}})
			default:
				v.line(fields{"choices": []any{fields{"message": fields{"role": "assistant", "content": v.o.said()}}}})
			}
		},
		fail: func(v *voice, words string) { v.line(fields{"success": "false", "error": words}) },
	},
	"plain": {
		kind:   "text/plain; charset=utf-8",
		piece:  func(v *voice, _ int, s string) { v.raw(s) },
		end:    func(*voice, string) {},
		fail:   nil, // it can't say so
		breaks: true, whole: true,
	},
}

var named = dialect{ // D
	piece: func(v *voice, _ int, s string) {
		key := []string{"delta", "text", "content"}[v.o.variant%3]
		v.event([]string{"delta", "token", "chunk"}[v.o.variant/3%3], fields{key: s})
	},
	tool: namedTool,
	end: func(v *voice, text string) {
		data := fields{}
		if text != "" {
			data["message"] = fields{"id": "m2", "role": "assistant", "content": text}
		}
		v.event("done", data)
	},
	fail:   func(v *voice, words string) { v.event("error", fields{"error": "x", "message": words}) },
	breaks: true, ends: true,
}

func (v *voice) line(data fields) {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	v.raw(string(b) + "\n")
}

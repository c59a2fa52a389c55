package client

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// speaker writes random replies as a stream of one family, in any of the ways
// that the family has to say the same twice.
type speaker struct {
	*rand.Rand
	out  strings.Builder
	want strings.Builder
}

var morsels = []string{
	"", "", " ", "\n", "\t", "a", "aa", "Hel", "lo", "é", "e\u0301", "🦞", "👩‍👩‍👧", "\u2028", "\\", "\"", "{", "}", "[DONE]",
	"Error: ", "data: x", "null", "true", "42", "�", "\u0000", "</p>", "\r\n", "中文",
}

// message gives the pieces of one message. Its first and last runes are its
// own: two equal messages are one that came twice, for streams without ids.
func (s *speaker) message(i int) []string {
	var pieces []string
	if s.IntN(4) == 0 {
		pieces = append(pieces, "\n", "\n ")
	}
	pieces = append(pieces, string(rune('①'+i)))
	for range s.IntN(6) {
		var p strings.Builder
		for range s.IntN(4) {
			p.WriteString(morsels[s.IntN(len(morsels))])
		}
		pieces = append(pieces, p.String())
	}
	pieces = append(pieces, string(rune('Ⓐ'+i)))
	if s.IntN(4) == 0 {
		pieces = append(pieces, " ", "\n")
	}
	return pieces
}

func (s *speaker) often() bool { return s.IntN(3) > 0 }

func (s *speaker) send(name, format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok {
			b, _ := json.Marshal(text)
			args[i] = string(b)
		}
	}
	if s.IntN(10) == 0 {
		s.out.WriteString(": ping\n")
	}
	if name != "" {
		s.out.WriteString("event: " + name + "\n")
	}
	s.out.WriteString("data: " + fmt.Sprintf(format, args...) + "\n\n")
}

// again gives a text that was shown before as services repeat it: as it is, or
// without the white space around it.
func (s *speaker) again(text string) string {
	if s.IntN(3) == 0 {
		return strings.TrimSpace(text)
	}
	return text
}

var speakers = map[string]func(*speaker){
	"A": func(s *speaker) {
		pieces := s.message(0)
		for _, p := range pieces {
			s.send("", `{"choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}`, p)
		}
		s.want.WriteString(strings.Join(pieces, ""))
		if s.often() {
			s.send("", `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
		}
		s.send("", "[DONE]")
	},
	"B": func(s *speaker) {
		pieces := s.message(0)
		for _, p := range pieces {
			s.send("output", `{"text":%s}`, p)
		}
		s.want.WriteString(strings.Join(pieces, ""))
		if s.often() {
			s.send("result", `{"result":%s}`, s.again(strings.Join(pieces, "")))
		}
		s.send("complete", `{"success":true,"exitCode":0}`)
	},
	"C": func(s *speaker) {
		last, withIDs, told := "", s.often(), true
		n := 1 + s.IntN(3)
		for i := range n {
			pieces := s.message(i)
			last = strings.Join(pieces, "")
			s.want.WriteString(last)
			id := fmt.Sprint("msg", i)
			if !withIDs {
				id = ""
			}
			deltas := s.often()
			if withIDs && deltas {
				s.send("", `{"type":"agent-output","data":{"type":"stream_event","event":{"type":"message_start","message":{"id":%s}}}}`, id)
			}
			for _, p := range pieces {
				if deltas {
					s.send("", `{"type":"agent-output","data":{"type":"stream_event","event":{"delta":{"text":%s}}}}`, p)
				}
			}
			switch {
			case !deltas && !withIDs && i == n-1 && s.IntN(3) == 0:
				told = false // but by the result
			case !deltas || s.often():
				text := last
				if deltas {
					text = s.again(last)
				}
				for range 1 + s.IntN(2) {
					s.send("", `{"type":"agent-output","data":{"type":"assistant","message":{"id":%s,"content":[{"type":"text","text":%s}]}}}`, id, text)
				}
			}
			if i < n-1 {
				tool := fmt.Sprint("t", i)
				s.send("", `{"type":"agent-output","data":{"type":"assistant","message":{"id":%s,"content":[{"type":"tool_use","id":%s,"name":"x","input":{}}]}}}`, id, tool)
				s.send("", `{"type":"agent-output","data":{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":%s,"content":""}]}}}`, tool)
			}
		}
		result := last
		if n == 1 || s.IntN(2) == 0 {
			result = s.want.String()
		}
		if told {
			result = s.again(result)
		}
		s.send("", `{"type":"agent-output","data":{"type":"result","result":%s}}`, result)
		s.send("", `{"type":"complete","success":true}`)
	},
	"D": func(s *speaker) {
		names := []string{"delta", "token", "chunk", "content", "output", "text"}
		keys := []string{"delta", "text", "content"}
		last := ""
		n := 1 + s.IntN(3)
		shown := true
		for i := range n {
			pieces := s.message(i)
			last = strings.Join(pieces, "")
			s.want.WriteString(last)
			if i == n-1 && s.IntN(4) == 0 {
				shown = false
				break
			}
			for _, p := range pieces {
				s.send(names[s.IntN(len(names))], `{"`+keys[s.IntN(len(keys))]+`":%s}`, p)
			}
			if i < n-1 {
				s.send("tool_call", `{"name":"x","args":{}}`)
				s.send("tool_result", `{"name":"x","result":"y"}`)
			}
		}
		all := s.want.String()
		if shown {
			all, last = s.again(all), s.again(last)
		}
		switch {
		case s.IntN(3) == 0 && shown:
			s.send("done", `{}`)
		case s.often():
			s.send("done", `{"message":{"id":"m","role":"assistant","content":%s}}`, all)
		default:
			s.send("final", `{"message":{"id":"m","role":"assistant","content":[{"type":"text","text":%s}]}}`, last)
		}
	},
	"E": func(s *speaker) {
		pieces := s.message(0)
		sum, shown := "", ""
		for _, p := range pieces {
			if sum += p; sum == "" || s.IntN(4) == 0 {
				continue // the gateway throttles
			}
			switch {
			case s.IntN(5) == 0:
				s.send("", `{"runId":"r","state":"delta","replace":true,"message":{"role":"assistant","content":[{"type":"text","text":%s}]}}`, "drop"+sum)
				s.send("", `{"runId":"r","state":"delta","replace":true,"deltaText":%s}`, sum)
			case s.IntN(2) == 0:
				s.send("", `{"runId":"r","state":"delta","deltaText":%s,"message":{"role":"assistant","content":[{"type":"text","text":%s}]}}`, strings.TrimPrefix(sum, shown), sum)
			default:
				s.send("", `{"runId":"r","state":"delta","message":{"role":"assistant","content":[{"type":"text","text":%s}]}}`, sum)
			}
			shown = sum
		}
		s.want.WriteString(sum)
		if shown == sum && s.IntN(2) == 0 {
			s.send("", `{"runId":"r","state":"final"}`)
			return
		}
		s.send("", `{"runId":"r","state":"final","message":{"role":"assistant","content":[{"type":"text","text":%s}]}}`, sum)
	},
	"F": func(s *speaker) {
		n := 1 + s.IntN(3)
		all := s.IntN(2) == 0 // the text goes on over the messages
		for i := range n {
			sum := ""
			if all {
				sum = s.want.String()
			}
			pieces := s.message(i)
			for _, p := range pieces {
				sum += p
				switch {
				case s.IntN(4) == 0:
					s.send("", `{"stream":"assistant","data":{"text":%s}}`, sum)
				default:
					s.send("", `{"stream":"assistant","data":{"text":%s,"delta":%s}}`, sum, p)
				}
			}
			s.want.WriteString(strings.Join(pieces, ""))
			if i < n-1 {
				s.send("", `{"stream":"tool","data":{"phase":"start","toolCallId":"t%d","name":"x"}}`, i)
				s.send("", `{"stream":"tool","data":{"phase":"result","toolCallId":"t%d","result":"y"}}`, i)
			}
		}
		s.send("", `{"stream":"lifecycle","data":{"phase":"end"}}`)
	},
	"G": func(s *speaker) {
		var items []string
		keyed := s.often()
		n := 1
		if keyed {
			n += s.IntN(3)
		}
		for i := range n {
			pieces := s.message(i)
			text := strings.Join(pieces, "")
			s.want.WriteString(text)
			key := ""
			if keyed {
				key = fmt.Sprintf(`"item_id":"i%d","output_index":%d,"content_index":0,`, i, i)
			}
			deltas := s.often()
			for _, p := range pieces {
				if deltas {
					s.send("response.output_text.delta", `{"type":"response.output_text.delta",`+key+`"delta":%s}`, p)
				}
			}
			if s.often() {
				s.send("response.output_text.done", `{"type":"response.output_text.done",`+key+`"text":%s}`, text)
			}
			if s.often() {
				s.send("response.content_part.done", `{"type":"response.content_part.done",`+key+`"part":{"type":"output_text","text":%s}}`, text)
			}
			b, _ := json.Marshal(text)
			item := fmt.Sprintf(`{"type":"message","id":"i%d","role":"assistant","content":[{"type":"output_text","text":%s}]}`, i, b)
			items = append(items, item)
			if !deltas || s.often() {
				s.send("response.output_item.done", `{"type":"response.output_item.done","output_index":%d,"item":%s}`, i, json.RawMessage(item))
			}
		}
		s.send("response.completed", `{"type":"response.completed","response":{"output":%s}}`, json.RawMessage("["+strings.Join(items, ",")+"]"))
		s.send("", "[DONE]")
	},
}

// Whatever a family repeats and however a reply is cut up: each of its
// characters is shown once.
func TestDecodeStreamEveryCharacterOnce(t *testing.T) {
	for family, speak := range speakers {
		t.Run(family, func(t *testing.T) {
			for seed := range uint64(500) {
				s := &speaker{Rand: rand.New(rand.NewPCG(seed, 7))}
				speak(s)
				c := collect(t, strings.NewReader(s.out.String()), "text/event-stream", 0)
				want := s.want.String()
				if c.err != nil || !c.final() || c.shown != want || c.acc.Text() != want {
					t.Fatalf("seed %d: shown %q, accumulated %q, want %q, final %v, %v\n%s", seed, c.shown, c.acc.Text(), want, c.final(), c.err, s.out.String())
				}
				for _, ev := range c.events {
					if ev.Replace && family != "E" {
						t.Fatalf("seed %d: replaces by %q\n%s", seed, ev.Text, s.out.String())
					}
				}
			}
		})
	}
}

func FuzzEveryCharacterOnce(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		for family, speak := range speakers {
			s := &speaker{Rand: rand.New(rand.NewPCG(seed, 11))}
			speak(s)
			c := collect(t, strings.NewReader(s.out.String()), "", 0)
			if want := s.want.String(); c.shown != want || c.acc.Text() != want || !c.final() {
				t.Errorf("%s: shown %q, want %q\n%s", family, c.shown, want, s.out.String())
			}
		}
	})
}

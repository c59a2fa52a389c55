package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// sketch writes events in one line: +added, =replaced, and so on.
func sketch(events []Event) string {
	var all []string
	for _, ev := range events {
		switch ev.Kind {
		case EventText:
			if ev.Replace {
				all = append(all, "="+ev.Text)
			} else {
				all = append(all, "+"+ev.Text)
			}
		case EventFinal:
			all = append(all, "final:"+ev.Text)
		case EventError:
			all = append(all, "error:"+ev.Err.Code+":"+ev.Err.Message)
		case EventStatus:
			all = append(all, "status:"+ev.Text)
		case EventToolStart:
			all = append(all, "start:"+ev.Tool.ID+":"+ev.Tool.Name)
		case EventToolUpdate:
			all = append(all, "update:"+ev.Tool.Name+string(ev.Tool.Arguments)+ev.Tool.Result)
		case EventToolEnd:
			all = append(all, "end:"+ev.Tool.ID+":"+ev.Tool.Name+":"+ev.Tool.Result)
		case EventUnknown:
			all = append(all, "?")
		case EventHeartbeat:
			all = append(all, ".")
		}
	}
	return strings.Join(all, " ")
}

func assistant(id, text string) string {
	return fmt.Sprintf(`{"type":"agent-output","data":{"type":"assistant","message":{"id":%q,"content":[{"type":"text","text":%q}]}}}`, id, text)
}

func piece(text string) string {
	return fmt.Sprintf(`{"type":"agent-output","data":{"type":"stream_event","event":{"delta":{"text":%q}}}}`, text)
}

func start(id string) string {
	return fmt.Sprintf(`{"type":"agent-output","data":{"type":"stream_event","event":{"type":"message_start","message":{"id":%q}}}}`, id)
}

const toolDone = `{"type":"agent-output","data":{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":""}]}}}`

// Each line of in is the data of one event; "name>data" names it.
func TestNormalise(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"delta object", `{"delta":{"text":"a"}}`, "+a"},
		{"token", `{"token":"a"}` + "\n" + `{"chunk":"b"}`, "+a +b"},
		{"type delta", `{"type":"delta","text":"a"}` + "\n" + `{"type":"text","content":"b"}`, "+a +b"},
		{"generic name, typed data", `message>{"type":"status","message":"x"}` + "\n" + `message>{"type":"output","text":"a"}`, "status:x +a"},
		{"data inside", `{"type":"output","data":{"text":"a"}}` + "\n" + `{"type":"output","data":"b"}`, "+a +b"},
		{"anonymous reply", `{"reply":"a","session_id":"s"}`, "+a"},
		{"json scalars", `"a"` + "\n" + `12` + "\n" + `true` + "\n" + `"b"`, `+a +12 +true +"b"`},
		{"null is nothing", `null` + "\n" + `a` + "\n" + `null`, "? +a +null"},
		{"raw text that looks like json", `a{` + "\n" + `{`, "+a{ +{"},
		{"broken json among json", `{"delta":"a"}` + "\n" + `{"delta":`, "+a ?"},
		{"array of events", `[{"delta":"a"},{"delta":"b"}]`, "+a +b"},
		{"unknown kinds", `files-update>{}` + "\n" + `{"type":"brand-new","text":"x","error":"y"}` + "\n" + `{"a":1}`, "? ? ?"},
		{"signs of life", `ping>` + "\n" + `{"type":"heartbeat"}` + "\n" + `keepalive>{}` + "\n" + `{"type":"keep-alive"}`, ". . . ."},
		{"session", `session>{"id":"s1"}`, "."},
		{"thinking is no text", `thinking>{"text":"hm"}` + "\n" + `{"choices":[{"delta":{"reasoning_content":"hm"}}]}`, ". ."},
		{"user's echo", `message>{"id":"u","role":"user","content":"hi"}` + "\n" + `message>{"id":"m","role":"assistant","content":"yo"}`, "? +yo"},
		{"whole message repeats deltas", `delta>{"delta":"yo"}` + "\n" + `message>{"role":"assistant","content":"yo"}`, "+yo ."},
		{"end names", `finished>`, "final:"},
		{"end kinds", `{"type":"done"}`, "final:"},
		{"done flag", `{"response":"a","done":false}` + "\n" + `{"response":"","done":true}`, "+a final:a"},
		{"final text trimmed", `{"delta":"\n a \n"}` + "\n" + `done>{"text":"a"}`, "+\n a \n final:\n a \n"},
		{"final text longer", `{"delta":"a"}` + "\n" + `done>{"text":"ab"}`, "+a +b final:ab"},
		{"final text differs", `{"delta":"a"}` + "\n" + `done>{"text":"b"}`, "+a =b final:b"},
		{"final text raw", `final>all of it`, "+all of it final:all of it"},
		{"final is the last message", `{"delta":"one"}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `{"delta":"two"}` + "\n" + `done>{"text":"two"}`,
			"+one end::x: +two final:onetwo"},
		{"final joins messages", `{"delta":"one"}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `{"delta":"two"}` + "\n" + `done>{"text":"one\n\ntwo"}`,
			"+one end::x: +two =one\n\ntwo final:one\n\ntwo"},
		{"final mends the last message", `{"delta":"one"}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `{"delta":"twx"}` + "\n" + `done>{"text":"two"}`,
			"+one end::x: +twx =onetwo final:onetwo"},
		{"blocks of one message", assistant("m", "one") + "\n" + assistant("m", "two") + "\n" + assistant("m", "two") + "\n" + assistant("m", "onetwo"), "+one +two . ."},
		{"blocks, one half in deltas", assistant("m", "one") + "\n" + piece("tw") + "\n" + assistant("m", "two"), "+one +tw +o"},
		{"a block that differs", start("m") + "\n" + piece("one") + "\n" + assistant("m", "one") + "\n" + piece("twx") + "\n" + assistant("m", "two"), ". +one . +twx =onetwo"},
		{"whole text behind its tool", piece("one") + "\n" + toolDone + "\n" + assistant("", "one") + "\n" + piece("two"), "+one end:t:: . +two"},
		{"equal messages with ids", assistant("m", "ok") + "\n" + toolDone + "\n" + assistant("n", "ok"), "+ok end:t:: +ok"},
		{"equal messages without ids", assistant("", "ok") + "\n" + toolDone + "\n" + assistant("", "ok"), "+ok end:t:: +ok"},
		{"whole text of an earlier message", start("m") + "\n" + piece("one") + "\n" + start("n") + "\n" + piece("two") + "\n" + assistant("m", "one") + "\n" + assistant("n", "two"), ". +one . +two . ."},
		{"whole texts behind all deltas", piece("one") + "\n" + piece("two") + "\n" + assistant("", "one") + "\n" + assistant("", "two"), "+one +two . ."},
		{"whole text only of the second", piece("one") + "\n" + toolDone + "\n" + assistant("", "two") + "\n" + `{"type":"result","result":"two"}` + "\n" + `{"type":"complete"}`, "+one end:t:: +two . final:onetwo"},
		{"result of the inner tool fails", `{"type":"agent-output","data":{"type":"result","subtype":"error_max_turns","is_error":true,"result":"too many turns"}}`, "error:error_max_turns:too many turns"},
		{"inner complete is not the end", `{"type":"agent-output","data":{"type":"complete"}}` + "\n" + `{"type":"output","text":"a"}`, ". +a"},
		{"success false", `{"type":"complete","success":false,"error":"no credits"}`, "error::no credits"},
		{"exit code", `complete>{"exit_code":3}`, "error::the agent ended with exit code 3"},
		{"error object", `{"error":{"code":"quota","message":"no credits"}}`, "error:quota:no credits"},
		{"error in chunks", `{"choices":[],"error":{"message":"bad","type":"server_error"}}`, "error:server_error:bad"},
		{"error as text", `error>it broke`, "error::it broke"},
		{"error without anything", `error>`, "error::the agent failed without a reason"},
		{"status code", `{"statusCode":503,"message":"asleep"}`, "error::asleep"},
		{"aborted", `aborted>{"reason":"by user"}`, "error:aborted:by user"},
		{"agent errors", `{"stream":"lifecycle","data":{"phase":"error","error":"x y"}}`, "error::x y"},
		{"gap in the feed", `{"stream":"error","data":{"reason":"seq gap","expected":2,"received":4}}`, "?"},
		{"refused request", `{"type":"res","id":"1","ok":false,"error":{"code":"UNAVAILABLE","message":"gone"}}`, "error:UNAVAILABLE:gone"},
		{"tool fails, run goes on", `tool>{"id":"t","name":"x","error":"boom"}` + "\n" + `{"delta":"a"}`, "end:t:x:boom +a"},
		{"tool phases", `tool>{"id":"t","name":"x","phase":"start"}` + "\n" + `tool>{"id":"t","phase":"update","partialResult":"p"}` + "\n" + `tool>{"id":"t","phase":"end","result":{"a":1}}`,
			`start:t:x update:xp end:t:x:{"a":1}`},
		{"tool in data", `{"type":"tool_result","data":{"tool_use_id":"t","name":"x","output":"o"}}`, "end:t:x:o"},
		{"tool twice", `tool_call>{"id":"t","name":"x"}` + "\n" + `tool_call>{"id":"t","name":"x","args":{"a":1}}` + "\n" + `tool_result>{"id":"t","content":"o"}` + "\n" + `tool_result>{"id":"t","content":"o"}`,
			`start:t:x update:x{"a":1} end:t:x:o .`},
		{"cumulative without a name for it", `{"state":"delta","message":"a"}` + "\n" + `{"state":"delta","message":"ab"}` + "\n" + `{"state":"delta","message":"xb"}`, "+a +b =xb"},
		{"cumulative generic texts", `{"text":"The"}` + "\n" + `{"text":"The quick"}` + "\n" + `{"text":"The quick brown"}` + "\n" + `[DONE]`, "+The + quick + brown final:The quick brown"},
		{"cumulative named texts", `output>{"text":"The"}` + "\n" + `output>{"text":"The quick"}` + "\n" + `complete>{"success":true}`, "+The + quick final:The quick"},
		{"cumulative raw text", `message>The` + "\n" + `message>The quick` + "\n" + `message>The quick` + "\n" + `done>{}`, "+The + quick . final:The quick"},
		{"cumulative over a tool", `{"text":"Let me look."}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `{"text":"Let me look. Found"}` + "\n" + `{"text":"Let me look. Found it."}` + "\n" + `done>{}`,
			"+Let me look. end::x: + Found + it. final:Let me look. Found it."},
		{"cumulative in each message", `{"text":"Let me"}` + "\n" + `{"text":"Let me look."}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `{"text":"Found"}` + "\n" + `{"text":"Found it."}` + "\n" + `done>{}`,
			"+Let me + look. end::x: +Found + it. final:Let me look.Found it."},
		{"cumulative, another message", `{"text":"One"}` + "\n" + `{"text":"One two"}` + "\n" + `{"text":"One two."}` + "\n" + `{"text":"Next"}` + "\n" + `{"text":"Next one."}` + "\n" + `done>{}`,
			"+One + two +. +\n\nNext + one. final:One two.\n\nNext one."},
		{"cumulative, mended", `{"text":"One"}` + "\n" + `{"text":"One twx"}` + "\n" + `{"text":"One twx three"}` + "\n" + `{"text":"One two three"}` + "\n" + `done>{}`,
			"+One + twx + three =One two three final:One two three"},
		{"cumulative from one letter on", `{"text":"O"}` + "\n" + `{"text":"OK"}` + "\n" + `done>{"text":"OK"}`, "+O +K final:OK"},
		{"cumulative, the first sent again before a tool", `{"text":"ha"}` + "\n" + `{"text":"ha"}` + "\n" + `tool>{"name":"x","result":""}` + "\n" + `{"text":"ha\n\nFound it."}` + "\n" + `done>{}`,
			"+ha +ha end::x: =ha\n\nFound it. final:ha\n\nFound it."},
		{"cumulative with equal messages", `{"text":"OK"}` + "\n" + `{"text":"OK\n\nOK"}` + "\n" + `done>{"text":"OK"}`, "+OK +\n\nOK final:OK\n\nOK"},
		{"pieces of a script of words", `{"text":"谢"}` + "\n" + `{"text":"谢你"}` + "\n" + `done>{}`, "+谢 +谢你 final:谢谢你"},
		{"pieces that repeat", `{"text":"ha"}` + "\n" + `{"text":"ha"}` + "\n" + `{"text":"haha"}` + "\n" + `done>{}`, "+ha +ha +haha final:hahahaha"},
		{"pieces that count", `{"text":"1"}` + "\n" + `{"text":"10"}` + "\n" + `done>{}`, "+1 +10 final:110"},
		{"pieces of a mark", `{"text":"#"}` + "\n" + `{"text":"##"}` + "\n" + `{"text":" Title"}` + "\n" + `done>{}`, "+# +## + Title final:### Title"},
		{"pieces of which one begins like the one before", `{"text":"an"}` + "\n" + `{"text":"and"}` + "\n" + `{"text":"!"}` + "\n" + `done>{}`, "+an +d =anand! final:anand!"},
		{"increments by name are that", `delta>{"text":"The"}` + "\n" + `delta>{"text":"The quick"}` + "\n" + `done>{}`, "+The +The quick final:TheThe quick"},
		{"only deltaText", `{"state":"delta","deltaText":"a"}` + "\n" + `{"state":"delta","deltaText":"a"}`, "+a +a"},
		{"agent text restarts", `{"stream":"assistant","data":{"text":"one","delta":"one"}}` + "\n" + `{"stream":"assistant","data":{"text":"two","delta":"two"}}`, "+one +\n\ntwo"},
		{"agent text again", `{"stream":"assistant","data":{"text":"one","delta":"one"}}` + "\n" + `{"stream":"assistant","data":{"text":"one","delta":"one"}}`, "+one ."},
		{"incomplete response", `{"type":"response.output_text.delta","delta":"a"}` + "\n" + `{"type":"response.incomplete","response":{}}`, "+a final:a"},
		{"invalid utf-8", "a\xff\xfeb", "+a\uFFFDb"},
		{"surrogates in two pieces", `{"delta":"a\ud83e"}` + "\n" + `{"delta":"\udd9eb"}`, "+a +🦞b"},
		{"surrogates on both sides", `{"delta":"\ud83e"}` + "\n" + `{"delta":"\udd9ea\ud83e"}` + "\n" + `{"delta":"\udd9e"}`, ". +🦞a +🦞"},
		{"surrogate left alone", `{"delta":"a\ud83e"}` + "\n" + `{"delta":"b"}` + "\n" + `[DONE]`, "+a +b final:ab"},
		{"surrogates in text and delta", `{"stream":"assistant","data":{"text":"\ud83e","delta":"\ud83e"}}` + "\n" + `{"stream":"assistant","data":{"text":"\ud83e\udd9eb","delta":"\udd9eb"}}`, ". +🦞b"},
		{"backslashes are no surrogates", `{"delta":"\\ud83e"}` + "\n" + `{"delta":"\"\udd9e\\ud83e"}`, `+\ud83e +"` + "\uFFFD" + `\ud83e`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var body bytes.Buffer
			for line := range strings.SplitSeq(tt.in, "\n") {
				if name, data, ok := strings.Cut(line, ">"); ok && !strings.ContainsAny(name, ` "{`) {
					fmt.Fprintf(&body, "event: %s\n", name)
					line = data
				}
				fmt.Fprintf(&body, "data: %s\n\n", line)
			}
			c := collect(t, &body, "", 0)
			if got := sketch(c.events); got != tt.want || c.err != nil {
				t.Errorf("got %q, want %q, %v", got, tt.want, c.err)
			}
		})
	}
}

func TestHeldErrorChunk(t *testing.T) {
	const chunk = `data: {"choices":[{"delta":{"content":"Error: x"},"finish_reason":"stop"}]}` + "\n\n"
	for in, want := range map[string]string{
		chunk:                      ". error::x",
		chunk + "data: [DONE]\n\n": ". error::x",
		chunk + "data: more\n\n":   ". +Error: x +more",
		"data: a\n\n" + chunk:      "+a +Error: x",
		chunk + "event: output\ndata: {\"text\":\"!\"}\n\ndata: [DONE]\n\n": ". +Error: x +! final:Error: x!",
	} {
		if got := sketch(collect(t, strings.NewReader(in), "", 0).events); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestAccumulatorTools(t *testing.T) {
	var a Accumulator
	for _, ev := range []Event{
		{Kind: EventToolStart, Tool: ToolCall{ID: "1", Name: "x"}},
		{Kind: EventToolStart, Tool: ToolCall{Name: "y", Arguments: []byte(`{}`)}},
		{Kind: EventToolStart, Tool: ToolCall{Name: "y", Arguments: []byte(`[]`)}},
		{Kind: EventToolUpdate, Tool: ToolCall{ID: "1", Arguments: []byte(`1`), Result: "half"}},
		{Kind: EventToolEnd, Tool: ToolCall{Name: "y", Result: "first"}},
		{Kind: EventToolEnd, Tool: ToolCall{ID: "1", Result: "whole", IsError: true}},
		{Kind: EventToolEnd, Tool: ToolCall{Result: "second"}},
		{Kind: EventToolEnd, Tool: ToolCall{ID: "9", Name: "z", Result: "alone"}},
		{Kind: EventText, Text: "a", SessionID: "s", MessageID: "m1"},
		{Kind: EventText, Text: "b", Replace: true, MessageID: "m2"},
		{Kind: EventText, Text: "c", RunID: "r"},
		{Kind: EventStatus, Text: "no text"},
	} {
		a.Add(ev)
	}
	r := a.Reply()
	want := `1 x 1 "whole" failed;  y {} "first";  y [] "second"; 9 z  "alone"`
	if got := formatTools(r.ToolCalls); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.Text != "bc" || a.Text() != "bc" || r.SessionID != "s" || r.MessageID != "m2" || r.RunID != "r" || a.Done() {
		t.Errorf("got %+v, done %v", r, a.Done())
	}
	a.Add(Event{Kind: EventFinal, Text: "bcd"})
	if a.Text() != "bcd" || !a.Done() || a.Err() != nil {
		t.Errorf("got %q, done %v, %v", a.Text(), a.Done(), a.Err())
	}
	a.Add(Event{Kind: EventError})
	if a.Err() == nil {
		t.Error("an error event without its error got lost")
	}
}

func TestDecodeEvents(t *testing.T) {
	const m1 = `{"id":"m1","role":"user","content":"Hi"}`
	const m2 = `{"role":"assistant","content":"Yo","created_at":"2026-03-20T18:24:10.5Z"}`
	for _, tt := range []struct{ name, contentType, in, want string }{
		{"sse", "text/event-stream", ": hello\n\nid: 42\nevent: message\ndata: " + m1 + "\n\nevent: ping\n\nevent: message\ndata: " + m2 + "\n\n", "user Hi 42|assistant Yo 2026-03-20T18:24:10.5Z"},
		{"wrapped", "text/event-stream", `data: {"type":"message","seq":7,"message":` + m1 + "}\n\n" + `data: {"type":"heartbeat"}` + "\n\n" + `data: {"type":"event","event":"message","cursor":"c","payload":` + m2 + "}", "user Hi 7|assistant Yo c"},
		{"cut", "text/event-stream", "data: " + m1 + "\n\ndata: {\"id\":\"m3\",\"ro", "user Hi m1"},
		{"array", "application/json", "[" + m1 + "," + m2 + "]", "user Hi m1|assistant Yo 2026-03-20T18:24:10.5Z"},
		{"page", "application/json", `{"events":[` + m1 + "," + m2 + `],"next":99}`, "user Hi m1|assistant Yo 99"},
		{"page of wrapped", "application/json", `{"events":[{"seq":1,"type":"message","message":` + m1 + `},{"seq":2,"message":` + m2 + `}],"next":"n"}`, "user Hi 1|assistant Yo 2"},
		{"page in sse", "text/event-stream", `data: {"events":[` + m1 + `],"next":"n"}` + "\n\n", "user Hi n"},
		{"lines", "application/x-ndjson", m1 + "\n\n" + m2, "user Hi m1|assistant Yo 2026-03-20T18:24:10.5Z"},
		{"nothing", "application/json", "", ""},
		{"empty page", "application/json", `{"events":[],"next":null}`, ""},
		{"error", "text/event-stream", "data: " + m1 + "\n\nevent: error\ndata: {\"error\":\"gone\",\"message\":\"The session is gone\"}\n\ndata: " + m2 + "\n\n", "user Hi m1|gone: The session is gone"},
		{"error in data", "text/event-stream", "data: {\"type\":\"error\",\"error\":\"it broke\"}\n\n", ": it broke"},
		{"no list", "application/json", "oops", ": the answer has no list of events: it is not JSON"},
		{"other kinds", "text/event-stream", "event: status\ndata: {\"message\":\"busy\"}\n\ndata: {\"type\":\"typing\"}\n\ndata: text\n\n", ""},
	} {
		var got []string
		for ev, err := range decodeEvents(strings.NewReader(tt.in), tt.contentType, 0, (&core{masked: func() []string { return nil }}).maskBroken) {
			if err != nil {
				e := readError(err)
				got = append(got, e.Code+": "+e.Message)
				continue
			}
			got = append(got, fmt.Sprintf("%s %s %s", ev.Message.Role, ev.Message.Text, ev.Cursor))
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

// Work must grow with the bytes that come, not with what came before.
func TestDecodeStreamIsLinear(t *testing.T) {
	quickest := func(events int) time.Duration { // of several: the machine may be busy
		body, best := incrementalBody(events), time.Hour
		for range 4 {
			began := time.Now()
			if c := collect(t, bytes.NewReader(body), "", 0); !c.final() {
				t.Error("no end")
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	if few, many := quickest(5_000), quickest(100_000); many > 100*few {
		t.Errorf("twenty times the events take %s, not %s", many, few)
	}
}

func incrementalBody(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "event: delta\ndata: {\"delta\":\"word%d \"}\n\n", i%10)
	}
	b.WriteString("event: done\ndata: {}\n\n")
	return b.Bytes()
}

func cumulativeBody(n int) []byte {
	var b, text bytes.Buffer
	for i := range n {
		fmt.Fprintf(&text, "word%d ", i%10)
		fmt.Fprintf(&b, "data: {\"runId\":\"r\",\"state\":\"delta\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]}}\n\n", text.Bytes())
	}
	b.WriteString("data: {\"runId\":\"r\",\"state\":\"final\"}\n\n")
	return b.Bytes()
}

// The bytes of a cumulative stream grow with the square of its events, so E
// has fewer of them, and deltaText stands in for a long one.
func BenchmarkDecodeStream(b *testing.B) {
	bodies := map[string][]byte{
		"D-100k":          incrementalBody(100_000),
		"E-2k-cumulative": cumulativeBody(2000),
		"E-100k-deltaText": append(bytes.Repeat([]byte(`data: {"runId":"r","state":"delta","deltaText":"word "}`+"\n\n"), 100_000),
			"data: {\"state\":\"final\"}\n\n"...),
	}
	for name, body := range bodies {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var a Accumulator
				for ev := range decodeStream(bytes.NewReader(body), "text/event-stream", 0) {
					a.Add(ev)
				}
				if !a.Done() {
					b.Fatal("no end")
				}
			}
		})
	}
}

// TestTranscript is the example in the comment of transcript.
func TestTranscript(t *testing.T) {
	var text transcript
	add := func(s string) change { return change{text: s} }
	for i, step := range []struct{ got, want change }{
		{text.increment("", "Let me "), add("Let me ")},
		{text.increment("", "look. "), add("look. ")},
		{text.message("m1", "Let me look. "), change{}},
		{func() change { text.boundary(); return change{} }(), change{}},
		{text.increment("", "Fou"), add("Fou")},
		{text.message("m2", "Found."), add("nd.")},
		{text.message("m1", "Let me look. "), change{}},
		{text.final("Found."), change{}},
	} {
		if step.got != step.want {
			t.Errorf("step %d: got %+v, want %+v", i, step.got, step.want)
		}
	}
	if got := string(text.buf); got != "Let me look. Found." {
		t.Errorf("shown: %q", got)
	}
}

// Objects that may turn out to be text are kept up to the size of a reply.
func TestEndlessPieces(t *testing.T) {
	stray := `{"x":"` + strings.Repeat("y", 1<<20) + `"}`
	n := &normaliser{yield: func(Event) bool { return true }}
	for range 40 {
		n.frame(frame{name: "delta", data: []byte(stray)})
	}
	if len(n.pieces.buf) > maxReplyText+2<<20 {
		t.Errorf("%d bytes are kept", len(n.pieces.buf))
	}
}

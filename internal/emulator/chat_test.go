package emulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

func decode(t *testing.T, raw string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return v
}

// gated says "one ", then waits for a token before each further word.
func gated(gate <-chan struct{}, words ...string) emulator.Agent {
	return emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for i, w := range words {
			if i > 0 {
				select {
				case <-gate:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := emit(text(w)); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestChat(t *testing.T) {
	var turn emulator.Turn
	f := start(t, emulatortest.Options{Agent: emulator.AgentFunc(func(_ context.Context, got emulator.Turn, emit func(emulator.AgentEvent) error) error {
		turn = got
		return emit(text("You said " + got.Message))
	})})
	if v := f.want(200, "GET", f.in("/chat/messages"), ""); len(v.([]any)) != 0 {
		t.Errorf("messages before any: %v", v)
	}
	f.want(404, "POST", f.in("/chat"), `{"message":"x","session_id":"nope"}`)
	v := f.want(200, "POST", f.in("/chat"), `{"message":"a"}`)
	if got := get(t, v, "message", "content"); got != "You said a" {
		t.Errorf("reply %v", got)
	}
	first := get(t, v, "session_id").(string)
	second := get(t, f.want(201, "POST", f.in("/chat/sessions"), `{"title":"B"}`), "id").(string)
	if got := get(t, f.want(200, "GET", f.in("/chat/sessions"), ""), 0, "id"); got != second {
		t.Errorf("the first session is %v, want the newest %v", got, second)
	}
	f.want(200, "POST", f.in("/chat"), `{"message":"b"}`)
	if turn.Session != second || len(turn.History) != 0 {
		t.Errorf("the newest session is not the default: %+v", turn)
	}
	f.want(200, "POST", f.in("/chat"), `{"message":"c","session_id":"`+first+`"}`)
	if turn.Session != first || len(turn.History) != 2 || turn.History[1].Text != "You said a" {
		t.Errorf("turn %+v", turn)
	}
	messages := func(query string) string {
		t.Helper()
		var texts []string
		for _, m := range f.want(200, "GET", f.in("/chat/messages?session_id="+first+query), "").([]any) {
			texts = append(texts, get(t, m, "content").(string))
		}
		return strings.Join(texts, "|")
	}
	for query, want := range map[string]string{
		"":                   "a|You said a|c|You said c",
		"&limit=1":           "a",
		"&limit=1&tail=true": "You said c",
		"&tail=true":         "a|You said a|c|You said c",
		"&limit=9&tail=true": "a|You said a|c|You said c",
	} {
		if got := messages(query); got != want {
			t.Errorf("messages%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"?limit=x", "?limit=0", "?limit=-1", "?tail=maybe"} {
		f.want(400, "GET", f.in("/chat/messages"+query), "")
	}
	f.want(404, "GET", f.in("/chat/messages?session_id=nope"), "")
	stored := f.srv.Messages(f.id, first)
	seen := map[string]bool{}
	for i, m := range stored {
		if seen[m.ID] || i > 0 && !m.CreatedAt.After(stored[i-1].CreatedAt) {
			t.Errorf("message %d: %+v", i, m)
		}
		seen[m.ID] = true
	}
}

// The reply goes on after its client has left, whatever endpoint it used.
func TestReplyOutlivesItsClient(t *testing.T) {
	for _, path := range []string{"/chat", "/chat/stream"} {
		gate := make(chan struct{})
		f := start(t, emulatortest.Options{Agent: gated(gate, "one ", "two ", "three")})
		session := get(t, f.want(201, "POST", f.in("/chat/sessions"), ""), "id").(string)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if resp, err := f.request(ctx, "POST", f.in(path), `{"message":"x"}`); err == nil {
				resp.Body.Read(make([]byte, 1))
				<-ctx.Done()
				resp.Body.Close()
			}
		}()
		eventually(t, "the stored question", func() bool { return len(f.srv.Messages(f.id, session)) == 1 })
		cancel()
		<-left
		eventually(t, "the stream's end", func() bool { return f.srv.OpenStreams() == 0 })
		close(gate)
		eventually(t, "the stored reply", func() bool { return len(f.srv.Messages(f.id, session)) == 2 })
		if got := f.srv.Messages(f.id, session)[1]; got.Text != "one two three" || got.StopReason != "stop" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestStoppingAborts(t *testing.T) {
	for _, how := range []string{"/shutdown", "/reboot", "close"} {
		f := start(t, emulatortest.Options{Agent: gated(nil, "one ", "never")})
		st := f.stream("POST", f.in("/chat/stream"), `{"message":"x"}`)
		ev, _ := st.next()
		session := get(t, decode(t, ev.data), "session_id").(string)
		if ev, _ = st.next(); ev.name != "delta" {
			t.Fatalf("%+v", ev)
		}
		// A second message waits for the first reply, and is aborted with it.
		other := f.stream("POST", f.in("/chat/stream"), `{"message":"y"}`)
		if how == "close" {
			f.srv.Close()
		} else {
			f.do("POST", f.in(how), "")
		}
		if ev, _ = st.next(); ev.name != "error" || !strings.Contains(ev.data, "aborted") {
			t.Errorf("%s: %+v", how, ev)
		}
		if rest := other.all(); len(rest) == 0 || rest[len(rest)-1].name != "error" {
			t.Errorf("%s: the queued reply ends with %+v", how, rest)
		}
		stored := f.srv.Messages(f.id, session)
		if len(stored) != 4 || stored[2].Text != "one " || stored[2].StopReason != "aborted" {
			t.Errorf("%s: stored %+v", how, stored)
		}
	}
}

func TestAgentError(t *testing.T) {
	agent := emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		emit(text("so far"))
		return errors.New("out of tokens")
	})
	f := start(t, emulatortest.Options{Agent: agent})
	if v := f.want(500, "POST", f.in("/chat"), `{"message":"x"}`); get(t, v, "message") != "out of tokens" {
		t.Errorf("%v", v)
	}
	m := f.want(200, "GET", f.in("/chat/messages?tail=true&limit=1"), "")
	if get(t, m, 0, "content") != "so far" || get(t, m, 0, "stop_reason") != "error" {
		t.Errorf("stored %v", m)
	}
}

func TestFollowMessages(t *testing.T) {
	gate := make(chan struct{})
	tool := &emulator.ToolCall{ID: "t1", Name: "exec", Result: "out"}
	f := start(t, emulatortest.Options{Heartbeat: 10 * time.Millisecond, Agent: emulator.AgentFunc(
		func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
			<-gate
			emit(emulator.AgentEvent{Kind: emulator.ToolStart, Tool: tool})
			emit(emulator.AgentEvent{Kind: emulator.ToolEnd, Tool: tool})
			return emit(text("Hi"))
		})})
	f.want(404, "GET", f.in("/chat/events"), "")
	session := get(t, f.want(201, "POST", f.in("/chat/sessions"), ""), "id").(string)
	events := f.in("/chat/events?session_id=" + session)
	live := f.stream("GET", events, "")
	f.stream("POST", f.in("/chat/stream"), `{"message":"x"}`)
	ev, _ := live.next()
	if ev.id != "1" || ev.name != "message" || get(t, decode(t, ev.data), "role") != "user" {
		t.Errorf("%+v", ev)
	}
	close(gate)
	for i, want := range []string{"tool", "assistant"} {
		ev, _ := live.next()
		if ev.id != []string{"2", "3"}[i] || get(t, decode(t, ev.data), "role") != want {
			t.Errorf("%+v", ev)
		}
	}
	stored := f.srv.Messages(f.id, session)
	for after, first := range map[string]string{
		"0":                             "1",
		"2":                             "3",
		stored[0].ID:                    "2",
		stored[1].ID:                    "3",
		stamp(stored[0].CreatedAt):      "2",
		"2020-01-01T00:00:00%2B01:00":   "1",
		"2020-01-01T00:00:00.000+01:00": "1",
	} {
		ev, _ := f.stream("GET", events+"&after="+after, "").next()
		if ev.id != first {
			t.Errorf("after %s: %+v", after, ev)
		}
	}
	for _, after := range []string{"4", "-1", "nope"} {
		f.want(400, "GET", events+"&after="+after, "")
	}
	f.want(404, "GET", f.in("/chat/events?session_id=nope"), "")
	if f.srv.OpenStreams() == 0 {
		t.Error("no stream is open")
	}
	// Heartbeats come, and are comments.
	quiet := f.stream("GET", events+"&after=3", "")
	if !quiet.scan.Scan() || quiet.scan.Text() != ": ping" {
		t.Errorf("heartbeat %q", quiet.scan.Text())
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func TestLastEventID(t *testing.T) {
	f := start(t, emulatortest.Options{Agent: script(text("Hi"))})
	f.want(200, "POST", f.in("/chat"), `{"message":"x"}`)
	r := f.prepare("GET", f.in("/chat/events?after=0"), "")
	r.Header.Set("Last-Event-ID", "1")
	resp, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 6)
	if resp.Body.Read(buf); string(buf) != "id: 2\n" {
		t.Errorf("%q", buf)
	}
}

func TestFollowByPolling(t *testing.T) {
	f := start(t, emulatortest.Options{Agent: script(text("Hi")), EventsAsPoll: true, PollWait: 10 * time.Millisecond})
	f.want(200, "POST", f.in("/chat"), `{"message":"x"}`)
	v := f.want(200, "GET", f.in("/chat/events?after=1"), "")
	if get(t, v, "events", 0, "content") != "Hi" || get(t, v, "next") != 2.0 {
		t.Errorf("%v", v)
	}
	v = f.want(200, "GET", f.in("/chat/events?after=2"), "")
	if len(get(t, v, "events").([]any)) != 0 || get(t, v, "next") != 2.0 {
		t.Errorf("%v", v)
	}
}

func TestClock(t *testing.T) {
	at := time.Date(2026, 3, 20, 18, 24, 10, 0, time.UTC)
	f := start(t, emulatortest.Options{Clock: func() time.Time { return at }, Agent: script(text("Hi"))})
	f.want(200, "POST", f.in("/chat"), `{"message":"x"}`)
	m := f.want(200, "GET", f.in("/chat/messages"), "")
	for i, want := range []string{"2026-03-20T18:24:10.000Z", "2026-03-20T18:24:10.001Z"} {
		if got := get(t, m, i, "created_at"); got != want {
			t.Errorf("message %d: %v, want %v", i, got, want)
		}
	}
}

// Tool results and events have a form in each dialect.
func TestMessageForms(t *testing.T) {
	for dialect, want := range map[emulatortest.Dialect]struct{ tool, event string }{
		emulatortest.Snake: {`{"content":"partial","created_at":"…","id":"ID","is_error":false,"role":"tool","session_id":"ID",` +
			`"tool_call_id":"t1","tool_name":"exec"}`, ""},
		emulatortest.Camel: {`{"content":[{"text":"partial","type":"text"}],"id":"ID","isError":false,"role":"toolResult",` +
			`"sessionId":"ID","timestamp":…,"toolCallId":"t1","toolName":"exec"}`, ""},
		emulatortest.Wrapped: {`{"created_at":"…","id":"ID","is_error":false,"role":"tool_result","session_id":"ID","text":"partial",` +
			`"tool_call_id":"t1","tool_name":"exec"}`, `{"message":%,"seq":2,"type":"message"}`},
	} {
		f := start(t, emulatortest.Options{Messages: dialect, Agent: scripted(true)})
		f.want(500, "POST", f.in("/chat"), `{"message":"x"}`)
		st := f.stream("GET", f.in("/chat/events?after=1"), "")
		ev, _ := st.next()
		got := timePattern.ReplaceAllString(idPattern.ReplaceAllString(ev.data, "ID"), "${1}…")
		expect := want.tool
		if want.event != "" {
			expect = strings.Replace(want.event, "%", want.tool, 1)
		}
		if got != expect || ev.id != "2" {
			t.Errorf("%s: got %s, want %s", dialect, got, expect)
		}
		if ev, _ = st.next(); !strings.Contains(ev.data, "rate limited") {
			t.Errorf("%s: a failed reply is stored as %s", dialect, ev.data)
		}
	}
}

package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var recordings = flag.String("recordings", "../testdata/real", "what OpenClaw itself sent, as e2e/real/record.mjs wrote it down")

// recording is one run of OpenClaw itself with a scripted model.
type recording struct {
	Scenario   string
	OpenClaw   string
	SessionKey string
	RunID      string
	Message    string
	Reply      string   // what the model said in the run
	Later      string   // what it said in a run that went on with this one: a reader may wait for it
	Rows       []string // what it said in the session
	Tools      []struct {
		Name      string
		Arguments json.RawMessage
		Result    string // a part of it
		Failed    bool
	}
	End   string // final, aborted, error, or failed for either of the last two
	Error string // a part of the reason

	events  []recordedEvent
	history json.RawMessage

	contentType, body string // of one of the gateway's HTTP endpoints, in place of events and history
}

// recordedEvent is a frame of the gateway.
type recordedEvent struct {
	Event   string
	Payload json.RawMessage
	frame   []byte
}

func readRecording(t *testing.T, path string) recording {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 16<<20)
	for n := 0; lines.Scan(); n++ {
		var line struct {
			recordedEvent
			Method            string
			Result            json.RawMessage
			ContentType, Body string
		}
		into := any(&line)
		if n == 0 {
			into = &r
		}
		if err := json.Unmarshal(lines.Bytes(), into); err != nil {
			t.Fatalf("%s:%d: %v", path, n+1, err)
		}
		switch {
		case line.Method == "chat.history":
			r.history = line.Result
		case line.Body != "":
			r.contentType, r.body = line.ContentType, line.Body
		case line.Event != "":
			line.frame = bytes.Clone(lines.Bytes())
			r.events = append(r.events, line.recordedEvent)
		}
	}
	if lines.Err() != nil || r.End == "" || r.body == "" && (len(r.events) == 0 || r.history == nil) {
		t.Fatalf("%s is not a whole recording: %d events, %v", path, len(r.events), lines.Err())
	}
	return r
}

// relays are the ways in which a service may pass the gateway's events on.
var relays = []struct {
	name string
	line func(recordedEvent) string // "" leaves the event out
}{
	{"chat events", func(e recordedEvent) string {
		return only(e.Event == "chat", "data: %s\n\n", e.Payload)
	}},
	{"chat events in their frames", func(e recordedEvent) string {
		return only(e.Event == "chat", "data: %s\n\n", e.frame)
	}},
	{"agent events", func(e recordedEvent) string {
		return only(e.Event == "agent", "data: %s\n\n", e.Payload)
	}},
	{"agent events with names", func(e recordedEvent) string {
		return only(e.Event == "agent", "event: agent\ndata: %s\n\n", e.Payload)
	}},
	{"both with names", func(e recordedEvent) string {
		return only(e.Event == "chat" || e.Event == "agent", "event: "+e.Event+"\ndata: %s\n\n", e.Payload)
	}},
	{"every frame", func(e recordedEvent) string {
		return fmt.Sprintf("data: %s\n\n", e.frame)
	}},
}

func only(relayed bool, format string, data []byte) string {
	if !relayed {
		return ""
	}
	return fmt.Sprintf(format, data)
}

// TestRealStreams passes what OpenClaw itself sent through the client, and compares
// the reply with what the model said.
func TestRealStreams(t *testing.T) {
	for _, path := range recorded(t) {
		r := readRecording(t, path)
		if r.body != "" {
			r.check(t, "", r.contentType, r.body)
			continue
		}
		for _, relay := range relays {
			var stream strings.Builder
			for _, e := range r.events {
				stream.WriteString(relay.line(e))
			}
			r.check(t, relay.name, "text/event-stream", stream.String())
		}
	}
}

func (r recording) check(t *testing.T, relay, contentType, stream string) {
	name := strings.TrimSuffix(r.Scenario+"/"+relay, "/")
	t.Run(name, func(t *testing.T) {
		c := serve(t, answer(200, contentType, stream))
		var acc Accumulator
		for ev, err := range c.Chat.Stream(t.Context(), "i1", SendRequest{Message: r.Message, SessionID: r.SessionKey}) {
			if err != nil {
				t.Fatal(err)
			}
			acc.Add(ev)
		}
		for _, p := range r.compare(&acc, !strings.HasPrefix(relay, "chat")) {
			t.Error(p)
		}
	})
}

// compare gives what is wrong with a reply. Chat events tell of no tools.
func (r recording) compare(acc *Accumulator, withTools bool) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	reply := acc.Reply()
	followed := r.Later != "" && strings.HasSuffix(reply.Text, r.Later)
	if reply.Text != r.Reply && !followed {
		bad("the reply is %q, but the model said %q", reply.Text, r.Reply)
	}
	end, reason := "cut off", ""
	switch err := acc.Err(); {
	case err != nil && err.Code == "aborted":
		end, reason = "aborted", err.Message
	case err != nil:
		end, reason = "error", err.Message
	case acc.Done():
		end = "final"
	}
	if failed := end == "aborted" || end == "error"; end != r.End && (r.End != "failed" || !failed) {
		bad("the run ended as %s (%s), not as %s", end, reason, r.End)
	} else if !strings.Contains(reason, r.Error) {
		bad("the reason is %q, which does not have %q", reason, r.Error)
	}
	if r.RunID != "" && reply.RunID != r.RunID && !followed {
		bad("the run is %q, not %q", reply.RunID, r.RunID)
	}
	if !withTools {
		return problems
	}
	for _, want := range r.Tools {
		i := slices.IndexFunc(reply.ToolCalls, func(c ToolCall) bool {
			return c.Name == want.Name && sameJSON(c.Arguments, want.Arguments)
		})
		switch {
		case i < 0:
			bad("no call of %s with %s among %+v", want.Name, want.Arguments, reply.ToolCalls)
		case !strings.Contains(reply.ToolCalls[i].Result, want.Result) || reply.ToolCalls[i].IsError != want.Failed:
			bad("the call of %s gave %q (failed: %v), not %q (failed: %v)", want.Name,
				reply.ToolCalls[i].Result, reply.ToolCalls[i].IsError, want.Result, want.Failed)
		}
	}
	return problems
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

// TestRealHistories reads the gateway's answers to chat.history.
func TestRealHistories(t *testing.T) {
	for _, path := range recorded(t) {
		r := readRecording(t, path)
		if r.history == nil {
			continue
		}
		t.Run(r.Scenario, func(t *testing.T) {
			c := serve(t, answer(200, "application/json", string(r.history)))
			page, err := c.Chat.Messages(t.Context(), "i1", MessagesQuery{SessionID: r.SessionKey})
			if err != nil {
				t.Fatal(err)
			}
			asked, said := 0, []string{}
			for _, m := range page.Items {
				if m.CreatedAt.IsZero() {
					t.Errorf("no time in %+v", m)
				}
				if m.Role == RoleUser && m.Text == r.Message {
					asked++
				}
				if m.Role == RoleAssistant && m.Text != "" {
					said = append(said, m.Text)
				}
			}
			if asked != 1 {
				t.Errorf("the question is in the history %d times", asked)
			}
			if !slices.Equal(said, r.Rows) {
				t.Errorf("the agent said %q, want %q", said, r.Rows)
			}
		})
	}
}

// TestRealEvents reads the gateway's session.message events as chat/events would
// give them. They lack the texts that a tool call follows, and those that the gateway
// makes.
func TestRealEvents(t *testing.T) {
	for _, path := range recorded(t) {
		r := readRecording(t, path)
		if r.history == nil {
			continue
		}
		t.Run(r.Scenario, func(t *testing.T) {
			var stream strings.Builder
			for _, e := range r.events {
				stream.WriteString(only(e.Event == "session.message", "data: %s\n\n", e.Payload))
			}
			c := serve(t, answer(200, "text/event-stream", stream.String()))
			asked, last := 0, ""
			for ev, err := range c.Chat.Events(t.Context(), "i1", EventsQuery{SessionID: r.SessionKey}) {
				if err != nil {
					t.Fatal(err)
				}
				switch m := ev.Message; {
				case ev.Cursor == "":
					t.Errorf("nothing says where to read on after %+v", m)
				case m.Role == RoleUser && m.Text == r.Message:
					asked++
				case m.Role == RoleAssistant && m.Text != "":
					last = m.Text
					if !slices.Contains(r.Rows, m.Text) {
						t.Errorf("the agent said %q, which is not among %q", m.Text, r.Rows)
					}
				}
			}
			if asked != 1 {
				t.Errorf("the question came %d times", asked)
			}
			if len(r.Rows) == 0 {
				return
			}
			want := r.Rows[len(r.Rows)-1]
			if raw, _ := json.Marshal(want); strings.Contains(stream.String(), `"text":`+string(raw)) && last != want {
				t.Errorf("the last text is %q, want %q", last, want)
			}
		})
	}
}

func recorded(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(*recordings, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings in %s (%v)", *recordings, err)
	}
	return paths
}

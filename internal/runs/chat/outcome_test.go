package chat

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// TestArrived loses the connection after the message was taken, with no byte of
// an answer.
func TestArrived(t *testing.T) {
	t.Parallel()
	for _, dialect := range []emulatortest.Dialect{emulatortest.Snake, emulatortest.Camel, emulatortest.Wrapped} {
		w := start(t, emulatortest.Options{Agent: script(words...), Messages: dialect,
			Faults: []emulatortest.Fault{{Endpoint: streamEndpoint, After: true, Drop: true}}})
		session := w.session()
		for range 3 { // the same words each time: not to be taken for each other
			u := w.Done(w.send(Request{Session: session}), nil)
			if u.Status != runs.StatusCompleted || u.Text != strings.Join(words, "") {
				t.Errorf("%s: got %s %q, %v", dialect, u.Status, u.Text, u.Err)
			}
		}
		if n := w.users(session); n != 3 {
			t.Errorf("%s: got %d messages, want 3", dialect, n)
		}
	}
}

// TestNeverArrived loses the message, in a session that has the same one, and
// its reply, from before.
func TestNeverArrived(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Agent: script("hi")})
	session := w.session()
	w.Done(w.send(Request{Session: session}), nil)
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, Drop: true})
	u := w.Done(w.send(Request{Session: session}), nil)
	if u.Status != runs.StatusFailed || outcome(u.Err) != client.OutcomeUnknown || u.Text != "" {
		t.Errorf("got %+v", u)
	}
	if notes := strings.Join(u.Notes, "\n"); !strings.Contains(notes, `assistant's`) || !strings.Contains(notes, `"hi"`) {
		t.Errorf("the notes do not say what the history shows: %q", notes)
	}
	if n := w.Srv.Calls(streamEndpoint); n != 2 || w.users(session) != 1 {
		t.Errorf("got %d posts, want 2", n)
	}
}

// TestRedirected has an answer that leaves the message's fate open: no connection was lost.
func TestRedirected(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: streamEndpoint, Status: http.StatusFound, Header: http.Header{"Location": {"/login"}}}}})
	u := w.Done(w.send(Request{Session: w.session()}), nil)
	if u.Status != runs.StatusFailed || outcome(u.Err) != client.OutcomeUnknown || !strings.Contains(u.Err.Error(), "does not tell") || strings.Contains(u.Err.Error(), "lost") {
		t.Errorf("got %s, %v", u.Status, u.Err)
	}
}

// TestNotConnected has no service at all.
func TestNotConnected(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	session := w.session()
	w.Web.Close()
	w.Client.CloseIdleConnections()
	u := w.Done(w.send(Request{Session: session}), nil)
	if u.Status != runs.StatusFailed || outcome(u.Err) != client.OutcomeNotSent {
		t.Errorf("got %+v", u)
	}
	if _, _, err := w.m.chat.Send(t.Context(), Request{Instance: w.ID, Message: "m"}); outcome(err) != client.OutcomeNotSent {
		t.Errorf("got %v", err)
	}
}

// TestStorm has the history refuse to answer for a while.
func TestStorm(t *testing.T) {
	t.Parallel()
	for _, status := range []int{408, 429, 500, 502, 503, 504, 404} {
		faults := []emulatortest.Fault{{Endpoint: streamEndpoint, CutEvents: 2}}
		for call := 2; call < 12; call++ { // the first is the look before sending
			faults = append(faults, emulatortest.Fault{Endpoint: messagesEndpoint, Call: call, Status: status,
				Body: "<html>no</html>", Header: http.Header{"Content-Type": {"text/html"}}})
		}
		if status == 404 { // that is no storm, but a service being restarted
			faults = faults[:2]
		}
		w := start(t, emulatortest.Options{Agent: script(words...), Faults: faults})
		p := &record{}
		session := w.session()
		w.whole(strings.Join(words, ""))(t, session, w.Done(w.send(Request{Session: session}), p), p)
		if status != 404 && !p.Has("does not answer") {
			t.Errorf("%d: nobody was told: %v", status, p.Lines)
		}
	}
}

// TestAway has the service away for a while, in the middle of a reply.
func TestAway(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	w := start(t, emulatortest.Options{Agent: fed(ch)})
	session := w.session()
	r := w.send(Request{Session: session})
	ch <- "before, "
	p := &record{}
	result := make(chan *runs.Update)
	go func() { result <- w.Done(r, p) }()
	eventually(t, "the first words", func() bool { return p.Joined() != "" })
	address := w.Web.Listener.Addr().String()
	w.Web.CloseClientConnections()
	w.Web.Listener.Close()
	w.Client.CloseIdleConnections()
	ch <- "while away, "
	eventually(t, "the word of it", func() bool { return p.Has("does not answer") })
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // attempts that fail
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	back := httptest.NewUnstartedServer(w.Srv)
	back.Listener.Close()
	back.Listener = l
	back.Start()
	t.Cleanup(back.Close)
	ch <- "after"
	close(ch)
	w.whole("before, while away, after")(t, session, <-result, p)
	w.Client.CloseIdleConnections()
}

// TestNoHistory has a service without the endpoint: what is not known is said.
func TestNoHistory(t *testing.T) {
	t.Parallel()
	text := strings.Join(words, "")
	for name, tt := range map[string]struct {
		fault  emulatortest.Fault
		status runs.Status
		text   string
		note   string
	}{
		"a whole stream": {emulatortest.Fault{}, runs.StatusCompleted, text, ""},
		"a clean cut":    {emulatortest.Fault{CutEvents: 3, CleanCut: true}, runs.StatusCompleted, words[0], "may be incomplete"},
		"a cut":          {emulatortest.Fault{CutEvents: 3}, runs.StatusFailed, words[0], "no history"},
		"no answer":      {emulatortest.Fault{Drop: true}, runs.StatusFailed, "", "no history"},
		"a mark alone": {emulatortest.Fault{Status: http.StatusOK, Body: "event: done\ndata: ok\n\n", Header: http.Header{"Content-Type": {"text/event-stream"}}},
			runs.StatusCompleted, "ok", noteUnsure},
	} {
		tt.fault.Endpoint = streamEndpoint
		w := start(t, emulatortest.Options{Agent: script(words...),
			Faults: []emulatortest.Fault{{Endpoint: messagesEndpoint, Status: 404}, tt.fault}})
		r := w.send(Request{Session: w.session()})
		u := w.Done(r, nil)
		if u.Status != tt.status || u.Text != tt.text || !strings.Contains(strings.Join(u.Notes, "\n"), tt.note) {
			t.Errorf("%s: got %s %q, %v, notes %q", name, u.Status, u.Text, u.Err, u.Notes)
		}
		if tt.status == runs.StatusFailed && outcome(u.Err) != client.OutcomeUnknown {
			t.Errorf("%s: got %v", name, u.Err)
		}
		if u := w.Done(w.open(w.process(testKey, ""), r.Handle()), nil); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "process") {
			t.Errorf("%s: elsewhere: %+v", name, u)
		}
	}
}

// TestClosedEarly has the stream end cleanly, but with no end marker, while the
// agent works on: for a while, and for good.
func TestClosedEarly(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	w := start(t, emulatortest.Options{Agent: fed(ch), Heartbeat: 10 * time.Millisecond,
		Faults: []emulatortest.Fault{{Endpoint: streamEndpoint, CutEvents: 2, CleanCut: true}}})
	session := w.session()
	r := w.send(Request{Session: session})
	ch <- "first, "
	eventually(t, "the end of the stream", func() bool { return w.Srv.OpenStreams() == 0 })
	reads := w.Srv.Calls(messagesEndpoint)
	eventually(t, "looks at the history", func() bool { return w.Srv.Calls(messagesEndpoint) >= reads+3 })
	if u := runstest.Now(t, r); u.Status != runs.StatusRunning || u.Text != "first, " {
		t.Errorf("got %+v", u)
	}
	ch <- "last"
	close(ch)
	p := &record{}
	w.whole("first, last")(t, session, w.Done(r, p), p)

	w = start(t, emulatortest.Options{Agent: fed(nil), Heartbeat: 10 * time.Millisecond,
		Faults: []emulatortest.Fault{{Endpoint: streamEndpoint, CutEvents: 1, CleanCut: true}}})
	w.m.chat.timing.patience = 2 * quick.lag
	if u := w.Done(w.send(Request{Session: w.session()}), nil); u.Text != "" || !strings.Contains(strings.Join(u.Notes, ""), "no text") {
		t.Errorf("got %+v", u)
	}
}

// TestShortHistory has a history that shows nothing, or less than the stream.
func TestShortHistory(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ history, note string }{
		"nothing": {`[]`, "does not show the reply"},
		"less":    {`[{"id":"1","role":"user","content":"hello"},{"id":"2","role":"assistant","content":"He"}]`, "has less"},
		"trimmed": {`[{"id":"1","role":"user","content":"hello"},{"id":"2","role":"assistant","content":"Hel"}]`, "stood unchanged"},
	} {
		w := start(t, emulatortest.Options{Agent: script("Hel", " "), Faults: []emulatortest.Fault{
			{Endpoint: streamEndpoint, CutEvents: 6, CleanCut: true},
			{Endpoint: messagesEndpoint, Call: 1, Status: 200, Body: "[]"},
			{Endpoint: messagesEndpoint, Status: 200, Body: tt.history}}})
		u := w.Done(w.send(Request{Session: w.session()}), nil)
		if notes := strings.Join(u.Notes, ""); u.Status != runs.StatusCompleted || u.Text != "Hel " || !strings.Contains(notes, tt.note) {
			t.Errorf("%s: got %s %q, notes %q", name, u.Status, u.Text, notes)
		}
	}
}

// TestParts has a history that stores a reply in several messages: who resumes
// reads on where the stream was read.
func TestParts(t *testing.T) {
	t.Parallel()
	for _, sep := range separators {
		shown := "I look." + sep + "It is fine."
		w := start(t, emulatortest.Options{Agent: script(shown)})
		r := w.send(Request{Session: w.session()})
		u := w.Done(r, nil)
		half := w.open(w.m, w.m.List()[0].Handle)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		first, err := half.Wait(ctx, runs.UntilDone, len("I look.")+len(sep)+2, nil)
		cancel()
		if err != nil || !first.More {
			t.Fatalf("got %+v, %v", first, err)
		}
		w.Srv.SetFaults(emulatortest.Fault{Endpoint: messagesEndpoint, Status: 200, Body: `[{"id":"0","role":"assistant","content":"old"},
			{"id":"1","role":"user","content":"[10:00] hello"},
			{"id":"2","role":"assistant","content":[{"type":"text","text":"I look."},{"type":"toolCall","id":"t","name":"exec","arguments":{}}]},
			{"id":"3","role":"toolResult","toolCallId":"t","content":"total 0"},
			{"id":"4","role":"assistant","content":"It is fine."}]`})
		other := w.process(testKey, "")
		state, _ := other.Inspect(first.Handle)
		state.Own = own(identity(client.Message{ID: "0", Role: client.RoleAssistant}), hashMessage("hello"))
		rest := w.Done(w.open(other, other.Seal(state)), nil)
		if got := first.Text + rest.Text; got != u.Text || rest.Revised {
			t.Errorf("%q: got %q, revised %t", sep, got, rest.Revised)
		}
	}
}

// TestKeyRevoked ends the following where no patience helps.
func TestKeyRevoked(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Agent: script(words...), Faults: []emulatortest.Fault{
		{Endpoint: streamEndpoint, CutEvents: 3}, {Endpoint: messagesEndpoint, Call: 2, Status: 401}}})
	u := w.Done(w.send(Request{Session: w.session()}), nil)
	var e *client.Error
	if u.Status != runs.StatusFailed || u.Text != words[0] || !errors.As(u.Err, &e) || e.Status != 401 || e.Outcome != client.OutcomeUnknown {
		t.Errorf("got %+v", u)
	}
}

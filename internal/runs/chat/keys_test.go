package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

func TestKeyJoins(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	req := Request{Instance: w.ID, Session: session, Message: "a", IdempotencyKey: "k"}
	first := w.send(req)
	join := func() runs.Run {
		t.Helper()
		r, joined, err := w.m.chat.Send(t.Context(), req)
		if err != nil || joined == "" {
			t.Fatalf("got joined %q, %v", joined, err)
		}
		return r
	}
	second := join()
	for _, other := range []Request{
		{Instance: w.ID, Session: session, Message: "b", IdempotencyKey: "k"},
		{Instance: w.ID, Session: w.session(), Message: "a", IdempotencyKey: "k"},
	} {
		if _, _, err := w.m.chat.Send(t.Context(), other); !errors.Is(err, ErrKeyReused) {
			t.Errorf("got %v", err)
		}
	}
	close(gate)
	for _, r := range []runs.Run{first, second, join()} {
		if u := w.Done(r, nil); u.Text != "re: a" {
			t.Errorf("got %+v", u)
		}
	}
	// The run is no longer in memory, but the key is.
	for _, l := range w.m.All() {
		if !l.Leave() {
			t.Error("somebody waits for it")
		}
	}
	w.m.chat.sweep(time.Now())
	if u := w.Done(join(), nil); u.Text != "re: a" {
		t.Errorf("got %+v", u)
	}
	if n := w.users(session); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
}

func TestKeyAfterFailure(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Agent: script("fine")})
	session := w.session()
	req := Request{Session: session, Message: "a", IdempotencyKey: "k"}
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, Status: 429})
	if u := w.Done(w.send(req), nil); u.Status != runs.StatusFailed {
		t.Errorf("got %+v", u)
	}
	w.Srv.SetFaults()
	if u := w.Done(w.send(req), nil); u.Text != "fine" {
		t.Errorf("got %+v", u)
	}
	// After an unknown outcome the key joins.
	req = Request{Instance: w.ID, Session: session, Message: "b", IdempotencyKey: "l"}
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, Drop: true})
	if u := w.Done(w.send(req), nil); outcome(u.Err) != client.OutcomeUnknown {
		t.Errorf("got %+v", u)
	}
	w.Srv.SetFaults()
	if r, joined, err := w.m.chat.Send(t.Context(), req); err != nil || joined == "" || w.Done(r, nil).Status != runs.StatusFailed {
		t.Errorf("got joined %q, %v", joined, err)
	}
	if n := w.users(session); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
}

// TestSameMessage repeats a message without a key: it joins in flight, and is
// sent anew after the end.
func TestSameMessage(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	req := Request{Instance: w.ID, Session: session, Message: "a"}
	first := w.send(req)
	w.send(Request{Session: session, Message: "b"}) // queued behind
	if _, joined, err := w.m.chat.Send(t.Context(), req); err != nil || joined == "" {
		t.Errorf("got joined %q, %v", joined, err)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	w.Done(first, nil)
	again := w.send(req)
	gate <- struct{}{}
	w.Done(again, nil)
	if n := w.users(session); n != 3 {
		t.Errorf("got %d messages, want 3", n)
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	var list []runs.Run
	send := func(message string, busy IfBusy) {
		t.Helper()
		list = append(list, w.send(Request{Session: session, Message: message, IfBusy: busy}))
	}
	texts := func() string {
		var words []string
		for _, m := range w.Srv.Messages(w.ID, session) {
			if m.Role == "user" {
				words = append(words, m.Text)
			}
		}
		return strings.Join(words, " ")
	}
	send("0", "")
	eventually(t, "the first message", func() bool { return texts() == "0" })
	if _, _, err := w.m.chat.Send(t.Context(), Request{Instance: w.ID, Session: session, Message: "x", IfBusy: IfBusyReject}); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	for i := range 4 {
		send(fmt.Sprint("q", i), IfBusyQueue)
	}
	send("now", IfBusySend)
	eventually(t, "the message that does not wait", func() bool { return texts() == "0 now" })
	// One that is cancelled in the queue is never sent, and lets none ahead.
	if note, err := list[2].Cancel(t.Context()); err != nil || !strings.Contains(note, "not sent") {
		t.Errorf("got %q, %v", note, err)
	}
	for range 10 {
		gate <- struct{}{}
	}
	for i, want := range []string{"re: 0", "re: q0", "", "re: q2", "re: q3", "re: now"} {
		if u := w.Done(list[i], nil); u.Text != want {
			t.Errorf("run %d: got %q, want %q", i, u.Text, want)
		}
	}
	if got, want := texts(), "0 now q0 q2 q3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.m.chat.mu.Lock()
	defer w.m.chat.mu.Unlock()
	if w.m.chat.inFlight(w.ID+"\x00"+session) != nil || len(w.m.chat.busy) != 0 {
		t.Errorf("still busy: %v", w.m.chat.busy)
	}
}

// TestConcurrent loses streams of two messages that were sent at once. Where one
// reply is known, the other is told by it; where neither is, both are unclear, and
// neither is taken for the other. The next message goes out in any case.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		faults []emulatortest.Fault
		want   [3]string // of the first, the second, and the first where it is taken up; "" is unclear
	}{
		"one":  {[]emulatortest.Fault{{Endpoint: streamEndpoint, Call: 1, CutEvents: 2}}, [3]string{"re: one", "re: two", ""}},
		"both": {[]emulatortest.Fault{{Endpoint: streamEndpoint, Call: 1, CutEvents: 2}, {Endpoint: streamEndpoint, Call: 2, CutEvents: 1}}, [3]string{}},
	} {
		gate := make(chan struct{})
		w := start(t, emulatortest.Options{Agent: gated(gate), Faults: tt.faults})
		session := w.session()
		first := w.send(Request{Session: session, Message: "one"})
		eventually(t, "the first", func() bool { return w.users(session) == 1 })
		second := w.send(Request{Session: session, Message: "two", IfBusy: IfBusySend})
		eventually(t, "the second", func() bool { return w.users(session) == 2 })
		other := w.process(testKey, "")
		resumed := w.open(other, first.Handle())
		// A new message waits for what was taken up.
		queued, _, err := other.chat.Send(t.Context(), Request{Instance: w.ID, Session: session, Message: "three"})
		if err != nil {
			t.Fatal(err)
		}
		close(gate)
		for i, r := range []runs.Run{first, second, resumed} {
			u := w.Done(r, nil)
			if tt.want[i] != "" && (u.Status != runs.StatusCompleted || u.Text != tt.want[i]) ||
				tt.want[i] == "" && (u.Status != runs.StatusFailed || outcome(u.Err) != client.OutcomeUnknown || !strings.Contains(u.Err.Error(), "unclear")) {
				t.Errorf("%s: run %d: got %s %q, %v, want %q", name, i, u.Status, u.Text, u.Err, tt.want[i])
			}
		}
		if u := w.Done(queued, nil); u.Status != runs.StatusCompleted || u.Text != "re: three" {
			t.Errorf("%s: the next: got %s %q, %v", name, u.Status, u.Text, u.Err)
		}
	}
}

// TestFirstSession sends two first messages at once, with no session named.
func TestFirstSession(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Agent: script("hi")})
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: "GET /instances/{instance}/chat/sessions", Delay: 30 * time.Millisecond})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r, _, err := w.m.chat.Send(t.Context(), Request{Instance: w.ID, Message: fmt.Sprint("m", i)})
			if err != nil {
				t.Error(err)
				return
			}
			if u := w.Done(r, nil); u.Text != "hi" || u.Session == "" {
				t.Errorf("got %+v", u)
			}
		})
	}
	wg.Wait()
	if n := w.Srv.Calls("POST /instances/{instance}/chat/sessions"); n != 1 {
		t.Errorf("%d sessions were made", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.m.chat.Send(ctx, Request{Instance: "other", Message: "m"}); outcome(err) != client.OutcomeNotSent {
		t.Errorf("got %v", err)
	}
}

// TestChosenSession has lists of sessions, and which one a message goes to that names none.
func TestChosenSession(t *testing.T) {
	for list, want := range map[string]string{
		`[{"id":"s2"},{"id":"s1"}]`: "s2",
		`[{"id":"agent:main:subagent:7"},{"id":"s1","kind":"cron"},{"id":"s2"}]`:                             "s2",
		`[{"id":"s1","updated_at":5},{"id":"s2","updated_at":9},{"id":"s3","updated_at":7}]`:                 "s2",
		`[{"id":"s1","created_at":5},{"id":"s2","created_at":9},{"id":"s3","created_at":2,"updated_at":11}]`: "s3",
		`[{"id":"s1","updated_at":9},{"id":"s2","updated_at":9}]`:                                            "s1",
		`[{"id":"s1"},{"id":"s2","updated_at":9}]`:                                                           "s1",
		`[{"id":"s1","archived":true},{"id":"s2","status":"closed"}]`:                                        "new",
		`[]`: "new",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodPost {
				_, _ = io.WriteString(w, `{"id":"new"}`)
				return
			}
			_, _ = io.WriteString(w, list)
		}))
		c, err := client.New(srv.Client(), srv.URL, testKey)
		if err != nil {
			t.Fatal(err)
		}
		s := sessions{c: c}
		if got, err := s.newest(t.Context(), "i"); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", list, got, err, want)
		}
		srv.Close()
	}
}

package runs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

// gated is an agent that answers every message with itself, once let go.
func gated(gate <-chan struct{}) emulator.Agent {
	return emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: "re: "}); err != nil {
			return err
		}
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: turn.Message})
	})
}

func TestKeyJoins(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w := start(t, emulator.Options{Agent: gated(gate)})
	session := w.session()
	req := ChatRequest{Instance: w.id, Session: session, Message: "a", IdempotencyKey: "k"}
	first := w.send(req)
	join := func() *Run {
		t.Helper()
		r, joined, err := w.m.SendChat(t.Context(), req)
		if err != nil || joined == "" {
			t.Fatalf("got joined %q, %v", joined, err)
		}
		return r
	}
	second := join()
	for _, other := range []ChatRequest{
		{Instance: w.id, Session: session, Message: "b", IdempotencyKey: "k"},
		{Instance: w.id, Session: w.session(), Message: "a", IdempotencyKey: "k"},
	} {
		if _, _, err := w.m.SendChat(t.Context(), other); !errors.Is(err, ErrKeyReused) {
			t.Errorf("got %v", err)
		}
	}
	close(gate)
	for _, r := range []*Run{first, second, join()} {
		if u := w.done(r, nil); u.Text != "re: a" {
			t.Errorf("got %+v", u)
		}
	}
	// The run is no longer in memory, but the key is.
	w.m.mu.Lock()
	w.m.live = map[string]*live{}
	w.m.swept = time.Time{}
	w.m.sweep(time.Now())
	w.m.mu.Unlock()
	if u := w.done(join(), nil); u.Text != "re: a" {
		t.Errorf("got %+v", u)
	}
	if n := w.users(session); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
}

func TestKeyAfterFailure(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{Agent: script("fine")})
	session := w.session()
	req := ChatRequest{Session: session, Message: "a", IdempotencyKey: "k"}
	for name, f := range map[string]emulator.Fault{
		"rejected": {Endpoint: streamEndpoint, Status: 429},
		"not sent": {Endpoint: messagesEndpoint, Status: 500},
	} {
		w.srv.SetFaults(f)
		if u := w.done(w.send(req), nil); u.Status != StatusFailed {
			t.Errorf("%s: got %+v", name, u)
		}
	}
	w.srv.SetFaults()
	if u := w.done(w.send(req), nil); u.Text != "fine" {
		t.Errorf("got %+v", u)
	}
	// After an unknown outcome the key joins.
	req = ChatRequest{Instance: w.id, Session: session, Message: "b", IdempotencyKey: "l"}
	w.srv.SetFaults(emulator.Fault{Endpoint: streamEndpoint, Drop: true})
	if u := w.done(w.send(req), nil); outcome(u.Err) != client.OutcomeUnknown {
		t.Errorf("got %+v", u)
	}
	w.srv.SetFaults()
	if r, joined, err := w.m.SendChat(t.Context(), req); err != nil || joined == "" || w.done(r, nil).Status != StatusFailed {
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
	w := start(t, emulator.Options{Agent: gated(gate)})
	session := w.session()
	req := ChatRequest{Instance: w.id, Session: session, Message: "a"}
	first := w.send(req)
	w.send(ChatRequest{Session: session, Message: "b"}) // queued behind
	if _, joined, err := w.m.SendChat(t.Context(), req); err != nil || joined == "" {
		t.Errorf("got joined %q, %v", joined, err)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	w.done(first, nil)
	again := w.send(req)
	gate <- struct{}{}
	w.done(again, nil)
	if n := w.users(session); n != 3 {
		t.Errorf("got %d messages, want 3", n)
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w := start(t, emulator.Options{Agent: gated(gate)})
	session := w.session()
	var runs []*Run
	send := func(message string, busy IfBusy) {
		t.Helper()
		runs = append(runs, w.send(ChatRequest{Session: session, Message: message, IfBusy: busy}))
	}
	texts := func() string {
		var list []string
		for _, m := range w.srv.Messages(w.id, session) {
			if m.Role == "user" {
				list = append(list, m.Text)
			}
		}
		return strings.Join(list, " ")
	}
	send("0", "")
	eventually(t, "the first message", func() bool { return texts() == "0" })
	if _, _, err := w.m.SendChat(t.Context(), ChatRequest{Instance: w.id, Session: session, Message: "x", IfBusy: IfBusyReject}); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	for i := range 4 {
		send(fmt.Sprint("q", i), IfBusyQueue)
	}
	send("now", IfBusySend)
	eventually(t, "the message that does not wait", func() bool { return texts() == "0 now" })
	// One that is cancelled in the queue is never sent, and lets none ahead.
	if note, err := runs[2].Cancel(t.Context()); err != nil || !strings.Contains(note, "not sent") {
		t.Errorf("got %q, %v", note, err)
	}
	for range 10 {
		gate <- struct{}{}
	}
	for i, want := range []string{"re: 0", "re: q0", "", "re: q2", "re: q3", "re: now"} {
		if u := w.done(runs[i], nil); u.Text != want {
			t.Errorf("run %d: got %q, want %q", i, u.Text, want)
		}
	}
	if got, want := texts(), "0 now q0 q2 q3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.inFlight(w.id+"\x00"+session) != nil || len(w.m.busy) != 0 {
		t.Errorf("still busy: %v", w.m.busy)
	}
}

// TestBeside loses the streams of two messages that were sent at once: each
// gets its own reply.
func TestBeside(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w := start(t, emulator.Options{Agent: gated(gate), Faults: []emulator.Fault{
		{Endpoint: streamEndpoint, Call: 1, CutEvents: 2}, {Endpoint: streamEndpoint, Call: 2, CutEvents: 1}}})
	session := w.session()
	first := w.send(ChatRequest{Session: session, Message: "one"})
	eventually(t, "the first", func() bool { return w.users(session) == 1 })
	second := w.send(ChatRequest{Session: session, Message: "two", IfBusy: IfBusySend})
	eventually(t, "the second", func() bool { return w.users(session) == 2 })
	other := w.manager(testKey, "")
	resumed := w.open(other, first.Handle())
	// A new message waits for what was taken up.
	queued, _, err := other.SendChat(t.Context(), ChatRequest{Instance: w.id, Session: session, Message: "three"})
	if err != nil {
		t.Fatal(err)
	}
	close(gate)
	for r, want := range map[*Run]string{first: "re: one", second: "re: two", resumed: "re: one", queued: "re: three"} {
		if u := w.done(r, nil); u.Text != want || u.Status != StatusCompleted {
			t.Errorf("got %s %q, %v, want %q", u.Status, u.Text, u.Err, want)
		}
	}
}

// TestFirstSession sends two first messages at once, with no session named.
func TestFirstSession(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{Agent: script("hi")})
	w.srv.SetFaults(emulator.Fault{Endpoint: "GET /instances/{instance}/chat/sessions", Delay: 30 * time.Millisecond})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r, _, err := w.m.SendChat(t.Context(), ChatRequest{Instance: w.id, Message: fmt.Sprint("m", i)})
			if err != nil {
				t.Error(err)
				return
			}
			if u := w.done(r, nil); u.Text != "hi" || u.Session == "" {
				t.Errorf("got %+v", u)
			}
		})
	}
	wg.Wait()
	if n := w.srv.Calls("POST /instances/{instance}/chat/sessions"); n != 1 {
		t.Errorf("%d sessions were made", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.m.SendChat(ctx, ChatRequest{Instance: "other", Message: "m"}); outcome(err) != client.OutcomeNotSent {
		t.Errorf("got %v", err)
	}
}

package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// several starts an upstream and processes that share a fleet.
func several(t *testing.T, n int, opts emulatortest.Options) (*world, []*process) {
	t.Helper()
	w := &world{Upstream: runstest.Start(t, opts, nil)}
	w.Fleet = fleet.Alone()
	t.Cleanup(func() { _ = w.Fleet.Close() })
	var all []*process
	for range n {
		all = append(all, w.process(testKey, ""))
	}
	w.m = all[0]
	return w, all
}

// kill ends a process as kill -9 does: it says nothing to anybody.
func (p *process) kill() {
	p.Close()
	_ = p.Config.Fleet.Close()
}

// sendAt sends by a process, and reports whether that joined an earlier call.
func (w *world) sendAt(p *process, req Request) (runs.Run, bool) {
	w.Helper()
	req.Instance = w.ID
	r, joined, err := p.chat.Send(w.Context(), req)
	if err != nil {
		w.Fatal(err)
	}
	return r, joined != ""
}

// nothingLeft checks that no list of what is under way is left over.
func (w *world) nothingLeft(p *process, session string) {
	w.Helper()
	eventually(w.T, "the list of the session to be gone", func() bool {
		_, ok, err := p.Config.Fleet.Find(w.Context(), placeName(w.ID+"\x00"+session))
		if err != nil {
			w.Fatal(err)
		}
		return !ok
	})
}

// A message with a key that is repeated in another process is sent once, and both
// see the reply come.
func TestFleetKey(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w, ps := several(t, 3, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	req := Request{Session: session, Message: "a", IdempotencyKey: "k"}
	first, joined := w.sendAt(ps[0], req)
	second, again := w.sendAt(ps[1], req)
	if joined || !again {
		t.Errorf("joined %v, %v", joined, again)
	}
	for _, other := range []Request{
		{Instance: w.ID, Session: session, Message: "b", IdempotencyKey: "k"},
		{Instance: w.ID, Session: w.session(), Message: "a", IdempotencyKey: "k"},
	} {
		if _, _, err := ps[2].chat.Send(t.Context(), other); !errors.Is(err, ErrKeyReused) {
			t.Errorf("got %v", err)
		}
	}
	eventually(t, "the first word", func() bool { return runstest.Now(t, second).Text == "re: " })
	close(gate)
	for _, r := range []runs.Run{first, second} {
		if u := w.Done(r, nil); u.Text != "re: a" || u.Status != runs.StatusCompleted {
			t.Errorf("got %+v", u)
		}
	}
	w.nothingLeft(ps[0], session)
	// Its result is kept, also after the process that had it.
	eventually(t, "the result to be noted", func() bool {
		c, err := ps[2].Claim(t.Context(), "chat/"+w.ID+"\x00k", 0, runs.NewState(runs.KindChat, w.ID))
		return err == nil && !c.Ours && c.Ended()
	})
	ps[0].kill()
	ps[1].kill()
	reads := w.Srv.Calls(messagesEndpoint)
	third, again := w.sendAt(ps[2], req)
	if u := w.Done(third, nil); !again || u.Text != "re: a" || u.Status != runs.StatusCompleted {
		t.Errorf("joined %v: got %+v", again, u)
	}
	if n := w.Srv.Calls(messagesEndpoint); n != reads {
		t.Errorf("the history was read %d times", n-reads)
	}
	if n := w.users(session); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
}

// A process that is killed while the reply comes has sent the message: the repetition
// reads the reply, and sends nothing.
func TestFleetKilledWhileReplying(t *testing.T) {
	t.Parallel()
	words := make(chan string)
	w, ps := several(t, 3, emulatortest.Options{Agent: fed(words)})
	session := w.session()
	req := Request{Session: session, Message: "a", IdempotencyKey: "k"}
	first, _ := w.sendAt(ps[0], req)
	words <- "one "
	eventually(t, "the first word", func() bool { return runstest.Now(t, first).Text == "one " })
	second, _ := w.sendAt(ps[1], req) // follows it live
	eventually(t, "the first word", func() bool { return runstest.Now(t, second).Text == "one " })
	ps[0].kill()
	third, again := w.sendAt(ps[2], req) // finds it gone
	words <- "two"
	close(words)
	for _, r := range []runs.Run{second, third} {
		if u := w.Done(r, nil); !again || u.Text != "one two" || u.Status != runs.StatusCompleted {
			t.Errorf("joined %v: got %+v", again, u)
		}
	}
	if n := w.users(session); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
	w.nothingLeft(ps[2], session)
}

// A process that is killed before it sends a message has not sent it: the repetition
// does, once, and in its turn.
func TestFleetKilledBeforeSending(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 4, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	ahead, _ := w.sendAt(ps[3], Request{Session: session, Message: "0"})
	eventually(t, "the first message", func() bool { return w.users(session) == 1 })
	req := Request{Session: session, Message: "a", IdempotencyKey: "k"}
	w.sendAt(ps[0], req) // queued
	ps[0].kill()
	second, again := w.sendAt(ps[1], req)
	third, also := w.sendAt(ps[2], req)
	if !again || !also {
		t.Errorf("joined %v, %v", again, also)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	if u := w.Done(ahead, nil); u.Text != "re: 0" {
		t.Errorf("got %+v", u)
	}
	for _, r := range []runs.Run{second, third} {
		if u := w.Done(r, nil); u.Text != "re: a" || u.Status != runs.StatusCompleted {
			t.Errorf("got %+v", u)
		}
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
	w.nothingLeft(ps[1], session)
}

// A process that was taken for dead wakes up: its message has been taken over, so it
// sends nothing, and its caller gets the reply.
func TestFleetPaused(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 3, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	ahead, _ := w.sendAt(ps[2], Request{Session: session, Message: "0"})
	eventually(t, "the first message", func() bool { return w.users(session) == 1 })
	req := Request{Session: session, Message: "a", IdempotencyKey: "k"}
	first, _ := w.sendAt(ps[0], req)
	for _, l := range ps[0].All() { // nobody reaches it any more
		if l.State().Session == session && !l.Resumed() {
			ps[0].Disown(l)
		}
	}
	second, _ := w.sendAt(ps[1], req)
	eventually(t, "the message to be taken over", func() bool { return len(runstest.Now(t, second).Notes) > 0 })
	gate <- struct{}{}
	gate <- struct{}{}
	w.Done(ahead, nil)
	for i, r := range []runs.Run{first, second} {
		if u := w.Done(r, nil); u.Text != "re: a" || u.Status != runs.StatusCompleted {
			t.Errorf("%d: got %+v", i, u)
		}
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
}

// The same message without a key joins the reply that another process has under way,
// and is sent anew after its end.
func TestFleetSameMessage(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 2, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	req := Request{Session: session, Message: "a"}
	first, _ := w.sendAt(ps[0], req)
	second, joined := w.sendAt(ps[1], req)
	gate <- struct{}{}
	for _, r := range []runs.Run{first, second} {
		if u := w.Done(r, nil); !joined || u.Text != "re: a" {
			t.Errorf("joined %v: got %+v", joined, u)
		}
	}
	third, joined := w.sendAt(ps[1], req)
	gate <- struct{}{}
	if u := w.Done(third, nil); joined || u.Text != "re: a" {
		t.Errorf("joined %v: got %+v", joined, u)
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
	w.nothingLeft(ps[0], session)
}

// A session that is busy in one process is busy in another.
func TestFleetBusy(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 3, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	w.sendAt(ps[0], Request{Session: session, Message: "0"})
	eventually(t, "the first message", func() bool { return w.users(session) == 1 })
	reject := Request{Instance: w.ID, Session: session, Message: "x", IfBusy: IfBusyReject}
	if _, _, err := ps[1].chat.Send(t.Context(), reject); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	var last runs.Run
	for i := range 4 {
		last, _ = w.sendAt(ps[(i+1)%3], Request{Session: session, Message: fmt.Sprint("q", i)})
	}
	for range 5 {
		gate <- struct{}{}
	}
	if u := w.Done(last, nil); u.Text != "re: q3" {
		t.Errorf("got %+v", u)
	}
	var order []string
	for _, m := range w.Srv.Messages(w.ID, session) {
		if m.Role == "user" {
			order = append(order, m.Text)
		}
	}
	if got := strings.Join(order, " "); got != "0 q0 q1 q2 q3" {
		t.Errorf("they arrived as %s", got)
	}
	w.nothingLeft(ps[0], session)
	gate <- struct{}{}
	r, _ := w.sendAt(ps[1], Request{Session: session, Message: "x", IfBusy: IfBusyReject})
	if u := w.Done(r, nil); u.Text != "re: x" {
		t.Errorf("got %+v", u)
	}
	// What a process left in the list that was killed keeps nobody out.
	w.sendAt(ps[0], Request{Session: session, Message: "y"})
	eventually(t, "the message", func() bool { return w.users(session) == 7 })
	ps[0].kill()
	gate <- struct{}{}
	gate <- struct{}{}
	eventually(t, "the reply's end", func() bool {
		reject.Message = "z"
		r, _, err := ps[2].chat.Send(t.Context(), reject)
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		return err == nil && w.Done(r, nil).Text == "re: z"
	})
}

// Two first messages in two processes make one session.
func TestFleetFirstSession(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 4, emulatortest.Options{Agent: script("hi")})
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: "GET /instances/{instance}/chat/sessions"})
	var wg sync.WaitGroup
	var mu sync.Mutex
	sessions := map[string]bool{}
	for i, p := range ps {
		wg.Go(func() {
			r, _ := w.sendAt(p, Request{Message: fmt.Sprint("m", i)})
			u := w.Done(r, nil)
			mu.Lock()
			defer mu.Unlock()
			sessions[u.Session] = true
		})
	}
	wg.Wait()
	if n := w.Srv.Calls("POST /instances/{instance}/chat/sessions"); n != 1 || len(sessions) != 1 {
		t.Errorf("%d sessions were made, %d used", n, len(sessions))
	}
	// One that comes later uses it, too, though there is a newer one; and so it is when
	// the one who chose is gone.
	w.session()
	for _, p := range ps[:2] {
		p.kill()
		late := w.process(testKey, "")
		r, _ := w.sendAt(late, Request{Message: "late"})
		if u := w.Done(r, nil); !sessions[u.Session] {
			t.Errorf("another session was used")
		}
	}
}

// A process that is killed while it chooses keeps nobody from choosing.
func TestFleetChooserKilled(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 1, emulatortest.Options{Agent: script("hi")})
	if _, _, err := ps[0].Config.Fleet.Create(t.Context(), "session/"+w.ID, []byte("of the dead")); err != nil {
		t.Fatal(err)
	}
	r, _ := w.sendAt(ps[0], Request{Message: "a"})
	if u := w.Done(r, nil); u.Text != "hi" || u.Session == "" {
		t.Errorf("got %+v", u)
	}
}

// A reply that another process has is cancelled there.
func TestFleetCancel(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	defer close(gate)
	w, ps := several(t, 2, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	w.sendAt(ps[1], Request{Session: session, Message: "0"})
	first, _ := w.sendAt(ps[0], Request{Session: session, Message: "a"})
	second := w.open(ps[1], first.Handle())
	eventually(t, "word of its owner", func() bool { return len(runstest.Now(t, second).Notes) > 0 })
	if note, err := second.Cancel(t.Context()); err != nil || note != "the message was not sent" {
		t.Errorf("got %q, %v", note, err)
	}
	if u := w.Done(first, nil); u.Status != runs.StatusCancelled {
		t.Errorf("got %+v", u)
	}
}

// What a killed process had queued and not sent keeps nobody waiting, and is never sent
// by who does not have its words.
func TestFleetGivenUp(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 4, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	ahead, _ := w.sendAt(ps[3], Request{Session: session, Message: "0"})
	eventually(t, "the first message", func() bool { return w.users(session) == 1 })
	keyed := Request{Session: session, Message: "b", IdempotencyKey: "k"}
	w.sendAt(ps[0], Request{Session: session, Message: "a"})
	w.sendAt(ps[0], keyed)
	ps[0].kill()
	next, _ := w.sendAt(ps[1], Request{Session: session, Message: "c"})
	for range 4 {
		gate <- struct{}{}
	}
	w.Done(ahead, nil)
	if u := w.Done(next, nil); u.Text != "re: c" {
		t.Errorf("got %+v", u)
	}
	for _, l := range ps[1].All() {
		if s := l.Status(); l.Resumed() && l.State().ID != "" && s != runs.StatusCompleted && outcome(l.Err()) != client.OutcomeNotSent {
			t.Errorf("what was given up is %s, %v", s, l.Err())
		}
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
	again, joined := w.sendAt(ps[2], keyed)
	if u := w.Done(again, nil); joined || u.Text != "re: b" {
		t.Errorf("joined %v: got %+v", joined, u)
	}
	w.nothingLeft(ps[1], session)
}

// What one process has given up, another one may have sent after all: it had the words.
// Then the first does not send it.
func TestFleetGivenUpAndSent(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 4, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	ahead, _ := w.sendAt(ps[3], Request{Session: session, Message: "0"})
	eventually(t, "the first message", func() bool { return w.users(session) == 1 })
	keyed := Request{Session: session, Message: "b", IdempotencyKey: "k"}
	w.sendAt(ps[0], keyed)
	ps[0].kill()
	next, _ := w.sendAt(ps[1], Request{Session: session, Message: "c"})
	var given *runs.Live
	eventually(t, "the message to be given up", func() bool {
		i := slices.IndexFunc(ps[1].All(), func(l *runs.Live) bool { return errors.Is(l.Err(), errGivenUp) })
		if i >= 0 {
			given = ps[1].All()[i]
		}
		return i >= 0
	})
	claim, err := ps[2].Claim(t.Context(), claimName(Request{Instance: w.ID, IdempotencyKey: "k"}), hashText("b"), given.State())
	if err != nil || !claim.Ours {
		t.Fatalf("got %+v, %v", claim, err)
	}
	if err := claim.Sending(t.Context(), given.State()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		gate <- struct{}{}
	}
	w.Done(ahead, nil)
	w.Done(next, nil)
	gate <- struct{}{}
	if again, joined := w.sendAt(ps[1], keyed); !joined || w.Done(again, nil).Status == runs.StatusCompleted {
		t.Errorf("joined %v: got %+v", joined, runstest.Now(t, again))
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
}

// A message without a key whose process was taken for dead is sent once, too, by who
// repeats it.
func TestFleetPausedWithoutKey(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 10)
	w, ps := several(t, 3, emulatortest.Options{Agent: gated(gate)})
	session := w.session()
	ahead, _ := w.sendAt(ps[2], Request{Session: session, Message: "0"})
	eventually(t, "the first message", func() bool { return w.users(session) == 1 })
	req := Request{Session: session, Message: "a"}
	first, _ := w.sendAt(ps[0], req)
	for _, l := range ps[0].All() { // nobody reaches it any more
		if l.State().Session == session && !l.Resumed() {
			ps[0].Disown(l)
		}
	}
	second, joined := w.sendAt(ps[1], req)
	eventually(t, "the message to be taken over or given up", func() bool { return len(runstest.Now(t, second).Notes) > 0 || runstest.Now(t, second).Status.Over() })
	for range 2 {
		gate <- struct{}{}
	}
	w.Done(ahead, nil)
	if u := w.Done(second, nil); !joined || u.Text != "re: a" {
		t.Errorf("joined %v: got %+v", joined, u)
	}
	if u := w.Done(first, nil); u.Text != "re: a" {
		t.Errorf("got %+v", u)
	}
	if n := w.users(session); n != 2 {
		t.Errorf("%d messages were sent", n)
	}
}

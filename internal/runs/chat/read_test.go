package chat

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// TestProgress reads along with a reply: all of its text in order, each line at
// its place.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, family := range []emulatortest.Family{emulatortest.FamilyD, emulatortest.FamilyF, emulatortest.FamilyG} {
		w := start(t, emulatortest.Options{Family: family, Agent: script(words...)})
		r := w.send(Request{Session: w.session()})
		p := &record{}
		u := w.Done(r, p)
		if got, want := p.Joined(), strings.Join(words, ""); got != want || u.Text != want {
			t.Errorf("%s: got %q and %q, want %q", family, got, u.Text, want)
		}
		found := false
		for _, l := range p.Lines {
			if l.Text == "tool: exec ls -l" {
				found = true
				if l.At != len(words[0]) {
					t.Errorf("%s: the tool's line came after %d bytes, want %d", family, l.At, len(words[0]))
				}
			}
		}
		if !found || len(tools(u)) != 1 || tools(u)[0].Name != "exec" || tools(u)[0].Result != "total 0" {
			t.Errorf("%s: got lines %v, tools %+v", family, p.Lines, tools(u))
		}
		// Who comes later is told the same.
		late := &record{}
		w.Done(w.open(w.m, w.m.List()[0].Handle), late)
		if late.Joined() != p.Joined() || len(late.Lines) != len(p.Lines) {
			t.Errorf("%s: a late reader was told %q, %v", family, late.Joined(), late.Lines)
		}
	}
}

// readAll reads a run with one handle after the other, limit bytes at a time,
// from managers that open gives.
func readAll(t *testing.T, handle string, limit int, open func() *process) string {
	t.Helper()
	var b strings.Builder
	for range 10_000 {
		r, err := open().Open(handle)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		u, err := r.Wait(ctx, runs.UntilNews, limit, nil)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if u.Revised {
			t.Fatalf("revised after %d bytes", b.Len())
		}
		if !utf8.ValidString(u.Text) || limit > 0 && len(u.Text) > max(limit, utf8.UTFMax) {
			t.Fatalf("got %q with a limit of %d", u.Text, limit)
		}
		again, err := r.Wait(ctx, runs.UntilNews, limit, nil)
		if err != nil || !strings.HasPrefix(again.Text, u.Text) {
			t.Fatalf("the same handle gave %q and then %q, %v", u.Text, again.Text, err)
		}
		b.WriteString(u.Text)
		if u.Status.Over() && !u.More {
			if u.Status != runs.StatusCompleted {
				t.Fatalf("got %s, %v", u.Status, u.Err)
			}
			return b.String()
		}
		handle = u.Handle
	}
	t.Fatal("no end")
	return ""
}

// TestCursors reads a growing and an ended reply with small limits.
func TestCursors(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("añ👋", 60)
	for _, limit := range []int{0, 1, 2, 3, 7, 100} {
		ch := make(chan string)
		w := start(t, emulatortest.Options{Agent: fed(ch)})
		r := w.send(Request{Session: w.session()})
		first := r.Handle()
		go func() {
			defer close(ch)
			for rest := []rune(want); len(rest) > 0; {
				n := min(1+rand.IntN(9), len(rest))
				ch <- string(rest[:n])
				rest = rest[n:]
			}
		}()
		if got := readAll(t, first, limit, func() *process { return w.m }); got != want {
			t.Errorf("limit %d: got %d bytes of %d while it grew", limit, len(got), len(want))
		}
		if got := readAll(t, first, limit, func() *process { return w.m }); got != want {
			t.Errorf("limit %d: got %d bytes of %d after the end", limit, len(got), len(want))
		}
		other := w.process(testKey, "")
		if got := readAll(t, first, limit, func() *process { return other }); got != want {
			t.Errorf("limit %d: got %d bytes of %d elsewhere", limit, len(got), len(want))
		}
	}
}

// TestRevised has a reply really change under its reader, and only seem to.
func TestRevised(t *testing.T) {
	w := start(t, emulatortest.Options{})
	l := w.m.NewLive(runs.State{Kind: runs.KindChat, ID: runs.NewID(), Own: own(0, 0)})
	if err := w.m.Start(t.Context(), l, &reply{Live: l, s: w.m.chat}, func(ctx context.Context) { <-ctx.Done() }); err != nil {
		t.Fatal(err)
	}
	wait := func(r runs.Run) *runs.Update {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		u, err := r.Wait(ctx, runs.UntilNews, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	l.Append("Hello wörld")
	u := wait(l.Reader(runs.State{}))
	l.SetText("Hello wörld, all")
	if u = wait(w.open(w.m, u.Handle)); u.Revised || u.Text != ", all" {
		t.Errorf("a longer text: %+v", u)
	}
	l.SetText("Hello wêrld, all of you")
	if u = wait(w.open(w.m, u.Handle)); !u.Revised || u.Text != "Hello wêrld, all of you" {
		t.Errorf("another text: %+v", u)
	}
	l.SetText("Hello")
	if u = wait(w.open(w.m, u.Handle)); !u.Revised || u.Text != "Hello" {
		t.Errorf("a shorter text: %+v", u)
	}
	l.SetText("Hello")
	l.Append(" again")
	if u = wait(w.open(w.m, u.Handle)); u.Revised || u.Text != " again" {
		t.Errorf("the same text: %+v", u)
	}
	l.End(runs.StatusCompleted, nil)
}

// TestKilled kills the process that follows a reply, at random moments, some
// of them twice, and reads on in the next.
func TestKilled(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for i := range 30 {
		want.WriteString(strings.Repeat("wö👋", 1+i%5) + "\n")
	}
	w := start(t, emulatortest.Options{Agent: emulator.AgentFunc(
		func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
			for line := range strings.Lines(want.String()) {
				if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: line}); err != nil {
					return err
				}
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // the pace of an agent
			}
			return nil
		})})
	var wg sync.WaitGroup
	for range 50 {
		first, second, session := w.process(testKey, ""), w.process(testKey, ""), w.session()
		wg.Go(func() {
			r, _, err := first.chat.Send(t.Context(), Request{Instance: w.ID, Session: session, Message: "hello"})
			if err != nil {
				t.Error(err)
				return
			}
			eventually(t, "the message to arrive", func() bool { return w.users(session) == 1 })
			var got strings.Builder
			handle := r.Handle()
			read := func(m *process) {
				for end := time.Now().Add(time.Duration(rand.IntN(30)) * time.Millisecond); time.Now().Before(end); {
					r, err := m.Open(handle)
					if err != nil {
						t.Error(err)
						return
					}
					ctx, cancel := context.WithDeadline(t.Context(), end)
					u, err := r.Wait(ctx, runs.UntilNews, 1+rand.IntN(80), nil)
					cancel()
					if err != nil || u.Revised {
						t.Errorf("got %+v, %v", u, err)
					}
					got.WriteString(u.Text)
					handle = u.Handle
				}
			}
			read(first)
			first.Close()
			if rand.IntN(2) == 0 {
				read(second)
			}
			second.Close()
			if _, err := second.Open(handle); !errors.Is(err, runs.ErrClosed) && err != nil {
				t.Errorf("a closed manager said %v", err)
			}
			got.WriteString(readAll(t, handle, 500, func() *process { return w.m }))
			if got.String() != want.String() {
				t.Errorf("got %d bytes, want %d", got.Len(), want.Len())
			}
			if n := w.users(session); n != 1 {
				t.Errorf("the message was sent %d times", n)
			}
		})
	}
	wg.Wait()
	if n := w.Srv.Calls(streamEndpoint); n != 50 {
		t.Errorf("got %d posts for 50 messages", n)
	}
}

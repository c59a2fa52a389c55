package runs

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
)

// TestProgress reads along with a reply: all of its text in order, each line at
// its place.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, family := range []emulator.Family{emulator.FamilyD, emulator.FamilyF, emulator.FamilyG} {
		w := start(t, emulator.Options{Family: family, Agent: script(words...)})
		r := w.send(ChatRequest{Session: w.session()})
		p := &record{}
		u := w.done(r, p)
		if got, want := p.joined(), strings.Join(words, ""); got != want || u.Text != want {
			t.Errorf("%s: got %q and %q, want %q", family, got, u.Text, want)
		}
		found := false
		for _, l := range p.lines {
			if l.text == "tool: exec ls -l" {
				found = true
				if l.at != len(words[0]) {
					t.Errorf("%s: the tool's line came after %d bytes, want %d", family, l.at, len(words[0]))
				}
			}
		}
		if !found || len(u.Tools) != 1 || u.Tools[0].Name != "exec" || u.Tools[0].Result != "total 0" {
			t.Errorf("%s: got lines %v, tools %+v", family, p.lines, u.Tools)
		}
		// Who comes later is told the same.
		late := &record{}
		w.done(w.open(w.m, w.m.List()[0].Handle), late)
		if late.joined() != p.joined() || len(late.lines) != len(p.lines) {
			t.Errorf("%s: a late reader was told %q, %v", family, late.joined(), late.lines)
		}
	}
}

// readAll reads a run with one handle after the other, limit bytes at a time,
// from managers that open gives.
func readAll(t *testing.T, handle string, limit int, open func() *Manager) string {
	t.Helper()
	var b strings.Builder
	for range 10_000 {
		r, err := open().Open(handle)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		u, err := r.Wait(ctx, UntilNews, limit, nil)
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
		again, err := r.Wait(ctx, UntilNews, limit, nil)
		if err != nil || !strings.HasPrefix(again.Text, u.Text) {
			t.Fatalf("the same handle gave %q and then %q, %v", u.Text, again.Text, err)
		}
		b.WriteString(u.Text)
		if u.Status.Over() && !u.More {
			if u.Status != StatusCompleted {
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
		w := start(t, emulator.Options{Agent: fed(ch)})
		r := w.send(ChatRequest{Session: w.session()})
		first := r.Handle()
		go func() {
			defer close(ch)
			for rest := []rune(want); len(rest) > 0; {
				n := min(1+rand.IntN(9), len(rest))
				ch <- string(rest[:n])
				rest = rest[n:]
			}
		}()
		if got := readAll(t, first, limit, func() *Manager { return w.m }); got != want {
			t.Errorf("limit %d: got %d bytes of %d while it grew", limit, len(got), len(want))
		}
		if got := readAll(t, first, limit, func() *Manager { return w.m }); got != want {
			t.Errorf("limit %d: got %d bytes of %d after the end", limit, len(got), len(want))
		}
		other := w.manager(testKey, "")
		if got := readAll(t, first, limit, func() *Manager { return other }); got != want {
			t.Errorf("limit %d: got %d bytes of %d elsewhere", limit, len(got), len(want))
		}
	}
}

// TestRevised has a reply really change under its reader, and only seem to.
func TestRevised(t *testing.T) {
	w := start(t, emulator.Options{})
	w.m.mu.Lock()
	l := w.m.newLive(handleState{Kind: KindChat, ID: newID()})
	w.m.mu.Unlock()
	wait := func(r *Run) *Update {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		u, err := r.Wait(ctx, UntilNews, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	l.append("Hello wörld")
	u := wait(l.reader())
	l.setText("Hello wörld, all")
	if u = wait(w.open(w.m, u.Handle)); u.Revised || u.Text != ", all" {
		t.Errorf("a longer text: %+v", u)
	}
	l.setText("Hello wêrld, all of you")
	if u = wait(w.open(w.m, u.Handle)); !u.Revised || u.Text != "Hello wêrld, all of you" {
		t.Errorf("another text: %+v", u)
	}
	l.setText("Hello")
	if u = wait(w.open(w.m, u.Handle)); !u.Revised || u.Text != "Hello" {
		t.Errorf("a shorter text: %+v", u)
	}
	l.setText("Hello")
	l.append(" again")
	if u = wait(w.open(w.m, u.Handle)); u.Revised || u.Text != " again" {
		t.Errorf("the same text: %+v", u)
	}
	l.end(StatusCompleted, nil)
	l.cancel()
}

// TestKilled kills the process that follows a reply, at random moments, some
// of them twice, and reads on in the next.
func TestKilled(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for i := range 30 {
		want.WriteString(strings.Repeat("wö👋", 1+i%5) + "\n")
	}
	w := start(t, emulator.Options{Agent: emulator.AgentFunc(
		func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
			for line := range strings.Lines(want.String()) {
				if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: line}); err != nil {
					return err
				}
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			}
			return nil
		})})
	var wg sync.WaitGroup
	for range 50 {
		first, second, session := w.manager(testKey, ""), w.manager(testKey, ""), w.session()
		wg.Go(func() {
			r, _, err := first.SendChat(t.Context(), ChatRequest{Instance: w.id, Session: session, Message: "hello"})
			if err != nil {
				t.Error(err)
				return
			}
			eventually(t, "the message to arrive", func() bool { return w.users(session) == 1 })
			var got strings.Builder
			handle := r.Handle()
			read := func(m *Manager) {
				for end := time.Now().Add(time.Duration(rand.IntN(30)) * time.Millisecond); time.Now().Before(end); {
					r, err := m.Open(handle)
					if err != nil {
						t.Error(err)
						return
					}
					ctx, cancel := context.WithDeadline(t.Context(), end)
					u, err := r.Wait(ctx, UntilNews, 1+rand.IntN(80), nil)
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
			if _, err := second.Open(handle); !errors.Is(err, ErrClosed) && err != nil {
				t.Errorf("a closed manager said %v", err)
			}
			got.WriteString(readAll(t, handle, 500, func() *Manager { return w.m }))
			if got.String() != want.String() {
				t.Errorf("got %d bytes, want %d", got.Len(), want.Len())
			}
			if n := w.users(session); n != 1 {
				t.Errorf("the message was sent %d times", n)
			}
		})
	}
	wg.Wait()
	if n := w.srv.Calls(streamEndpoint); n != 50 {
		t.Errorf("got %d posts for 50 messages", n)
	}
}

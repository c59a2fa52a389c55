package runs

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

// TestStalled has a reply pause for longer than the patience: that is told, and
// it completes later all the same.
func TestStalled(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	w := start(t, emulator.Options{Agent: fed(ch)})
	w.m.cfg.StallAfter = 500 * time.Millisecond
	r := w.send(ChatRequest{Session: w.session()})
	ch <- "slow "
	begin := time.Now()
	u, err := r.Wait(t.Context(), UntilDone, 0, nil)
	if err != nil || u.Status != StatusStalled || u.Text != "slow " {
		t.Fatalf("got %+v, %v", u, err)
	}
	if silent := time.Since(u.LastActivity); silent < 500*time.Millisecond || silent > time.Since(begin)+time.Second {
		t.Errorf("the last activity was %s ago", silent)
	}
	if list := w.m.List(); list[0].Status != StatusStalled {
		t.Errorf("listed as %s", list[0].Status)
	}
	// Whoever knows that it stalls waits on.
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	begin = time.Now()
	u, err = w.open(w.m, u.Handle).Wait(ctx, UntilDone, 0, nil)
	cancel()
	if took := time.Since(begin); err != nil || u.Status != StatusStalled || took < 240*time.Millisecond {
		t.Errorf("got %+v, %v after %s", u, err, took)
	}
	go func() { ch <- "but "; ch <- "sure"; close(ch) }()
	var rest strings.Builder
	for u.Status == StatusStalled && err == nil {
		u, err = w.open(w.m, u.Handle).Wait(t.Context(), UntilDone, 0, nil)
		rest.WriteString(u.Text)
	}
	if u.Status != StatusCompleted || rest.String() != "but sure" {
		t.Errorf("got %q, %+v, %v", rest.String(), u, err)
	}
}

// TestHeartbeats has a silent reply whose service says that it lives.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	for _, family := range []emulator.Family{emulator.FamilyD, emulator.FamilyNDJSON} {
		ch := make(chan string)
		w := start(t, emulator.Options{Agent: fed(ch), Family: family, Heartbeat: 20 * time.Millisecond})
		r := w.send(ChatRequest{Session: w.session()})
		eventually(t, "the stream", func() bool { return w.srv.OpenStreams() == 1 })
		begin := time.Now()
		eventually(t, "signs of life", func() bool {
			u := <-nowait(t, r)
			return u.Status == StatusRunning && u.LastActivity.After(begin.Add(200*time.Millisecond))
		})
		ch <- "at last"
		close(ch)
		w.done(r, nil)
	}
}

// TestLostEnd has a stream that brings the whole reply and then dies without
// its end marker.
func TestLostEnd(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{Agent: script("all", " of it"), Faults: []emulator.Fault{{Endpoint: streamEndpoint, StallEvents: 6}}})
	w.m.cfg.StallAfter = 60 * time.Millisecond
	r := w.send(ChatRequest{Session: w.session()})
	eventually(t, "the end", func() bool {
		u, err := r.Wait(t.Context(), UntilDone, 0, nil)
		return err == nil && u.Status == StatusCompleted && u.Text == "all of it"
	})
}

func TestCancelChat(t *testing.T) {
	gate := make(chan struct{})
	w := start(t, emulator.Options{Agent: gated(gate)})
	defer close(gate)
	session := w.session()
	r := w.send(ChatRequest{Session: session})
	eventually(t, "the stream", func() bool { return w.srv.OpenStreams() == 1 })
	waiting, waited := context.WithCancel(t.Context())
	result := make(chan *Update)
	other := w.open(w.m, r.Handle())
	go func() {
		u, _ := other.Wait(waiting, UntilDone, 0, nil)
		result <- u
	}()
	eventually(t, "the other waiter", func() bool { return r.others() == 1 })
	r.CancelUnlessShared(t.Context())
	if u := <-nowait(t, r); u.Status != StatusRunning {
		t.Errorf("a shared run was cancelled: %+v", u)
	}
	// Nor does it count for more than its own waits.
	other.CancelUnlessShared(t.Context())
	if u := <-result; u.Status != StatusCancelled || u.Text != "re: " || u.Err != nil {
		t.Errorf("got %+v", u)
	}
	waited()
	eventually(t, "the end of the stream", func() bool { return w.srv.OpenStreams() == 0 })
	if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "ended before") {
		t.Errorf("got %q, %v", note, err)
	}
	if u := w.done(w.open(w.m, r.Handle()), nil); u.Status != StatusCancelled {
		t.Errorf("got %+v", u)
	}
}

// nowait reads a run as it stands.
func nowait(t *testing.T, r *Run) <-chan *Update {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := make(chan *Update, 1)
	u, err := r.Wait(ctx, UntilDone, 0, nil)
	if err != nil {
		t.Error(err)
	}
	out <- u
	return out
}

// TestLeft has a run that was taken up and left for long: it is not followed
// for ever, and waiting for it follows it again.
func TestLeft(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w := start(t, emulator.Options{Agent: gated(gate)})
	first := w.send(ChatRequest{Session: w.session()})
	eventually(t, "the message", func() bool { return w.srv.OpenStreams() == 1 })
	other := w.manager(testKey, "")
	other.timing.idle = 20 * time.Millisecond
	r := w.open(other, first.Handle())
	left := func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		return len(other.live) == 0
	}
	eventually(t, "the run to be left", left)
	if u := <-nowait(t, r); u.Status != StatusRunning {
		t.Errorf("got %+v", u)
	}
	eventually(t, "the run to be left again", left)
	close(gate)
	if u := w.done(r, nil); u.Text != "re: hello" {
		t.Errorf("got %+v", u)
	}
	if got := other.List(); len(got) != 1 {
		t.Errorf("got %d runs", len(got))
	}
}

// TestManyRuns waits for 500 runs at once and cancels half of them.
func TestManyRuns(t *testing.T) {
	const count = 500
	gate := make(chan struct{})
	w := start(t, emulator.Options{Agent: gated(gate)})
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	runs := make([]*Run, count)
	for i := range runs {
		runs[i] = w.send(ChatRequest{Session: w.session(), Message: fmt.Sprint("message ", i)})
		wg.Go(func() {
			u, err := runs[i].Wait(t.Context(), UntilDone, 0, nil)
			want, text := StatusCompleted, fmt.Sprint("re: message ", i)
			if i%2 == 0 {
				want, text = StatusCancelled, "re: "
			}
			if err != nil || u.Status != want || u.Text != text {
				t.Errorf("run %d: got %s %q, %v", i, u.Status, u.Text, err)
			}
		})
	}
	eventually(t, "all the streams", func() bool { return w.srv.OpenStreams() == count })
	eventually(t, "all the texts", func() bool {
		for _, r := range runs {
			if r.live.currentText() == "" {
				return false
			}
		}
		return true
	})
	for i := 0; i < count; i += 2 {
		if _, err := runs[i].Cancel(t.Context()); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the cancelled streams to end", func() bool { return w.srv.OpenStreams() == count/2 })
	close(gate)
	wg.Wait()
	eventually(t, "all streams to end", func() bool { return w.srv.OpenStreams() == 0 })
	w.c.CloseIdleConnections()
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+10 })
	if n := len(w.m.List()); n != count {
		t.Errorf("%d runs are listed", n)
	}
	if u := w.m.List()[0]; w.done(w.open(w.m, u.Handle), nil).Text != fmt.Sprint("re: message ", count-1) {
		t.Error("the newest run is not the first of the list")
	}
}

// TestBounded holds what is kept of runs to its limits.
func TestBounded(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	w.m.mu.Lock()
	for range maxKept + 50 {
		l := w.m.newLive(handleState{Kind: KindChat, ID: newID()})
		l.end(StatusCompleted, nil)
		l.cancel()
	}
	w.m.swept = time.Time{}
	w.m.sweep(time.Now())
	if n := len(w.m.live); n != maxKept {
		t.Errorf("%d runs are kept", n)
	}
	for range 10 {
		l := w.m.newLive(handleState{Kind: KindChat, ID: newID()})
		l.append(strings.Repeat("x", maxKeptBytes/4))
		l.end(StatusCompleted, nil)
		l.cancel()
	}
	w.m.swept = time.Time{}
	w.m.sweep(time.Now())
	size := 0
	for _, l := range w.m.live {
		size += l.size()
	}
	if size > maxKeptBytes {
		t.Errorf("%d bytes are kept", size)
	}
	for i := range maxKept + 50 {
		w.m.detached[fmt.Sprint(i)] = Update{Started: time.Now().Add(time.Duration(i) * time.Second)}
	}
	w.m.sweepDetached(time.Now())
	if _, ok := w.m.detached[fmt.Sprint(maxKept+49)]; !ok || len(w.m.detached) != maxKept {
		t.Errorf("%d commands are kept", len(w.m.detached))
	}
	clear(w.m.detached)
	w.m.sweep(time.Now().Add(2 * keepEnded))
	if n := len(w.m.live); n != 0 {
		t.Errorf("%d runs are kept for ever", n)
	}
	l := w.m.newLive(handleState{Kind: KindChat, ID: newID()})
	w.m.mu.Unlock()
	for i := range 2*maxLines + 50 {
		l.line(fmt.Sprint("line ", i))
		if i%3 != 0 {
			continue
		}
		id := fmt.Sprint(i)
		l.tool(client.Event{Kind: client.EventToolStart, Tool: client.ToolCall{ID: id, Name: "exec", Arguments: []byte(`{"command":"` + strings.Repeat("é", maxValue/2+10) + `"}`)}})
		l.tool(client.Event{Kind: client.EventToolEnd, Tool: client.ToolCall{ID: id, Result: strings.Repeat("é", maxValue)}})
	}
	p := &record{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.wait(ctx, &handleState{}, UntilDone, p)
	if n := len(p.lines); n < maxLines || n > 2*maxLines || !p.has(fmt.Sprint("line ", 2*maxLines+49)) {
		t.Errorf("%d lines are kept", n)
	}
	if n := l.size(); len(l.tools) != maxTools || n > 20<<20 {
		t.Errorf("%d tools and %d bytes are kept", len(l.tools), n)
	}
	l.end(StatusCancelled, nil)
	l.cancel()
}

// TestLargeReply has replies of several MiB, in pieces, whole and cumulative.
func TestLargeReply(t *testing.T) {
	t.Parallel()
	piece := strings.Repeat("0123456789abcdé\n", 1<<13)
	for family, pieces := range map[emulator.Family]int{emulator.FamilyD: 16, emulator.FamilyE: 3} {
		want := strings.Repeat(piece, pieces)
		w := start(t, emulator.Options{Family: family, Agent: emulator.AgentFunc(
			func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
				for range pieces {
					_ = emit(emulator.AgentEvent{Kind: emulator.Text, Text: piece})
				}
				return nil
			})})
		w.throughAll([]emulator.Fault{{CutBytes: len(piece) * 3}}, w.whole(want))
	}
}

// TestClosed closes a manager under those who wait.
func TestClosed(t *testing.T) {
	gate := make(chan struct{})
	w := start(t, emulator.Options{Agent: gated(gate)})
	defer close(gate)
	r := w.send(ChatRequest{Session: w.session()})
	result := make(chan *Update)
	go func() {
		u, _ := r.Wait(t.Context(), UntilDone, 0, nil)
		result <- u
	}()
	eventually(t, "the stream", func() bool { return w.srv.OpenStreams() == 1 })
	w.m.Close()
	if u := <-result; u.Status != StatusRunning || u.Handle == "" {
		t.Errorf("got %+v", u)
	}
	if _, _, err := w.m.SendChat(t.Context(), ChatRequest{Instance: w.id, Session: "s", Message: "m"}); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	if _, err := w.m.StartCommand(t.Context(), CommandRequest{Instance: w.id, Command: "true"}); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	if _, err := w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{}); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	eventually(t, "the end of the stream", func() bool { return w.srv.OpenStreams() == 0 })
}

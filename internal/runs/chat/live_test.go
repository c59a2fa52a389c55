package chat

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
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// TestStalled has a reply pause for longer than the patience: that is told, and
// it completes later all the same.
func TestStalled(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	w := start(t, emulatortest.Options{Agent: fed(ch)})
	w.m.Config.StallAfter = 500 * time.Millisecond
	r := w.send(Request{Session: w.session()})
	begin := time.Now()
	ch <- "slow "
	eventually(t, "the first word", func() bool { return runstest.Now(t, r).Text == "slow " })
	u, err := r.Wait(t.Context(), runs.UntilDone, 0, nil)
	if err != nil || u.Status != runs.StatusStalled || u.Text != "slow " {
		t.Fatalf("got %+v, %v", u, err)
	}
	if silent := time.Since(u.LastActivity); silent < 500*time.Millisecond || silent > time.Since(begin)+time.Second {
		t.Errorf("the last activity was %s ago", silent)
	}
	if list := w.m.List(); list[0].Status != runs.StatusStalled {
		t.Errorf("listed as %s", list[0].Status)
	}
	// Whoever knows that it stalls waits on.
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	begin = time.Now()
	u, err = w.open(w.m, u.Handle).Wait(ctx, runs.UntilDone, 0, nil)
	cancel()
	if took := time.Since(begin); err != nil || u.Status != runs.StatusStalled || took < 240*time.Millisecond {
		t.Errorf("got %+v, %v after %s", u, err, took)
	}
	go func() { ch <- "but "; ch <- "sure"; close(ch) }()
	var rest strings.Builder
	for u.Status == runs.StatusStalled && err == nil {
		u, err = w.open(w.m, u.Handle).Wait(t.Context(), runs.UntilDone, 0, nil)
		rest.WriteString(u.Text)
	}
	if u.Status != runs.StatusCompleted || rest.String() != "but sure" {
		t.Errorf("got %q, %+v, %v", rest.String(), u, err)
	}
}

// TestHeartbeats has a silent reply whose service says that it lives.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	for _, family := range []emulatortest.Family{emulatortest.FamilyD, emulatortest.FamilyNDJSON} {
		ch := make(chan string)
		w := start(t, emulatortest.Options{Agent: fed(ch), Family: family, Heartbeat: 20 * time.Millisecond})
		r := w.send(Request{Session: w.session()})
		eventually(t, "the stream", func() bool { return w.Srv.OpenStreams() == 1 })
		begin := time.Now()
		eventually(t, "signs of life", func() bool {
			u := runstest.Now(t, r)
			return u.Status == runs.StatusRunning && u.LastActivity.After(begin.Add(200*time.Millisecond))
		})
		ch <- "at last"
		close(ch)
		w.Done(r, nil)
	}
}

// TestLostEnd has a stream that brings the whole reply and then dies without
// its end marker.
func TestLostEnd(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Agent: script("all", " of it"), Faults: []emulatortest.Fault{{Endpoint: streamEndpoint, StallEvents: 6}}})
	w.m.Config.StallAfter = 60 * time.Millisecond
	r := w.send(Request{Session: w.session()})
	eventually(t, "the end", func() bool {
		u, err := r.Wait(t.Context(), runs.UntilDone, 0, nil)
		return err == nil && u.Status == runs.StatusCompleted && u.Text == "all of it"
	})
}

func TestCancelChat(t *testing.T) {
	gate := make(chan struct{})
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	defer close(gate)
	session := w.session()
	r := w.send(Request{Session: session})
	eventually(t, "the first words", func() bool { return runstest.Now(t, r).Text == "re: " })
	waiting, waited := context.WithCancel(t.Context())
	result := make(chan *runs.Update)
	other := w.open(w.m, r.Handle())
	go func() {
		u, _ := other.Wait(waiting, runs.UntilDone, 0, nil)
		result <- u
	}()
	eventually(t, "the other waiter", func() bool { return r.OtherWaits() == 1 })
	if err := runs.CancelUnlessShared(t.Context(), r); err != nil {
		t.Error(err)
	}
	if u := runstest.Now(t, r); u.Status != runs.StatusRunning {
		t.Errorf("a shared run was cancelled: %+v", u)
	}
	// Nor does it count for more than its own waits.
	if err := runs.CancelUnlessShared(t.Context(), other); err != nil {
		t.Error(err)
	}
	if u := <-result; u.Status != runs.StatusCancelled || u.Text != "re: " || u.Err != nil {
		t.Errorf("got %+v", u)
	}
	waited()
	eventually(t, "the end of the stream", func() bool { return w.Srv.OpenStreams() == 0 })
	if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "ended before") {
		t.Errorf("got %q, %v", note, err)
	}
	if u := w.Done(w.open(w.m, r.Handle()), nil); u.Status != runs.StatusCancelled {
		t.Errorf("got %+v", u)
	}
}

// TestLeft has a run that was taken up and left for long: it is not followed
// for ever, and waiting for it follows it again.
func TestLeft(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	first := w.send(Request{Session: w.session()})
	eventually(t, "the message", func() bool { return w.Srv.OpenStreams() == 1 })
	other := w.process(testKey, "")
	other.chat.timing.idle = 20 * time.Millisecond
	r := w.open(other, first.Handle())
	left := func() bool { return len(other.All()) == 0 }
	eventually(t, "the run to be left", left)
	if u := runstest.Now(t, r); u.Status != runs.StatusRunning {
		t.Errorf("got %+v", u)
	}
	eventually(t, "the run to be left again", left)
	close(gate)
	if u := w.Done(r, nil); u.Text != "re: hello" {
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
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	list := make([]runs.Run, count)
	for i := range list {
		list[i] = w.send(Request{Session: w.session(), Message: fmt.Sprint("message ", i)})
		wg.Go(func() {
			u, err := list[i].Wait(t.Context(), runs.UntilDone, 0, nil)
			want, text := runs.StatusCompleted, fmt.Sprint("re: message ", i)
			if i%2 == 0 {
				want, text = runs.StatusCancelled, "re: "
			}
			if err != nil || u.Status != want || u.Text != text {
				t.Errorf("run %d: got %s %q, %v", i, u.Status, u.Text, err)
			}
		})
	}
	eventually(t, "all the streams", func() bool { return w.Srv.OpenStreams() == count })
	eventually(t, "all the texts", func() bool {
		for _, l := range w.m.All() {
			if l.Text() == "" {
				return false
			}
		}
		return true
	})
	for i := 0; i < count; i += 2 {
		if _, err := list[i].Cancel(t.Context()); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the cancelled streams to end", func() bool { return w.Srv.OpenStreams() == count/2 })
	close(gate)
	wg.Wait()
	eventually(t, "all streams to end", func() bool { return w.Srv.OpenStreams() == 0 })
	w.Client.CloseIdleConnections()
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+10 })
	if n := len(w.m.List()); n != count {
		t.Errorf("%d runs are listed", n)
	}
	if u := w.m.List()[0]; w.Done(w.open(w.m, u.Handle), nil).Text != fmt.Sprint("re: message ", count-1) {
		t.Error("the newest run is not the first of the list")
	}
}

// TestToolsBounded holds what is kept of the agent's tools to its limits.
func TestToolsBounded(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	r := &reply{s: w.m.chat}
	r.Live = w.m.NewLive(runs.NewState(runs.KindChat, w.ID))
	for i := range 2 * maxTools {
		id := fmt.Sprint(i)
		r.tool(client.Event{Kind: client.EventToolStart, Tool: client.ToolCall{ID: id, Name: "exec", Arguments: []byte(`{"command":"` + strings.Repeat("é", maxValue/2+10) + `"}`)}})
		r.tool(client.Event{Kind: client.EventToolEnd, Tool: client.ToolCall{ID: id, Result: strings.Repeat("é", maxValue)}})
	}
	if n := r.Size(); len(r.used) != maxTools || n > maxUsed {
		t.Errorf("%d tools and %d bytes are kept", len(r.used), n)
	}
	if last := r.used[len(r.used)-1]; len(last.Arguments) < maxValue-2 || len(last.Result) < maxValue-2 {
		t.Errorf("of the last tool, %d bytes of arguments and %d of the result are kept", len(last.Arguments), len(last.Result))
	}
	if first := r.used[0]; len(first.Arguments) > oldArgs || first.Name != "exec" {
		t.Errorf("of the oldest tool, %d bytes of arguments are kept", len(first.Arguments))
	}
	for i := range 2 * maxTools {
		r.tool(client.Event{Kind: client.EventToolStart, Tool: client.ToolCall{ID: strings.Repeat("x", 500) + fmt.Sprint(i), Name: strings.Repeat("n", 1000)}})
	}
	if n := r.Size(); n > maxUsed || !strings.HasSuffix(r.used[len(r.used)-1].ID, fmt.Sprint(2*maxTools-1)) {
		t.Errorf("with long names, %d tools and %d bytes are kept", len(r.used), n)
	}
}

// TestLargeReply has replies of several MiB, in pieces, whole and cumulative.
func TestLargeReply(t *testing.T) {
	t.Parallel()
	piece := strings.Repeat("0123456789abcdé\n", 1<<13)
	for family, pieces := range map[emulatortest.Family]int{emulatortest.FamilyD: 16, emulatortest.FamilyE: 3} {
		want := strings.Repeat(piece, pieces)
		w := start(t, emulatortest.Options{Family: family, Agent: emulator.AgentFunc(
			func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
				for range pieces {
					_ = emit(emulator.AgentEvent{Kind: emulator.Text, Text: piece})
				}
				return nil
			})})
		w.throughAll([]emulatortest.Fault{{CutBytes: len(piece) * 3}}, w.whole(want))
	}
}

// TestClosed closes a manager under those who wait.
func TestClosed(t *testing.T) {
	gate := make(chan struct{})
	w := start(t, emulatortest.Options{Agent: gated(gate)})
	defer close(gate)
	r := w.send(Request{Session: w.session()})
	result := make(chan *runs.Update)
	go func() {
		u, _ := r.Wait(t.Context(), runs.UntilDone, 0, nil)
		result <- u
	}()
	eventually(t, "the stream", func() bool { return w.Srv.OpenStreams() == 1 })
	w.m.Close()
	if u := <-result; u.Status != runs.StatusRunning || u.Handle == "" {
		t.Errorf("got %+v", u)
	}
	if _, _, err := w.m.chat.Send(t.Context(), Request{Instance: w.ID, Session: "s", Message: "m"}); err != runs.ErrClosed {
		t.Errorf("got %v", err)
	}
	eventually(t, "the end of the stream", func() bool { return w.Srv.OpenStreams() == 0 })
}

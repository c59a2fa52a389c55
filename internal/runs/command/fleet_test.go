package command

import (
	"errors"
	"strings"
	"testing"
	"time"

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

func (w *world) startAt(p *process, req Request) Started {
	w.Helper()
	req.Instance = w.ID
	s, err := p.commands.Start(w.Context(), req)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// A command with a key runs once, whoever repeats the call and whenever.
func TestFleetKey(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w, ps := several(t, 3, emulatortest.Options{Sandbox: mode})
			req := Request{Command: "echo ran >>ran; while [ ! -e go ]; do sleep 0.02; done; echo done", IdempotencyKey: "k"}
			first := w.startAt(ps[0], req)
			eventually(t, "the command", func() bool { return w.sh("cat ran 2>/dev/null; true") == "ran\n" })
			second := w.startAt(ps[1], req)
			if first.Joined != "" || second.Joined == "" {
				t.Errorf("joined %q, %q", first.Joined, second.Joined)
			}
			other := req
			other.Instance, other.Command = w.ID, "echo other"
			if _, err := ps[1].commands.Start(t.Context(), other); !errors.Is(err, ErrKeyReused) {
				t.Errorf("got %v", err)
			}
			ps[0].kill()
			third := w.startAt(ps[2], req)
			w.sh("touch go")
			for _, s := range []Started{second, third, w.startAt(ps[1], req)} {
				if u := w.Done(s, nil); u.Status != runs.StatusCompleted || output(u).Stdout.Head != "done\n" || code(u) != "0" {
					t.Errorf("got %+v", u)
				}
			}
			if got := w.sh("cat ran"); got != "ran\n" {
				t.Errorf("it ran: %q", got)
			}
		})
	}
}

// A command that was answered at once is found again, too, and one whose process was
// killed before it could start is started.
func TestFleetKeyStarts(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 2, emulatortest.Options{})
	quick := Request{Command: "echo ran >>ran; echo out", IdempotencyKey: "k", Wait: 10 * time.Second, Inline: 1000}
	for i, p := range []*process{ps[0], ps[1], ps[0]} {
		s := w.startAt(p, quick)
		if u := w.Done(s, nil); output(u).Stdout.Head != "out\n" || code(u) != "0" || (s.Joined != "") != (i > 0) {
			t.Errorf("%d: joined %q: got %+v", i, s.Joined, u)
		}
		eventually(t, "the start to be noted", func() bool { return w.claimOf(p, quick).Sent })
	}
	if got := w.sh("cat ran"); got != "ran\n" {
		t.Errorf("it ran: %q", got)
	}
	// Claimed, and no more.
	state := runs.NewState(runs.KindCommand, w.ID)
	state.Flags = flagDetached
	late := Request{Instance: w.ID, Command: "echo late", IdempotencyKey: "l"}
	if _, err := ps[0].Claim(t.Context(), "command/"+w.ID+"\x00l", late.hash(), state); err != nil {
		t.Fatal(err)
	}
	if u := w.Done(w.startAt(ps[1], late), nil); output(u).Stdout.Head != "late\n" {
		t.Errorf("got %+v", u)
	}
	// What was refused may be tried again.
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: execEndpoint, Status: 429})
	refused := Request{Command: "echo again", IdempotencyKey: "m"}
	if u := w.Done(w.startAtOrFail(ps[0], refused), nil); u.Status != runs.StatusFailed {
		t.Errorf("got %+v", u)
	}
	w.Srv.SetFaults()
	eventually(t, "the claim to be let go", func() bool {
		s, err := ps[1].commands.Start(t.Context(), Request{Instance: w.ID, Command: "echo again", IdempotencyKey: "m"})
		return err == nil && w.Done(s, nil).Status == runs.StatusCompleted
	})
}

// startAtOrFail is startAt for a start that may fail at once, with a wait.
func (w *world) startAtOrFail(p *process, req Request) runs.Run {
	w.Helper()
	req.Wait = time.Second
	return w.startAt(p, req)
}

func (w *world) claimOf(p *process, req Request) *runs.Claim {
	w.Helper()
	c, err := p.Claim(w.Context(), "command/"+w.ID+"\x00"+req.IdempotencyKey, req.hash(), runs.NewState(runs.KindCommand, w.ID))
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// A command whose handle is out runs for as long as a process may be starting it. Where that
// was killed before it could, nobody waits for long.
func TestFleetStarterKilled(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 2, emulatortest.Options{})
	state := runs.NewState(runs.KindCommand, w.ID)
	state.Flags, state.Started = flagDetached, time.Now().Add(-orphanGrace-time.Second)
	defer ps[0].commands.serveStart(state.ID)()
	handle := ps[0].Seal(state)
	if u := runstest.Now(t, w.open(ps[1], handle)); u.Status != runs.StatusRunning || len(u.Notes) != 1 {
		t.Errorf("got %s, %v, notes %q", u.Status, u.Err, u.Notes)
	}
	ps[0].kill()
	if u := w.Done(w.open(ps[1], handle), nil); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "never started") {
		t.Errorf("got %s, %v", u.Status, u.Err)
	}
}

// A sandbox that can't detach runs a command with a key once all the same, and its
// result is kept.
func TestFleetKeyPlain(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 3, emulatortest.Options{})
	long := Request{Command: "echo ran >>ran; echo out #" + strings.Repeat("x", maxDetached), IdempotencyKey: "k"}
	if u := w.Done(w.startAt(ps[0], long), nil); output(u).Stdout.Head != "out\n" {
		t.Errorf("got %+v", u)
	}
	if u := w.Done(w.startAt(ps[1], long), nil); output(u).Stdout.Head != "out\n" {
		t.Errorf("got %+v", u)
	}
	eventually(t, "the result to be noted", func() bool { return w.claimOf(ps[2], long).Ended() })
	ps[0].kill()
	ps[1].kill()
	if s := w.startAt(ps[2], long); s.Joined == "" {
		t.Error("it did not join")
	} else if u := w.Done(s, nil); output(u).Stdout.Head != "out\n" || code(u) != "0" {
		t.Errorf("got %+v", u)
	}
	if got := w.sh("cat ran"); got != "ran\n" {
		t.Errorf("it ran: %q", got)
	}
}

// The same command without a key is another one, unless the process of the first was
// killed before it answered.
func TestFleetUnanswered(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 3, emulatortest.Options{})
	req := Request{Detach: true, Command: "echo ran >>ran; while [ ! -e go ]; do sleep 0.02; done; echo done"}
	ran := func(n int) func() bool {
		return func() bool { return w.sh("cat ran 2>/dev/null; true") == strings.Repeat("ran\n", n) }
	}
	answered := w.startAt(ps[0], req)
	eventually(t, "the command", ran(1))
	w.startAt(ps[1], req)
	eventually(t, "the command of another process", ran(2))
	answered.Answered()
	w.startAt(ps[0], req) // not answered
	eventually(t, "the command again", ran(3))
	ps[0].kill()
	found := w.startAt(ps[2], req)
	if found.Joined == "" {
		t.Error("it was started again")
	}
	w.sh("touch go")
	if u := w.Done(found, nil); output(u).Stdout.Head != "done\n" || code(u) != "0" {
		t.Errorf("got %+v", u)
	}
	found.Answered()
	last := w.startAt(ps[2], req)
	if u := w.Done(last, nil); last.Joined != "" || output(u).Stdout.Head != "done\n" {
		t.Errorf("joined %q: got %+v", last.Joined, u)
	}
	if !ran(4)() {
		t.Errorf("it ran: %q", w.sh("cat ran"))
	}
	// Of one that is not detached, nobody has the answer: that is said, once.
	plain := Request{Command: "echo ran >>ran; sleep 300", Timeout: time.Hour}
	w.startAt(ps[1], plain)
	eventually(t, "the plain command", ran(5))
	ps[1].kill()
	lost := w.startAt(ps[2], plain)
	if u := w.Done(lost, nil); u.Status != runs.StatusFailed || outcomeIn(u.Err) != client.OutcomeUnknown {
		t.Errorf("got %+v", u)
	}
	if !ran(5)() {
		t.Errorf("it ran: %q", w.sh("cat ran"))
	}
}

// A call whose process was killed may have its answer from another one, which went on
// with its stream: then the same command is another one.
func TestFleetAnsweredElsewhere(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 2, emulatortest.Options{})
	req := Request{Detach: true, Command: "echo ran >>ran; echo done"}
	first := w.startAt(ps[0], req)
	w.Done(first, nil)
	state, err := ps[0].Inspect(first.Handle())
	if err != nil {
		t.Fatal(err)
	}
	ps[0].kill()
	ps[1].AnsweredElsewhere(t.Context(), state.ID)
	again := w.startAt(ps[1], req)
	if u := w.Done(again, nil); again.Joined != "" || output(u).Stdout.Head != "done\n" {
		t.Errorf("joined %q: got %+v", again.Joined, u)
	}
	if got := w.sh("cat ran"); got != "ran\nran\n" {
		t.Errorf("it ran: %q", got)
	}
}

// How a command ended that left no files is kept where its caller was promised that, also where
// it was to be detached.
func TestFleetKeepsEnd(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 1, emulatortest.Options{})
	ps[0].commands.missing[w.ID] = missingTools{"setsid", time.Now()}
	for _, req := range []Request{{Command: "echo one; exit 3"}, {Command: "echo one; exit 3", Detach: true, Wait: time.Minute}} {
		run := w.startAt(ps[0], req)
		eventually(t, "the start", func() bool {
			d, ok := run.Run.(*detached)
			return !ok || d.starting.isSettled()
		})
		handle := run.Handle()
		ps[0].KeepEnd(handle)
		w.Done(run, nil)
		eventually(t, "the end to be kept", func() bool {
			u := w.Done(w.open(w.process(testKey, ""), handle), nil)
			return u.Status == runs.StatusCompleted && output(u).Stdout.Head == "one\n" && code(u) == "3" && u.About == "echo one; exit 3"
		})
	}
}

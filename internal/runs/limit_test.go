package runs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/runs/runstest"
)

// A caller has only so many runs under way, of whatever kind. One that is refused leaves
// nothing behind; a repeated call counts once.
func TestLimit(t *testing.T) {
	t.Parallel()
	w := runstest.Start(t, emulatortest.Options{}, nil)
	w.Fleet = fleet.Alone()
	m := w.Manager(runstest.Key, "me")
	m.Config.Limit = 3
	k := withKinds(m)
	s := session(w)
	keyed := chat.Request{Instance: w.ID, Session: s, Message: "wait 60", IdempotencyKey: "first"}
	first, _, err := k.chat.Send(t.Context(), keyed)
	if err != nil {
		t.Fatal(err)
	}
	queued := chat.Request{Instance: w.ID, Session: s, Message: "behind it"}
	second, _, err := k.chat.Send(t.Context(), queued)
	if err != nil {
		t.Fatal(err)
	}
	third := k.send(w, "wait 60")
	refused := chat.Request{Instance: w.ID, Session: s, Message: "too many", IdempotencyKey: "fourth"}
	for range 2 {
		if _, _, err := k.chat.Send(t.Context(), refused); !errors.Is(err, runs.ErrLimit) || !strings.Contains(err.Error(), "3, the most that one caller may have") {
			t.Errorf("a fourth message: %v", err)
		}
		if _, err := k.command.Start(t.Context(), command.Request{Instance: w.ID, Command: "true"}); !errors.Is(err, runs.ErrLimit) {
			t.Errorf("a fourth command: %v", err)
		}
		if _, err := k.create.Start(t.Context(), client.CreateInstanceRequest{}); !errors.Is(err, runs.ErrLimit) {
			t.Errorf("a fourth instance: %v", err)
		}
	}
	for _, again := range []chat.Request{keyed, queued} {
		if _, joined, err := k.chat.Send(t.Context(), again); err != nil || joined == "" {
			t.Errorf("%s again: %q, %v", again.Message, joined, err)
		}
	}
	// What this process has begun does not keep it from following what another one began.
	other := withKinds(w.Manager(runstest.Key, "me"))
	theirs, err := w.Open(k.Manager, other.send(w, "wait 60").Handle()).Cancel(t.Context())
	if err != nil {
		t.Errorf("a run of another process: %s, %v", theirs, err)
	}
	for _, r := range []runs.Run{second, first, third} {
		if _, err := r.Cancel(t.Context()); err != nil {
			t.Error(err)
		}
	}
	// Not even its key is taken, nor its place in the session.
	fourth, joined, err := k.chat.Send(t.Context(), refused)
	if err != nil || joined != "" {
		t.Fatalf("once there is room: %q, %v", joined, err)
	}
	if u := runstest.Now(t, fourth); u.Status != runs.StatusRunning || len(u.Notes) > 0 {
		t.Errorf("once there is room: %s, %q, %v", u.Status, u.Notes, u.Err)
	}
	if _, err := fourth.Cancel(t.Context()); err != nil {
		t.Error(err)
	}
}

// Runs of other processes that are followed here are as many at most.
func TestLimitOfTakenUp(t *testing.T) {
	t.Parallel()
	w := runstest.Start(t, emulatortest.Options{}, nil)
	w.Fleet = fleet.Alone()
	theirs := withKinds(w.Manager(runstest.Key, "me"))
	m := w.Manager(runstest.Key, "me")
	m.Config.Limit = 2
	k := withKinds(m)
	var handles []string
	for i := range 3 {
		handles = append(handles, theirs.send(w, fmt.Sprint("wait ", 60+i)).Handle())
	}
	first := w.Open(k.Manager, handles[0])
	w.Open(k.Manager, handles[1])
	if _, err := k.Open(handles[2]); !errors.Is(err, runs.ErrLimit) {
		t.Errorf("a third: %v", err)
	}
	w.Open(k.Manager, handles[0])
	if _, err := first.Cancel(t.Context()); err != nil {
		t.Error(err)
	}
	w.Open(k.Manager, handles[2])
}

//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/rfb/rfbtest"
)

// What one replica has, the others ask it for.

// tool calls a tool at a replica.
func (w *httpWire) tool(t *testing.T, name string, args params) result {
	t.Helper()
	e := &eventStream{result: answer(t, w.start(t, "1", "tools/call", params{"name": name, "arguments": args}))}
	return e.answer(t)
}

// A terminal of one replica is typed into at another, which asks the first; when that is
// killed, at a third, which takes the shell up.
func TestReplicasTerminal(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	procs, clients := replicas(t, up, 3)
	term := clients[0].tool(t, "open_terminal", params{"command": "x=kept"}).str("terminal")
	for at := 1; at < 3; at++ {
		r := clients[at].tool(t, "write_terminal", params{"terminal": term, "text": "echo $x-$x", "keys": []string{"enter"}, "wait_for": "^kept-kept$"})
		if r.str("ended") != "pattern" {
			t.Errorf("at replica %d: %s", at, r.Text)
		}
		if at == 1 {
			if n := up.OpenTerminals(); n != 1 {
				t.Errorf("%d connections are open", n)
			}
			procs[0].kill(t)
		}
	}
	clients[1].tool(t, "close_terminal", params{"terminal": term})
}

// Coordinates are of the picture that any replica returned last; without the one that
// knows, of the picture that the call names.
func TestReplicasDesktop(t *testing.T) {
	t.Parallel()
	vnc := rfbtest.New(1600, 800)
	vnc.Encoding = rfbtest.ZRLE
	up := newUpstream(t, emulatortest.Options{VNC: vnc.Listen(t)})
	procs, clients := replicas(t, up, 2)
	name := clients[0].tool(t, "take_screenshot", params{"max_width": 800}).str("picture")
	move := params{"action": "move", "x": 200, "y": 100}
	want := func(at int, text string) {
		t.Helper()
		if r := clients[at].tool(t, "control_desktop", move); !strings.Contains(r.Text, text) {
			t.Errorf("at replica %d: %s", at, r.Text)
		}
	}
	want(1, "at 401,201 of the screen")
	clients[1].tool(t, "take_screenshot", params{"x": 0, "y": 0, "width": 400, "height": 200})
	want(0, "at 200,100 of the screen")
	if n := up.OpenDesktops(); n != 1 {
		t.Errorf("%d connections are open", n)
	}
	procs[0].kill(t)
	want(1, "take a screenshot first")
	move["picture"] = name
	want(1, "at 401,201 of the screen")
}

// wait_run is live at a replica that does not feed the run: the history has nothing of
// the reply yet.
func TestReplicasWaitRun(t *testing.T) {
	t.Parallel()
	words := make(chan string)
	up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
	_, clients := replicas(t, up, 2)
	sent := clients[0].tool(t, "send_chat_message", params{"message": "a long task", "wait_seconds": 0})
	e := clients[1].post(t, "7", "wait_run", params{"runs": []string{sent.str("run")}})
	defer func() { e.close() }()
	words <- "one "
	if !e.until(t, "one") {
		t.Fatalf("no word came: %q", e.text.String())
	}
	words <- "two"
	close(words)
	if !e.until(t, "") {
		t.Fatal("no answer came")
	}
	if r := e.answer(t).run(0); r.str("status") != "completed" || !strings.HasSuffix(strings.TrimSpace(e.text.String()), "two") {
		t.Errorf("the progress says %q and the result %v", e.text.String(), r.Data)
	}
}

// An event id of one replica's stream brings that stream at another, though that one has
// had as many streams of its own.
func TestReplicasEventIDs(t *testing.T) {
	t.Parallel()
	words := make(chan string)
	up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
	_, clients := replicas(t, up, 2)
	// Either agent takes a word.
	said, enough := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(said)
		for tick := time.Tick(10 * time.Millisecond); ; <-tick {
			select {
			case words <- "word ":
			case <-enough:
				return
			}
		}
	}()
	var streams []*eventStream
	for i, id := range []string{"21", "22"} {
		session := clients[i].tool(t, "create_chat_session", nil).Data["session"].(map[string]any)["id"]
		e := clients[i].post(t, id, "send_chat_message", params{"message": "message " + id, "session": session})
		defer func() { e.close() }()
		if !e.until(t, "word") {
			t.Fatal("the stream ended")
		}
		streams = append(streams, e)
	}
	for i, e := range streams {
		e.resume(t, clients[1-i])
	}
	close(enough)
	<-said
	close(words)
	for i, e := range streams { // event checks whose the answer and the progress are
		if !e.until(t, "") {
			t.Errorf("no answer came to %d", i)
		} else if r := e.answer(t); r.str("status") != "completed" {
			t.Errorf("%d: %s", i, r.Text)
		}
	}
}

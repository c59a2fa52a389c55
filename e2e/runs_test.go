//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const streamEndpoint = "POST /instances/{instance}/chat/stream"

// steppedAgent says one word of its reply for each value on the channel, and
// ends when that is closed.
func steppedAgent(words <-chan string) emulator.Agent {
	return emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for {
			select {
			case word, ok := <-words:
				if !ok {
					return nil
				}
				if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: word}); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// reply collects what the results of one run say.
type reply struct {
	text, run, status, next string
}

// take adds a result. Over a wait_run, it is the first run's.
func (y *reply) take(t *testing.T, r result) {
	t.Helper()
	if r.Data["revised"] == true {
		y.text = ""
	}
	y.text += r.str("reply")
	y.run, y.status, y.next = r.str("run"), r.str("status"), r.str("next")
	if y.status == "running" && (y.run == "" || !strings.Contains(y.next, "wait_run {\"runs\":[\""+y.run+"\"]}")) {
		t.Errorf("a running run has the handle %q and goes on with %q", y.run, y.next)
	}
}

// storedReply is what the service keeps as the agent's last word.
func (u *upstream) storedReply(session string) string {
	all := u.Messages(u.instance, session)
	if len(all) == 0 || all[len(all)-1].Role != "assistant" {
		return ""
	}
	return all[len(all)-1].Text
}

func (u *upstream) userMessages(session string) (n int) {
	for _, m := range u.Messages(u.instance, session) {
		if m.Role == "user" {
			n++
		}
	}
	return n
}

// A reply that takes longer than a call is read on with its handle, also by
// other processes after kill -9 of the first.
func TestRunSurvivesKills(t *testing.T) {
	t.Parallel()
	for _, family := range []emulatortest.Family{emulatortest.FamilyD, emulatortest.FamilyE} {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			words := make(chan string)
			up := newUpstream(t, emulatortest.Options{Family: family, Agent: steppedAgent(words), Heartbeat: 200 * time.Millisecond})
			c := combinations[1]
			s := c.connect(t, up.env())
			first := s.begin(t, "send_chat_message", params{"message": "a long task", "wait_seconds": 1})
			words <- "word0 "
			var y reply
			r := first.result(t)
			y.take(t, r)
			session := r.str("session")
			if y.status != "running" || y.text != "word0 " && y.text != "word0" {
				t.Fatalf("after the first word: %s", r.raw)
			}
			var want strings.Builder
			want.WriteString("word0 ")
			const kills = 4
			for i := 1; i <= kills; i++ {
				s.proc.kill(t)
				for j := range 3 {
					word := fmt.Sprintf("word%d.%d ", i, j)
					words <- word
					want.WriteString(word)
				}
				s = combinations[i%len(combinations)].connect(t, up.env())
				y.take(t, s.ok(t, "wait_run", params{"runs": []string{y.run}, "wait_seconds": 1, "until": "news"}).run(0))
				if y.status != "running" {
					t.Fatalf("after %d kills the run is %q", i, y.status)
				}
			}
			close(words)
			for y.status == "running" {
				y.take(t, s.ok(t, "wait_run", params{"runs": []string{y.run}, "wait_seconds": 20}).run(0))
			}
			stored := up.storedReply(session)
			if y.status != "completed" || strings.TrimSpace(y.text) != strings.TrimSpace(stored) || strings.TrimSpace(stored) != strings.TrimSpace(want.String()) {
				t.Errorf("status %q, the parts make %q; the service has %q", y.status, y.text, stored)
			}
			if n := up.userMessages(session); n != 1 {
				t.Errorf("the message was sent %d times", n)
			}
		})
	}
}

// wait_seconds 0 returns at once, and the same process reads on from the live
// stream without gap or repetition.
func TestRunReadOnLive(t *testing.T) {
	t.Parallel()
	words := make(chan string)
	up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
	s := connect(t, up.env())
	start := time.Now()
	r := s.ok(t, "send_chat_message", params{"message": "go", "wait_seconds": 0})
	if took := time.Since(start); took > patience {
		t.Errorf("wait_seconds 0 took %s", took)
	}
	var y reply
	y.take(t, r)
	origin := y.run
	var want strings.Builder
	for i := range 10 {
		word := fmt.Sprintf("w%d ", i)
		words <- word
		want.WriteString(word)
		y.take(t, s.ok(t, "wait_run", params{"runs": []string{y.run}, "wait_seconds": 10, "until": "news"}).run(0))
	}
	close(words)
	y.take(t, s.ok(t, "wait_run", params{"runs": []string{y.run}, "wait_seconds": 10}).run(0))
	if y.status != "completed" || strings.TrimSpace(y.text) != strings.TrimSpace(want.String()) {
		t.Errorf("status %q, the parts make %q, want %q", y.status, y.text, want.String())
	}
	// Reading twice with one handle gives the same again.
	var again reply
	again.take(t, s.ok(t, "wait_run", params{"runs": []string{origin}}).run(0))
	if again.text != y.text {
		t.Errorf("the first handle reads %q now", again.text)
	}
	if list := s.ok(t, "list_runs", nil); list.run(0).str("status") != "completed" || list.run(0).str("kind") != "chat" {
		t.Errorf("list_runs: %s", list.Text)
	}
}

// Whatever dialect the service streams in, every word arrives once, in order,
// before the result.
func TestRunFamilies(t *testing.T) {
	t.Parallel()
	for _, family := range []emulatortest.Family{
		emulatortest.FamilyA, emulatortest.FamilyB, emulatortest.FamilyC, emulatortest.FamilyD, emulatortest.FamilyE,
		emulatortest.FamilyEWrapped, emulatortest.FamilyF, emulatortest.FamilyG, emulatortest.FamilyNDJSON, emulatortest.FamilyJSON,
	} {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{Family: family, Pace: 2 * time.Millisecond})
			s := connect(t, up.env())
			r := s.ok(t, "send_chat_message", params{"message": "count to 200"})
			stored := up.storedReply(r.str("session"))
			if r.str("reply") != stored || !strings.HasSuffix(stored, " 200") {
				t.Errorf("the reply is %q, the service has %q", shorten(r.str("reply"), 300), shorten(stored, 300))
			}
			if got := r.streamed(); got != stored && family != emulatortest.FamilyJSON {
				t.Errorf("the progress says %q", got)
			}
			// One that uses tools and says how it goes.
			r = s.ok(t, "send_chat_message", params{"message": "run: echo from a tool"})
			if !strings.Contains(r.str("reply"), "from a tool") || r.str("reply") != up.storedReply(r.str("session")) {
				t.Errorf("the reply is %q", r.str("reply"))
			}
		})
	}
}

// A stream that breaks, stalls or is garbled costs no word and no second send.
func TestRunBrokenStreams(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]emulatortest.Fault{
		"cut":             {CutEvents: 20},
		"cut in a line":   {CutBytes: 777},
		"clean cut":       {CutEvents: 20, CleanCut: true},
		"cut at start":    {CutEvents: emulatortest.AtStart},
		"dropped":         {Drop: true, After: true},
		"gateway timeout": {Status: 504, After: true, Body: "<html><title>504 Gateway Time-out</title></html>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Endpoint = streamEndpoint
			up := newUpstream(t, emulatortest.Options{Pace: time.Millisecond, Faults: []emulatortest.Fault{fault}})
			s := connect(t, up.env())
			r := s.ok(t, "send_chat_message", params{"message": "count to 100"})
			stored := up.storedReply(r.str("session"))
			if r.str("status") != "completed" || r.str("reply") != stored || !strings.HasSuffix(stored, " 100") {
				t.Errorf("status %q, reply %q; the service has %q", r.str("status"), shorten(r.str("reply"), 300), stored)
			}
			if n := up.userMessages(r.str("session")); n != 1 {
				t.Errorf("the message was sent %d times", n)
			}
		})
	}
}

func TestRunIdempotency(t *testing.T) {
	t.Parallel()
	words := make(chan string)
	up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
	s := connect(t, up.env())
	args := params{"message": "once", "idempotency_key": "k1", "wait_seconds": 30}
	first := s.begin(t, "send_chat_message", args)
	second := s.begin(t, "send_chat_message", args)
	words <- "only once"
	close(words)
	a, b := first.result(t), second.result(t)
	third := s.ok(t, "send_chat_message", args)
	for _, r := range []result{a, b, third} {
		if r.str("reply") != "only once" || r.str("status") != "completed" {
			t.Errorf("a repetition answered %s", r.raw)
		}
	}
	if !strings.Contains(third.Text, "nothing was sent again") {
		t.Errorf("the repetition does not say that it is one: %s", third.Text)
	}
	if n := up.Calls(streamEndpoint); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
	r := s.call(t, "send_chat_message", params{"message": "another", "idempotency_key": "k1"})
	if !r.IsError || !strings.Contains(r.Text, "nothing was sent") {
		t.Errorf("a key used twice: %s", r.Text)
	}
}

// A cancel with a person's reason stops a background command; an impatient
// client and a closed connection do not.
func TestRunCancelByNotification(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	each(t, func(t *testing.T, c combination) {
		s := c.connect(t, up.env())
		begin := func(name string) (*call, *lifeline) {
			line := newLifeline(t, up, c.name+"-"+name)
			cl := s.begin(t, "exec_command", params{
				"command": "echo started; exec 3>" + line.name + "; sleep 1000", "background": true, "wait_seconds": 40,
			})
			cl.progress(t)
			line.open(t)
			return cl, line
		}
		wanted, line := begin("cancelled")
		wanted.cancel(t, "The user said stop")
		line.cut(t)

		impatient, line := begin("timeout")
		impatient.cancel(t, "Request timed out")
		s.ok(t, "list_instances", nil)
		if !line.holds() {
			t.Error("a client that lost patience stopped the command")
		}
		r := s.ok(t, "cancel_run", params{"run": s.running(t)})
		if r.str("status") != "cancelled" {
			t.Errorf("cancel_run: %s", r.Text)
		}
		line.cut(t)
	})
}

// lifeline is a named pipe in a workspace. A command that has it open for writing,
// and so has every child of it, lives for as long as the pipe has not ended.
type lifeline struct {
	name string // in the workspace
	path string
	pipe *os.File
}

func newLifeline(t *testing.T, up *upstream, name string) *lifeline {
	t.Helper()
	l := &lifeline{name: name, path: filepath.Join(up.Workspace(up.instance), name)}
	if out, err := exec.Command("mkfifo", l.path).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v\n%s", err, out)
	}
	return l
}

// open waits until a command has the pipe open.
func (l *lifeline) open(t *testing.T) {
	t.Helper()
	opened := make(chan error, 1)
	go func() {
		var err error
		l.pipe, err = os.Open(l.path) // waits for a writer
		opened <- err
	}()
	if err := recv(t, opened, "the command that opens "+l.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.pipe.Close() })
}

// holds reports whether the command lives now.
func (l *lifeline) holds() bool {
	_ = l.pipe.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := l.pipe.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// cut waits until the command and all of its children are dead.
func (l *lifeline) cut(t *testing.T) {
	t.Helper()
	_ = l.pipe.SetReadDeadline(time.Now().Add(patience))
	if _, err := l.pipe.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("the command is not stopped: %v", err)
	}
}

// running finds the one run that goes on, by asking each: the list says how
// commands stood when they were last looked at.
func (s *session) running(t *testing.T) (run string) {
	t.Helper()
	list := s.ok(t, "list_runs", nil)
	for i := range list.Data["runs"].([]any) {
		handle := list.run(i).str("run")
		if now := s.ok(t, "wait_run", params{"runs": []string{handle}, "wait_seconds": 0}).run(0); now.str("status") == "running" {
			return handle
		}
	}
	t.Fatalf("nothing is running: %s", list.Text)
	return ""
}

func TestRunClosedConnection(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p, url := launchHTTP(t, up.env())
	for _, era := range []string{legacy, modern} {
		w := newHTTPWire(t, url, era)
		s := newSession(t, p, w)
		line := newLifeline(t, up, "closed-"+era)
		ctx, cut := context.WithCancel(t.Context())
		c := &call{s: s, tool: "exec_command", id: s.newID()}
		c.ch = w.startWith(t, ctx, c.id, "tools/call", c.params(params{
			"command":    fmt.Sprintf("echo started; exec 3>%s; while [ ! -e stop-%s ]; do sleep 0.05; done; echo finished", line.name, era),
			"background": true, "wait_seconds": 40,
		}))
		c.progress(t)
		cut()
		for range c.ch { // closed behind the last
		}
		line.open(t)
		s.ok(t, "list_instances", nil)
		if !line.holds() {
			t.Errorf("%s: a closed connection stopped the command", era)
		}
		run := s.running(t)
		if err := os.WriteFile(filepath.Join(up.Workspace(up.instance), "stop-"+era), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		r := s.ok(t, "wait_run", params{"runs": []string{run}, "wait_seconds": 30}).run(0)
		if r.str("status") != "completed" || r.str("stdout") != "started\nfinished\n" {
			t.Errorf("%s: the command's end: %v", era, r.Data)
		}
	}
}

// Several runs are waited for at once; the creation of an instance is one.
func TestRunWaitForSeveral(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{CreateDelay: 1500 * time.Millisecond, Pace: time.Millisecond})
	s := connect(t, up.env("OPENCLAW_INSTANCE_ID="+up.instance))
	create := s.ok(t, "create_instance", params{"wait_seconds": 0})
	chat := s.ok(t, "send_chat_message", params{"message": "wait 60", "wait_seconds": 0})
	slow := s.ok(t, "exec_command", params{"command": "sleep 60", "background": true})
	handles := []string{create.str("run"), chat.str("run"), slow.str("run")}
	r := s.ok(t, "wait_run", params{"runs": handles, "wait_seconds": 30})
	if got := r.run(0); got.str("status") != "completed" || got.str("instance_status") != "ready" {
		t.Errorf("the creation: %v", got.Data)
	}
	for i := 1; i < 3; i++ {
		if got := r.run(i).str("status"); got != "running" {
			t.Errorf("run %d is %q", i, got)
		}
		s.ok(t, "cancel_run", params{"run": handles[i]})
	}
	if list := s.ok(t, "list_instances", nil); len(list.Data["instances"].([]any)) != 2 {
		t.Errorf("list_instances: %s", list.Text)
	}
}

// A command that nobody asked to be in the background, and that outlasts its
// call, survives kill -9 of the server as any other run: its output is read
// on, in a new process, byte for byte.
func TestRunPlainCommandSurvivesKill(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			p := launch(t, up.env())
			s := newSession(t, p, newStdioWire(t, p, modern))
			r := s.ok(t, "exec_command", params{
				"command": fmt.Sprintf("i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); "+
					"[ $i != 50 ] || until [ -e go-%d ]; do sleep 0.05; done; done; exit 3", i),
				"wait_seconds": i % 3,
			})
			got := r.str("stdout")
			if r.str("status") != "running" {
				t.Fatalf("status %q", r.str("status"))
			}
			run := r.str("run")
			if i%2 == 1 { // some of it is read before
				next := s.ok(t, "wait_run", params{"runs": []string{run}, "until": "news", "wait_seconds": 2}).run(0)
				got, run = got+next.str("stdout"), next.str("run")
			}
			p.kill(t)
			if err := os.WriteFile(filepath.Join(up.Workspace(up.instance), fmt.Sprintf("go-%d", i)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p = launch(t, up.env())
			s = newSession(t, p, newStdioWire(t, p, legacy))
			for status := "running"; status == "running"; {
				r = s.call(t, "wait_run", params{"runs": []string{run}, "wait_seconds": 2}).run(0)
				got, status, run = got+r.str("stdout"), r.str("status"), r.str("run")
			}
			var want strings.Builder
			for n := range 100 {
				fmt.Fprintf(&want, "line %d\n", n)
			}
			if got != want.String() || r.str("status") != "completed" || !strings.Contains(r.Text, "exit code 3") {
				t.Errorf("%s, %q", r.Text, got)
			}
		})
	}
}

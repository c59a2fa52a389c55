//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// These tests last as long as one likes. What they promise is asked of long
// replies, patient clients and many kills: -reply 10m -gives-up 60s -outage 30s
// -kills 50.
var (
	replyLasts  = flag.Duration("reply", 4*time.Second, "how long the reply of TestImpatientClient takes")
	givesUp     = flag.Duration("gives-up", 800*time.Millisecond, "how long its client waits for an answer")
	outageLasts = flag.Duration("outage", 2*time.Second, "how long the service is down in TestOutage")
	randomKills = flag.Int("kills", 4, "kills of TestRandomKills, of replies and of commands each")
)

// spokenFor is an agent whose reply takes that long, a word at a time.
func spokenFor(d time.Duration, words int) emulator.Agent {
	return emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		beat := time.NewTicker(d / time.Duration(words))
		defer beat.Stop()
		for i := range words {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-beat.C:
			}
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: fmt.Sprintf("word%d ", i)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// readOn reads a run to its end, in calls that last as long as their client
// waits.
func (y *reply) readOn(t *testing.T, s *session, wait time.Duration) {
	t.Helper()
	for y.status == "running" {
		y.take(t, s.ok(t, "wait_run", params{"runs": []string{y.run}, "wait_seconds": int(wait / time.Second)}).run(0))
	}
}

// whole checks that the parts of a reply make what the service has.
func (y *reply) whole(t *testing.T, up *upstream, session string) {
	t.Helper()
	stored := up.storedReply(session)
	if y.status != "completed" || stored == "" || strings.TrimSpace(y.text) != strings.TrimSpace(stored) {
		t.Errorf("status %q, the parts make %q; the service has %q", y.status, shorten(y.text, 500), shorten(stored, 500))
	}
	if n := up.userMessages(session); n != 1 {
		t.Errorf("the message was sent %d times", n)
	}
}

// A client gives a call up, and makes the same call again, twice: the message is
// sent once, and the whole reply is read in the end.
func TestImpatientClient(t *testing.T) {
	t.Parallel()
	for _, c := range combinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const words = 200
			up := newUpstream(t, emulatortest.Options{Agent: spokenFor(*replyLasts, words)})
			// The server would wait for longer than the client does.
			s := c.connect(t, up.env("OPENCLAW_MCP_SOFT_DEADLINE=30m"))
			for range 3 {
				call := s.begin(t, "send_chat_message", params{"message": "a long task"})
				call.progress(t)
				time.Sleep(*givesUp) // that is what the client does
				call.cancel(t, "McpError -32001: Request timed out")
			}
			list := s.ok(t, "list_runs", nil)
			if all, _ := list.Data["runs"].([]any); len(all) != 1 {
				t.Fatalf("there are %d runs: %s", len(all), list.Text)
			}
			y := reply{run: list.run(0).str("run"), status: "running"}
			session := list.run(0).str("session")
			y.readOn(t, s, 45*time.Second)
			y.whole(t, up, session)
			if n := up.Calls(streamEndpoint); n != 1 {
				t.Errorf("%d requests sent the message", n)
			}
			if got := strings.Count(y.text, "word"); got != words {
				t.Errorf("%d words were read", got)
			}
		})
	}
}

// outage is a door to a service that can be shut.
type outage struct {
	t       testing.TB
	handler http.Handler
	addr    string
	server  *http.Server
}

func newOutage(t testing.TB, handler http.Handler) *outage {
	o := &outage{t: t, handler: handler, addr: "127.0.0.1:0"}
	o.open()
	t.Cleanup(func() { _ = o.server.Close() })
	return o
}

func (o *outage) open() {
	o.t.Helper()
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	o.addr = l.Addr().String()
	o.server = &http.Server{Handler: o.handler, ReadHeaderTimeout: patience}
	go func() { _ = o.server.Serve(l) }()
}

// The service is down for a while in the middle of a reply, whose agent goes on:
// it is read whole, once, and so is a command's output.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, family := range []emulatortest.Family{emulatortest.FamilyA, emulatortest.FamilyD, emulatortest.FamilyE} {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{Family: family, Agent: spokenFor(2**outageLasts, 100)})
			door := newOutage(t, up.Server)
			up.url = "http://" + door.addr + "/api"
			s := connect(t, up.env())
			exec := s.begin(t, "exec_command", params{"command": fmt.Sprintf(
				"i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); sleep %f; done", 2*outageLasts.Seconds()/20)})
			exec.progress(t)
			call := s.begin(t, "send_chat_message", params{"message": "a task"})
			call.progress(t)
			_ = door.server.Close()
			time.Sleep(*outageLasts) // the outage itself
			door.open()
			r := call.result(t)
			y, session := reply{}, r.str("session")
			y.take(t, r)
			y.readOn(t, s, 45*time.Second)
			y.whole(t, up, session)
			out := exec.result(t)
			var text strings.Builder
			text.WriteString(out.str("stdout"))
			for out.str("status") == "running" {
				out = s.ok(t, "wait_run", params{"runs": []string{out.str("run")}}).run(0)
				text.WriteString(out.str("stdout"))
			}
			if want := 20; strings.Count(text.String(), "line ") != want || !strings.HasSuffix(text.String(), "line 19\n") {
				t.Errorf("status %q, the command wrote %q", out.str("status"), text.String())
			}
		})
	}
}

// Kill -9 at random moments of streaming replies and of background commands: the
// parts that the processes before and after read make the whole, once.
func TestRandomKills(t *testing.T) {
	t.Parallel()
	const lasts = 2 * time.Second
	moment := func() time.Duration { return rand.N(lasts) }
	slots := make(chan struct{}, 4)
	run := func(name string, test func(t *testing.T, at time.Duration, first, second combination)) {
		for i := range *randomKills {
			at := moment()
			t.Run(fmt.Sprintf("%s/%d at %s", name, i, at.Round(time.Millisecond)), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				test(t, at, combinations[i%len(combinations)], combinations[rand.IntN(len(combinations))])
			})
		}
	}
	run("reply", func(t *testing.T, at time.Duration, first, second combination) {
		families := []emulatortest.Family{emulatortest.FamilyA, emulatortest.FamilyD, emulatortest.FamilyE}
		up := newUpstream(t, emulatortest.Options{Family: families[rand.IntN(len(families))], Agent: spokenFor(lasts, 200)})
		s := first.connect(t, up.env())
		r := s.ok(t, "send_chat_message", params{"message": "a task", "wait_seconds": 0})
		session := r.str("session")
		var y reply
		y.take(t, r)
		time.Sleep(at)         // the random moment: nothing is waited for
		if rand.IntN(2) == 0 { // some of it was read by then
			y.take(t, s.ok(t, "wait_run", params{"runs": []string{y.run}, "wait_seconds": 0}).run(0))
		}
		s.proc.kill(t)
		s = second.connect(t, up.env())
		y.readOn(t, s, 45*time.Second)
		y.whole(t, up, session)
	})
	run("command", func(t *testing.T, at time.Duration, first, second combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := first.connect(t, up.env())
		r := s.ok(t, "exec_command", params{
			"command":    "i=0; while [ $i -lt 100 ]; do echo line $i; echo err $i >&2; i=$((i+1)); sleep 0.02; done; exit 3",
			"background": rand.IntN(2) == 0, "wait_seconds": 0,
		})
		out, errs := r.str("stdout"), r.str("stderr")
		time.Sleep(at) // the random moment: nothing is waited for
		s.proc.kill(t)
		s = second.connect(t, up.env())
		for run, status := r.str("run"), "running"; status == "running"; run, status = r.str("run"), r.str("status") {
			r = s.call(t, "wait_run", params{"runs": []string{run}}).run(0)
			out, errs = out+r.str("stdout"), errs+r.str("stderr")
		}
		var want, wantErr strings.Builder
		for n := range 100 {
			fmt.Fprintf(&want, "line %d\n", n)
			fmt.Fprintf(&wantErr, "err %d\n", n)
		}
		if out != want.String() || errs != wantErr.String() || r.str("status") != "completed" || !strings.Contains(r.Text, "exit code 3") {
			t.Errorf("status %q, stdout %q, stderr %q", r.str("status"), out, errs)
		}
	})
}

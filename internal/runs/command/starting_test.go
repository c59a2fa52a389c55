package command

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// soon is a command that the caller waits for.
func soon(command string) Request {
	return Request{Command: command, Detach: true, Wait: 45 * time.Second, Inline: 20000}
}

// TestStarting runs commands that end at once: one request, the command's own
// output and exit code.
func TestStarting(t *testing.T) {
	t.Parallel()
	for shell, wrap := range shells() {
		for _, dialect := range dialects {
			t.Run(shell+"/"+string(dialect), func(t *testing.T) {
				t.Parallel()
				w := startBehind(t, emulatortest.Options{Exec: dialect}, runstest.Wrapped(wrap))
				w.m.commands.beginWait = time.Minute // however busy the machine is, it ends within the first request
				before := w.Srv.Calls(execEndpoint)
				u := w.Done(w.command(soon("echo out; echo err >&2; exit 3")), nil)
				want, posts := [2]string{"out\n", "err\n"}, 1
				switch dialect {
				case emulatortest.Output:
					want = [2]string{"out\nerr\n", ""}
				case emulatortest.Bare:
					posts = 3 // the answer has neither the exit code nor stderr, the files do
				}
				if got := [2]string{output(u).Stdout.Head, output(u).Stderr.Head}; u.Status != runs.StatusCompleted || got != want || code(u) != "3" {
					t.Errorf("got %s %q, code %s", u.Status, got, code(u))
				}
				if n := w.Srv.Calls(execEndpoint) - before; n != posts {
					t.Errorf("%d requests", n)
				}
				// More than fits is kept, and read from the files.
				r := w.command(Request{Command: "seq 20000", Detach: true, Wait: time.Minute, Inline: 1000})
				u = w.Done(r, nil)
				if got := output(u).Stdout.Head + output(u).Stdout.Tail; len(got) != 108894 || u.More || code(u) != "0" {
					t.Errorf("got %d bytes, more: %v", len(got), u.More)
				}
			})
		}
	}
}

// TestStartingLasts has a command outlast the request that starts it: its handle
// is another manager's to take up, also when the first one is gone.
func TestStartingLasts(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	r := w.command(Request{Command: "echo so far; until [ -e go ]; do sleep 0.1; done; echo done; exit 7", Detach: true, Wait: time.Second, Inline: 1000})
	u, err := r.Wait(t.Context(), runs.UntilNews, 1000, nil)
	if err != nil || u.Status != runs.StatusRunning || output(u).Stdout.Head != "so far\n" {
		t.Fatalf("got %+v, %v", u, err)
	}
	w.m.Close()
	w.sh("touch go")
	u = w.Done(w.open(w.process(testKey, ""), u.Handle), nil)
	if u.Status != runs.StatusCompleted || output(u).Stdout.Head != "done\n" || code(u) != "7" {
		t.Errorf("got %+v", u)
	}
}

// TestStartingLost loses the answer of a command that ends at once: what it did
// and wrote is found, and it runs once.
func TestStartingLost(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulatortest.Fault{
		"lost":     {After: true, Drop: true},
		"cut":      {CutBytes: 10},
		"gateway":  {After: true, Status: 504, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"time-out": {After: true, Status: 200, Body: `{"stdout":"","timed_out":true}`},
		"no code":  {After: true, Status: 200, Body: `{"success":true,"stdout":""}`},
		"cut off":  {After: true, Status: 200, Body: `{"stdout":"o","truncated":true,"exit_code":4}`},
	} {
		if !thorough && name != "lost" && name != "no code" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{})
			f.Endpoint, f.Call = execEndpoint, 1
			w.Srv.SetFaults(f)
			u := w.Done(w.command(soon("echo x >>count; echo out; exit 4")), nil)
			if u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" || code(u) != "4" {
				t.Errorf("got %+v, %+v", u, output(u))
			}
			if got := w.sh("cat count"); got != "x\n" {
				t.Errorf("it ran %d times", len(got)/2)
			}
		})
	}
	// What never reached the sandbox is told from what did.
	w := start(t, emulatortest.Options{})
	for name, tt := range map[string]struct {
		fault emulatortest.Fault
		want  client.Outcome
	}{
		"dropped": {emulatortest.Fault{Call: 1, Drop: true}, client.OutcomeNotSent},
		"asleep":  {emulatortest.Fault{Status: 503, Body: `{"message":"asleep"}`}, client.OutcomeRejected},
	} {
		tt.fault.Endpoint = execEndpoint
		w.Srv.SetFaults(tt.fault)
		if u := w.Done(w.command(soon("echo x >>count")), nil); u.Status != runs.StatusFailed || outcomeIn(u.Err) != tt.want {
			t.Errorf("%s: got %+v", name, u)
		}
		w.Srv.SetFaults()
	}
	w.Srv.SetFaults(notReady)
	if u := w.Done(w.command(soon("echo x >>count")), nil); u.Status != runs.StatusCompleted || code(u) != "1" || !output(u).NotReady {
		t.Errorf("not ready: got %+v", u)
	}
	w.Srv.SetFaults()
	if got := w.sh("cat count 2>/dev/null; true"); got != "" {
		t.Error("something ran")
	}
}

// TestStartingNoShell runs commands on a service whose commands no shell reads:
// its answer is the result.
func TestStartingNoShell(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	for body, want := range map[string]string{
		`{"stdout":"hi\n","stderr":"","exit_code":0}`:                 "hi\n 0",
		`{"stdout":"","stderr":"not found","exit_code":127}`:          " 127",
		`{"output":"hi\n","exit_code":124,"timed_out":true}`:          "hi\n 124",
		`{"success":true,"stdout":"hi\n"}`:                            "hi\n none",
		`{"stdout":"some","truncated":true,"exit_code":0}`:            "some 0",
		`{"result":{"stdout":"openclaw-mcp:x started","exitCode":0}}`: "openclaw-mcp:x started 0",
	} {
		w.Srv.SetFaults(emulatortest.Fault{Endpoint: execEndpoint, Status: 200, Body: body})
		u := w.Done(w.command(soon("say hi")), nil)
		if got := output(u).Stdout.Head + " " + code(u); u.Status != runs.StatusCompleted || got != want {
			t.Errorf("%s: got %s %q", body, u.Status, got)
		}
	}
}

// TestStartingCancel cancels commands while the request that starts them is under
// way, and behind that.
func TestStartingCancel(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{Sandbox: emulator.SandboxAuto}) // where ps shows its own processes alone
	times := 2
	if thorough {
		times = 6
	}
	for i := range times {
		name := fmt.Sprintf("sleep 3%d", i)
		r := w.command(soon(name))
		if i%2 == 0 {
			eventually(t, "the command", func() bool { return strings.Contains(w.sh("ps -ef"), name) })
		}
		if i == 4 {
			ctx, cancel := context.WithTimeout(t.Context(), w.m.commands.beginWait+time.Second)
			if u, err := r.Wait(ctx, runs.UntilDone, 0, nil); err != nil || u.Status != runs.StatusRunning {
				t.Errorf("got %+v, %v", u, err)
			}
			cancel()
		}
		if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "killed") && note != killPrevented {
			t.Errorf("got %q, %v", note, err)
		}
		if u := w.Done(r, nil); u.Status != runs.StatusCancelled {
			t.Errorf("got %+v", u)
		}
		// The request that started it may be at its end still.
		eventually(t, "the end of "+name, func() bool { return !strings.Contains(w.sh("ps -ef"), name) })
	}
	r := w.command(soon("true"))
	w.Done(r, nil)
	if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "ended before") {
		t.Errorf("got %q, %v", note, err)
	}
}

// TestStartingHung has the service not answer the request that starts a command:
// the caller gets a handle in time, which later finds the command.
func TestStartingHung(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	w := startBehind(t, emulatortest.Options{Sandbox: emulator.SandboxAuto}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				<-answer
			}
			next.ServeHTTP(rw, r)
		})
	})
	w.m.commands.leastLook = 100 * time.Millisecond
	r := w.command(soon("echo out"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	u, err := r.Wait(ctx, runs.UntilDone, 0, nil)
	if err != nil || u.Status != runs.StatusRunning || len(u.Notes) != 1 {
		t.Fatalf("got %+v, %v", u, err)
	}
	again := w.open(w.m, u.Handle)
	// One that is cancelled meanwhile is over for its caller, and killed in the end.
	stopped := w.command(soon("echo x >>ran; sleep 50"))
	cancelled := make(chan error)
	go func() {
		_, err := stopped.Cancel(ctx)
		cancelled <- err
	}()
	if u := w.Done(stopped, nil); u.Status != runs.StatusCancelled {
		t.Errorf("got %+v", u)
	}
	if err := <-cancelled; err != nil {
		t.Error(err)
	}
	if list := w.m.List(); len(list) != 2 || list[0].Status != runs.StatusCancelled && list[1].Status != runs.StatusCancelled {
		t.Errorf("listed are %+v", list)
	}
	close(answer)
	<-stopped.(*detached).starting.settled
	<-stopped.(*detached).starting.killed
	if strings.Contains(w.sh("ps -ef"), "sleep 50") {
		t.Error("the cancelled command runs")
	}
	if u := w.Done(again, nil); u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" {
		t.Errorf("got %+v", u)
	}
}

// TestStartingPrevented has a cancel overtake the request that starts the command:
// it never runs.
func TestStartingPrevented(t *testing.T) {
	t.Parallel()
	w, held, hold := startHeld(t)
	r := w.command(soon("echo x >>count"))
	<-held
	if note, err := r.Cancel(t.Context()); err != nil || note != killPrevented {
		t.Errorf("got %q, %v", note, err)
	}
	close(hold)
	<-r.(*detached).starting.settled
	if u := w.Done(w.open(w.m, r.Handle()), nil); u.Status != runs.StatusCancelled {
		t.Errorf("got %+v", u)
	}
	if got := w.sh("cat count 2>/dev/null; true"); got != "" {
		t.Error("it ran")
	}
}

package runs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

// soon is a command that the caller waits for.
func soon(command string) CommandRequest {
	return CommandRequest{Command: command, Detach: true, Wait: 45 * time.Second, Inline: 20000}
}

// TestBegun runs commands that end at once, in all shells and dialects: one
// request, the command's own output and exit code.
func TestBegun(t *testing.T) {
	t.Parallel()
	shells := map[string]func(string) string{"bash": func(s string) string { return s }}
	for _, name := range []string{"dash", "busybox", "zsh"} {
		if path, err := exec.LookPath(name); err == nil {
			if name == "busybox" {
				path += " sh"
			}
			shells[name] = func(s string) string { return "exec " + path + " -c " + quote(s) }
		}
	}
	for shell, wrap := range shells {
		for _, dialect := range []emulator.Dialect{emulator.Snake, emulator.Camel, emulator.Wrapped, emulator.Output, emulator.Bare} {
			t.Run(shell+"/"+string(dialect), func(t *testing.T) {
				t.Parallel()
				w := startBehind(t, emulator.Options{Exec: dialect}, wrapped(wrap))
				before := w.srv.Calls(execEndpoint)
				u := w.done(w.command(soon("echo out; echo err >&2; exit 3")), nil)
				want, posts := [2]string{"out\n", "err\n"}, 1
				switch dialect {
				case emulator.Output:
					want = [2]string{"out\nerr\n", ""}
				case emulator.Bare:
					posts = 3 // the answer has neither the exit code nor stderr, the files do
				}
				if got := [2]string{u.Exec.Stdout.Head, u.Exec.Stderr.Head}; u.Status != StatusCompleted || got != want || code(u) != "3" {
					t.Errorf("got %s %q, code %s", u.Status, got, code(u))
				}
				if n := w.srv.Calls(execEndpoint) - before; n != posts {
					t.Errorf("%d requests", n)
				}
				// More than fits is kept, and read from the files.
				r := w.command(CommandRequest{Command: "seq 20000", Detach: true, Wait: time.Minute, Inline: 1000})
				u = w.done(r, nil)
				if got := u.Exec.Stdout.Head + u.Exec.Stdout.Tail; len(got) != 108894 || u.More || code(u) != "0" {
					t.Errorf("got %d bytes, more: %v", len(got), u.More)
				}
			})
		}
	}
}

// TestBegunLasts has a command outlast the request that starts it: its handle
// is another manager's to take up, also when the first one is gone.
func TestBegunLasts(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	r := w.command(CommandRequest{Command: "echo so far; sleep 8; echo done; exit 7", Detach: true, Wait: time.Second, Inline: 1000})
	u, err := r.Wait(t.Context(), UntilNews, 1000, nil)
	if err != nil || u.Status != StatusRunning || u.Exec.Stdout.Head != "so far\n" {
		t.Fatalf("got %+v, %v", u, err)
	}
	w.m.Close()
	u = w.done(w.open(w.manager(testKey, ""), u.Handle), nil)
	if u.Status != StatusCompleted || u.Exec.Stdout.Head != "done\n" || code(u) != "7" {
		t.Errorf("got %+v", u)
	}
}

// TestBegunLost loses the answer of a command that ends at once: what it did
// and wrote is found, and it runs once.
func TestBegunLost(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulator.Fault{
		"lost":     {After: true, Drop: true},
		"cut":      {CutBytes: 10},
		"gateway":  {After: true, Status: 504, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"time-out": {After: true, Status: 200, Body: `{"stdout":"","timed_out":true}`},
		"no code":  {After: true, Status: 200, Body: `{"success":true,"stdout":""}`},
		"cut off":  {After: true, Status: 200, Body: `{"stdout":"o","truncated":true,"exit_code":4}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{})
			f.Endpoint, f.Call = execEndpoint, 1
			w.srv.SetFaults(f)
			u := w.done(w.command(soon("echo x >>count; echo out; exit 4")), nil)
			if u.Status != StatusCompleted || u.Exec.Stdout.Head != "out\n" || code(u) != "4" {
				t.Errorf("got %+v, %+v", u, u.Exec)
			}
			if got := w.sh("cat count"); got != "x\n" {
				t.Errorf("it ran %d times", len(got)/2)
			}
		})
	}
	// What never reached the sandbox is told from what did.
	w := start(t, emulator.Options{})
	for name, tt := range map[string]struct {
		fault emulator.Fault
		want  client.Outcome
	}{
		"dropped":   {emulator.Fault{Call: 1, Drop: true}, client.OutcomeNotSent},
		"asleep":    {emulator.Fault{Status: 503, Body: `{"message":"asleep"}`}, client.OutcomeRejected},
		"not ready": {emulator.Fault{Status: 200, Body: `{"stdout":"","stderr":"agent not ready","exit_code":1}`}, client.OutcomeRejected},
	} {
		tt.fault.Endpoint = execEndpoint
		w.srv.SetFaults(tt.fault)
		if u := w.done(w.command(soon("echo x >>count")), nil); u.Status != StatusFailed || outcome(u.Err) != tt.want {
			t.Errorf("%s: got %+v", name, u)
		}
		w.srv.SetFaults()
	}
	if got := w.sh("cat count 2>/dev/null; true"); got != "" {
		t.Error("something ran")
	}
}

// TestBegunNoShell runs commands on a service whose commands no shell reads:
// its answer is the result.
func TestBegunNoShell(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	for body, want := range map[string]string{
		`{"stdout":"hi\n","stderr":"","exit_code":0}`:                 "hi\n 0",
		`{"stdout":"","stderr":"not found","exit_code":127}`:          " 127",
		`{"output":"hi\n","exit_code":124,"timed_out":true}`:          "hi\n 124",
		`{"success":true,"stdout":"hi\n"}`:                            "hi\n none",
		`{"stdout":"some","truncated":true,"exit_code":0}`:            "some 0",
		`{"result":{"stdout":"openclaw-mcp:x started","exitCode":0}}`: "openclaw-mcp:x started 0",
	} {
		w.srv.SetFaults(emulator.Fault{Endpoint: execEndpoint, Status: 200, Body: body})
		u := w.done(w.command(soon("say hi")), nil)
		if got := u.Exec.Stdout.Head + " " + code(u); u.Status != StatusCompleted || got != want {
			t.Errorf("%s: got %s %q", body, u.Status, got)
		}
	}
}

// TestBegunCancel cancels commands while the request that starts them is under
// way, and behind that.
func TestBegunCancel(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	for i := range 6 {
		name := fmt.Sprintf("sleep 3%d", i)
		r := w.command(soon(name))
		if i%2 == 0 {
			eventually(t, "the command", func() bool { return strings.Contains(w.sh("ps -ef"), name) })
		}
		if i == 4 {
			ctx, cancel := context.WithTimeout(t.Context(), beginWait+time.Second)
			if u, err := r.Wait(ctx, UntilDone, 0, nil); err != nil || u.Status != StatusRunning {
				t.Errorf("got %+v, %v", u, err)
			}
			cancel()
		}
		if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "killed") && note != killPrevented {
			t.Errorf("got %q, %v", note, err)
		}
		if u := w.done(r, nil); u.Status != StatusCancelled {
			t.Errorf("got %+v", u)
		}
		// The request that started it may be at its end still.
		eventually(t, "the end of "+name, func() bool { return !strings.Contains(w.sh("ps -ef"), name) })
	}
	r := w.command(soon("true"))
	w.done(r, nil)
	if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "ended before") {
		t.Errorf("got %q, %v", note, err)
	}
}

// TestBegunHung has the service not answer the request that starts a command:
// the caller gets a handle in time, which later finds the command.
func TestBegunHung(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	w := startBehind(t, emulator.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				<-answer
			}
			next.ServeHTTP(rw, r)
		})
	})
	r := w.command(soon("echo out"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	u, err := r.Wait(ctx, UntilDone, 0, nil)
	if err != nil || u.Status != StatusRunning || len(u.Notes) != 1 {
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
	if u := w.done(stopped, nil); u.Status != StatusCancelled {
		t.Errorf("got %+v", u)
	}
	if err := <-cancelled; err != nil {
		t.Error(err)
	}
	if list := w.m.List(); len(list) != 2 || list[0].Status != StatusCancelled && list[1].Status != StatusCancelled {
		t.Errorf("listed are %+v", list)
	}
	close(answer)
	<-stopped.begun.settled
	<-stopped.begun.killed
	if strings.Contains(w.sh("ps -ef"), "sleep 50") {
		t.Error("the cancelled command runs")
	}
	if u := w.done(again, nil); u.Status != StatusCompleted || u.Exec.Stdout.Head != "out\n" {
		t.Errorf("got %+v", u)
	}
}

// TestBegunTwice delivers the request that starts a command twice, as a proxy
// that tries again does: it runs once.
func TestBegunTwice(t *testing.T) {
	t.Parallel()
	w := startBehind(t, emulator.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("echo x >>count")) {
				first := r.Clone(r.Context())
				first.Body = io.NopCloser(bytes.NewReader(body))
				next.ServeHTTP(httptest.NewRecorder(), first)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(rw, r)
		})
	})
	u := w.done(w.command(soon("echo x >>count; echo out; exit 4")), nil)
	if u.Status != StatusCompleted || u.Exec.Stdout.Head != "out\n" || code(u) != "4" {
		t.Errorf("got %+v, %+v", u, u.Exec)
	}
	if got := w.sh("cat count"); got != "x\n" {
		t.Errorf("it ran %d times", len(got)/2)
	}
}

// TestBegunPrevented has a cancel overtake the request that starts the command:
// it never runs.
func TestBegunPrevented(t *testing.T) {
	t.Parallel()
	hold, held := make(chan struct{}), make(chan struct{})
	w := startBehind(t, emulator.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("echo x >>count")) {
				close(held)
				<-hold
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(rw, r)
		})
	})
	r := w.command(soon("echo x >>count"))
	<-held
	if note, err := r.Cancel(t.Context()); err != nil || note != killPrevented {
		t.Errorf("got %q, %v", note, err)
	}
	close(hold)
	<-r.begun.settled
	if u := w.done(w.open(w.m, r.Handle()), nil); u.Status != StatusCancelled {
		t.Errorf("got %+v", u)
	}
	if got := w.sh("cat count 2>/dev/null; true"); got != "" {
		t.Error("it ran")
	}
}

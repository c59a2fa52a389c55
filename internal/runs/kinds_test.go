package runs_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/runs/create"
	"openclaw-mcp/internal/runs/runstest"
)

func TestMain(m *testing.M) { os.Exit(runstest.Main(m, os.Stderr)) }

// kinds is a manager with kinds of runs.
type kinds struct {
	*runs.Manager
	chat    *chat.Service
	command *command.Service
	create  *create.Service
}

func withKinds(m *runs.Manager) kinds {
	return kinds{m, chat.New(m), command.New(m), create.New(m)}
}

func session(w *runstest.Upstream) string {
	w.Helper()
	s, err := w.Client.Chat.CreateSession(w.Context(), w.ID, "")
	if err != nil {
		w.Fatal(err)
	}
	return s.ID
}

func (k kinds) send(w *runstest.Upstream, message string) runs.Run {
	w.Helper()
	r, _, err := k.chat.Send(w.Context(), chat.Request{Instance: w.ID, Session: session(w), Message: message})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func TestCensus(t *testing.T) {
	t.Parallel()
	w := runstest.Start(t, emulatortest.Options{}, nil)
	k := withKinds(w.Manager(runstest.Key, ""))
	waiting := k.send(w, "wait 60")
	w.Done(k.send(w, "hello"), nil)
	for _, detach := range []bool{false, true} {
		cmd, err := k.command.Start(t.Context(), command.Request{Instance: w.ID, Command: "true", Detach: detach})
		if err != nil {
			t.Fatal(err)
		}
		w.Done(cmd, nil)
	}
	got := k.Census()
	if len(got) != 2 || !maps.Equal(got[runs.KindChat], map[runs.Status]int{runs.StatusRunning: 1, runs.StatusCompleted: 1}) ||
		!maps.Equal(got[runs.KindCommand], map[runs.Status]int{runs.StatusCompleted: 2}) {
		t.Errorf("got %v", got)
	}
	if _, err := waiting.Cancel(t.Context()); err != nil {
		t.Error(err)
	}
}

type heirloom struct{}

// headed sends what a context carries along as a header.
type headed struct{ next http.RoundTripper }

func (h headed) RoundTrip(r *http.Request) (*http.Response, error) {
	if v, ok := r.Context().Value(heirloom{}).(string); ok {
		r = r.Clone(r.Context())
		r.Header.Set("X-Heirloom", v)
	}
	return h.next.RoundTrip(r)
}

// What a call hands on reaches the requests of its run, which outlives it.
func TestCarry(t *testing.T) {
	t.Parallel()
	type request struct{ path, heirloom string }
	seen := make(chan request, 1000)
	w := runstest.Start(t, emulatortest.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				seen <- request{r.URL.Path, r.Header.Get("X-Heirloom")}
			}
			next.ServeHTTP(rw, r)
		})
	})
	c, err := client.New(nil, w.Web.URL, runstest.Key, client.WithMiddleware(func(next http.RoundTripper) http.RoundTripper { return headed{next} }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	m, err := runs.NewManager(runs.Config{Client: c, APIKey: runstest.Key, Carry: func(from, to context.Context) context.Context {
		return context.WithValue(to, heirloom{}, from.Value(heirloom{}))
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	k := withKinds(m)
	s := session(w)
	<-seen // the making of the session
	call, end := context.WithCancel(context.WithValue(t.Context(), heirloom{}, "from the call"))
	run, _, err := k.chat.Send(call, chat.Request{Instance: w.ID, Session: s, Message: "hello"})
	end()
	if err != nil {
		t.Fatal(err)
	}
	if u := w.Done(run, nil); u.Status != runs.StatusCompleted {
		t.Errorf("the run is %s: %v", u.Status, u.Err)
	}
	if r := <-seen; r.heirloom != "from the call" {
		t.Errorf("%s came with %q", r.path, r.heirloom)
	}
	if _, err := k.create.Start(call, client.CreateInstanceRequest{}); err != nil {
		t.Fatal(err)
	}
	if r := <-seen; r.path != "/api/instances" && r.path != "/instances" || r.heirloom != "from the call" {
		t.Errorf("%s came with %q", r.path, r.heirloom)
	}
	call = context.WithValue(t.Context(), heirloom{}, "from another")
	if _, err := k.command.Start(call, command.Request{Instance: w.ID, Command: "true", Detach: true}); err != nil {
		t.Fatal(err)
	}
	if r := <-seen; !strings.HasSuffix(r.path, "/terminal/exec") || r.heirloom != "from another" {
		t.Errorf("%s came with %q", r.path, r.heirloom)
	}
}

// TestClosed starts runs of a manager that was closed.
func TestClosed(t *testing.T) {
	t.Parallel()
	w := runstest.Start(t, emulatortest.Options{}, nil)
	k := withKinds(w.Manager(runstest.Key, ""))
	k.Close()
	if _, _, err := k.chat.Send(t.Context(), chat.Request{Instance: w.ID, Session: "s", Message: "m"}); !errors.Is(err, runs.ErrClosed) {
		t.Errorf("got %v", err)
	}
	for _, detach := range []bool{false, true} {
		if _, err := k.command.Start(t.Context(), command.Request{Instance: w.ID, Command: "true", Detach: detach}); !errors.Is(err, runs.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := k.create.Start(t.Context(), client.CreateInstanceRequest{}); !errors.Is(err, runs.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestForeignHandles(t *testing.T) {
	w := runstest.Start(t, emulatortest.Options{Agent: runstest.Script("hi")}, nil)
	k := withKinds(w.Manager(runstest.Key, "me"))
	r := k.send(w, "hello")
	w.Done(r, nil)
	good := r.Handle()
	for name, m := range map[string]*runs.Manager{
		"another key":       w.Manager(runstest.Key+"2", "me"),
		"no key":            w.Manager("", "me"),
		"another principal": w.Manager(runstest.Key, "you"),
		"no principal":      w.Manager(runstest.Key, ""),
	} {
		if _, err := m.Open(good); err != runs.ErrHandle {
			t.Errorf("%s: got %v", name, err)
		}
	}
	bad := []string{"", " ", "run_", "run", good + "A", good + good, good[4:], "RUN_" + good[4:], "run_" + strings.Repeat("A", 1<<20),
		strings.Repeat("run_", 1<<18), "run_" + strings.Repeat("=", 40), "run_\x00", good[:20] + " " + good[20:]}
	for n := range good {
		bad = append(bad, good[:n])
		if n >= len("run_") {
			for _, c := range []byte{'A', 'b', good[n] ^ 1} {
				if c != good[n] {
					bad = append(bad, good[:n]+string(c)+good[n+1:])
				}
			}
		}
	}
	for _, h := range bad {
		if _, err := k.Open(h); err != runs.ErrHandle {
			t.Errorf("%.40q: got %v", h, err)
		}
	}
	if _, err := k.Open(good); err != nil {
		t.Error(err)
	}
}

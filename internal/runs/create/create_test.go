package create

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

const createEndpoint = "POST /instances"

func TestCreate(t *testing.T) {
	t.Parallel()
	for _, dialect := range []emulatortest.Dialect{emulatortest.Snake, emulatortest.Camel, emulatortest.Wrapped} {
		w := start(t, emulatortest.Options{CreateDelay: 80 * time.Millisecond, Messages: dialect})
		r, err := w.m.creations.Start(t.Context(), client.CreateInstanceRequest{})
		if err != nil {
			t.Fatal(err)
		}
		p := &runstest.Record{}
		u := w.Done(r, p)
		if u.Kind != runs.KindCreate || u.Status != runs.StatusCompleted || created(u) == nil || created(u).Status != "ready" || u.Instance != created(u).ID {
			t.Errorf("%s: got %+v", dialect, u)
		}
		if !p.Has("is creating") || !p.Has("is ready") {
			t.Errorf("%s: got %v", dialect, p.Lines)
		}
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{InviteCode: "sesame", Capacity: 2})
	for code, status := range map[string]int{"": 403, "wrong": 403, "sesame": 0} {
		r, err := w.m.creations.Start(t.Context(), client.CreateInstanceRequest{InviteCode: code})
		if err != nil {
			t.Fatal(err)
		}
		u := w.Done(r, nil)
		if status == 0 {
			if u.Status != runs.StatusCompleted {
				t.Errorf("got %+v", u)
			}
			r, _ = w.m.creations.Start(t.Context(), client.CreateInstanceRequest{InviteCode: code})
			u, status = w.Done(r, nil), 503
		}
		if u.Status != runs.StatusFailed || runstest.Outcome(u.Err) != client.OutcomeRejected || u.Instance != "" {
			t.Errorf("%q: got %+v, want a refusal of %d", code, u, status)
		}
	}
}

// TestCreateLost loses the answer of the creation, after the work and before.
func TestCreateLost(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tt := range map[string]struct {
		fault emulatortest.Fault
		want  runs.Status
	}{
		"after the work":         {emulatortest.Fault{After: true, Drop: true}, runs.StatusCompleted},
		"a proxy's page":         {emulatortest.Fault{After: true, Status: 504, Body: "<html>late</html>", Header: html}, runs.StatusCompleted},
		"before the work":        {emulatortest.Fault{Drop: true}, runs.StatusFailed},
		"a page before the work": {emulatortest.Fault{Status: 502, Body: "<html>no</html>", Header: html}, runs.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{CreateDelay: 50 * time.Millisecond, Clock: func() time.Time { return time.Now().Add(4 * time.Second) }})
			// The fixture's own instance is not to be taken for the new one.
			w.ownInstance(w.m)
			tt.fault.Endpoint = createEndpoint
			w.Srv.SetFaults(tt.fault)
			r, err := w.m.creations.Start(t.Context(), client.CreateInstanceRequest{})
			if err != nil {
				t.Fatal(err)
			}
			u := w.Done(r, nil)
			if u.Status != tt.want || w.Srv.Calls(createEndpoint) != 1 {
				t.Errorf("got %+v", u)
			}
			if tt.want == runs.StatusFailed && (runstest.Outcome(u.Err) != client.OutcomeUnknown || u.Instance != "") {
				t.Errorf("got %+v", u)
			}
			if tt.want == runs.StatusCompleted && (len(u.Notes) != 1 || u.Instance == w.ID) {
				t.Errorf("got %+v", u)
			}
		})
	}
}

// TestCreateBlocked has the POST block, and the status stall, for longer than
// the patience.
func TestCreateBlocked(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := start(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: createEndpoint, Release: release}}})
	w.m.Config.StallAfter = 100 * time.Millisecond
	r, err := w.m.creations.Start(t.Context(), client.CreateInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := r.Wait(t.Context(), runs.UntilDone, 0, nil)
	if err != nil || u.Status != runs.StatusStalled {
		t.Errorf("got %+v, %v", u, err)
	}
	early := r.Handle()
	close(release)
	r.Run = w.open(w.m, u.Handle)
	runstest.Eventually(t, "the instance", func() bool {
		u, err = r.Wait(t.Context(), runs.UntilDone, 0, nil)
		return err == nil && u.Status == runs.StatusCompleted
	})
	// From a handle that knows nothing of the instance, and one that does.
	for _, handle := range []string{early, u.Handle} {
		other := w.process(runstest.Key, "")
		w.ownInstance(other)
		if again := w.Done(w.open(other, handle), nil); again.Status != runs.StatusCompleted || again.Instance != u.Instance {
			t.Errorf("got %+v", again)
		}
	}
	if n := w.Srv.Calls(createEndpoint); n != 1 {
		t.Errorf("%d instances were asked for", n)
	}
}

func TestCreateGone(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{CreateDelay: time.Minute})
	r, err := w.m.creations.Start(t.Context(), client.CreateInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	runstest.Eventually(t, "the instance", func() bool { return runstest.Now(t, r).Instance != "" })
	handle := r.Handle()
	if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "list_instances") {
		t.Errorf("got %q, %v", note, err)
	}
	if u := runstest.Now(t, r); u.Status != runs.StatusCancelled {
		t.Errorf("got %+v", u)
	}
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: "GET /instances/{instance}", Status: 404})
	if u := w.Done(w.open(w.process(runstest.Key, ""), handle), nil); u.Status != runs.StatusFailed || u.Err == nil {
		t.Errorf("got %+v", u)
	}
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: "GET /instances/{instance}", Status: 200, Body: `{"id":"x","status":"error"}`})
	if u := w.Done(w.open(w.process(runstest.Key, ""), handle), nil); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "error") {
		t.Errorf("got %+v", u)
	}
}

// A call whose process is killed before it answered is found again; one that was
// answered, or whose process lives, is not.
func TestFleetUnanswered(t *testing.T) {
	t.Parallel()
	w := &world{Upstream: runstest.Start(t, emulatortest.Options{CreateDelay: 300 * time.Millisecond}, nil)}
	w.Fleet = fleet.Alone()
	t.Cleanup(func() { _ = w.Fleet.Close() })
	a, b, c := w.process(runstest.Key, ""), w.process(runstest.Key, ""), w.process(runstest.Key, "")
	begin := func(p *process, joined bool) Started {
		t.Helper()
		s, err := p.creations.Start(t.Context(), client.CreateInstanceRequest{})
		if err != nil || (s.Joined != "") != joined {
			t.Fatalf("joined %q, %v", s.Joined, err)
		}
		return s
	}
	asked := func(n int) {
		t.Helper()
		runstest.Eventually(t, "the creation", func() bool { return w.Srv.Calls(createEndpoint) == n })
	}
	begin(a, false).Answered()
	first := begin(a, false)
	asked(2)
	other := begin(b, false)
	if u, v := w.Done(first, nil), w.Done(other, nil); u.Instance == v.Instance {
		t.Errorf("one instance for two calls: %+v", u)
	}
	other.Answered()
	a.Close()
	_ = a.Config.Fleet.Close()
	found := begin(c, true)
	if u := w.Done(found, nil); u.Status != runs.StatusCompleted {
		t.Errorf("got %+v", u)
	}
	found.Answered()
	w.Done(begin(c, false), nil)
	asked(4)
}

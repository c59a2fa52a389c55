package runs

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

const createEndpoint = "POST /instances"

func TestCreate(t *testing.T) {
	t.Parallel()
	for _, dialect := range []emulator.Dialect{emulator.Snake, emulator.Camel, emulator.Wrapped} {
		w := start(t, emulator.Options{CreateDelay: 80 * time.Millisecond, Messages: dialect})
		r, err := w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{})
		if err != nil {
			t.Fatal(err)
		}
		p := &record{}
		u := w.done(r, p)
		if u.Kind != KindCreate || u.Status != StatusCompleted || u.Created == nil || u.Created.Status != "ready" || u.Instance != u.Created.ID {
			t.Errorf("%s: got %+v", dialect, u)
		}
		if !p.has("is creating") || !p.has("is ready") {
			t.Errorf("%s: got %v", dialect, p.lines)
		}
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{InviteCode: "sesame", Capacity: 2})
	for code, status := range map[string]int{"": 403, "wrong": 403, "sesame": 0} {
		r, err := w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{InviteCode: code})
		if err != nil {
			t.Fatal(err)
		}
		u := w.done(r, nil)
		if status == 0 {
			if u.Status != StatusCompleted {
				t.Errorf("got %+v", u)
			}
			r, _ = w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{InviteCode: code})
			u, status = w.done(r, nil), 503
		}
		if u.Status != StatusFailed || outcome(u.Err) != client.OutcomeRejected || u.Instance != "" {
			t.Errorf("%q: got %+v, want a refusal of %d", code, u, status)
		}
	}
}

// TestCreateLost loses the answer of the creation, after the work and before.
func TestCreateLost(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tt := range map[string]struct {
		fault emulator.Fault
		want  Status
	}{
		"after the work":         {emulator.Fault{After: true, Drop: true}, StatusCompleted},
		"a proxy's page":         {emulator.Fault{After: true, Status: 504, Body: "<html>late</html>", Header: html}, StatusCompleted},
		"before the work":        {emulator.Fault{Drop: true}, StatusFailed},
		"a page before the work": {emulator.Fault{Status: 502, Body: "<html>no</html>", Header: html}, StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{CreateDelay: 50 * time.Millisecond, Clock: func() time.Time { return time.Now().Add(4 * time.Second) }})
			// The fixture's own instance is not to be taken for the new one.
			w.m.mu.Lock()
			own := w.m.newLive(handleState{Kind: KindCreate, ID: newID(), Instance: w.id})
			w.m.mu.Unlock()
			own.end(StatusCompleted, nil)
			own.cancel()
			tt.fault.Endpoint = createEndpoint
			w.srv.SetFaults(tt.fault)
			r, err := w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{})
			if err != nil {
				t.Fatal(err)
			}
			u := w.done(r, nil)
			if u.Status != tt.want || w.srv.Calls(createEndpoint) != 1 {
				t.Errorf("got %+v", u)
			}
			if tt.want == StatusFailed && (outcome(u.Err) != client.OutcomeUnknown || u.Instance != "") {
				t.Errorf("got %+v", u)
			}
			if tt.want == StatusCompleted && (len(u.Notes) != 1 || u.Instance == w.id) {
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
	w := start(t, emulator.Options{Faults: []emulator.Fault{{Endpoint: createEndpoint, Release: release}}})
	w.m.cfg.StallAfter = 100 * time.Millisecond
	r, err := w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := r.Wait(t.Context(), UntilDone, 0, nil)
	if err != nil || u.Status != StatusStalled {
		t.Errorf("got %+v, %v", u, err)
	}
	early := r.Handle()
	close(release)
	r = w.open(w.m, u.Handle)
	eventually(t, "the instance", func() bool {
		u, err = r.Wait(t.Context(), UntilDone, 0, nil)
		return err == nil && u.Status == StatusCompleted
	})
	// From a handle that knows nothing of the instance, and one that does.
	for _, handle := range []string{early, u.Handle} {
		other := w.manager(testKey, "")
		other.mu.Lock()
		own := other.newLive(handleState{Kind: KindCreate, ID: newID(), Instance: w.id})
		other.mu.Unlock()
		own.end(StatusCompleted, nil)
		own.cancel()
		if again := w.done(w.open(other, handle), nil); again.Status != StatusCompleted || again.Instance != u.Instance {
			t.Errorf("got %+v", again)
		}
	}
	if n := w.srv.Calls(createEndpoint); n != 1 {
		t.Errorf("%d instances were asked for", n)
	}
}

func TestCreateGone(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{CreateDelay: time.Minute})
	r, err := w.m.CreateInstance(t.Context(), client.CreateInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance", func() bool { return (<-nowait(t, r)).Instance != "" })
	handle := r.Handle()
	if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "list_instances") {
		t.Errorf("got %q, %v", note, err)
	}
	if u := <-nowait(t, r); u.Status != StatusCancelled {
		t.Errorf("got %+v", u)
	}
	w.srv.SetFaults(emulator.Fault{Endpoint: "GET /instances/{instance}", Status: 404})
	if u := w.done(w.open(w.manager(testKey, ""), handle), nil); u.Status != StatusFailed || u.Err == nil {
		t.Errorf("got %+v", u)
	}
	w.srv.SetFaults(emulator.Fault{Endpoint: "GET /instances/{instance}", Status: 200, Body: `{"id":"x","status":"error"}`})
	if u := w.done(w.open(w.manager(testKey, ""), handle), nil); u.Status != StatusFailed || !strings.Contains(u.Err.Error(), "error") {
		t.Errorf("got %+v", u)
	}
}

package runs

import (
	"context"
	"maps"
	"net/http"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

func TestCensus(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	waiting := w.send(ChatRequest{Message: "wait 60"})
	w.done(w.send(ChatRequest{Session: w.session()}), nil)
	cmd, err := w.m.StartCommand(t.Context(), CommandRequest{Instance: w.id, Command: "true"})
	if err != nil {
		t.Fatal(err)
	}
	w.done(cmd, nil)
	got := w.m.Census()
	if len(got) != 2 || !maps.Equal(got[KindChat], map[Status]int{StatusRunning: 1, StatusCompleted: 1}) ||
		!maps.Equal(got[KindCommand], map[Status]int{StatusCompleted: 1}) {
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
	w := startBehind(t, emulator.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				seen <- request{r.URL.Path, r.Header.Get("X-Heirloom")}
			}
			next.ServeHTTP(rw, r)
		})
	})
	c, err := client.New(nil, w.web.URL, testKey, client.WithMiddleware(func(next http.RoundTripper) http.RoundTripper { return headed{next} }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	m, err := NewManager(Config{Client: c, APIKey: testKey, Carry: func(from, to context.Context) context.Context {
		return context.WithValue(to, heirloom{}, from.Value(heirloom{}))
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	m.timing = quick
	session := w.session()
	<-seen // the making of the session
	call, end := context.WithCancel(context.WithValue(t.Context(), heirloom{}, "from the call"))
	run, _, err := m.SendChat(call, ChatRequest{Instance: w.id, Session: session, Message: "hello"})
	end()
	if err != nil {
		t.Fatal(err)
	}
	if u := w.done(run, nil); u.Status != StatusCompleted {
		t.Errorf("the run is %s: %v", u.Status, u.Err)
	}
	if r := <-seen; r.heirloom != "from the call" {
		t.Errorf("%s came with %q", r.path, r.heirloom)
	}
	if _, err := m.CreateInstance(call, client.CreateInstanceRequest{}); err != nil {
		t.Fatal(err)
	}
	if r := <-seen; r.path != "/api/instances" && r.path != "/instances" || r.heirloom != "from the call" {
		t.Errorf("%s came with %q", r.path, r.heirloom)
	}
}

package client

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A middleware sees each attempt and each upgrade, by the name of its operation.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	failed := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		first := !failed
		failed = true
		mu.Unlock()
		switch {
		case r.Header.Get("Upgrade") != "":
			ws, err := websocket.Accept(w, r, nil)
			if err == nil {
				_ = ws.Close(websocket.StatusInternalError, "")
			}
		case first:
			w.WriteHeader(http.StatusBadGateway)
		default:
			answer(200, "application/json", `{"id":"i1","status":"ready"}`)(w, r)
		}
	}, WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			got = append(got, Operation(r.Context()))
			mu.Unlock()
			return next.RoundTrip(r)
		})
	}))
	if _, err := c.Instances.Get(t.Context(), "i1"); err != nil {
		t.Error(err)
	}
	if conn, err := c.Terminal.Open(t.Context(), "i1", TerminalOptions{Cols: 80, Rows: 24, Family: TerminalFamilies()[0]}); err == nil {
		_ = conn.Close()
	}
	if conn, err := c.Desktop.Connect(t.Context(), "i1", DesktopOptions{}); err == nil {
		_ = conn.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"GET /instances/{id}/terminal/ws", "GET /instances/{id}/vnc/ws"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s was not seen; seen were %q", want, got)
		}
	}
	if len(got) < 2 || got[0] != "GET /instances/{id}" || got[1] != got[0] {
		t.Errorf("the two attempts were seen as %q", got)
	}
	if op := Operation(context.Background()); op != "" {
		t.Errorf("outside of a request there is %q", op)
	}
}

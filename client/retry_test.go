package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// script is a RoundTripper that gives one answer after the other, without a
// network, so that time can be the test's own.
type script struct {
	steps  []step
	calls  int
	opened int
}

type step struct {
	status     int // 0: fails
	retryAfter string
	body       string
}

type countedBody struct {
	io.Reader
	s *script
}

func (b countedBody) Close() error { b.s.opened--; return nil }

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Path, "/openapi.json") { // is looked at after a refusal
		return &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	st := s.steps[min(s.calls, len(s.steps)-1)]
	s.calls++
	if st.status == 0 {
		return nil, errors.New("connection reset")
	}
	s.opened++
	h := http.Header{"Content-Type": {"application/json"}}
	if st.retryAfter != "" {
		h.Set("Retry-After", st.retryAfter)
	}
	return &http.Response{StatusCode: st.status, Header: h, Body: countedBody{strings.NewReader(st.body), s}, Request: r}, nil
}

func TestRetry(t *testing.T) {
	ok := step{200, "", `{"id":"i"}`}
	for _, tt := range []struct {
		name     string
		steps    []step
		calls    int
		status   int // 0: success
		min, max time.Duration
	}{
		{"first", []step{ok}, 1, 0, 0, 0},
		{"each status", []step{{408, "", ""}, {429, "", ""}, {500, "", ""}, ok}, 4, 0, 3, 7 * time.Second},
		{"the others", []step{{502, "", ""}, {503, "", ""}, {504, "", ""}, ok}, 4, 0, 3, 7 * time.Second},
		{"connection", []step{{}, {}, ok}, 3, 0, 2, 3 * time.Second},
		{"gives up", []step{{503, "", `{"message":"asleep"}`}}, 4, 503, 3, 7 * time.Second},
		{"not these", []step{{404, "", ""}, ok}, 1, 404, 0, 0},
		{"501", []step{{501, "", ""}, ok}, 1, 501, 0, 0},
		{"Retry-After", []step{{429, "7", ""}, {503, "0", ""}, ok}, 3, 0, 7 * time.Second, 7*time.Second + 1},
		{"Retry-After date", []step{{429, "Sat, 01 Jan 2000 00:00:09 GMT", ""}, ok}, 2, 0, 9 * time.Second, 9 * time.Second},
		{"Retry-After too long", []step{{429, "31", ""}, ok}, 1, 429, 0, 0},
		{"beyond the time-out", []step{{429, "20", ""}, {429, "20", ""}, {429, "25", ""}, ok}, 3, 429, 40 * time.Second, 40 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: tt.steps}
				c, err := New(&http.Client{Transport: s}, "http://test", testKey, WithRetry(4, time.Second, 4*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_, err = c.Instances.Get(t.Context(), "i")
				took := time.Since(start)
				if tt.status == 0 && err != nil || tt.status != 0 && wantError(t, err).Status != tt.status {
					t.Errorf("got %v, want status %d", err, tt.status)
				}
				if s.calls != tt.calls {
					t.Errorf("%d attempts, want %d", s.calls, tt.calls)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
				if s.opened != 0 {
					t.Errorf("%d bodies are still open", s.opened)
				}
			})
		})
	}
}

func TestRetryEnds(t *testing.T) {
	newClient := func(t *testing.T, s *script) *Client {
		c, err := New(&http.Client{Transport: s}, "http://test", testKey, WithRetry(4, time.Second, 4*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	synctest.Test(t, func(t *testing.T) {
		// A deadline before the wait is over: said at once, with the status.
		s := &script{steps: []step{{503, "20", ""}}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := newClient(t, s).Instances.Get(ctx, "i")
		if e := wantError(t, err); e.Status != 503 || e.RetryAfter != 20*time.Second || time.Since(start) != 0 {
			t.Errorf("got %v after %v", e, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{503, "20", ""}}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		_, err := newClient(t, s).Instances.Get(ctx, "i")
		if e := wantError(t, err); !errors.Is(e, context.Canceled) || time.Since(start) != 3*time.Second || s.opened != 0 {
			t.Errorf("got %v after %v, %d bodies open", e, time.Since(start), s.opened)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		// A transport that traces nothing: in doubt the POST went out.
		s := &script{steps: []step{{}}}
		_, err := newClient(t, s).Instances.Create(t.Context(), CreateInstanceRequest{})
		if e := wantError(t, err); e.Outcome != OutcomeUnknown || s.calls != 1 {
			t.Errorf("got %v, outcome %q after %d calls", e, e.Outcome, s.calls)
		}
	})
}

// An answer has no more headers than anybody needs; once it was 10 MB of them for each.
func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 100<<10))
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}, WithRetry(1, 0, 0))
	_, err := c.Instances.List(t.Context())
	if e := wantError(t, err); !strings.Contains(e.Error(), "headers exceeded") {
		t.Error(e)
	}
	if _, err := c.Terminal.Open(t.Context(), "i1", TerminalOptions{Cols: 80, Rows: 24, Family: TerminalFamilies()[0]}); !strings.Contains(wantError(t, err).Error(), "headers exceeded") {
		t.Error(err)
	}
}

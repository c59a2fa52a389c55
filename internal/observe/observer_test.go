package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func calling(name string) mcp.CallToolRequest {
	var req mcp.CallToolRequest
	req.Params.Name = name
	return req
}

// metricsOf scrapes an observer.
func metricsOf(t *testing.T, o *Observer) string {
	t.Helper()
	w := httptest.NewRecorder()
	o.Handler(false).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("/metrics: %d, %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantMetrics(t *testing.T, o *Observer, lines ...string) {
	t.Helper()
	text := metricsOf(t, o)
	for _, line := range lines {
		if !strings.Contains(text, "\nopenclaw_mcp_"+line+"\n") {
			t.Errorf("it lacks %s; there is\n%s", line, text)
		}
	}
}

func TestSlowCallsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Tools: []string{"waits", "works"}, SlowCall: 10 * time.Second})
		run := func(name string, wait, work time.Duration) {
			_, _ = o.Middleware(func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				c := CallFrom(ctx)
				first, second := c.Waiting(), c.Waiting() // two runs waited for at once
				time.Sleep(wait / 2)
				first()
				first()
				time.Sleep(wait / 2)
				second()
				time.Sleep(work)
				return mcp.NewToolResultText("a result"), nil
			})(t.Context(), calling(name))
		}
		run("waits", 45*time.Second, 9*time.Second)
		run("works", 5*time.Second, 11*time.Second)
		if got := log.String(); strings.Contains(got, "tool=waits") || !strings.Contains(got, "tool=works") ||
			!strings.Contains(got, "duration=16s worked=11s") || strings.Contains(got, "a result") {
			t.Errorf("the log is %s", got)
		}
		wantMetrics(t, o, `slow_calls_total{tool="works"} 1`, `tool_call_duration_seconds_sum{tool="waits"} 54`)
	})
}

// Each way in which a call ends is told apart, a panic among them.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	audit, _ := openAudit(t, path)
	o := New(Options{Tools: []string{"t"}, Audit: audit, Principal: func(context.Context) string { return "alice" }})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ask := server.NewInputRequestBuilder("state").Elicit("confirm", mcp.ElicitationParams{Message: "sure?"}).ToolResult()
	for _, one := range []struct {
		ctx    context.Context
		result *mcp.CallToolResult
		err    error
	}{
		{t.Context(), mcp.NewToolResultText("x"), nil},
		{t.Context(), mcp.NewToolResultError("x"), nil},
		{t.Context(), nil, errors.New("x")},
		{gone, nil, gone.Err()},
		{gone, mcp.NewToolResultText("in time"), nil},
		{t.Context(), ask, nil},
	} {
		result, err := o.Middleware(func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return one.result, one.err
		})(one.ctx, calling("t"))
		if result != one.result || err != one.err {
			t.Errorf("the middleware changed the answer to %v, %v", result, err)
		}
	}
	func() {
		defer func() {
			if p := recover(); p != "a panic" {
				t.Errorf("the panic came out as %v", p)
			}
		}()
		_, _ = o.Middleware(func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) { panic("a panic") })(t.Context(), calling("t"))
	}()
	wantMetrics(t, o, `tool_calls_total{outcome="ok",tool="t"} 2`, `tool_calls_total{outcome="failed",tool="t"} 2`,
		`tool_calls_total{outcome="cancelled",tool="t"} 1`, `tool_calls_total{outcome="asked",tool="t"} 1`,
		`tool_calls_total{outcome="panic",tool="t"} 1`, `tool_errors_total{code="panic",tool="t"} 1`, `tool_calls_in_flight 0`)
	if n := len(requestsIn(t, path)); n != 7 {
		t.Errorf("the audit log has %d lines, want 7", n)
	}
	if err := audit.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever callers make up, the number of series stays.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	o := New(Options{Tools: []string{"t"}})
	ok := o.Middleware(func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(""), nil
	})
	var before int
	for i := range 200 {
		name := fmt.Sprint("name", i)
		_, _ = ok(t.Context(), calling(name))
		o.OnError(t.Context(), nil, mcp.MCPMethod(name), nil, errors.New(name))
		o.OnError(t.Context(), nil, "tools/call", nil, fmt.Errorf("%s: %w", name, server.ErrToolNotFound))
		o.Dropped(name)
		if i == 0 {
			before = len(strings.Split(metricsOf(t, o), "\n"))
		}
	}
	text := metricsOf(t, o)
	if after := len(strings.Split(text, "\n")); after > before || strings.Contains(text, "name1") {
		t.Errorf("%d lines became %d", before, after)
	}
	wantMetrics(t, o, `dropped_clients_total{reason="other"} 200`, `request_errors_total{code="-32603",method="other"} 200`)
}

// The tail of a long name is cut between two characters.
func TestInstanceIsBounded(t *testing.T) {
	t.Parallel()
	c := &Call{}
	c.Instance(strings.Repeat("ü", 100) + "\n")
	if want := strings.Repeat("ü", 64) + "…"; c.instance != want {
		t.Errorf("got %q", c.instance)
	}
	c.Instance("x" + strings.Repeat("ü", 100))
	if want := "x" + strings.Repeat("ü", 63) + "…"; c.instance != want {
		t.Errorf("got %q", c.instance)
	}
	var none *Call // outside of a call
	none.Instance("x")
	none.Failed("x")
	none.Waiting()()
}

func TestTransport(t *testing.T) {
	t.Parallel()
	type opKey struct{}
	o := New(Options{Operation: func(ctx context.Context) string { s, _ := ctx.Value(opKey{}).(string); return s }})
	var status int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 0 {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "body")
	}))
	tr := o.Transport(&http.Transport{})
	hc := &http.Client{Transport: tr}
	get := func(ctx context.Context, op string) error {
		req, err := http.NewRequestWithContext(context.WithValue(ctx, opKey{}, op), "GET", srv.URL+"/an-id", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := hc.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); string(b) != "body" || err != nil || req.Header.Get("Traceparent") != "" {
			t.Errorf("got %q, %v; the request's header became %v", b, err, req.Header)
		}
		return nil
	}
	for _, status = range []int{502, 404} {
		if o.health.reached.Load() {
			t.Errorf("a %d means that the service is there", 502)
		}
		if err := get(t.Context(), "GET /x/{id}"); err != nil {
			t.Error(err)
		}
	}
	if !o.health.reached.Load() {
		t.Error("the service answered, and was not seen")
	}
	status = 0
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := get(ctx, ""); err == nil {
		t.Error("no error")
	}
	srv.CloseClientConnections()
	srv.Close()
	if err := get(t.Context(), "GET /x/{id}"); err == nil {
		t.Error("no error of a server that is gone")
	}
	hc.CloseIdleConnections()
	wantMetrics(t, o, `upstream_requests_total{operation="GET /x/{id}",status="502"} 1`, `upstream_requests_total{operation="GET /x/{id}",status="404"} 1`,
		`upstream_requests_total{operation="GET /x/{id}",status="error"} 1`, `upstream_requests_total{operation="other",status="cancelled"} 1`,
		`upstream_request_duration_seconds_count{operation="GET /x/{id}"} 3`)
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := New(Options{})
		ready := func(want int, says string) {
			t.Helper()
			w := httptest.NewRecorder()
			o.Handler(false).ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			if w.Code != want || !strings.Contains(w.Body.String(), says) {
				t.Errorf("got %d, %q; want %d, %q", w.Code, w.Body, want, says)
			}
		}
		ready(503, "has not answered")
		var asked int
		start := time.Now()
		o.Probe(t.Context(), func(context.Context) {
			if asked++; asked == 9 {
				o.health.reached.Store(true)
			}
		})
		// The pauses are .5, 1, 2, 4, 8, 16, 30 and 30 seconds.
		if took := time.Since(start); asked != 9 || took != 91*time.Second+500*time.Millisecond {
			t.Errorf("it asked %d times in %s", asked, took)
		}
		ready(200, "ready")
		o.Drain()
		ready(503, "shutting down")
	})
}

func TestProbeEnds(t *testing.T) {
	t.Parallel()
	o := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	o.Probe(ctx, func(context.Context) { cancel() })
	if o.health.reached.Load() {
		t.Error("nobody answered")
	}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	o := New(Options{Version: "v1"})
	o.Count(Gauges{
		Streams: func() int { return 3 }, Sessions: func() int { return 2 },
		Runs: func() []RunCount { return []RunCount{{"chat", "running", 4}, {"command", "failed", 1}} },
	})
	wantMetrics(t, o, "streams 3", "sessions 2", `runs{kind="chat",status="running"} 4`, `runs{kind="command",status="failed"} 1`)
	if text := metricsOf(t, o); strings.Contains(text, "terminals") || !strings.Contains(text, `version="v1"`) {
		t.Errorf("there is\n%s", text)
	}
}

// Reading a resource is accounted for as a call is.
func TestResources(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	audit, _ := openAudit(t, path)
	o := New(Options{Audit: audit, Failure: func(error) string { return "not_found" }})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, one := range []struct {
		ctx context.Context
		err error
	}{{t.Context(), nil}, {t.Context(), errors.New("x")}, {gone, gone.Err()}} {
		_, err := o.ResourceMiddleware(func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return nil, one.err
		})(one.ctx, mcp.ReadResourceRequest{})
		if err != one.err {
			t.Errorf("got %v, want %v", err, one.err)
		}
	}
	_ = audit.file.Close() // from now on each write fails
	audit.Write(Entry{})
	if _, err := o.ResourceMiddleware(func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		t.Error("it was read, and nobody could tell of it")
		return nil, nil
	})(t.Context(), mcp.ReadResourceRequest{}); err == nil || !strings.Contains(err.Error(), "audit log") {
		t.Errorf("got %v", err)
	}
	wantMetrics(t, o, `tool_calls_total{outcome="ok",tool="resources/read"} 1`, `tool_calls_total{outcome="cancelled",tool="resources/read"} 1`,
		`tool_errors_total{code="not_found",tool="resources/read"} 1`, `tool_calls_total{outcome="refused",tool="resources/read"} 1`)
	if n := len(requestsIn(t, path)); n != 3 {
		t.Errorf("the audit log has %d lines, want 3", n)
	}
	if err := audit.Close(); err == nil {
		t.Error("Close hides that lines are missing")
	}
}

// What a web page of elsewhere has a browser fetch is refused, whichever way the
// browser says so.
func TestAdminKeepsPagesOut(t *testing.T) {
	o := New(Options{})
	for _, loopback := range []bool{true, false} {
		h := o.Handler(loopback)
		get := func(header ...string) int {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9090/debug/pprof/heap", nil)
			if !loopback {
				r = httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9090/metrics", nil)
			}
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		for _, page := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
			{"Origin", "http://localhost:3000"}, {"Referer", "https://evil.example/page"},
		} {
			if code := get(page...); code != http.StatusForbidden {
				t.Errorf("%v: status %d", page, code)
			}
		}
		for _, direct := range [][]string{nil, {"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "same-origin", "Referer", "http://127.0.0.1:9090/debug/pprof/"}} {
			if code := get(direct...); code != http.StatusOK {
				t.Errorf("%v: status %d", direct, code)
			}
		}
	}
}

// A server that shares its work is ready once it has reached the others, and stays so.
func TestJoins(t *testing.T) {
	for _, tt := range []struct{ first, later, ready bool }{{true, false, true}, {false, true, true}, {false, false, false}} {
		o := New(Options{})
		now := tt.first
		o.Joins(func() bool { return now })
		now = tt.later
		for range 2 {
			if got := !slices.Contains(o.unready(), "NATS has not answered yet"); got != tt.ready {
				t.Errorf("%+v: ready is %v", tt, got)
			}
			now = false
		}
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(New(Options{}).Handler(true))
	defer srv.Close()
	get := func(path string) (int, string) {
		res, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	const gzip = "\x1f\x8b"
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine: ", "/debug/pprof/goroutine?debug=1": "goroutine profile:", "/debug/pprof/heap": gzip,
		"/debug/pprof/profile?seconds=0.1": gzip, "/debug/pprof/trace?seconds=0.1": "go 1.",
	} {
		if status, body := get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %.100q", path, status, body)
		}
	}
	if status, _ := get("/debug/pprof/nothing"); status != http.StatusNotFound {
		t.Errorf("an unknown profile: %d", status)
	}
}

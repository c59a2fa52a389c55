//go:build e2e

package e2e

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// traceCollector is an OTLP collector.
type traceCollector struct {
	url string

	mu       sync.Mutex
	spans    []*tracepb.Span
	resource map[string]string
	raw      strings.Builder
}

func newTraceCollector(t *testing.T) *traceCollector {
	t.Helper()
	c := &traceCollector{resource: map[string]string{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var req tracepb.TracesData
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(b, &req) != nil {
			t.Errorf("%s %s: %v, or no protobuf", r.Method, r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(b)
		for _, rs := range req.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				c.resource[a.Key] = a.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

// span waits for the first span of a name, in a trace ("" for any).
func (c *traceCollector) span(t *testing.T, name, trace string) (found *tracepb.Span) {
	t.Helper()
	eventually(t, "the span "+name+" arrives", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.spans {
			if s.Name == name && (trace == "" || hex.EncodeToString(s.TraceId) == trace) {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

func attributesOf(s *tracepb.Span) map[string]string {
	m := map[string]string{}
	for _, a := range s.Attributes {
		m[a.Key] = a.Value.GetStringValue()
	}
	return m
}

// recordingUpstream notes the trace context of each request to the service.
type recordingUpstream struct {
	*upstream
	mu   sync.Mutex
	seen map[string][]string // traceparent and tracestate, by method and end of the path
}

func newRecordingUpstream(t *testing.T) *recordingUpstream {
	t.Helper()
	u := &recordingUpstream{upstream: newUpstream(t, emulatortest.Options{}), seen: map[string][]string{}}
	inner := u.Server
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.seen[r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/"):]] = []string{r.Header.Get("Traceparent"), r.Header.Get("Tracestate"), r.Header.Get("Baggage")}
		u.mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	u.url = srv.URL + "/api"
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return u
}

func (u *recordingUpstream) header(request string) (parent, state, baggage string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.seen[request]
	if h == nil {
		return "", "", ""
	}
	return h[0], h[1], h[2]
}

const (
	metaTrace   = "0af7651916cd43dd8448eb211c80319c"
	headerTrace = "1bf7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

func parentOf(trace string) string { return "00-" + trace + "-" + callerSpan + "-01" }

func TestTraceCalls(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		col, up := newTraceCollector(t), newRecordingUpstream(t)
		s := c.connect(t, up.env("OTEL_EXPORTER_OTLP_ENDPOINT="+col.url, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test"))
		m := s.request(t, "tools/call", params{
			"name": "send_chat_message", "arguments": params{"message": "a-secret-word", "instance": up.instance},
			"_meta": params{"traceparent": parentOf(metaTrace), "tracestate": "vendor=1", "baggage": "user=secret"},
		})
		if m.Error != nil {
			t.Fatal(m.Error)
		}
		call := col.span(t, "tools/call send_chat_message", metaTrace)
		if hex.EncodeToString(call.ParentSpanId) != callerSpan || call.Kind != tracepb.Span_SPAN_KIND_SERVER {
			t.Errorf("the call's span is %v", call)
		}
		if a := attributesOf(call); a["gen_ai.tool.name"] != "send_chat_message" || a["openclaw.outcome"] != "ok" {
			t.Errorf("its attributes are %v", a)
		}
		// The chat runs on a context of its own, and still in the call's trace.
		chat := col.span(t, "POST /instances/{id}/chat/stream", metaTrace)
		if hex.EncodeToString(chat.ParentSpanId) != hex.EncodeToString(call.SpanId) || chat.Kind != tracepb.Span_SPAN_KIND_CLIENT {
			t.Errorf("the request's span is %v; the call's is %x", chat, call.SpanId)
		}
		parent, state, baggage := up.header("POST /stream")
		if want := "00-" + metaTrace + "-" + hex.EncodeToString(chat.SpanId) + "-01"; parent != want || state != "vendor=1" || baggage != "" {
			t.Errorf("the service got traceparent %q, tracestate %q, baggage %q; want %q", parent, state, baggage, want)
		}

		s.call(t, "get_instance", params{"instance": "no-such-instance"})
		failed := col.span(t, "tools/call get_instance", "")
		if failed.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || attributesOf(failed)["error.type"] != "http_404" || len(failed.ParentSpanId) != 0 {
			t.Errorf("the failed call's span is %v", failed)
		}
		col.mu.Lock()
		defer col.mu.Unlock()
		if col.resource["service.name"] != "openclaw-mcp" || col.resource["deployment.environment"] != "test" || len(col.resource) != 3 {
			t.Errorf("the resource is %v", col.resource)
		}
		for _, never := range []string{"secret", "no-such-instance", up.instance, up.key, "127.0.0.1"} {
			if strings.Contains(col.raw.String(), never) {
				t.Errorf("the spans hold %q", never)
			}
		}
	})
}

// The header counts where the request itself says nothing; with no collector the
// context is handed on all the same.
func TestTraceContextOfTheHeader(t *testing.T) {
	t.Parallel()
	up := newRecordingUpstream(t)
	p, url := launchHTTP(t, up.env())
	w := newHTTPWire(t, url, modern)
	s := newSession(t, p, w)
	w.always = params{"Traceparent": parentOf(headerTrace)}
	s.ok(t, "list_instances", nil)
	if parent, _, _ := up.header("GET /instances"); parent != parentOf(headerTrace) {
		t.Errorf("the service got %q, want %q", parent, parentOf(headerTrace))
	}
	s.request(t, "tools/call", params{"name": "list_instances", "_meta": params{"traceparent": parentOf(metaTrace)}})
	if parent, _, _ := up.header("GET /instances"); parent != parentOf(metaTrace) {
		t.Errorf("the service got %q, want that of _meta, %q", parent, parentOf(metaTrace))
	}
	w.always = params{"Traceparent": "nonsense"}
	s.request(t, "tools/call", params{"name": "list_instances", "_meta": params{"traceparent": 7}})
	if parent, _, _ := up.header("GET /instances"); parent != "" {
		t.Errorf("the service got %q of a context that is none", parent)
	}
}

// Variables that are meant for somebody else leave the server without traces,
// not without service.
func TestTraceSettingsOfOthers(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":          "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=x":      "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
		"OTEL_TRACES_EXPORTER=console":              "OTEL_TRACES_EXPORTER",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=a:4317": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_SDK_DISABLED=true":                    "",
		"OTEL_TRACES_EXPORTER=none":                 "",
	} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			var asked sync.Once
			srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				asked.Do(func() { t.Errorf("with %s there are traces", env) })
			}))
			t.Cleanup(srv.Close)
			up := newUpstream(t, emulatortest.Options{})
			s := connect(t, up.env("OTEL_EXPORTER_OTLP_ENDPOINT="+srv.URL, "OTEL_BSP_SCHEDULE_DELAY=1", env))
			s.ok(t, "list_instances", nil)
			_ = s.proc.stdin.Close()
			if code := s.proc.exit(t); code != 0 { // it would have sent them by now
				t.Errorf("exit code %d", code)
			}
			if log := s.proc.stderr.String(); strings.Contains(log, "there are no traces") != (want != "") || !strings.Contains(log, want) {
				t.Errorf("the log should name %q; it is\n%s", want, log)
			}
		})
	}
}

package observe

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// TraceSettings are the standard variables that decide whether there are traces,
// and a way to read those that say how they are sent. The SDK reads the rest itself.
type TraceSettings struct {
	Endpoint       string // OTEL_EXPORTER_OTLP_ENDPOINT
	TracesEndpoint string // OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
	Protocol       string // OTEL_EXPORTER_OTLP_PROTOCOL
	TracesProtocol string // OTEL_EXPORTER_OTLP_TRACES_PROTOCOL
	Exporter       string // OTEL_TRACES_EXPORTER
	Disabled       bool   // OTEL_SDK_DISABLED
	Getenv         func(variable string) string
}

// wanted reports whether there are to be traces, and what of the settings this
// server can't do.
func (s TraceSettings) wanted() (bool, error) {
	if s.Disabled || s.Exporter == "none" || s.Exporter == "" && s.Endpoint == "" && s.TracesEndpoint == "" {
		return false, nil
	}
	if s.Exporter != "" && s.Exporter != "otlp" {
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; this server knows otlp and none", s.Exporter)
	}
	name, protocol := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", s.TracesProtocol
	if protocol == "" {
		name, protocol = "OTEL_EXPORTER_OTLP_PROTOCOL", s.Protocol
	}
	if protocol != "" && protocol != "http/protobuf" {
		return false, fmt.Errorf("%s is %q; this server knows http/protobuf", name, protocol)
	}
	name, endpoint := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", s.TracesEndpoint
	if endpoint == "" {
		name, endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT", s.Endpoint
	}
	if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return false, fmt.Errorf("%s must be an http or https URL, such as http://127.0.0.1:4318", name)
	}
	return true, nil
}

// Tracing sends spans to a collector, in the background: one that is slow or
// gone costs spans, never time of a call.
type Tracing struct {
	provider *sdktrace.TracerProvider
}

// NewTracing gives nil where the settings ask for no traces. Its errors say
// which setting this server can't do. Failures of the collector are logged.
func NewTracing(ctx context.Context, s TraceSettings, version string, log *slog.Logger) (*Tracing, error) {
	on, err := s.wanted()
	if err != nil || !on {
		return nil, err
	}
	otel.SetErrorHandler(&exportErrors{log: log})
	to, err := newCollector(s)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, to)
	if err != nil {
		return nil, err
	}
	// No more than this is said of the machine: no host, process or user.
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "openclaw-mcp"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &Tracing{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))}, nil
}

// exportErrors logs failures of the exporter, one a minute at most.
type exportErrors struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements [otel.ErrorHandler].
func (h *exportErrors) Handle(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.last) >= time.Minute {
		h.last = now
		h.log.Warn("traces could not be sent", "error", err)
	}
}

// flushLimit bounds how long the end of the server waits for the collector.
const flushLimit = 2 * time.Second

// Close sends what is left, if the collector takes it soon.
func (t *Tracing) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

func (t *Tracing) tracer() trace.Tracer {
	if t == nil {
		// It makes no spans, but still hands on the caller's trace context.
		return noop.NewTracerProvider().Tracer("")
	}
	return t.provider.Tracer("openclaw-mcp")
}

// w3c is traceparent and tracestate. Baggage is not handed on: it is content.
var w3c propagation.TraceContext

// metaCarrier reads the trace context of a request's _meta (SEP-414).
type metaCarrier map[string]any

// Get implements [propagation.TextMapCarrier].
func (c metaCarrier) Get(key string) string { s, _ := c[key].(string); return s }

// Set implements [propagation.TextMapCarrier]; nothing is ever written.
func (c metaCarrier) Set(string, string) {}

// Keys implements [propagation.TextMapCarrier].
func (c metaCarrier) Keys() []string { return w3c.Fields() }

// remote puts the caller's trace context into ctx: what the request says, else
// what its HTTP header says.
func (o *Observer) remote(ctx context.Context, meta *mcp.Meta) context.Context {
	if meta != nil {
		if with := w3c.Extract(ctx, metaCarrier(meta.AdditionalFields)); trace.SpanContextFromContext(with).IsValid() {
			return with
		}
	}
	h := o.opts.Header(ctx)
	if h.Get("Traceparent") == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.HeaderCarrier(h))
}

// Carry gives to the trace of from, and nothing else of it: for work that
// outlives the call that started it.
func Carry(from, to context.Context) context.Context {
	return trace.ContextWithSpanContext(to, trace.SpanContextFromContext(from))
}

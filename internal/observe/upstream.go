package observe

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Transport watches the requests to the service that go through next.
func (o *Observer) Transport(next http.RoundTripper) http.RoundTripper { return &watched{o, next} }

type watched struct {
	o    *Observer
	next http.RoundTripper
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] through.
func (w *watched) CloseIdleConnections() {
	if c, ok := w.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements [http.RoundTripper]. The answer is passed on as it is: a
// body of our own would break upgrades to WebSocket.
func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	operation := w.o.opts.Operation(req.Context())
	if operation == "" {
		operation = other
	}
	_, template, _ := strings.Cut(operation, " ")
	ctx, span := w.o.tracer.Start(req.Context(), operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", req.Method), attribute.String("url.template", template)))
	defer span.End()
	if span.SpanContext().IsValid() {
		req = req.Clone(ctx) // a RoundTripper may not change what it is given
		w3c.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	started := time.Now()
	resp, err := w.next.RoundTrip(req)
	w.o.metrics.upLatency.WithLabelValues(operation).Observe(time.Since(started).Seconds())
	status := "error"
	switch {
	case err == nil:
		status = strconv.Itoa(resp.StatusCode)
		span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
		if resp.StatusCode < 500 {
			w.o.health.reached.Store(true)
		}
	case ctx.Err() != nil:
		status = "cancelled"
	}
	if err != nil || resp.StatusCode >= 400 {
		// The error's text may hold an address with an id.
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", status))
	}
	w.o.metrics.upstream.WithLabelValues(operation, status).Inc()
	return resp, err
}

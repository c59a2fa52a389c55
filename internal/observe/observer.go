package observe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"openclaw-mcp/internal/text"
)

// Options is what an Observer works with; the zero value is ready to use.
type Options struct {
	Log      *slog.Logger
	Version  string
	Tools    []string      // the names that metrics tell apart
	SlowCall time.Duration // 0: slow calls are not logged
	Audit    *Audit        // nil: none
	Tracing  *Tracing      // nil: none

	Principal func(context.Context) string      // who ctx's call is from
	Header    func(context.Context) http.Header // of ctx's request, nil on stdio
	Operation func(context.Context) string      // method and path template of ctx's request to the service

	ResourceInstance func(mcp.ReadResourceRequest) string // that a resource belongs to
	Failure          func(error) string                   // why a resource can't be read, in one word out of few
}

// Observer watches the calls of clients and the requests to the service.
type Observer struct {
	opts    Options
	metrics *metrics
	tracer  trace.Tracer
	health  health
}

// New makes an observer. Nothing runs in the background.
func New(opts Options) *Observer {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Principal == nil {
		opts.Principal = func(context.Context) string { return "" }
	}
	if opts.Header == nil {
		opts.Header = func(context.Context) http.Header { return nil }
	}
	if opts.Operation == nil {
		opts.Operation = func(context.Context) string { return "" }
	}
	if opts.ResourceInstance == nil {
		opts.ResourceInstance = func(mcp.ReadResourceRequest) string { return "" }
	}
	if opts.Failure == nil {
		opts.Failure = func(error) string { return outcomeFailed }
	}
	return &Observer{opts: opts, metrics: newMetrics(opts.Version, opts.Audit), tracer: opts.Tracing.tracer()}
}

// The outcomes of a call.
const (
	outcomeOK        = "ok"
	outcomeFailed    = "failed"
	outcomeAsked     = "asked"     // the user is to confirm it first
	outcomeCancelled = "cancelled" // by the client, or it went away
	outcomeRefused   = "refused"   // not started
	outcomePanic     = "panic"
)

// Call is what is noted about a call while it is served. Its methods may be
// used concurrently, and do nothing on nil.
type Call struct {
	started time.Time

	mu       sync.Mutex
	instance string
	code     string
	waiting  int
	since    time.Time     // of the first of the waits under way
	waited   time.Duration // by those that are over
}

type callKey struct{}

// CallFrom gives the call that ctx belongs to, nil outside of one.
func CallFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// maxInstance bounds the instance's name in records, in bytes: the caller may have
// made it up.
const maxInstance = 128

// Instance notes which instance the call is about.
func (c *Call) Instance(id string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.instance = text.Clip(id, maxInstance)
}

// Failed notes why the call failed, in one word out of few.
func (c *Call) Failed(code string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code = code
}

// Waiting notes that the call only waits, as calls may, until end is called.
func (c *Call) Waiting() (end func()) {
	if c == nil {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == 0 {
		c.since = time.Now()
	}
	c.waiting++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting--; c.waiting == 0 {
			c.waited += time.Since(c.since)
		}
	})
}

// Middleware sees each call of an existing tool.
func (o *Observer) Middleware(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (result *mcp.CallToolResult, err error) {
		tool := known(req.Params.Name, o.opts.Tools)
		ctx, w := o.begin(ctx, "tools/call", tool, instanceOf(req.Params.RawArguments), req.Params.Meta)
		defer w.end()
		if o.opts.Audit.Ready() != nil {
			w.refuse()
			return mcp.NewToolResultError(tool + " failed: " + errAudit.Error() + "\n" +
				"What happened: nothing, the call was refused before it was sent.\nRepeat: safe, once that is fixed.\n" +
				"Next: tell the person who runs this server; its log has the details."), nil
		}
		result, err = next(ctx, req)
		w.outcome = outcomeOf(ctx, result, err)
		return result, err
	}
}

// instanceOf gives the argument "instance" of a call, "" where there is none.
func instanceOf(arguments json.RawMessage) string {
	if len(arguments) <= len("{}") {
		return ""
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(arguments), jsontext.AllowInvalidUTF8(true))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return ""
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() == "instance" && d.PeekKind() == '"' {
			instance, err := d.ReadToken()
			if err != nil {
				return ""
			}
			return instance.String()
		}
		if d.SkipValue() != nil {
			return ""
		}
	}
	return ""
}

// readResource is the name of what is not a call of a tool, and reads as much.
const readResource = "resources/read"

// ResourceMiddleware sees each reading of a resource: it gives what tools give,
// and is accounted for with them.
func (o *Observer) ResourceMiddleware(next server.ResourceHandlerFunc) server.ResourceHandlerFunc {
	return func(ctx context.Context, req mcp.ReadResourceRequest) (contents []mcp.ResourceContents, err error) {
		ctx, w := o.begin(ctx, readResource, readResource, o.opts.ResourceInstance(req), req.Params.Meta)
		defer w.end()
		if o.opts.Audit.Ready() != nil {
			w.refuse()
			return nil, errAudit
		}
		contents, err = next(ctx, req)
		switch {
		case err == nil:
			w.outcome = outcomeOK
		case ctx.Err() != nil:
			w.outcome = outcomeCancelled
		default:
			w.outcome = outcomeFailed
			w.call.Failed(o.opts.Failure(err))
		}
		return contents, err
	}
}

var errAudit = errors.New("this server can't write its audit log, so it serves no calls")

// watch is a call that is being served.
type watch struct {
	o       *Observer
	ctx     context.Context
	call    *Call
	tool    string
	outcome string
	span    trace.Span
}

// begin takes note of a call; end it.
func (o *Observer) begin(ctx context.Context, method, tool, instance string, meta *mcp.Meta) (context.Context, *watch) {
	w := &watch{o: o, tool: tool, call: &Call{started: time.Now(), instance: text.Clip(instance, maxInstance)},
		outcome: outcomePanic} // unless it ends otherwise
	ctx = o.remote(ctx, meta)
	if w.span = trace.SpanFromContext(ctx); o.opts.Tracing != nil { // else the caller's trace is only handed on
		ctx, w.span = o.startSpan(ctx, method, tool)
	}
	w.ctx = context.WithValue(ctx, callKey{}, w.call)
	o.metrics.inFlight.Inc()
	return w.ctx, w
}

func (o *Observer) startSpan(ctx context.Context, method, tool string) (context.Context, trace.Span) {
	name, about := method, []attribute.KeyValue{attribute.String("mcp.method.name", method)}
	if tool != method {
		name, about = method+" "+tool, append(about, attribute.String("gen_ai.tool.name", tool))
	}
	return o.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(about...))
}

// refuse notes that the call is not started, since it could not be recorded.
func (w *watch) refuse() {
	w.outcome = outcomeRefused
	w.call.Failed("audit")
}

func (w *watch) end() {
	w.o.metrics.inFlight.Dec()
	w.o.finish(w.ctx, w.call, w.tool, w.outcome, w.span)
}

func outcomeOf(ctx context.Context, result *mcp.CallToolResult, err error) string {
	failed := err != nil || result == nil || result.IsError
	switch {
	case failed && ctx.Err() != nil:
		return outcomeCancelled
	case failed:
		return outcomeFailed
	case result.ResultType == mcp.ResultTypeInputRequired:
		return outcomeAsked
	}
	return outcomeOK
}

// finish tells everybody how a call ended.
func (o *Observer) finish(ctx context.Context, c *Call, tool, outcome string, span trace.Span) {
	took := time.Since(c.started)
	c.mu.Lock()
	instance, code, worked := c.instance, c.code, took-c.waited
	c.mu.Unlock()
	switch outcome {
	case outcomeOK, outcomeAsked:
		code = ""
	default:
		code = cmp.Or(code, outcome)
		o.metrics.errors.WithLabelValues(tool, code).Inc()
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", code))
	}
	if span.IsRecording() {
		span.SetAttributes(attribute.String("openclaw.outcome", outcome))
	}
	span.End()
	o.metrics.calls.WithLabelValues(tool, outcome).Inc()
	o.metrics.latency.WithLabelValues(tool).Observe(took.Seconds())
	slow := o.opts.SlowCall > 0 && worked >= o.opts.SlowCall
	if o.opts.Audit == nil && !slow {
		return
	}
	e := Entry{
		Time: c.started.UTC(), Principal: o.opts.Principal(ctx), Tool: tool, Instance: instance,
		Outcome: outcome, Code: code, Duration: took.Round(time.Microsecond).Seconds(), Request: rand.Text()[:16],
	}
	if sc := span.SpanContext(); sc.HasTraceID() {
		e.Trace = sc.TraceID().String()
	}
	o.opts.Audit.Write(e)
	if slow {
		o.metrics.slow.WithLabelValues(tool).Inc()
		o.opts.Log.Warn("slow call", "tool", tool, "principal", e.Principal, "instance", instance, "outcome", outcome,
			"duration", took.Round(time.Millisecond), "worked", worked.Round(time.Millisecond), "request", e.Request)
	}
}

// OnError is a server.OnErrorHookFunc: it sees requests that mcp-go answers with
// an error, calls of tools that there are not among them.
func (o *Observer) OnError(ctx context.Context, _ any, method mcp.MCPMethod, _ any, err error) {
	code := mcp.INTERNAL_ERROR
	var coder interface {
		RPCError(modern bool) (int, any)
	}
	switch {
	case errors.As(err, &coder):
		code, _ = coder.RPCError(server.IsModernRequest(ctx))
	case errors.Is(err, server.ErrUnsupported):
		code = mcp.METHOD_NOT_FOUND
	case errors.Is(err, server.ErrToolNotFound), errors.Is(err, server.ErrPromptNotFound):
		code = mcp.INVALID_PARAMS
	}
	o.metrics.rpc.WithLabelValues(known(string(method), methods), strconv.Itoa(code)).Inc()
	if method == mcp.MethodToolsCall && errors.Is(err, server.ErrToolNotFound) {
		// It never came to the middleware.
		_, span := o.tracer.Start(ctx, "tools/call "+other, trace.WithSpanKind(trace.SpanKindServer))
		o.finish(ctx, &Call{started: time.Now(), code: "unknown_tool"}, other, outcomeRefused, span)
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/loopback"
	"openclaw-mcp/internal/observe"
	"openclaw-mcp/resources"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// observation is what shows those who run the server what it does, and the
// address where they look.
type observation struct {
	*observe.Observer
	cfg     config.Config
	log     *slog.Logger
	audit   *observe.Audit
	tracing *observe.Tracing

	server *http.Server
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// newObservation opens what the configuration asks for. Close it last, so that
// it sees the end of all else.
func newObservation(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (*observation, error) {
	o := &observation{cfg: cfg, log: log}
	var err error
	if o.audit, err = openAudit(cfg, stdout, log); err != nil {
		return nil, err
	}
	o.tracing, err = observe.NewTracing(ctx, traceSettings(cfg), cfg.Version, log)
	if err != nil {
		// The variables are not ours alone: whoever started this process may have
		// them for itself. The server runs without them.
		log.Warn("there are no traces", "error", err)
	}
	o.Observer = observe.New(observed(cfg, log, o.audit, o.tracing))
	return o, nil
}

// Observe gives the observer of a command that a person types: its calls stand in the audit
// log, if there is one. Call end when the last of them is over.
func Observe(cfg config.Config, stdout io.Writer, log *slog.Logger) (obs *observe.Observer, end func() error, err error) {
	audit, err := openAudit(cfg, stdout, log)
	if err != nil {
		return nil, nil, err
	}
	return observe.New(observed(cfg, log, audit, nil)), audit.Close, nil
}

// openAudit opens the audit log; nil: there is none.
func openAudit(cfg config.Config, stdout io.Writer, log *slog.Logger) (*observe.Audit, error) {
	if cfg.AuditLog == "" {
		return nil, nil
	}
	audit, err := observe.OpenAudit(cfg.AuditLog, log)
	if err != nil {
		return nil, wrongSetting("OPENCLAW_MCP_AUDIT_LOG can't be used: %w", err)
	}
	if f, ok := stdout.(*os.File); ok && cfg.HTTP == "" && audit.Is(f) {
		return nil, errors.Join(wrongSetting("OPENCLAW_MCP_AUDIT_LOG is standard output, which is for MCP and for results; it must be a file"), audit.Close())
	}
	return audit, nil
}

// observed says what an observer looks at.
func observed(cfg config.Config, log *slog.Logger, audit *observe.Audit, tracing *observe.Tracing) observe.Options {
	var names []string
	for _, t := range tools.All() {
		names = append(names, t.Name)
	}
	return observe.Options{
		Log: log, Version: cfg.Version, Tools: names, SlowCall: cfg.SlowCall, Audit: audit, Tracing: tracing,
		Principal: func(ctx context.Context) string {
			p, _ := transport.PrincipalFrom(ctx)
			return p.Name
		},
		Header: transport.HeaderFrom, Operation: client.Operation,
		ResourceInstance: resources.InstanceOf,
		Failure: func(err error) string {
			var e *resources.Error
			if errors.As(err, &e) {
				return string(e.Reason)
			}
			return tools.FailureCode(err)
		},
	}
}

func wrongSetting(format string, a ...any) error {
	return config.Wrong(fmt.Errorf(format, a...))
}

// serve opens the admin address, if there is one. The server counts as shutting
// down there from the end of ctx on.
func (o *observation) serve(ctx context.Context, b *Bridge) error {
	if o.cfg.HTTP == "" {
		o.Count(b.gauges(nil, nil)) // over HTTP there is more to count
	}
	if o.cfg.Admin == "" {
		return nil
	}
	if sameAddress(o.cfg.Admin, o.cfg.HTTP) {
		return wrongSetting("OPENCLAW_MCP_ADMIN is %s, where MCP is served too; it must be an address of its own", o.cfg.Admin)
	}
	// No key: it is only asked whether anybody is there.
	c, err := client.New(nil, o.cfg.BaseURL, "", client.WithUserAgent("openclaw-mcp/"+o.cfg.Version),
		client.WithLogger(o.log), client.WithRetry(1, 0, 0), client.WithMiddleware(o.Transport))
	if err != nil {
		return err
	}
	ln, err := listen("OPENCLAW_MCP_ADMIN", o.cfg.Admin)
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(o.cfg.Admin)
	o.server = &http.Server{
		Handler: transport.Guard(o.Handler(loopback.Host(host)), bodyLimit, writeLimit), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelDebug),
	}
	boundConnections(o.server, maxConnections, maxUnfinished, maxIdle)
	ctx, o.stop = context.WithCancel(ctx)
	context.AfterFunc(ctx, o.Drain)
	o.wg.Go(func() { _ = o.server.Serve(ln) })
	o.wg.Go(func() {
		defer c.CloseIdleConnections()
		o.Probe(ctx, func(ctx context.Context) { _, _ = c.Discover(ctx) }) // the transport sees the answer
	})
	o.log.Info("serving health and metrics", "admin", "http://"+ln.Addr().String())
	return nil
}

// close tells the admin address last: until the end it says that the server is
// shutting down.
func (o *observation) close() {
	if err := o.tracing.Close(); err != nil {
		o.log.Warn("the last traces could not be sent", "error", err)
	}
	if err := o.audit.Close(); err != nil {
		o.log.Error("closing the audit log", "error", err)
	}
	if o.server != nil {
		o.stop()
		_ = o.server.Close()
		o.wg.Wait()
	}
}

// gauges counts what the callers have here.
func (b *Bridge) gauges(streams, sessions func() int) observe.Gauges {
	all := b.callers.list
	return observe.Gauges{
		Streams: streams, Sessions: sessions,
		Principals: func() int { return len(all()) },
		Terminals: func() (n int) {
			for _, s := range all() {
				n += s.Terminals.Count()
			}
			return n
		},
		Runs: func() (counts []observe.RunCount) {
			sum := make(map[observe.RunCount]int)
			for _, s := range all() {
				for kind, byStatus := range s.Runs.Census() {
					for status, n := range byStatus {
						sum[observe.RunCount{Kind: string(kind), Status: string(status)}] += n
					}
				}
			}
			for c, n := range sum {
				c.Count = n
				counts = append(counts, c)
			}
			return counts
		},
	}
}

func traceSettings(c config.Config) observe.TraceSettings {
	return observe.TraceSettings{
		Endpoint: c.TraceEndpoint, TracesEndpoint: c.TracesEndpoint, Protocol: c.TraceProtocol, TracesProtocol: c.TracesProtocol,
		Exporter: c.TraceExporter, Disabled: strings.EqualFold(c.TraceDisabled, "true"),
		Getenv: c.Getenv,
	}
}

// sameAddress reports whether two addresses could not both be listened on.
func sameAddress(a, b string) bool {
	ahost, aport, aerr := net.SplitHostPort(a)
	bhost, bport, berr := net.SplitHostPort(b)
	if aerr != nil || berr != nil || aport != bport || aport == "0" {
		return false
	}
	every := func(host string) bool { ip := net.ParseIP(host); return host == "" || ip != nil && ip.IsUnspecified() }
	return ahost == bhost || every(ahost) || every(bhost) || loopback.Host(ahost) && loopback.Host(bhost) && (ahost == "localhost" || bhost == "localhost")
}

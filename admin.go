package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/observe"
	"openclaw-mcp/resources"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// observation is what shows those who run the server what it does, and the
// address where they look.
type observation struct {
	*observe.Observer
	cfg     config
	log     *slog.Logger
	audit   *observe.Audit
	tracing *observe.Tracing

	server *http.Server
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// newObservation opens what the configuration asks for. Close it last, so that
// it sees the end of all else.
func newObservation(ctx context.Context, cfg config, stdout io.Writer, log *slog.Logger) (*observation, error) {
	o := &observation{cfg: cfg, log: log}
	var err error
	if cfg.AuditLog != "" {
		if o.audit, err = observe.OpenAudit(cfg.AuditLog, log); err != nil {
			return nil, wrongSetting("OPENCLAW_MCP_AUDIT_LOG can't be used: %w", err)
		}
		if f, ok := stdout.(*os.File); ok && cfg.HTTP == "" && o.audit.Is(f) {
			return nil, errors.Join(wrongSetting("OPENCLAW_MCP_AUDIT_LOG is standard output, which carries MCP; it must be a file"), o.audit.Close())
		}
	}
	o.tracing, err = observe.NewTracing(ctx, cfg.traceSettings(), programVersion(), log)
	if err != nil {
		// The variables are not ours alone: whoever started this process may have
		// them for itself. That is no reason not to serve.
		log.Warn("there are no traces", "error", err)
	}
	var names []string
	for _, t := range tools.All() {
		names = append(names, t.Name)
	}
	o.Observer = observe.New(observe.Options{
		Log: log, Version: programVersion(), Tools: names, SlowCall: cfg.SlowCall, Audit: o.audit, Tracing: o.tracing,
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
	})
	return o, nil
}

func wrongSetting(format string, a ...any) error {
	return usageError{fmt.Errorf("openclaw-mcp: wrong configuration\n"+format, a...)}
}

// serve opens the admin address, if there is one. The server counts as shutting
// down there from the end of ctx on.
func (o *observation) serve(ctx context.Context, b *bridge) error {
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
	c, err := client.New(nil, o.cfg.BaseURL, "", client.WithUserAgent("openclaw-mcp/"+programVersion()),
		client.WithLogger(o.log), client.WithRetry(1, 0, 0), client.WithMiddleware(o.Transport))
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", o.cfg.Admin)
	if err != nil {
		return fmt.Errorf("OPENCLAW_MCP_ADMIN: %w", err)
	}
	host, _, _ := net.SplitHostPort(o.cfg.Admin)
	o.server = &http.Server{
		Handler: o.Handler(isLoopback(host)), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelDebug),
	}
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
func (b *bridge) gauges(streams, sessions func() int) observe.Gauges {
	all := func() []*tools.Services {
		b.mu.Lock()
		defer b.mu.Unlock()
		list := make([]*tools.Services, 0, len(b.services))
		for _, s := range b.services {
			list = append(list, s.Services)
		}
		return list
	}
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

func (c config) traceSettings() observe.TraceSettings {
	return observe.TraceSettings{
		Endpoint: c.TraceEndpoint, TracesEndpoint: c.TracesEndpoint, Protocol: c.TraceProtocol, TracesProtocol: c.TracesProtocol,
		Exporter: c.TraceExporter, Disabled: strings.EqualFold(c.TraceDisabled, "true"),
	}
}

func checkAdminAddress(addr string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return fmt.Errorf("is %q; it must be host:port with an IP address or localhost, such as 127.0.0.1:9090", addr)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// sameAddress reports whether two addresses could not both be listened on.
func sameAddress(a, b string) bool {
	ahost, aport, aerr := net.SplitHostPort(a)
	bhost, bport, berr := net.SplitHostPort(b)
	if aerr != nil || berr != nil || aport != bport || aport == "0" {
		return false
	}
	every := func(host string) bool { ip := net.ParseIP(host); return host == "" || ip != nil && ip.IsUnspecified() }
	return ahost == bhost || every(ahost) || every(bhost) || isLoopback(ahost) && isLoopback(bhost) && (ahost == "localhost" || bhost == "localhost")
}

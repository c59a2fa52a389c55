package observe

import (
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Family is a family of metrics that this server has. All of their labels take
// few values: names that come from callers count as "other".
type Family struct {
	Name   string
	Kind   string // counter, gauge or histogram
	Labels []string
	Help   string
}

const prefix = "openclaw_mcp_"

// The families, in the order of the documentation.
var (
	famBuild      = Family{prefix + "build_info", "gauge", []string{"version", "go"}, "Always 1: which version runs"}
	famCalls      = Family{prefix + "tool_calls_total", "counter", []string{"tool", "outcome"}, "Tool calls that have ended: ok, failed, asked (the user, for confirmation), cancelled, refused or panic"}
	famErrors     = Family{prefix + "tool_errors_total", "counter", []string{"tool", "code"}, "Tool calls that failed, by what was wrong"}
	famLatency    = Family{prefix + "tool_call_duration_seconds", "histogram", []string{"tool"}, "How long tool calls took, waiting for runs included"}
	famInFlight   = Family{prefix + "tool_calls_in_flight", "gauge", nil, "Tool calls that are being served"}
	famSlow       = Family{prefix + "slow_calls_total", "counter", []string{"tool"}, "Tool calls that worked longer than OPENCLAW_MCP_SLOW_CALL, waiting for runs and terminals not counted"}
	famRPC        = Family{prefix + "request_errors_total", "counter", []string{"method", "code"}, "Requests answered with a JSON-RPC error"}
	famUpstream   = Family{prefix + "upstream_requests_total", "counter", []string{"operation", "status"}, "Requests to the service, each attempt, by HTTP status; error: no answer; cancelled: not waited for"}
	famUpLatency  = Family{prefix + "upstream_request_duration_seconds", "histogram", []string{"operation"}, "How long the service took up to the headers of its answer"}
	famRuns       = Family{prefix + "runs", "gauge", []string{"kind", "status"}, "Runs in memory; ended ones are kept for an hour"}
	famTerminals  = Family{prefix + "terminals", "gauge", nil, "Open terminals"}
	famPrincipals = Family{prefix + "principals", "gauge", nil, "Callers that this process keeps something for"}
	famStreams    = Family{prefix + "streams", "gauge", nil, "Open streams to clients"}
	famSessions   = Family{prefix + "sessions", "gauge", nil, "Sessions of clients with protocol versions up to 2025-11-25"}
	famDropped    = Family{prefix + "dropped_clients_total", "counter", []string{"reason"}, "Clients that were cut off"}
	famPending    = Family{prefix + "audit_lines_pending", "gauge", nil, "Lines that the audit log could not take yet; calls are refused meanwhile"}
	famAuditFail  = Family{prefix + "audit_failures_total", "counter", nil, "Lines that the audit log could not take at once"}
	famAuditLost  = Family{prefix + "audit_lines_lost_total", "counter", nil, "Lines that the audit log never got"}
)

// Families lists what there is besides the go_ and process_ families.
func Families() []Family {
	return []Family{famCalls, famErrors, famLatency, famInFlight, famSlow, famRPC, famUpstream, famUpLatency,
		famRuns, famTerminals, famPrincipals, famStreams, famSessions, famDropped,
		famFleetUp, famAsks, famAskLatency, famFacts, famTakeovers,
		famPending, famAuditFail, famAuditLost, famBuild}
}

// RunCount is how many runs of a kind have a status.
type RunCount struct {
	Kind, Status string
	Count        int
}

// Gauges is what the program counts at the moment of a scrape. Those that are
// nil are left out of the metrics.
type Gauges struct {
	Runs                                     func() []RunCount
	Terminals, Principals, Streams, Sessions func() int
}

type metrics struct {
	registry *prometheus.Registry

	calls, errors, slow, rpc, upstream, dropped *prometheus.CounterVec
	latency, upLatency                          *prometheus.HistogramVec
	inFlight                                    prometheus.Gauge
	fleet                                       fleetMetrics
}

func newMetrics(version string, audit *Audit) *metrics {
	counter := func(f Family) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.Name, Help: f.Help}, f.Labels)
	}
	histogram := func(f Family, buckets ...float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: f.Name, Help: f.Help, Buckets: buckets}, f.Labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls:    counter(famCalls), errors: counter(famErrors), slow: counter(famSlow), rpc: counter(famRPC),
		upstream: counter(famUpstream), dropped: counter(famDropped),
		// Waiting calls end at the soft deadline, 45 s unless configured.
		latency:   histogram(famLatency, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 50, 120, 300),
		upLatency: histogram(famUpLatency, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300),
		inFlight:  prometheus.NewGauge(prometheus.GaugeOpts{Name: famInFlight.Name, Help: famInFlight.Help}),
	}
	m.fleet = newFleetMetrics(m.registry)
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: famBuild.Name, Help: famBuild.Help}, famBuild.Labels)
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(build, m.calls, m.errors, m.slow, m.rpc, m.upstream, m.dropped, m.latency, m.upLatency, m.inFlight,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if audit != nil {
		count := func(pick func(pending, failed, lost int) int) func() float64 {
			return func() float64 { return float64(pick(audit.counts())) }
		}
		m.registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: famPending.Name, Help: famPending.Help}, count(func(n, _, _ int) int { return n })),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: famAuditFail.Name, Help: famAuditFail.Help}, count(func(_, n, _ int) int { return n })),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: famAuditLost.Name, Help: famAuditLost.Help}, count(func(_, _, n int) int { return n })),
		)
	}
	return m
}

// Count has the gauges read at each scrape. It is called once.
func (o *Observer) Count(g Gauges) {
	for _, one := range []struct {
		family Family
		read   func() int
	}{{famTerminals, g.Terminals}, {famPrincipals, g.Principals}, {famStreams, g.Streams}, {famSessions, g.Sessions}} {
		if one.read == nil {
			continue
		}
		o.metrics.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: one.family.Name, Help: one.family.Help},
			func() float64 { return float64(one.read()) }))
	}
	if g.Runs != nil {
		o.metrics.registry.MustRegister(runCollector{prometheus.NewDesc(famRuns.Name, famRuns.Help, famRuns.Labels, nil), g.Runs})
	}
}

// runCollector reads all counts of runs at once, so that a status that no run
// has any more does not stay behind.
type runCollector struct {
	desc *prometheus.Desc
	read func() []RunCount
}

// Describe implements [prometheus.Collector].
func (c runCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements [prometheus.Collector].
func (c runCollector) Collect(ch chan<- prometheus.Metric) {
	for _, r := range c.read() {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(r.Count), r.Kind, r.Status)
	}
}

// other stands for every name that a caller made up.
const other = "other"

// methods are the requests of MCP; what else a client sends counts as other.
var methods = []string{
	"initialize", "ping", "server/discover", "tools/list", "tools/call", "resources/list", "resources/templates/list",
	"resources/read", "resources/subscribe", "resources/unsubscribe", "subscriptions/listen", "prompts/list",
	"prompts/get", "completion/complete", "logging/setLevel",
}

func known(name string, among []string) string {
	if slices.Contains(among, name) {
		return name
	}
	return other
}

// reasons are why clients are cut off.
var reasons = []string{"slow", "limit", "idle"}

// Dropped counts a client that was cut off: slow, limit, idle; else it counts
// as other.
func (o *Observer) Dropped(reason string) {
	o.metrics.dropped.WithLabelValues(known(reason, reasons)).Inc()
}

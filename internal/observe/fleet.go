package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	famFleetUp    = Family{prefix + "fleet_up", "gauge", nil, "1 while what the replicas share (NATS) can be reached"}
	famAsks       = Family{prefix + "fleet_asks_total", "counter", []string{"kind", "outcome"}, "Questions to other processes, by what they are about: ok, refused, gone (none has it), lost, away or cancelled"}
	famAskLatency = Family{prefix + "fleet_ask_duration_seconds", "histogram", []string{"kind"}, "How long the first word of an answer took"}
	famFacts      = Family{prefix + "fleet_facts_total", "counter", []string{"op", "outcome"}, "What processes agree on: find, create, change, forget; ok, taken, changed or away"}
	famTakeovers  = Family{prefix + "fleet_takeovers_total", "counter", []string{"kind"}, "Runs and calls of processes that are gone, which this one goes on with"}
)

// fleetMetrics counts what this process does with others.
type fleetMetrics struct {
	asks, facts, takeovers *prometheus.CounterVec
	latency                *prometheus.HistogramVec
}

func newFleetMetrics(registry *prometheus.Registry) fleetMetrics {
	counter := func(f Family) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.Name, Help: f.Help}, f.Labels)
	}
	m := fleetMetrics{
		asks: counter(famAsks), facts: counter(famFacts), takeovers: counter(famTakeovers),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: famAskLatency.Name, Help: famAskLatency.Help, Buckets: []float64{.0002, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 2.5},
		}, famAskLatency.Labels),
	}
	registry.MustRegister(m.asks, m.facts, m.takeovers, m.latency)
	return m
}

// Asked counts a question to another process.
func (o *Observer) Asked(kind, outcome string, took time.Duration) {
	o.metrics.fleet.asks.WithLabelValues(kind, outcome).Inc()
	o.metrics.fleet.latency.WithLabelValues(kind).Observe(took.Seconds())
}

// Fact counts what was done to a fact that processes agree on.
func (o *Observer) Fact(op, outcome string) {
	o.metrics.fleet.facts.WithLabelValues(op, outcome).Inc()
}

// TookOver counts a run of a process that is gone.
func (o *Observer) TookOver(kind string) { o.metrics.fleet.takeovers.WithLabelValues(kind).Inc() }

// fleetPatience is how long a server that has just started waits for the others.
const fleetPatience = 30 * time.Second

// Joins has the server be ready only once it has reached what it shares with other
// replicas, or has waited for long enough: a server that lost it later goes on. It is
// called once.
func (o *Observer) Joins(reached func() bool) {
	limit := time.Now().Add(fleetPatience)
	o.health.joined.Store(reached())
	o.health.apart = func() bool {
		if !o.health.joined.Load() && (reached() || time.Now().After(limit)) {
			o.health.joined.Store(true)
		}
		return !o.health.joined.Load()
	}
	o.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: famFleetUp.Name, Help: famFleetUp.Help}, func() float64 {
		if reached() {
			return 1
		}
		return 0
	}))
}

package observe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"openclaw-mcp/internal/loopback"
)

// health is what /readyz goes by.
type health struct {
	draining atomic.Bool
	reached  atomic.Bool // the service has answered since the start
	joined   atomic.Bool // it has reached the other replicas, or waited for long enough
	apart    func() bool // nil: there are no others
}

// Drain makes the server not ready: it takes no new work.
func (o *Observer) Drain() { o.health.draining.Store(true) }

// unready gives why the server should get no calls now.
//
// That the service is out of reach for a while is no reason: it would take all
// replicas out at once, and clients would see refused connections where they now
// get errors that say what is wrong. But a server that never reached it has a
// wrong address or no network.
func (o *Observer) unready() []string {
	var why []string
	if o.health.draining.Load() {
		why = append(why, "the server is shutting down")
	}
	if !o.health.reached.Load() {
		why = append(why, "the service has not answered yet")
	}
	if o.health.apart != nil && o.health.apart() {
		why = append(why, "NATS has not answered yet")
	}
	if o.opts.Audit.Ready() != nil {
		why = append(why, "the audit log can't be written")
	}
	return why
}

// The pauses between two questions whether the service is there.
const (
	probeFirst = 500 * time.Millisecond
	probeMost  = 30 * time.Second
)

// Probe has ask send requests through [Observer.Transport] until the service
// answers one, whoever asked, or ctx ends.
func (o *Observer) Probe(ctx context.Context, ask func(context.Context)) {
	for pause := probeFirst; !o.health.reached.Load(); pause = min(2*pause, probeMost) {
		ask(ctx)
		if o.health.reached.Load() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Handler serves /healthz, /readyz and /metrics and, on loopback only, the
// profiles of /debug/pprof/.
func (o *Observer) Handler(loopback bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := o.unready(); len(why) > 0 {
			plain(w, http.StatusServiceUnavailable, strings.Join(why, "\n"))
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	if !loopback {
		return onlyDirect(mux)
	}
	serveProfiles(mux)
	return onlyLocal(onlyDirect(mux))
}

// onlyLocal keeps out web pages that reach loopback by a name of their own.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !loopback.Host(host) {
			plain(w, http.StatusForbidden, "this address is for this machine only: use 127.0.0.1 or localhost")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onlyDirect keeps out web pages of elsewhere: what they have a browser fetch, such as
// a profile of half a minute, costs this server something even where they can't read
// it.
func onlyDirect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		foreign := site != "" && site != "same-origin" && site != "none"
		for _, page := range []string{r.Header.Get("Origin"), r.Header.Get("Referer")} {
			u, err := url.Parse(page)
			foreign = foreign || page != "" && (err != nil || !strings.EqualFold(u.Host, r.Host))
		}
		if foreign {
			plain(w, http.StatusForbidden, "this address is not for web pages of elsewhere")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

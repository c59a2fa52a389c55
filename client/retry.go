package client

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxRetryAfter is the longest wait that the service can ask for and get;
	// beyond it the caller is told at once, with the wait in the error.
	maxRetryAfter = 30 * time.Second
	// maxDrain is how much of a failed attempt's body is read so that its
	// connection can be used again.
	maxDrain = 64 << 10
	// maxUnread is how much of an answer over HTTP/2 may come before it is read, as it does
	// where the answer waits for its turn.
	maxUnread = 256 << 10
)

// newHTTPClient makes the client that all requests go through.
func newHTTPClient(hc *http.Client, c *core) *http.Client {
	var next http.RoundTripper
	switch {
	case hc == nil:
		next = newTransport()
	case hc.Transport != nil:
		next = hc.Transport
	default:
		next = http.DefaultTransport
	}
	if wrap := c.options.wrap; wrap != nil {
		next = wrap(next)
	}
	return &http.Client{
		Transport:     &retrier{next: next, core: c},
		CheckRedirect: CheckRedirect,
	}
}

// NewTransport is what a client made without an http.Client sends with. Several
// clients may share one.
func NewTransport() *http.Transport { return newTransport() }

// newTransport is made for one host and many long calls to it at once. Pings
// find a peer that went away while a stream was silent.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          512,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
		// Go's own bound is 10 MB, and each request may be answered with as much.
		MaxResponseHeaderBytes: 64 << 10,
		// A quarter of the usual: streams are small events on many connections, and
		// larger pieces pass these buffers by.
		WriteBufferSize: 1 << 10,
		ReadBufferSize:  1 << 10,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second,
			// Go's own is 4 MiB for each answer, be it read or not.
			MaxReceiveBufferPerStream: maxUnread,
		},
	}
}

// CheckRedirect is the rule for redirects of whatever is asked of the service. It follows only
// GETs, and only where the key may go: to the same host, never from https to http. Anything
// else stays an answer of 3xx, which this client makes an error that says where to.
func CheckRedirect(req *http.Request, via []*http.Request) error {
	origin := via[0]
	if origin.Method != http.MethodGet && origin.Method != http.MethodHead ||
		!sameService(origin.URL, req.URL) || len(via) >= 10 {
		return http.ErrUseLastResponse
	}
	return nil
}

// sameService reports whether a request to a may be sent on to b: the same host and port,
// over the same scheme or over https. From http's usual port to that of https is the same,
// too: whatever has another port may belong to somebody else.
func sameService(a, b *url.URL) bool {
	secured := a.Scheme == "http" && b.Scheme == "https"
	if b.User != nil || !strings.EqualFold(a.Hostname(), b.Hostname()) || a.Scheme != b.Scheme && !secured {
		return false
	}
	from, to := portOf(a), portOf(b)
	return from == to || secured && from == "80" && to == "443"
}

// portOf gives the port of a URL, be it written there or not.
func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}

// redirectMessage says why an answer of 3xx was not followed. Of the target it shows the host,
// and the base URL where the target has the path of the request, which is below that.
func redirectMessage(resp *http.Response, path string) string {
	to, err := resp.Location()
	if err != nil {
		return "the service sent a redirect without a valid address"
	}
	from, base := resp.Request.URL, to.Scheme+"://"+to.Host
	if prefix, ok := strings.CutSuffix(to.EscapedPath(), path); ok && path != "" {
		base += prefix
	}
	switch {
	case !sameService(from, to):
		return fmt.Sprintf("the service redirects to %s, where the API key is not sent; if that is the service's address, the base URL has to be that", base)
	case resp.Request.Method == http.MethodGet || resp.Request.Method == http.MethodHead:
		return "the service redirects too often"
	case to.Scheme != from.Scheme || to.Host != from.Host:
		return fmt.Sprintf("the service redirects a %s to %s and nothing was sent there; the base URL has to be that", resp.Request.Method, base)
	}
	return "the service redirects a " + resp.Request.Method + " to another path, and nothing was sent there; check the base URL"
}

type opKey struct{}

// withOp carries the path template to the log lines of the attempts.
func withOp(ctx context.Context, op string) context.Context {
	return context.WithValue(ctx, opKey{}, op)
}

// retrier repeats GETs and HEADs, and nothing else, as long as no answer worth
// having came. It is the one place that repeats.
type retrier struct {
	next http.RoundTripper
	core *core
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] through.
func (t *retrier) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements [http.RoundTripper].
func (t *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	attempts := 1
	reading := (req.Method == http.MethodGet || req.Method == http.MethodHead) && req.Body == nil
	if reading && req.Header.Get("Upgrade") == "" { // an upgrade may start a shell
		attempts = t.core.options.attempts
	}
	for attempt := 1; ; attempt++ {
		start := time.Now()
		resp, err := t.next.RoundTrip(req)
		t.logAttempt(req, resp, err, attempt, time.Since(start))
		if attempt >= attempts || !worthRepeating(req.Context(), resp, err) {
			return resp, err
		}
		wait, ok := t.wait(req.Context(), resp, attempt)
		if !ok {
			return resp, err
		}
		status := 0
		if resp != nil {
			status = resp.StatusCode
			_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
			_ = resp.Body.Close()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-req.Context().Done():
			timer.Stop()
			if err == nil {
				err = fmt.Errorf("%w while waiting to retry after HTTP %d", req.Context().Err(), status)
			}
			return nil, err
		}
	}
}

// worthRepeating tells passing failures from lasting ones.
func worthRepeating(ctx context.Context, resp *http.Response, err error) bool {
	if err != nil {
		return ctx.Err() == nil && !isCertError(err)
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// wait says how long to wait before the next attempt: what the service asks
// for, else an exponential back-off with full jitter. It is false when that
// would be longer than anybody waits.
func (t *retrier) wait(ctx context.Context, resp *http.Response, attempt int) (time.Duration, bool) {
	o := t.core.options
	ceiling := o.backoffMax
	if shift := attempt - 1; shift < 30 {
		ceiling = min(ceiling, o.backoffBase<<shift)
	}
	d := rand.N(ceiling) + 1
	if resp != nil {
		if asked, ok := retryAfter(resp.Header, time.Now()); ok {
			if asked > maxRetryAfter {
				return 0, false
			}
			d = max(asked, 1)
		}
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return 0, false
	}
	return d, true
}

func (t *retrier) logAttempt(req *http.Request, resp *http.Response, err error, attempt int, took time.Duration) {
	log := t.core.log
	if !log.Enabled(req.Context(), slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("op", Operation(req.Context())), slog.Int("attempt", attempt), slog.Duration("took", took)}
	if resp != nil {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", t.core.redact(err.Error())))
	}
	log.LogAttrs(req.Context(), slog.LevelDebug, "request", attrs...)
}

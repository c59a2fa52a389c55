package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/auth"
	"openclaw-mcp/front"
	"openclaw-mcp/transport"
)

// checkHTTP reports what is wrong with the settings for HTTP.
func (c config) checkHTTP(bad func(name, format string, a ...any)) {
	if !slices.Contains([]string{"none", "token", "key", "oauth"}, c.Auth) {
		bad("OPENCLAW_MCP_AUTH", "is %q; it must be none, token, key or oauth", c.Auth)
	}
	if c.Auth == "token" && c.Tokens == "" && c.TokensFile == "" {
		bad("OPENCLAW_MCP_AUTH", "is token, which needs OPENCLAW_MCP_TOKENS or OPENCLAW_MCP_TOKENS_FILE")
	}
	if c.Auth != "token" && (c.Tokens != "" || c.TokensFile != "") {
		bad("OPENCLAW_MCP_TOKENS", "and OPENCLAW_MCP_TOKENS_FILE go with OPENCLAW_MCP_AUTH=token; it is %s, and without a change they would guard nothing", c.Auth)
	}
	if c.Auth == "oauth" && c.OAuthIssuer == "" {
		bad("OPENCLAW_MCP_AUTH", "is oauth, which needs OPENCLAW_MCP_OAUTH_ISSUER")
	}
	if c.Auth == "oauth" && c.PublicURL == "" {
		bad("OPENCLAW_MCP_AUTH", "is oauth, which needs OPENCLAW_MCP_PUBLIC_URL: the address that tokens are for")
	}
	if c.Auth != "oauth" && c.OAuthIssuer != "" {
		bad("OPENCLAW_MCP_OAUTH_ISSUER", "goes with OPENCLAW_MCP_AUTH=oauth; it is %s, and without a change it would guard nothing", c.Auth)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.ContainsAny(c.PublicURL, "?#")) {
		bad("OPENCLAW_MCP_PUBLIC_URL", "must be an http or https URL without a user name, query or fragment, such as https://claw.example/mcp")
	}
	for _, origin := range words(c.AllowedOrigins) {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "") {
			bad("OPENCLAW_MCP_ALLOWED_ORIGINS", "has %q; each must be an origin without a path, such as https://app.example, or *", origin)
		}
	}
	for _, host := range words(c.AllowedHosts) {
		if strings.ContainsAny(host, "/*@ ") {
			bad("OPENCLAW_MCP_ALLOWED_HOSTS", "has %q; each must be a host name, such as claw.example", host)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("OPENCLAW_MCP_TLS_CERT", "and OPENCLAW_MCP_TLS_KEY go together; only one is set")
	} else if c.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			bad("OPENCLAW_MCP_TLS_CERT", "and OPENCLAW_MCP_TLS_KEY can't be used: %v", err)
		}
	}
	if c.RateLimit < 0 || c.RateLimit > 1e6 {
		bad("OPENCLAW_MCP_RATE_LIMIT", "is %g; it must be from 0 to 1000000", c.RateLimit)
	}
	if c.Concurrency < 0 {
		bad("OPENCLAW_MCP_CONCURRENCY", "is %d; it must be 0 or more", c.Concurrency)
	}
	if c.SessionIdle < time.Minute || c.SessionIdle > 24*time.Hour {
		bad("OPENCLAW_MCP_SESSION_IDLE", "is %s; it must be a duration from 1m to 24h, such as 1h", c.SessionIdle)
	}
}

// bringsKeys reports whether the server needs no key, since callers bring theirs.
func (c config) bringsKeys() bool { return c.HTTP != "" && c.Auth == "key" }

// authenticator is what the configuration says of who may call; nil: everybody
// who can connect, which is this machine alone.
func (c config) authenticator(ctx context.Context, log *slog.Logger) (auth.Authenticator, error) {
	switch c.Auth {
	case "token":
		a, err := auth.NewTokens(string(c.Tokens), c.TokensFile, log)
		if err != nil {
			return nil, wrongSetting("OPENCLAW_MCP_TOKENS or OPENCLAW_MCP_TOKENS_FILE: %w", err)
		}
		return a, nil
	case "key":
		return auth.NewKeys(""), nil
	case "oauth":
		return c.oauth(ctx, log)
	}
	return nil, nil
}

// principals adapts an authenticator. A caller's name is bound to its key, so
// that a token whose key changes does not meet what was sealed with the old one.
func principals(a auth.Authenticator) func(*http.Request) (transport.Principal, error) {
	if a == nil {
		return nil
	}
	return func(r *http.Request) (transport.Principal, error) {
		caller, err := a.Authenticate(r)
		var refusal *auth.Refusal
		if errors.As(err, &refusal) {
			return transport.Principal{}, &transport.Refusal{
				Status: refusal.Status, Challenge: refusal.Challenge, RetryAfter: refusal.RetryAfter, Message: refusal.Message,
			}
		}
		return transport.Principal{Name: caller.Name, Key: transport.Secret(caller.Key)}, err
	}
}

// shutdownLimit bounds how long HTTP clients are waited for at the end.
const shutdownLimit = 10 * time.Second

func serveHTTP(ctx context.Context, cfg config, b *bridge, o *observation, local bool, log *slog.Logger) error {
	who, err := cfg.authenticator(ctx, log)
	if err != nil {
		return err
	}
	authenticate := principals(who)
	if authenticate == nil {
		// Sessions and handles are sealed with the one key that there is.
		authenticate = func(*http.Request) (transport.Principal, error) {
			return transport.Principal{Name: transport.Local.Name, Key: transport.Secret(b.cfg.APIKey)}, nil
		}
	} else {
		authenticate = withServerKey(authenticate, b.cfg.APIKey)
	}
	var streams gauge
	h := transport.NewHTTP(b.mcp, transport.HTTPOptions{
		Log: log, Subscriber: b.resources, Tools: b.tools, Authenticate: authenticate,
		AllowedHosts: publicHosts(cfg), AllowedOrigins: words(cfg.AllowedOrigins),
		Rate: cfg.RateLimit, Concurrency: cfg.Concurrency, SessionIdle: cfg.SessionIdle,
		Watch: &transport.Watch{
			Limited: func() { o.Dropped("limit") }, Dropped: func() { o.Dropped("slow") }, Stream: streams.add,
		},
	})
	o.Count(b.gauges(streams.get, h.Sessions))
	mux := http.NewServeMux()
	mux.Handle("/mcp", h)
	if meta, ok := who.(interface{ MetadataHandler() http.Handler }); ok {
		mux.Handle("/.well-known/oauth-protected-resource", meta.MetadataHandler())
		mux.Handle("/.well-known/oauth-protected-resource/", meta.MetadataHandler())
	}
	info := front.Info{Local: local, PublicURL: cfg.PublicURL, Auth: front.Auth(cfg.Auth)}
	page, err := b.frontPage(info)
	if err != nil {
		return err
	}
	mux.Handle("/", h.GuardHost(page))
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ln, err := net.Listen("tcp", cfg.HTTP)
	if err != nil {
		return fmt.Errorf("OPENCLAW_MCP_HTTP: %w", err)
	}
	scheme := "http"
	serve := func() error { return srv.Serve(ln) }
	if cfg.TLSCert != "" {
		scheme = "https"
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: (&certificate{cert: cfg.TLSCert, key: cfg.TLSKey, log: log}).get}
		serve = func() error { return srv.ServeTLS(ln, "", "") }
	}
	log.Info("serving MCP over streamable HTTP", "url", scheme+"://"+ln.Addr().String()+"/mcp", "auth", cfg.Auth, "service", cfg.BaseURL, "version", programVersion())
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	end, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	// The calls in flight hand over first; then nothing keeps Shutdown waiting.
	err = errors.Join(h.Close(end), srv.Shutdown(end))
	if err != nil {
		_ = srv.Close()
		log.Warn("some clients were cut off", "error", err)
	}
	return nil
}

// withServerKey gives callers that bring no key of their own the server's.
func withServerKey(next func(*http.Request) (transport.Principal, error), key secret) func(*http.Request) (transport.Principal, error) {
	return func(r *http.Request) (transport.Principal, error) {
		p, err := next(r)
		if err == nil && p.Key == "" {
			p.Key = transport.Secret(key)
		}
		return p, err
	}
}

// publicHosts are the names that the server is reached by besides loopback's.
func publicHosts(cfg config) []string {
	hosts := words(cfg.AllowedHosts)
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

// gauge counts up and down.
type gauge struct {
	mu sync.Mutex
	n  int
}

func (g *gauge) add(delta int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += delta
}

func (g *gauge) get() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// certificate is a certificate in files, read again when they change. Files
// that can't be used leave the last good certificate in place.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	checked time.Time
	stamp   [2]time.Time
	loaded  *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.checked) < time.Second {
		return c.loaded, nil
	}
	c.checked = time.Now()
	var stamp [2]time.Time
	for i, path := range []string{c.cert, c.key} {
		if st, err := os.Stat(path); err == nil {
			stamp[i] = st.ModTime()
		}
	}
	if c.loaded != nil && stamp == c.stamp {
		return c.loaded, nil
	}
	loaded, err := tls.LoadX509KeyPair(c.cert, c.key)
	switch {
	case err == nil:
		c.loaded, c.stamp = &loaded, stamp
	case c.loaded == nil:
		return nil, err
	default:
		c.stamp = stamp // said once for each change
		c.log.Error("the changed TLS files can't be used; the certificate of before stays", "error", err)
	}
	return c.loaded, nil
}

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"openclaw-mcp/internal/apps"
	"openclaw-mcp/internal/auth"
	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/filewatch"
	"openclaw-mcp/internal/secret"
	"openclaw-mcp/transport"
)

// authenticator is what the configuration says of who may call; nil: everybody
// who can connect, which is this machine alone.
func authenticator(ctx context.Context, c config.Config, log *slog.Logger) (auth.Authenticator, error) {
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
		return oauth(ctx, c, log)
	}
	return nil, nil
}

// authenticate says who a request is from.
type authenticate = func(*http.Request) (transport.Principal, error)

// principals adapts an authenticator. A caller's name is bound to its key, so
// that a token whose key changes does not meet what was sealed with the old one.
func principals(a auth.Authenticator) authenticate {
	if a == nil {
		return nil
	}
	return func(r *http.Request) (transport.Principal, error) {
		caller, err := a.Authenticate(r)
		return transport.Principal{Name: caller.Name, Key: secret.Text(caller.Key)}, err
	}
}

const (
	bodyLimit  = time.Minute      // how long a request's body may take to come in
	writeLimit = 30 * time.Second // how long a client may take nothing of an answer
	// maxHeader is what the headers of a request may have, in bytes; net/http adds 4 KiB. A token of
	// 8 KiB, cookies and the ids of session and event fit. Short lines take five times as much in
	// memory, before anybody knows who they are from.
	maxHeader = 16 << 10
)

// shutdownLimit bounds how long HTTP clients are waited for at the end.
const shutdownLimit = 10 * time.Second

func serveHTTP(ctx context.Context, cfg config.Config, ln net.Listener, b *Bridge, o *observation, local bool, log *slog.Logger) error {
	who, err := authenticator(ctx, cfg, log)
	if err != nil {
		return err
	}
	check := principals(who)
	if check == nil {
		// Sessions and handles are sealed with the one key that there is.
		check = func(*http.Request) (transport.Principal, error) {
			return transport.Principal{Name: transport.Local.Name, Key: b.cfg.APIKey}, nil
		}
	} else {
		check = withServerKey(check, b.cfg.APIKey)
	}
	var streams gauge
	h := transport.NewHTTP(b.mcp, transport.HTTPOptions{
		Options: b.transportOptions(), Authenticate: b.remembering(check), Share: b.shareOf,
		CheckHeader: checkHeader, AllowedHosts: publicHosts(cfg), AllowedOrigins: cfg.AllowedOrigins,
		Rate: cfg.RateLimit, Concurrency: cfg.Concurrency, SessionIdle: cfg.SessionIdle,
		Resume: b.resume, Fleet: b.replicas(),
		Watch: &transport.Watch{
			Limited: func() { o.Dropped("limit") }, Dropped: func() { o.Dropped("slow") }, Stream: streams.add,
		},
	})
	o.Count(b.gauges(streams.get, h.Sessions))
	if who != nil {
		go b.endRevoked(ctx, check, h)
	}
	mux := http.NewServeMux()
	if meta, ok := who.(interface{ MetadataHandler() http.Handler }); ok {
		mux.Handle("/.well-known/oauth-protected-resource", meta.MetadataHandler())
		mux.Handle("/.well-known/oauth-protected-resource/", meta.MetadataHandler())
	}
	info := apps.Info{Local: local, PublicURL: cfg.PublicURL, Auth: apps.Auth(cfg.Auth), Issuer: cfg.OAuthIssuer, OAuthClient: cfg.OAuthClient}
	if oauth, ok := who.(interface{ SignInURLs() []string }); ok {
		info.SignInURLs = oauth.SignInURLs
	}
	page, err := b.frontPage(info)
	if err != nil {
		return err
	}
	page = h.GuardHost(page)
	endpoint := pageForBrowsers(h, page)
	mux.Handle("/mcp", endpoint)
	mux.Handle("/mcp/{$}", endpoint)
	mux.Handle("/", page)
	srv := &http.Server{
		Handler: transport.Guard(mux, bodyLimit, writeLimit), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	boundConnections(srv, maxConnections, maxUnfinished, maxIdle)
	scheme := "http"
	serve := func() error { return srv.Serve(ln) }
	if cfg.TLSCert != "" {
		get, err := certificate(cfg.TLSCert, cfg.TLSKey, log)
		if err != nil {
			return wrongSetting("OPENCLAW_MCP_TLS_CERT or OPENCLAW_MCP_TLS_KEY: %w", err)
		}
		scheme = "https"
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
		serve = func() error { return srv.ServeTLS(ln, "", "") }
	}
	log.Info("serving MCP over streamable HTTP", "url", scheme+"://"+browserAddress(ln.Addr().String())+"/mcp", "auth", cfg.Auth, "service", cfg.BaseURL, "version", cfg.Version)
	if cfg.Listening != nil {
		cfg.Listening(scheme + "://" + browserAddress(ln.Addr().String()))
	}
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

// listen listens at the address that a setting gives.
func listen(setting, addr string) (net.Listener, error) {
	const windowsInUse = syscall.Errno(10048) // WSAEADDRINUSE, which syscall has no name for
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, windowsInUse) {
		return nil, fmt.Errorf("%s: the address %s is in use, perhaps by another openclaw-mcp: end that one, or choose another port", setting, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return ln, nil
}

// pageForBrowsers shows people the page where they open the endpoint in a browser.
func pageForBrowsers(endpoint, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accept := strings.Join(r.Header.Values("Accept"), ",")
		if r.Method == http.MethodGet && strings.Contains(accept, "text/html") && !strings.Contains(accept, "text/event-stream") {
			front := r.Clone(r.Context())
			front.URL.Path, front.URL.RawPath = "/", ""
			page.ServeHTTP(w, front)
			return
		}
		endpoint.ServeHTTP(w, r)
	})
}

// browserAddress is an address that a browser on this machine can open: a server
// that listens everywhere is reached on loopback.
func browserAddress(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// withServerKey gives callers that bring no key of their own the server's.
func withServerKey(next authenticate, key secret.Text) authenticate {
	return func(r *http.Request) (transport.Principal, error) {
		p, err := next(r)
		if err == nil && p.Key == "" {
			p.Key = key
		}
		return p, err
	}
}

// publicHosts are the names that the server is reached by besides loopback's.
func publicHosts(cfg config.Config) []string {
	hosts := cfg.AllowedHosts
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

// certificate gives the TLS certificate of two files, also after they change.
func certificate(certFile, keyFile string, log *slog.Logger) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	w, err := filewatch.New(log, func(contents [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		return &pair, err
	}, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.Get(), nil }, nil
}

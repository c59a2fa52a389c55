package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkHTTP reports what is wrong with the settings for HTTP.
func (c Config) checkHTTP(bad func(name, format string, a ...any)) {
	if !slices.Contains([]string{"none", "token", "key", "oauth"}, c.Auth) {
		bad("OPENCLAW_MCP_AUTH", "is %q; it must be none, token, key or oauth", c.Auth)
	}
	if c.Auth == "token" && c.Tokens == "" && c.TokensFile == "" {
		bad("OPENCLAW_MCP_AUTH", "is token, which needs OPENCLAW_MCP_TOKENS or OPENCLAW_MCP_TOKENS_FILE")
	}
	if c.Auth != "token" && (c.Tokens != "" || c.TokensFile != "") {
		bad("OPENCLAW_MCP_TOKENS", "and OPENCLAW_MCP_TOKENS_FILE need OPENCLAW_MCP_AUTH=token; with %s they would protect nothing", c.Auth)
	}
	if c.Auth == "oauth" && c.OAuthIssuer == "" {
		bad("OPENCLAW_MCP_AUTH", "is oauth, which needs OPENCLAW_MCP_OAUTH_ISSUER")
	}
	if c.Auth == "oauth" && c.PublicURL == "" {
		bad("OPENCLAW_MCP_AUTH", "is oauth, which needs OPENCLAW_MCP_PUBLIC_URL: the address that tokens are for")
	}
	if c.Auth != "oauth" && c.OAuthIssuer != "" {
		bad("OPENCLAW_MCP_OAUTH_ISSUER", "needs OPENCLAW_MCP_AUTH=oauth; with %s it would protect nothing", c.Auth)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.ContainsAny(c.PublicURL, "?#")) {
		bad("OPENCLAW_MCP_PUBLIC_URL", "must be an http or https URL without a user name, query or fragment, such as https://claw.example/mcp")
	}
	for _, origin := range Words(c.AllowedOrigins) {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "") {
			bad("OPENCLAW_MCP_ALLOWED_ORIGINS", "has %q; each must be an origin without a path, such as https://app.example, or *", origin)
		}
	}
	if c.Auth == "none" && slices.Contains(Words(c.AllowedOrigins), "*") {
		bad("OPENCLAW_MCP_ALLOWED_ORIGINS", "is *, which lets every web page that you open call this server; without authentication list the origins, or set OPENCLAW_MCP_AUTH")
	}
	for _, host := range Words(c.AllowedHosts) {
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

// CallersBringKeys reports whether the server needs no key, since callers bring theirs.
func (c Config) CallersBringKeys() bool { return c.HTTP != "" && c.Auth == "key" }

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

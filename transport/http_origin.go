package transport

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"openclaw-mcp/internal/loopback"
)

// checkHost refuses requests under names that are not this server's: a web page
// can have its own name lead here (DNS rebinding; MCP, transports, security). A
// server on loopback is reached by a loopback name, or one that is allowed; one
// on the network by any name, unless names are listed.
func (h *HTTP) checkHost(r *http.Request) error {
	name := hostname(r.Host)
	switch {
	case slices.ContainsFunc(h.opts.AllowedHosts, func(allowed string) bool {
		return strings.EqualFold(allowed, name) || strings.EqualFold(allowed, r.Host)
	}):
		return nil
	case loopback.Host(name):
		return nil // no public name leads to it
	case onLoopback(r):
		return fmt.Errorf("the Host header %q is not a loopback name; this server is reached as localhost, or under a name in OPENCLAW_MCP_ALLOWED_HOSTS", r.Host)
	case len(h.opts.AllowedHosts) > 0:
		return fmt.Errorf("the Host header %q is not among the names of this server (OPENCLAW_MCP_ALLOWED_HOSTS)", r.Host)
	}
	return nil
}

// GuardHost protects another handler of the same server in the same way.
func (h *HTTP) GuardHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.checkHost(r); err != nil {
			plainError(w, http.StatusForbidden, err.Error())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkOrigin refuses requests of web pages that are not allowed. Pages of the
// server's own origin are, and so are, on loopback, those of this machine, over HTTP. Others, such as vscode-webview://…, are to be listed.
func (h *HTTP) checkOrigin(r *http.Request) error {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return nil
	}
	origin := origins[0]
	u, err := url.Parse(origin)
	switch {
	case len(origins) > 1:
		return fmt.Errorf("a request has one Origin, not %d", len(origins))
	case slices.Contains(h.opts.AllowedOrigins, origin), slices.Contains(h.opts.AllowedOrigins, "*"):
		return nil
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https": // of an app, or of who knows what
	case strings.EqualFold(u.Host, r.Host), onLoopback(r) && loopback.Host(u.Hostname()):
		return nil
	}
	return fmt.Errorf("requests from web pages of %q are not allowed; OPENCLAW_MCP_ALLOWED_ORIGINS lists those that are", origin)
}

// corsHeaders are what a page may send besides what every page may.
var corsHeaders = []string{
	"Accept", "Authorization", "Content-Type", "Last-Event-ID", "Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "Mcp-Session-Id",
	"X-OpenClaw-Api-Key", "Traceparent", "Tracestate", "X-MCP-Readonly", "X-MCP-Toolsets", "X-MCP-Tools", "X-MCP-Exclude-Tools",
	"X-MCP-Instances", "X-MCP-Exclude-Instances", "X-MCP-Structured",
}

// allowOrigin lets the page that sent r read the answer (CORS).
func allowOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	w.Header().Add("Vary", "Origin")
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After")
}

// preflight answers OPTIONS: what a page may send (CORS).
func preflight(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "POST, GET, DELETE, OPTIONS")
	allowed := slices.Clone(corsHeaders)
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(strings.ToLower(name), "mcp-") && validHeaderName(name) {
			allowed = append(allowed, name) // of a later version of the protocol
		}
	}
	w.Header().Set("Access-Control-Allow-Headers", strings.Join(allowed, ", "))
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

func validHeaderName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// onLoopback reports whether a request reached this server on loopback.
func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && loopback.Host(hostname(local.String()))
}

// hostname is a host without its port.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
